"""One streaming connection: a thin shell that moves messages between a websocket, an ear and the engine.

Everything it holds is bounded. Audio is taken in slices, so that a client which sends minutes at once never
holds the event loop; a stream that runs ahead of real time waits for its decodes, so that it never queues
more than one of each kind; a client that does not read is closed.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Iterator
from typing import Protocol

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from asr.ear import Ear
from asr.engine import Engine
from asr.errors import AsrError, MessageError
from asr.events import Action, AlignRequest, DecodeRequest, EndRequest, Kind, TurnEvent
from asr.guard import believed
from asr.scheduler import Priority
from asr.settings import AsrSettings
from asr.spans import TurnSpans
from asr.transcript import Transcript, WordTimes
from asr.whisper import DecodeJob

logger = logging.getLogger(__name__)

#: Audio taken from a message before other streams get a turn, seconds.
SLICE_SECONDS = 0.25
#: How far a stream may run ahead of real time before it waits for its own decodes, seconds.
LEAD_SECONDS = 1.0

PRIORITIES = {
    Kind.FINAL: Priority.FINAL,
    Kind.EAGER: Priority.EAGER,
    Kind.AHEAD: Priority.EAGER,
    Kind.PARTIAL: Priority.PARTIAL,
}


#: What the models will say to something that was asked of them.
Answer = asyncio.Future[Transcript | None] | asyncio.Future[Transcript] | asyncio.Future[float]


class Dialect(Protocol):
    """What differs between the protocols: how messages are read and written."""

    model: str
    language: str | None
    keyterms: tuple[str, ...]
    closing: bool
    word_times: WordTimes
    #: W3C trace context of the turn in progress, as the client last said; empty: that of the connection.
    traceparent: str

    def opened(self) -> list[str]:
        """Return the messages with which a connection begins."""

    def received(self, text: str, ear: Ear) -> tuple[list[str], list[Action]]:
        """Take a text message; return what to send and what the ear asks for."""

    def heard(self, event: TurnEvent) -> list[str]:
        """Return the messages for a turn event."""

    def advanced(self, heard_seconds: float) -> list[str]:
        """Return the messages that are due at this stream time, seconds."""

    def decided(self, ear: Ear) -> list[str]:
        """Return the messages that are due once the ear has taken an answer of the models."""

    def closed(self, ear: Ear) -> list[str]:
        """Return the messages with which a connection ends in peace."""

    def failed(self, error: BaseException) -> list[str]:
        """Return the messages with which a connection ends in an error."""


class Connection:
    """Serves one accepted websocket until it ends."""

    def __init__(
        self,
        websocket: WebSocket,
        ear: Ear,
        dialect: Dialect,
        engine: Engine,
        settings: AsrSettings,
        spans: TurnSpans,
    ) -> None:
        self._websocket = websocket
        self._ear = ear
        self._dialect = dialect
        self._engine = engine
        self._settings = settings
        self._spans = spans
        self._outgoing: asyncio.Queue[str | None] = asyncio.Queue(settings.max_queued_messages)
        self._waiting: set[Answer] = set()
        self._settled = asyncio.Event()
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._started = time.monotonic()

    async def serve(self) -> None:
        """Talk to the client until it goes, fails, or has had everything."""
        self._engine.open(self)
        try:
            await self._talk()
        finally:
            self._engine.close(self)
            self._spans.close()
            self._failure.cancel()

    async def _talk(self) -> None:
        writer = asyncio.create_task(self._write(), name="asr-writer")
        reader = asyncio.create_task(self._read(), name="asr-reader")
        code = 1000
        try:
            await asyncio.wait((reader, writer, self._failure), return_when=asyncio.FIRST_COMPLETED)
            code = self._outcome(reader, writer)
        finally:
            reader.cancel()
            self._outgoing_end()
            await asyncio.wait((writer,), timeout=self._settings.send_timeout_seconds)
            writer.cancel()
            await asyncio.gather(reader, writer, return_exceptions=True)
        if self._websocket.application_state is not WebSocketState.DISCONNECTED:
            await self._close(code)

    def _outcome(self, reader: asyncio.Task[None], writer: asyncio.Task[None]) -> int:
        """Tell the client how the connection ended; return the close code."""
        for task in (self._failure, reader, writer):
            error = task.exception() if task.done() else None
            if error is None:
                continue
            if isinstance(error, WebSocketDisconnect):
                return 1000
            if not isinstance(error, AsrError | TimeoutError):
                logger.error("a stream failed", exc_info=error)
            self._send(self._dialect.failed(error))
            return 1011 if not isinstance(error, AsrError) else 1008
        self._send(self._dialect.closed(self._ear))
        return 1000

    # Reading.

    async def _read(self) -> None:
        self._send(self._dialect.opened())
        async for message in self._messages():
            if isinstance(message, str):
                replies, actions = self._dialect.received(message, self._ear)
                self._send(replies)
                self._act(actions)
                if self._dialect.closing:
                    break
            else:
                await self._listen(message)
        self._act(self._ear.turns.force_end())
        await self._settle()

    async def _messages(self) -> AsyncIterator[str | bytes]:
        while True:
            async with asyncio.timeout(self._settings.idle_timeout_seconds):
                message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1005))
            text, data = message.get("text"), message.get("bytes")
            yield text if text is not None else data or b""

    async def _listen(self, data: bytes) -> None:
        size = max(2, int(self._ear.bytes_per_second * SLICE_SECONDS) & ~1)
        for offset in range(0, len(data), size):
            for actions in self._ear.feed(data[offset : offset + size]):
                self._act(actions)
                if self._waiting and self._lead_seconds() > LEAD_SECONDS:
                    await self._settle()
            self._send(self._dialect.advanced(self._ear.heard_seconds))
            if len(data) > size:
                await asyncio.sleep(0)

    def _lead_seconds(self) -> float:
        return self._ear.heard_seconds - (time.monotonic() - self._started)

    async def _settle(self) -> None:
        """Wait until nothing that the ear has asked for is still to come."""
        while self._waiting:
            self._settled.clear()
            await self._settled.wait()

    # Acting.

    def _act(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, TurnEvent):
                self._spans.heard(action, self._ear.heard_seconds, self._dialect.traceparent)
                self._send(self._dialect.heard(action))
            elif isinstance(action, DecodeRequest):
                self._decode(action)
            elif isinstance(action, AlignRequest):
                self._align(action)
            else:
                self._judge(action)

    def _decode(self, request: DecodeRequest) -> None:
        job = DecodeJob(
            audio=self._ear.slice(request.start, request.end),
            offset=request.start,
            language=self._dialect.language,
            keyterms=self._dialect.keyterms,
            words=request.word_times(self._dialect.word_times),
            ending=request.ending,
        )
        future = self._engine.decode(self, self._dialect.model, PRIORITIES[request.kind], job)
        self._waiting.add(future)
        future.add_done_callback(lambda done: self._decoded(request, done))

    def _decoded(self, request: DecodeRequest, future: "asyncio.Future[Transcript | None]") -> None:
        with self._taking(future):
            transcript = future.result()
            if transcript is None:
                self._ear.turns.dropped(request)
                return
            sure = believed(transcript, request.speech_probability, self._settings.decode)
            self._act(self._ear.turns.transcribed(request, transcript if sure else None))

    def _align(self, request: AlignRequest) -> None:
        assert request.transcript.align is not None
        future = self._engine.align(request.transcript.align)
        self._waiting.add(future)
        future.add_done_callback(lambda done: self._aligned(request, done))

    def _aligned(self, request: AlignRequest, future: "asyncio.Future[Transcript]") -> None:
        with self._taking(future):
            self._act(self._ear.turns.aligned(request, future.result()))

    def _judge(self, request: EndRequest) -> None:
        future = self._engine.judge(self._ear.slice(request.start, request.end))
        self._waiting.add(future)
        future.add_done_callback(lambda done: self._judged(request, done))

    def _judged(self, request: EndRequest, future: "asyncio.Future[float]") -> None:
        with self._taking(future):
            self._act(self._ear.turns.judged(request, future.result()))

    @contextlib.contextmanager
    def _taking(self, future: Answer) -> Iterator[None]:
        """Take a result: nothing after a cancellation, and an error ends the connection, not the loop."""
        self._waiting.discard(future)
        try:
            yield
            self._send(self._dialect.decided(self._ear))
        except asyncio.CancelledError:
            pass
        except Exception as error:
            self.fail(error)
        finally:
            self._settled.set()

    def fail(self, error: BaseException) -> None:
        """End the connection with ``error``."""
        if not self._failure.done():
            self._failure.set_exception(error)

    # Writing.

    def _send(self, messages: list[str]) -> None:
        for message in messages:
            try:
                self._outgoing.put_nowait(message)
            except asyncio.QueueFull:
                self.fail(MessageError("the client reads too slowly; messages were waiting for it"))

    def _outgoing_end(self) -> None:
        if self._outgoing.full():
            self._outgoing.get_nowait()
        self._outgoing.put_nowait(None)

    async def _write(self) -> None:
        while (message := await self._outgoing.get()) is not None:
            async with asyncio.timeout(self._settings.send_timeout_seconds):
                await self._websocket.send_text(message)

    async def _close(self, code: int) -> None:
        try:
            async with asyncio.timeout(self._settings.send_timeout_seconds):
                await self._websocket.close(code)
        except (TimeoutError, RuntimeError, WebSocketDisconnect):
            logger.info("a client went away before it could be closed")
