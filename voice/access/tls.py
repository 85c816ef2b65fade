"""How this machine's own commands check the certificate of a gateway."""

import ssl
from urllib.parse import urlsplit

from voice.access.gatekeeper import is_loopback


def verification(url: str) -> ssl.SSLContext:
    """Return how to check whoever answers at ``url``.

    A gateway on this machine shows the certificate of its public host, which is not a loopback address; nobody
    stands between a machine and itself.
    """
    context = ssl.create_default_context()
    if is_loopback(urlsplit(url).hostname or ""):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
