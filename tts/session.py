"""One websocket connection in Cartesia's protocol: the I/O around :class:`tts.contexts.Contexts`."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from tts import messages
from tts.contexts import Cancelled, Contexts, Ended, Event, Flushed, Opened, Rejected, Say
from tts.errors import EngineError, RequestError, TtsError
from tts.messages import OpenRequest
from tts.settings import TtsSettings
from tts.speaker import Speaker
from tts.tracing import ContextSpan

logger = logging.getLogger(__name__)

#: Makes the speaker of a context, told how many others the connection has open; raises RequestError for a voice
#: or a format that does not exist.
OpenSpeaker = Callable[[OpenRequest, int], Speaker]
Emit = Callable[[dict[str, Any]], Awaitable[None]]


class Renderer:
    """Says what one context has to say, in order, on a task of its own."""

    def __init__(self, context_id: str, speaker: Speaker, *, timestamps: bool, span: ContextSpan) -> None:
        self.context_id = context_id
        self.cancelled = False
        self.queue: asyncio.Queue[Say | Flushed | Ended] = asyncio.Queue()  # bounded by Contexts
        self.task: asyncio.Task[None] | None = None
        self._speaker = speaker
        self._timestamps = timestamps
        self._span = span

    async def run(self, emit: Emit, said: Callable[[int], None]) -> None:
        """Render until the context ends; its last message is ``done`` or ``error``."""
        with self._span:
            try:
                await self._render(emit, said)
            except EngineError as failure:
                self._span.failed(failure)
                await emit(messages.error(self.context_id, _as_problem(failure)))

    async def _render(self, emit: Emit, said: Callable[[int], None]) -> None:
        flush_id = 1
        while True:
            event = await self.queue.get()
            flush_id = getattr(event, "flush_id", flush_id)
            if isinstance(event, Say):
                await self._say(event, emit)
                said(len(event.text))
            elif isinstance(event, Flushed):
                await emit(messages.flush_done(self.context_id, flush_id=flush_id))
            else:
                if tail := self._speaker.finish():
                    await emit(messages.chunk(self.context_id, tail, step_seconds=0.0, flush_id=flush_id))
                await emit(messages.done(self.context_id))
                return

    async def _say(self, event: Say, emit: Emit) -> None:
        self._span.text(len(event.text))
        async with aclosing(self._speaker.say(event.text)) as stream:
            async for spoken in stream:
                flush_id = event.flush_id
                if spoken.audio:
                    await emit(
                        messages.chunk(
                            self.context_id, spoken.audio, step_seconds=spoken.step_seconds, flush_id=flush_id
                        )
                    )
                self._span.audio(self._speaker.seconds)
                if self._timestamps and spoken.words:
                    await emit(messages.timestamps(self.context_id, list(spoken.words), flush_id=flush_id))


class Session:
    """Serves one connection until either side ends it.

    A client that does not read stops only its own renderers: they wait for room in its bounded outbox, and
    when it has taken nothing for ``send_timeout_seconds`` the connection is dropped.
    """

    def __init__(
        self,
        websocket: WebSocket,
        settings: TtsSettings,
        open_speaker: OpenSpeaker,
        open_span: Callable[[OpenRequest, str], ContextSpan],
    ) -> None:
        self._websocket = websocket
        self._settings = settings
        self._open_speaker = open_speaker
        self._open_span = open_span
        self._contexts = Contexts(
            max_contexts=settings.max_contexts,
            max_pending_characters=settings.max_pending_characters,
            idle_seconds=settings.context_idle_seconds,
        )
        self._renderers: dict[str, Renderer] = {}
        self._outbox: asyncio.Queue[tuple[Renderer | None, dict[str, Any]]] = asyncio.Queue(
            settings.outbox_messages
        )
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Serve the connection."""
        await self._websocket.accept()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._write(), name="tts-write")
                group.create_task(self._watch(group), name="tts-watch")
                await self._read(group)
        except* WebSocketDisconnect:
            pass
        except* TimeoutError:
            logger.warning("a client took nothing for %g s; dropped", self._settings.send_timeout_seconds)

    async def _read(self, group: asyncio.TaskGroup) -> None:
        while True:
            frame = await self._websocket.receive()
            if frame["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(frame.get("code") or 1005)
            raw = frame.get("text") or frame.get("bytes") or ""
            await self._apply(self._contexts.receive(raw, time.monotonic()), group)
            self._changed.set()

    async def _watch(self, group: asyncio.TaskGroup) -> None:
        """Let time pass for the contexts: buffered text that has waited enough, contexts gone idle."""
        while True:
            due = self._contexts.due
            self._changed.clear()
            try:
                async with asyncio.timeout(None if due is None else due - time.monotonic()):
                    await self._changed.wait()
            except TimeoutError:
                await self._apply(self._contexts.tick(time.monotonic()), group)

    async def _write(self) -> None:
        while True:
            renderer, message = await self._outbox.get()
            if renderer is None or not renderer.cancelled:
                async with asyncio.timeout(self._settings.send_timeout_seconds):
                    await self._websocket.send_text(json.dumps(message))

    async def _apply(self, events: list[Event], group: asyncio.TaskGroup) -> None:
        for event in events:
            if isinstance(event, Opened):
                await self._start(event, group)
            elif isinstance(event, Cancelled):
                self._stop(event.context_id)
            elif isinstance(event, Rejected):
                await self._reject(event)
            elif renderer := self._renderers.get(event.context_id):
                renderer.queue.put_nowait(event)

    async def _start(self, event: Opened, group: asyncio.TaskGroup) -> None:
        try:
            speaker = self._open_speaker(event.request, len(self._renderers))
        except RequestError as problem:
            self._contexts.forget(event.context_id)
            await self._outbox.put((None, messages.error(event.context_id, problem)))
            return
        renderer = Renderer(
            event.context_id,
            speaker,
            timestamps=bool(event.request.add_timestamps),
            span=self._open_span(event.request, speaker.voice),
        )
        self._renderers[event.context_id] = renderer
        renderer.task = group.create_task(self._render(renderer), name="tts-render")

    async def _render(self, renderer: Renderer) -> None:
        async def emit(message: dict[str, Any]) -> None:
            await self._outbox.put((renderer, message))

        def said(characters: int) -> None:
            self._contexts.said(renderer.context_id, characters, time.monotonic())
            self._changed.set()

        await renderer.run(emit, said)
        if self._renderers.get(renderer.context_id) is renderer:
            del self._renderers[renderer.context_id]
            self._contexts.forget(renderer.context_id)

    async def _reject(self, event: Rejected) -> None:
        if event.context_id is not None:
            self._stop(event.context_id)
        await self._outbox.put((None, messages.error(event.context_id, event.problem)))

    def _stop(self, context_id: str) -> None:
        if renderer := self._renderers.pop(context_id, None):
            renderer.cancelled = True
            assert renderer.task is not None
            renderer.task.cancel()


def _as_problem(failure: TtsError) -> RequestError:
    return RequestError(str(failure), status=500, title="Synthesis failed")
