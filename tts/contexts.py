"""The contexts of one websocket connection: text pieces in, what is to be said out.

A context is one stream of text with one voice and one format. Its text comes in pieces (``continue``), is cut
into chunks by :class:`tts.clauses.ClauseSplitter`, and is said in order. Pure: no clock and no I/O.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tts.clauses import ClauseSplitter
from tts.errors import RequestError
from tts.messages import DEFAULT_BUFFER_DELAY_MS, Message, OpenRequest, TextRequest, parse


@dataclass(frozen=True)
class Opened:
    """A context has begun."""

    context_id: str
    request: OpenRequest


@dataclass(frozen=True)
class Say:
    """``text`` is to be said next in its context."""

    context_id: str
    text: str
    flush_id: int


@dataclass(frozen=True)
class Flushed:
    """Everything before this was to be flushed by flush number ``flush_id``."""

    context_id: str
    flush_id: int


@dataclass(frozen=True)
class Ended:
    """No more text comes in this context."""

    context_id: str


@dataclass(frozen=True)
class Cancelled:
    """The context is to fall silent at once."""

    context_id: str


@dataclass(frozen=True)
class Rejected:
    """A message could not be used; its context, where there is one, has ended."""

    context_id: str | None
    problem: RequestError


Event: TypeAlias = Opened | Say | Flushed | Ended | Cancelled | Rejected


class _Context:
    """One context that still takes text."""

    def __init__(self, context_id: str, request: OpenRequest, now: float) -> None:
        delay_ms = request.max_buffer_delay_ms
        delay_ms = DEFAULT_BUFFER_DELAY_MS if delay_ms is None else delay_ms
        self.id = context_id
        self.flush_id = 1
        self.pending_characters = 0
        self.last_text = now
        self._unbuffered = delay_ms == 0
        self._splitter = ClauseSplitter(
            request.language or "en", max_wait_seconds=() if self._unbuffered else (delay_ms / 1000,)
        )

    @property
    def due(self) -> float | None:
        return self._splitter.due

    def add(self, text: TextRequest, now: float) -> list[Event]:
        self.last_text = now
        self.pending_characters += len(text.transcript)
        chunks = self._splitter.feed(text.transcript, now)
        if self._unbuffered or text.flush or not text.more:
            chunks += self._splitter.flush()
        events = self._say(chunks)
        if text.flush:
            events.append(Flushed(self.id, self.flush_id))
            self.flush_id += 1
        if not text.more:
            events.append(Ended(self.id))
        return events

    def tick(self, now: float) -> list[Event]:
        return self._say(self._splitter.tick(now))

    def _say(self, chunks: Sequence[str]) -> list[Event]:
        return [Say(self.id, chunk, self.flush_id) for chunk in chunks]


class Contexts:
    """All contexts of one connection.

    Args:
        max_contexts: contexts that may be open; one more is rejected.
        max_pending_characters: text of one context that may wait to be said.
        idle_seconds: a context that has nothing to say and gets no text for this long is ended.

    """

    def __init__(self, *, max_contexts: int, max_pending_characters: int, idle_seconds: float) -> None:
        self._max_contexts = max_contexts
        self._max_pending = max_pending_characters
        self._idle_seconds = idle_seconds
        self._open: dict[str, _Context] = {}
        self._closing: set[str] = set()

    def receive(self, raw: str | bytes, now: float) -> list[Event]:
        """Take one message that arrived at ``now`` and return what follows from it."""
        context_id = None
        try:
            message = parse(raw)
            context_id = message.context_id
            return self._cancel(context_id) if message.cancel else self._add(message, now)
        except RequestError as problem:
            if context_id is not None:
                self.forget(context_id)
            return [Rejected(context_id, problem)]

    def tick(self, now: float) -> list[Event]:
        """Return what the passing of time to ``now`` brings about."""
        events: list[Event] = []
        for context in list(self._open.values()):
            events += context.tick(now)
            if not context.pending_characters and now >= context.last_text + self._idle_seconds:
                events.append(self._end(context.id))
        return events

    @property
    def due(self) -> float | None:
        """When :meth:`tick` should be called next, seconds; None for never."""
        times = [context.due for context in self._open.values()]
        times += [c.last_text + self._idle_seconds for c in self._open.values() if not c.pending_characters]
        return min((time for time in times if time is not None), default=None)

    def said(self, context_id: str, characters: int, now: float) -> None:
        """Note that ``characters`` of a context's text have been said and sent."""
        if context := self._open.get(context_id):
            context.pending_characters -= characters
            context.last_text = now

    def forget(self, context_id: str) -> None:
        """Note that a context is over: complete, cancelled or failed."""
        self._open.pop(context_id, None)
        self._closing.discard(context_id)

    def _add(self, message: Message, now: float) -> list[Event]:
        context_id = message.context_id
        if context_id in self._closing:
            raise RequestError(
                f"context {context_id!r} was ended by a message without continue; use a new context_id",
                title="Context closed",
            )
        text = message.text()
        events: list[Event] = []
        context = self._open.get(context_id)
        if context is None:
            context = self._new(message, now)
            events.append(Opened(context_id, message.opening()))
        if context.pending_characters + len(text.transcript) > self._max_pending:
            raise RequestError(
                f"more than {self._max_pending} characters wait to be spoken; send text more slowly",
                status=429,
                title="Too much text",
            )
        events += context.add(text, now)
        if not text.more:
            self._end(context_id)
        return events

    def _new(self, message: Message, now: float) -> _Context:
        if len(self._open) + len(self._closing) >= self._max_contexts:
            raise RequestError(
                f"{self._max_contexts} contexts are open on this connection; let one end first",
                status=429,
                title="Too many contexts",
            )
        context = _Context(message.context_id, message.opening(), now)
        self._open[message.context_id] = context
        return context

    def _end(self, context_id: str) -> Ended:
        self._open.pop(context_id, None)
        self._closing.add(context_id)
        return Ended(context_id)

    def _cancel(self, context_id: str) -> list[Event]:
        self.forget(context_id)
        return [Cancelled(context_id)]
