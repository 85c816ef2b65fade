"""The client of the engines: one request becomes one answer, whichever replicas it takes.

The decisions are those of :mod:`llm.failover` and :mod:`llm.pool`; here is the I/O around them.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import httpx2
import openai
from openai.types import CompletionUsage

from llm import metrics
from llm.adapters import Adapters
from llm.attempt import End, Received, Request, Text, attempt
from llm.errors import EngineError
from llm.failover import Abandon, Action, AnswerRun, Ask, CallTools, Finish, GiveUp, Limits, Say, ToolFragment
from llm.health import watch
from llm.pool import ReplicaPool
from llm.profile import Profile
from llm.settings import LLMSettings
from llm.sources import Source, sources_of

#: Connections kept open to the replicas between answers, so that a turn never waits for a handshake.
KEPT_CONNECTIONS = 64
#: Parts of an answer that may wait for a slow reader.
INBOX_PARTS = 1024

Event = Say | CallTools | Finish


@dataclass
class Try:
    """One request: whom it went to, when, and when that engine's first output came."""

    url: str
    asked: float
    first_output: float | None = None


@dataclass
class Answer:
    """What is known of one answer; times are ``time.monotonic`` seconds.

    Attributes:
        sent: when the request was sent.
        first_token: when the first text came, or the tool calls.
        finished: when it ended, for whatever reason.
        tries: the requests it took, in order.
        moves: how often another engine took over.
        hedges: how often a second engine was asked beside the first.
        prompt_tokens: length of the prompt, from the engine's usage figures.
        cached_tokens: how many of those came from the prefix cache.
        completion_tokens: length of the answer.
        complete: whether it came to its end.

    """

    sent: float = 0.0
    first_token: float | None = None
    finished: float | None = None
    tries: list[Try] = field(default_factory=list)
    moves: int = 0
    hedges: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    complete: bool = False


class LLMClient:
    """Asks the engines; shared by all calls of a process. Use it as an async context manager.

    Args:
        sources: where the replicas come from.
        limits: the deadlines of every answer.
        connect_seconds: how long a TCP connection may take.
        health_seconds: pause between two looks at every replica's health, and at DNS.

    """

    def __init__(
        self,
        sources: Sequence[Source],
        limits: Limits,
        *,
        connect_seconds: float = 0.5,
        health_seconds: float = 1.0,
    ) -> None:
        self._sources = tuple(sources)
        self._limits = limits
        self._health_seconds = health_seconds
        self._timeout = httpx2.Timeout(None, connect=connect_seconds)
        self._http = openai.DefaultAsyncHttpxClient(
            timeout=self._timeout,
            limits=httpx2.Limits(max_keepalive_connections=KEPT_CONNECTIONS, keepalive_expiry=None),
        )
        self._clients: dict[tuple[str, str], openai.AsyncOpenAI] = {}
        #: Where adapters lie; one that an engine lacks is loaded when it is asked for.
        self.adapters = Adapters()
        self.pool = ReplicaPool([source.replica for source in self._sources if not source.dns])
        self._watching: asyncio.Task[None] | None = None

    @classmethod
    def from_settings(cls, settings: LLMSettings, *, profile: Profile) -> Self:
        """Return the client of the engines that ``[llm]`` names, or else of its profile's.

        Raises:
            NoReplicaError: the environment lacks a key that a replica needs.

        """
        return cls(
            sources_of(settings, profile),
            settings.deadlines.limits(),
            connect_seconds=settings.deadlines.connect_milliseconds / 1000,
            health_seconds=settings.health_seconds,
        )

    async def __aenter__(self) -> Self:
        watching = watch(self.pool, self._sources, self._http, every_seconds=self._health_seconds)
        self._watching = asyncio.create_task(watching, name="llm-health")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._watching:
            await _cancel([self._watching])
        await self._http.aclose()

    async def answer(
        self,
        request: Mapping[str, Any],
        *,
        adapter: str = "",
        call: str = "",
        headers: Mapping[str, str] | None = None,
        report: Answer | None = None,
    ) -> AsyncGenerator[Event, None]:
        """Yield one answer: text, then tool calls if there are any, then its end.

        Closing the generator, or cancelling the task it runs in, ends the request at the engine at once.

        Args:
            request: the body of ``/v1/chat/completions``; model and streaming are set here.
            adapter: name of the LoRA adapter to answer with; empty for the base model.
            call: identity of the call, which stays with the replica that holds its prefix.
            headers: sent along, ``traceparent`` for one.
            report: filled in as the answer goes on.

        Raises:
            EngineError: an engine refused the request, as all would, or the last one left has failed.
            DeadlineError: the answer as a whole was too late.
            NoReplicaError: there is no replica that can be asked.

        """
        report = report or Answer()
        run = AnswerRun(self.pool, self._limits, call=call, max_tokens=request.get("max_tokens"))
        conversation = _Conversation(self, run, Request(request, adapter, headers or {}), report)
        report.sent = time.monotonic()
        try:
            async for event in conversation.events():
                if report.first_token is None and isinstance(event, Say | CallTools):
                    report.first_token = time.monotonic()
                report.complete = isinstance(event, Finish)
                yield event
        finally:
            await conversation.close()
            report.finished = time.monotonic()
            report.moves, report.hedges = run.moves, run.hedges
            metrics.record(run.asked, run.moves, run.hedges, self.pool)

    async def prefill(self, request: Mapping[str, Any], *, adapter: str = "", call: str = "") -> Answer:
        """Have the engine read a prompt before it is needed, and remember which one has.

        Raises:
            LLMError: as :meth:`answer`.

        """
        report = Answer()
        reading = self.answer({**request, "max_tokens": 1}, adapter=adapter, call=call, report=report)
        async for _ in reading:
            pass
        return report

    def engine(self, url: str, api_key: str) -> openai.AsyncOpenAI:
        """Return the official client of the engine at ``url``, over this client's connections."""
        if (url, api_key) not in self._clients:
            self._clients[url, api_key] = openai.AsyncOpenAI(
                base_url=f"{url}/v1",
                api_key=api_key or "none",
                http_client=self._http,
                timeout=self._timeout,
                max_retries=0,
            )
        return self._clients[url, api_key]


