"""The SIP process' way to the gateway: one socket a call."""

import logging
import ssl
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus

from orchestration.settings import Configuration
from telemetry import metrics

logger = logging.getLogger(__name__)

DOOR = "sip"
#: Where the gateway takes our calls.
MEDIA_PATH = "/phone/sip/media"
#: Largest message of the gateway, bytes.
MAX_MESSAGE_BYTES = 1 << 20
#: Closing a socket waits this long for the gateway, seconds.
CLOSE_SECONDS = 1.0


class TurnedAwayError(Exception):
    """The gateway does not take a call.

    Args:
        full: all lines are busy; else it cannot answer just now.

    """

    def __init__(self, *, full: bool) -> None:
        super().__init__("all lines are busy" if full else "the gateway takes no calls just now")
        self.full = full


class Uplink:
    """Opens sockets to the gateway.

    Args:
        configuration: the whole configuration.

    """

    def __init__(self, configuration: Configuration) -> None:
        self._url = f"ws{configuration.gateway_url.removeprefix('http')}{MEDIA_PATH}"
        self._secret = configuration.sip.bridge_secret.get_secret_value()
        self._seconds = configuration.sip.admission_seconds

    async def open(self, **facts: str) -> ClientConnection:
        """Return a socket that holds a place for one call.

        Args:
            facts: ``agent``, who is asked for, or ``dial``, the token of a call that the gateway placed.

        Raises:
            TurnedAwayError: there is none.

        """
        try:
            return await connect(
                f"{self._url}?{urlencode(facts)}",
                additional_headers={"authorization": f"Bearer {self._secret}"},
                ssl=_ssl_context() if self._url.startswith("wss") else None,
                open_timeout=self._seconds,
                close_timeout=CLOSE_SECONDS,
                max_size=MAX_MESSAGE_BYTES,
                compression=None,
                proxy=None,
            )
        except InvalidStatus as error:
            status = error.response.status_code
            full = status == 503 and "retry-after" not in error.response.headers
            if status != 503:
                logger.error("the gateway answered %d: %.200s", status, error.response.body)
                _count("gateway_refused")
            raise TurnedAwayError(full=full) from None
        except (OSError, TimeoutError, InvalidHandshake) as error:
            logger.warning("the gateway cannot be reached: %s", error or type(error).__name__)
            _count("no_gateway")
            raise TurnedAwayError(full=False) from None


def _count(cause: str) -> None:
    metrics.REFUSALS.labels(DOOR, cause).inc()


def _ssl_context() -> ssl.SSLContext:
    """Return how a gateway of this machine is reached over TLS: its certificate names its public host."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
