"""The gateway's end of the SIP process' media sockets."""

import hmac
import logging
import time
from typing import Any

from orchestration.trunk import SipSettings
from telemetry import metrics
from voice.access.gatekeeper import bearer
from voice.access.tokens import OneTimeTokens
from voice.errors import AccessDeniedError, HandshakeError
from voice.phone.socket import CallerSocket, MediaSocket
from voice.sip.carrier import SipCarrier

logger = logging.getLogger(__name__)

#: Beyond ringing, the SIP process may take this long to begin a call's stream, seconds: 64 x T1 for the ACK.
MARGIN_SECONDS = 40.0
#: What :attr:`_limit_seconds` is made of, for messages.
RING_LIMIT = "[sip] ring_seconds and a margin"


class SipSocket(MediaSocket):
    """ASGI endpoint of ``WS /phone/sip/media``.

    The SIP process opens it before it answers or places a call, and so knows whether there is a place. It holds
    the place until the call begins.

    Args:
        carrier: the SIP process.
        shared: what every carrier's socket needs.
        sip: section ``[sip]``.
        dialled: tokens of the calls placed.

    """

    def __init__(self, carrier: SipCarrier, *shared: Any, sip: SipSettings, dialled: OneTimeTokens) -> None:
        super().__init__(carrier, *shared)
        self._secret = sip.bridge_secret.get_secret_value()
        self._limit_seconds = sip.ring_seconds + MARGIN_SECONDS
        self._dialled = dialled

    async def _take(self, socket: CallerSocket) -> None:
        if not self._secret:
            metrics.REFUSALS.labels(self.door, "unconfigured").inc()
            raise AccessDeniedError(403, "unconfigured", "[sip] bridge_secret is not set")
        if not hmac.compare_digest(bearer(socket).encode(), self._secret.encode()):
            metrics.REFUSALS.labels(self.door, "bad_credentials").inc()
            raise AccessDeniedError(403, "bad_credentials", "only the SIP process may open this")
        facts = self._dialled.spend(socket.query_params.get("dial", ""), time.monotonic()) or {}
        agent = facts.get("agent", socket.query_params.get("agent", ""))
        with self._reception.admit(self.door, agent=agent) as place:
            await socket.accept()
            try:
                start = await self._handshake(socket, self._limit_seconds, RING_LIMIT)
            except HandshakeError as error:
                if socket.close_code is None:
                    raise
                # The caller gave up while it rang, or the one we called did not answer.
                logger.info("SIP call did not begin: %s", error)
                return
            await self._hold(socket, start, place, screened="screened" in facts)
