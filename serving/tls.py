"""The certificates this process trusts.

They are read once: that takes tens of milliseconds, in which all calls of a gateway would wait.
"""

import functools
import ssl

import httpx


@functools.cache
def trusted() -> ssl.SSLContext:
    """Return the context of every HTTP client."""
    return httpx.create_ssl_context()