class _Conversation:
    """The tasks of one answer: at most one a replica that is being asked."""

    def __init__(
        self,
        client: LLMClient,
        run: AnswerRun,
        request: Request,
        report: Answer,
    ) -> None:
        self._client = client
        self._run = run
        self._request = request
        self._report = report
        self._inbox: asyncio.Queue[tuple[int, float, Received | EngineError]] = asyncio.Queue(INBOX_PARTS)
        self._asking: dict[int, asyncio.Task[None]] = {}
        self._abandoned: list[asyncio.Task[None]] = []

    async def events(self) -> AsyncGenerator[Event, None]:
        actions = self._run.begin(time.monotonic())
        while True:
            for action in actions:
                if isinstance(action, Say | CallTools):
                    yield action
                elif isinstance(action, Finish):
                    yield action
                    return
                else:
                    self._carry_out(action)
            actions = await self._next()

    async def close(self) -> None:
        """Withdraw whatever is in flight, and wait until its connection is closed."""
        for action in self._run.close():
            self._carry_out(action)
        await _cancel([*self._asking.values(), *self._abandoned])

    def _carry_out(self, action: Action) -> None:
        match action:
            case Ask():
                self._report.tries.append(Try(action.replica.url, time.monotonic()))
                self._asking[action.attempt] = asyncio.create_task(
                    self._ask(action), name=f"ask-{action.attempt}"
                )
            case Abandon():
                task = self._asking.pop(action.attempt)
                task.cancel()
                self._abandoned.append(task)
            case GiveUp():
                raise action.error

    async def _ask(self, ask: Ask) -> None:
        try:
            try:
                await self._take(ask)
            except EngineError as error:
                brought = error.status == HTTPStatus.NOT_FOUND and await self._client.adapters.bring(
                    ask.replica, self._request.adapter
                )
                if not brought:
                    raise
                await self._take(ask)
        except EngineError as error:
            await self._inbox.put((ask.attempt, time.monotonic(), error))

    async def _take(self, ask: Ask) -> None:
        async with contextlib.aclosing(attempt(self._client.engine, self._request, ask)) as parts:
            async for part in parts:
                await self._inbox.put((ask.attempt, time.monotonic(), part))

    async def _next(self) -> list[Action]:
        """Wait for the next thing to happen and return what it leads to."""
        if self._inbox.empty():
            try:
                async with asyncio.timeout(self._run.deadline - time.monotonic()):
                    item = await self._inbox.get()
            except TimeoutError:
                return self._run.elapsed(time.monotonic())
        else:
            item = self._inbox.get_nowait()
        return self._happened(*item)

    def _happened(self, number: int, now: float, what: Received | EngineError) -> list[Action]:
        trial = self._report.tries[number]
        if trial.first_output is None and isinstance(what, Text | ToolFragment):
            trial.first_output = now
        match what:
            case Text():
                return self._run.text(number, what.text, now, tokens=what.tokens)
            case ToolFragment():
                return self._run.tool(number, what, now)
            case End():
                return self._run.ended(number, what.reason, now)
            case EngineError():
                return self._run.failed(number, what, now)
            case CompletionUsage():
                self._count(what)
        return []

    def _count(self, usage: CompletionUsage) -> None:
        details = usage.prompt_tokens_details
        self._report.prompt_tokens = usage.prompt_tokens
        self._report.cached_tokens = (details.cached_tokens or 0) if details else 0
        self._report.completion_tokens += usage.completion_tokens


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
