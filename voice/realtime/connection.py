"""One client's websocket: the asyncio shell around its session and the call behind it."""

import asyncio
import contextlib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipecat.frames.frames import (
    Frame,
    FunctionCallFromLLM,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    TTSTextFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from starlette.websockets import WebSocketDisconnect, WebSocketState

from llm.client import Answer
from llm.service import MALFORMED
from orchestration.agent import Agent
from orchestration.dialogue import Request, UnkeptContext, WrittenFrame
from orchestration.doors import RealtimeSettings
from orchestration.recorder import CallRecorder
from telemetry.loudness import first_audible
from voice.closing import close
from voice.phone.socket import LOST, CallerSocket
from voice.realtime.effects import (
    Ask,
    Configure,
    Effect,
    EndTurn,
    ForgetSound,
    Hear,
    Send,
    Silence,
    Transcribe,
    Typed,
)
from voice.realtime.line import Line
from voice.realtime.response import Response, ToolCall
from voice.realtime.session import Session
from voice.realtime.transcriber import Transcriber
from voice.reception import Place

#: A response of which nothing comes for this long has failed, seconds: the mind's own deadlines are shorter.
ANSWER_SECONDS = 75.0
#: How often that is looked at, seconds.
WATCH_SECONDS = 1.0
#: A client is given this long to read its last events and to close, seconds.
CLOSE_SECONDS = 1.0
#: WebSocket close codes of a client that leaves in order (RFC 6455, 7.4.1).
GOODBYES = frozenset({1000, 1001})
UNREAD = "protocol error: the client does not read what it is sent"
TOO_BIG = "protocol error: a message over the size limit"
GOING_AWAY = 1001


class AskedContext(UnkeptContext):
    """Asks the mind for one response."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


class Connection:
    """See the module's text; it is the call's :class:`~orchestration.dialogue.Dialogue` as well.

    Args:
        socket: accepted.
        place: the call's.
        session: its state.
        recorder: writes the call down.
        agent: the gateway's.
        settings: section ``[realtime]``.
        transcriber: for what the client records itself.
        start_seconds: the call begins at the latest after this long.

    """

    def __init__(
        self,
        socket: CallerSocket,
        place: Place,
        session: Session,
        recorder: CallRecorder,
        *,
        agent: Agent,
        settings: RealtimeSettings,
        transcriber: Transcriber,
        start_seconds: float,
    ) -> None:
        self._socket = socket
        self._session = session
        self._recorder = recorder
        self._agent = agent
        self._settings = settings
        self._transcriber = transcriber
        self._start_seconds = start_seconds
        self._line = Line(
            place,
            recorder,
            agent,
            settings,
            dialogue=self,
            on_sound=self._sound,
            on_frame=self._frame,
            on_end=self._end,
        )
        self._outbox: asyncio.Queue[str] = asyncio.Queue(settings.outbox_events)
        self._outbox_bytes = 0
        self._reason = ""
        self._over = asyncio.Event()
        self._tasks = asyncio.TaskGroup()
        self._transcribing = 0

    async def hold(self) -> None:
        """Hold the session to its end."""
        try:
            async with self._tasks as group:
                self._apply(self._session.opened())
                work = [
                    group.create_task(self._read(), name="realtime-read"),
                    group.create_task(self._line.carry(), name="realtime-carry"),
                    group.create_task(self._begin_at_last(), name="realtime-begin"),
                    group.create_task(self._watch(), name="realtime-watch"),
                ]
                writing = group.create_task(self._write(), name="realtime-write")
                await self._over.wait()
                for task in work:
                    task.cancel()
                await self._line.wait()
                await self._say_goodbye(writing)
        finally:
            self._end(LOST)

    def _end(self, reason: str) -> None:
        """End session and call; the first reason given stands."""
        if not self._over.is_set():
            self._reason = reason
            self._over.set()
            self._line.end(reason)

    # The websocket.

    async def _read(self) -> None:
        try:
            while True:
                message = await self._socket.receive()
                if message["type"] == "websocket.disconnect":
                    raise WebSocketDisconnect
                text = message.get("text")
                if text is None:
                    text = bytes(message.get("bytes") or b"").decode(errors="replace")
                self._apply(self._session.received(text, time.monotonic()))
        except WebSocketDisconnect:
            code = self._socket.close_code
            self._end("caller hung up" if code in GOODBYES else TOO_BIG if code == 1009 else LOST)

    async def _write(self) -> None:
        while True:
            text = await self._outbox.get()
            # Where the client has gone, the reading side says why.
            with contextlib.suppress(WebSocketDisconnect, RuntimeError, OSError):
                await self._socket.send_text(text)
            self._outbox_bytes -= len(text)
            self._outbox.task_done()

    async def _say_goodbye(self, writing: asyncio.Task[None]) -> None:
        """Let a client that is still there read its last events, then close."""
        there = self._socket.client_state is WebSocketState.CONNECTED
        if there and self._reason != UNREAD:
            self._apply(self._session.ended(self._reason))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._outbox.join()
        writing.cancel()
        if there:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await close(self._socket, GOING_AWAY, self._reason)

    # The session's wishes.

    def _apply(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(event):
                    self._send(event)
                case Hear(audio, encoding):
                    self._begin()
                    if not self._line.hear(audio, encoding):
                        self._apply(self._session.overflowed())
                case Transcribe():
                    self._transcribe(effect)
                case Typed(text):
                    self._recorder.given(text, speech_ended=None, now=time.monotonic())
                case Ask(response):
                    self._begin()
                    self._line.put(LLMContextFrame(context=AskedContext(response)))
                case ForgetSound():
                    self._line.forget()
                case EndTurn():
                    self._line.end_turn()
                case Silence():
                    self._line.put(InterruptionFrame())
                case Configure(config):
                    self._line.configure(config)

    def _send(self, event: Mapping[str, Any]) -> None:
        text = json.dumps(event)
        if self._outbox.full() or self._outbox_bytes + len(text) > self._settings.outbox_bytes:
            self._end(UNREAD)
        else:
            self._outbox_bytes += len(text)
            self._outbox.put_nowait(text)

    def _begin(self) -> None:
        if not self._over.is_set():
            self._line.begin(self._session.config, self._tasks)

    async def _begin_at_last(self) -> None:
        await asyncio.sleep(self._start_seconds)
        self._begin()

    async def _watch(self) -> None:
        """Give up on a response of which nothing comes."""
        answers = self._session.answers
        watched, since = answers.active, time.monotonic()
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if answers.active is not watched:
                watched, since = answers.active, time.monotonic()
            elif watched and time.monotonic() - since > ANSWER_SECONDS:
                self._apply(answers.give_up(watched))

    def _transcribe(self, wanted: Transcribe) -> None:
        """Have a recording written down; one too many fails at once."""
        if self._over.is_set() or self._transcribing >= self._settings.max_transcriptions:
            self._apply(self._session.transcribed(wanted, None))
            return
        self._transcribing += 1
        self._tasks.create_task(self._write_down(wanted, time.monotonic()), name="realtime-transcribe")

    async def _write_down(self, wanted: Transcribe, ended: float) -> None:
        try:
            text = await self._transcriber.transcribe(
                wanted.audio,
                wanted.format,
                language=self._agent.language,
                prompt=" ".join(self._agent.vocabulary),
                headers=self._recorder.call_headers(),
            )
        finally:
            self._transcribing -= 1
        if wanted.turn and not self._over.is_set():
            self._recorder.given(text or "", speech_ended=ended, now=time.monotonic())
        self._apply(self._session.transcribed(wanted, text))

    # What leaves the call.

    def _sound(self, audio: bytes) -> None:
        if self._session.answers.speaking is None:
            return
        encoded, seconds = self._line.encoded(audio, self._session.config.audio.output.format)
        if (offset := first_audible(audio)) is not None:
            self._recorder.audible(time.monotonic() + seconds * offset / (len(audio) / 2))
        self._apply(self._session.answers.sound(encoded, seconds))

    def _frame(self, frame: Frame) -> None:
        answers = self._session.answers
        match frame:
            case LLMFullResponseStartFrame():
                answers.begun()
            case TTSTextFrame(text=text):
                self._apply(answers.word(text))
            case WrittenFrame(text=text):
                self._recorder.handed_over(time.monotonic(), text)
                self._apply(answers.written(text))
            case LLMFullResponseEndFrame():
                self._apply(answers.finished())

    # What the call asks and tells: orchestration.dialogue.Dialogue.

    def interruptible(self) -> bool:
        """Return whether the caller may interrupt now."""
        return self._session.interruptible

    def turn_info(self, message: Mapping[str, Any]) -> bool:
        """Take an event of the ear's; return whether the call is to act on it."""
        effects, act = self._session.turn_info(message, time.monotonic())
        self._apply(effects)
        if message.get("event") == "EndOfTurn" and self._session.answers.active is None:
            self._recorder.handed_over(time.monotonic())
        return act

    def request(self, context: LLMContext) -> Request | None:
        """Return what the mind is to be asked."""
        if isinstance(context, AskedContext):
            return self._session.request(context.response)
        return self._session.request(None, eager=context.messages)

    def called(self, calls: Sequence[FunctionCallFromLLM]) -> None:
        """Hand the mind's calls to the client."""
        self._recorder.handed_over(time.monotonic())
        made = [ToolCall(call.tool_call_id, call.function_name, _arguments(call)) for call in calls]
        self._apply(self._session.answers.called(made))

    def answered(self, answer: Answer) -> None:
        """Take what is known of an answer."""
        self._session.answers.answered(answer)


def _arguments(call: FunctionCallFromLLM) -> str:
    """Return a call's arguments as the model wrote them: JSON, unless it wrote none."""
    arguments = dict(call.arguments)
    return str(arguments[MALFORMED]) if MALFORMED in arguments else json.dumps(arguments)
