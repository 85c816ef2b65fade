"""A carrier's media socket: one call."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from starlette.responses import JSONResponse
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from orchestration.doors import PhoneSettings
from telemetry import metrics
from telemetry.tracing import extract_context
from voice.access.gatekeeper import Gatekeeper, denial_response
from voice.access.tokens import OneTimeTokens
from voice.closing import close
from voice.errors import AccessDeniedError, HandshakeError
from voice.mediawatch import MediaWatch
from voice.phone.carriers.base import MediaCarrier
from voice.phone.desk import api_base, public_url
from voice.phone.lines import Line, LineControl, Lines
from voice.phone.media import Audio, Event, Mark, StreamGuard, StreamStart
from voice.phone.serializer import GuardedSerializer
from voice.reception import Place, Reception, RefusedError

logger = logging.getLogger(__name__)

#: One packet is 20 ms; pipecat counts output chunks in tens of milliseconds.
OUTPUT_CHUNK_10MS = 2
#: Closing a caller's socket waits this long for the other side, seconds.
CLOSE_SECONDS = 1.0
#: Messages before the one that begins a stream (`connected`).
MAX_PREAMBLE = 2
#: How often entries on the keypad are looked for, seconds.
KEYPAD_SECONDS = 0.25
#: WebSocket close codes with a reason of their own (RFC 6455, 7.4.1).
CLOSE_REASONS = {
    1000: "caller hung up",
    1009: "protocol error: a message over the size limit",
    # Of our own SIP process (`voice.sip.call.Ending`).
    4002: "hung up by request",
    4003: "transferred",
}
LOST = "connection to the caller was lost"
PROTOCOL_ERROR = 1002
POLICY_VIOLATION = 1008
TRY_AGAIN_LATER = 1013
#: When to try again where a server that calls need is not there, seconds.
RETRY_SECONDS = 5


class CallerSocket(WebSocket):
    """A websocket that remembers why it was closed."""

    close_code: int | None = None

    async def receive(self) -> Message:
        """Receive the next ASGI message."""
        message = await super().receive()
        if message["type"] == "websocket.disconnect":
            self.close_code = message.get("code")
        return message

    @property
    def end_reason(self) -> str:
        """Why the caller's side closed."""
        return CLOSE_REASONS.get(self.close_code or 0, LOST)


