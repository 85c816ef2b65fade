"""``python -m voice.sip``: the SIP process."""

import logging

from orchestration.settings import load_configuration
from serving.errors import ServingError
from serving.process import fail, serve
from voice.errors import VoiceError
from voice.sip.service import SipService

#: The gateway alone gives orders, and is on this machine or in this pod.
LOOPBACK = "127.0.0.1"
#: The binding logs every call; the gateway does that already.
QUIET = ("baresip.runtime", "baresip.call", "baresip.ua")


def main() -> None:
    """Run the SIP process until told to stop."""
    try:
        configuration = load_configuration()
        service = SipService(configuration)
    except (ServingError, VoiceError) as error:
        fail("sip", error)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    serve(
        service,
        host=LOOPBACK,
        port=configuration.sip.http_port,
        drain_seconds=configuration.gateway.drain_seconds,
        impediment=service.impediment,
        on_drain=service.drain,
        busy=service.busy,
    )


if __name__ == "__main__":
    main()