class MediaSocket:
    """ASGI endpoint of ``WS /phone/{carrier}/media``.

    Args:
        carrier: whose stream it is.
        reception: admits calls.
        gatekeeper: admits people.
        settings: section ``[phone]``.
        tokens: those minted in answer documents; each opens one stream.
        transfers: tokens of the documents that connect a caller to somebody else.
        lines: where the call is found while it lasts.

    """

    def __init__(
        self,
        carrier: MediaCarrier,
        reception: Reception,
        gatekeeper: Gatekeeper,
        settings: PhoneSettings,
        tokens: OneTimeTokens,
        transfers: OneTimeTokens,
        lines: Lines,
    ) -> None:
        self.door = carrier.name
        self._carrier = carrier
        self._reception = reception
        self._gatekeeper = gatekeeper
        self._settings = settings
        self._tokens = tokens
        self._transfers = transfers
        self._lines = lines

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hold one call."""
        socket = CallerSocket(scope, receive, send)
        try:
            await self._take(socket)
        except RefusedError as refusal:
            logger.warning("call refused: %s", refusal)
            metrics.REFUSALS.labels(self.door, "at_capacity").inc()
            headers = {} if refusal.full else {"retry-after": str(RETRY_SECONDS)}
            response = JSONResponse({"error": str(refusal)}, status_code=503, headers=headers)
            await self._refuse(socket, response, TRY_AGAIN_LATER)
        except AccessDeniedError as denial:
            logger.warning("call refused: %s", denial)
            await self._refuse(socket, denial_response(denial), POLICY_VIOLATION)
        except HandshakeError as error:
            logger.warning("call ended before it began: %s", error)
            metrics.REFUSALS.labels(self.door, "bad_handshake").inc()
            if socket.client_state is not WebSocketState.DISCONNECTED:
                await close(socket, PROTOCOL_ERROR, str(error))

    async def _take(self, socket: CallerSocket) -> None:
        """Let the stream of a call in, and hold the call.

        Raises:
            RefusedError: no call is taken now.
            AccessDeniedError: this one is not.
            HandshakeError: it does not begin as it should.

        """
        visitor = self._gatekeeper.admit_unkeyed(socket, door=self.door)
        self._reception.require_room()
        await socket.accept()
        start = await self._handshake(socket, self._reception.settings.handshake_seconds)
        facts = self._tokens.spend(start.parameters.get("token", ""), time.monotonic())
        if facts is None and not visitor.local:
            metrics.REFUSALS.labels(self.door, "no_media_token").inc()
            raise AccessDeniedError(
                403, "no_media_token", "the stream lacks the token of its answer document"
            )
        facts = facts or {}
        with self._reception.admit(self.door, agent=facts.get("agent", "")) as place:
            await self._hold(socket, start, place, screened="screened" in facts)

    async def _refuse(self, socket: CallerSocket, response: JSONResponse, code: int) -> None:
        if socket.client_state is WebSocketState.CONNECTING:
            with contextlib.suppress(WebSocketDisconnect, OSError):
                await socket.send_denial_response(response)
        elif socket.client_state is WebSocketState.CONNECTED:
            await close(socket, code, bytes(response.body).decode())

    async def _handshake(
        self, socket: CallerSocket, limit: float, setting: str = "handshake_seconds"
    ) -> StreamStart:
        query = dict(socket.query_params)
        try:
            async with asyncio.timeout(limit):
                for _ in range(MAX_PREAMBLE):
                    if start := self._carrier.parse_start(await _receive(socket), query):
                        return start
        except TimeoutError:
            raise HandshakeError(f"no start message within {setting} = {limit:g}") from None
        except WebSocketDisconnect:
            raise HandshakeError(socket.end_reason) from None
        raise HandshakeError("no start message after connected")

    async def _hold(self, socket: CallerSocket, start: StreamStart, place: Place, *, screened: bool) -> None:
        settings = self._reception.settings
        watch = MediaWatch(timeout_seconds=settings.media_timeout_seconds)
        recorder = place.recorder(start.call_id, parent=extract_context(start.parameters))
        recorder.playback.make_mark = lambda name: self._carrier.mark(start, name)

        def take(event: Event) -> None:
            if isinstance(event, Audio):
                watch.seen()
            else:
                if isinstance(event, Mark):
                    recorder.playback.returned(event.name, time.monotonic())
                line.take(event, time.monotonic())

        serializer = GuardedSerializer(
            self._carrier.serializer(start),
            guard=StreamGuard(
                self._carrier.parse,
                max_lead_seconds=settings.max_lead_seconds,
                sample_rate=start.sample_rate,
            ),
            on_event=take,
            on_violation=lambda reason: call.end(reason),
            on_audible=recorder.audible,
            leaves=recorder.playback.leaves,
        )
        transport = _transport(socket, serializer, lambda: call.end(socket.end_reason))
        control = LineControl()
        call = place.call(
            transport, recorder, sample_rate=start.sample_rate, control=control, screened=screened
        )
        base = f"{public_url(self._settings, socket)}/phone/{self._carrier.name}"
        control.line = line = Line(
            self._carrier,
            start,
            call,
            api_base(self._settings, self._carrier),
            lambda number: f"{base}/connect/{self._transfers.mint({'to': number}, time.monotonic())}",
        )
        self._lines.add(line)
        try:
            async with asyncio.TaskGroup() as group:
                keypad = group.create_task(_watch_keypad(line), name="keypad")
                await watch.hold(call)
                keypad.cancel()
        finally:
            self._lines.remove(line)


async def _receive(socket: WebSocket) -> str | bytes:
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    text = message.get("text")
    return text if text is not None else bytes(message.get("bytes") or b"")


def _transport(
    socket: WebSocket, serializer: GuardedSerializer, on_gone: Callable[[], None]
) -> FastAPIWebsocketTransport:
    transport = FastAPIWebsocketTransport(
        socket,
        FastAPIWebsocketParams(
            audio_in_enabled=True,
            audio_out_enabled=True,
            audio_out_10ms_chunks=OUTPUT_CHUNK_10MS,
            serializer=serializer,
            ws_close_timeout=CLOSE_SECONDS,
        ),
    )

    async def gone(*_: object) -> None:
        on_gone()

    transport.add_event_handler("on_client_disconnected", gone)
    return transport


async def _watch_keypad(line: Line) -> None:
    while True:
        await asyncio.sleep(KEYPAD_SECONDS)
        for entry in line.keypad.entries(time.monotonic()):
            await line.pressed(entry)
