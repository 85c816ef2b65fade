"""Kill or freeze the engine in the middle of an answer, again and again, and measure what a listener notices.

Engines are real processes. Each answer is first asked for undisturbed; then again, and in the middle of it the
engine that is speaking gets SIGKILL or SIGSTOP. Measured is the added gap: the silence between the last token
of the dying engine and the first of the one that takes over.
"""

import asyncio
import json
import random
import signal
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from llm.attempt import Request, Text, attempt
from llm.client import Answer, LLMClient
from llm.engine import LaunchSpec
from llm.errors import LLMError
from llm.failover import Ask, Finish, Limits, Say
from llm.process import EngineProcess
from llm.questions import Transcript
from llm.replica import Replica
from llm.sources import Source
from telemetry.statistics import percentile

#: Faults and how each is undone: a killed engine is started again, a frozen one goes on.
FAULTS = {"kill": signal.SIGKILL, "freeze": signal.SIGSTOP}
#: Words of an answer before its engine is struck, at least and at most.
EARLIEST, LATEST = 2, 12
#: How often engines are looked at while one is being restored, seconds.
HEALTH_SECONDS = 0.2


@dataclass(frozen=True)
class Disturbed:
    """One answer whose engine failed in the middle of it.

    Attributes:
        fault: ``kill`` or ``freeze``.
        complete: it came to its end.
        same: its text is the undisturbed answer's.
        seamless: what follows the seam is what the survivor, asked alone to continue, says.
        gap_seconds: longest silence from the fault on.
        survivor_seconds: of that silence, the survivor's own time to first token.
        text: what was said.
        expected: the undisturbed answer.

    """

    fault: str
    complete: bool
    same: bool
    seamless: bool
    gap_seconds: float
    survivor_seconds: float
    text: str
    expected: str

    @property
    def added_seconds(self) -> float:
        """Silence beyond what the survivor needs for any first token."""
        return self.gap_seconds - self.survivor_seconds

    def __str__(self) -> str:
        """Return one line of progress."""
        trouble = f"{'' if self.complete else ', NOT COMPLETE'}{'' if self.same else ', other words'}"
        gap, added = self.gap_seconds * 1000, self.added_seconds * 1000
        return f"{self.fault:6} gap {gap:5.0f} ms, added {added:5.0f} ms{trouble}"


@dataclass
class _Heard:
    """What was said, token by token, and when."""

    tokens: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    struck: int | None = None
    survivor_seconds: float = 0.0
    complete: bool = False

    def seam(self) -> tuple[int, float]:
        """Return the index of the first token after the longest silence since the fault, and that silence."""
        assert self.struck is not None
        gaps = [(self.times[n] - self.times[n - 1], n) for n in range(self.struck, len(self.tokens))]
        gap, index = max(gaps, default=(0.0, len(self.tokens)))
        return index, gap


class FailoverBench:
    """Two or more engines, a client, and faults.

    Args:
        specs: the engines; texts can only be the same where all speak with the same weights.
        folder: takes the engines' logs.
        api_key: the engines' key.
        limits: the client's deadlines.
        max_tokens: longest answer.
        seed: of the choice of moments; each answer's moment follows from its number, whichever run disturbs it.

    """

    def __init__(
        self,
        specs: Sequence[LaunchSpec],
        *,
        folder: Path,
        api_key: str = "",
        limits: Limits | None = None,
        max_tokens: int = 60,
        seed: int = 0,
    ) -> None:
        self._engines = {
            spec.base_url: EngineProcess(spec, log=folder / f"engine-{number}.log", api_key=api_key)
            for number, spec in enumerate(specs)
        }
        self._replicas = {spec.base_url: Replica(spec.base_url, spec.model, api_key) for spec in specs}
        sources = [Source(replica) for replica in self._replicas.values()]
        self.client = LLMClient(sources, limits or Limits(), health_seconds=HEALTH_SECONDS)
        self._max_tokens = max_tokens
        self._seed = seed
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "FailoverBench":
        for engine in self._engines.values():
            self._stack.push_async_callback(engine.stop)
            await engine.start()
        await self._stack.enter_async_context(self.client)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def run(
        self,
        calls: Sequence[Transcript],
        *,
        answers: int,
        faults: Sequence[str] = tuple(FAULTS),
        done: int = 0,
    ) -> AsyncIterator[Disturbed]:
        """Yield disturbed answers, faults and engines in turn, from number ``done`` up to ``answers``."""
        questions = [(call, turn) for call in calls for turn in call.turns]
        for number in range(done, answers):
            call, turn = questions[number % len(questions)]
            messages = [*call.opening(), {"role": "user", "content": turn}]
            yield await self._disturb(messages, faults[number % len(faults)], number)

    async def _disturb(self, messages: list[dict[str, str]], fault: str, number: int) -> Disturbed:
        call = f"call-{number}"
        request = {"messages": messages, "temperature": 0, "max_tokens": self._max_tokens}
        wanted = list(self._engines)[number // len(FAULTS) % len(self._engines)]
        self.client.pool.answered(wanted, call)
        await self.client.prefill(request, call=call)
        home = self.client.pool.home(call) or wanted
        expected = await self._alone(home, request, said="", said_tokens=0)
        heard = await self._listen(request, call, home, fault, strike_at=self._moment(expected, number))
        index, gap = heard.seam()
        said = "".join(heard.tokens[:index])
        survivor = self.client.pool.home(call) or home
        rest = await self._alone(survivor, request, said=said, said_tokens=index)
        await self._restore(home, fault)
        self.client.pool.forget(call)
        text = "".join(heard.tokens)
        return Disturbed(
            fault=fault,
            complete=heard.complete,
            same=text == "".join(expected),
            seamless=text == said + "".join(rest),
            gap_seconds=gap,
            survivor_seconds=heard.survivor_seconds,
            text=text,
            expected="".join(expected),
        )

    def _moment(self, expected: Sequence[str], number: int) -> int:
        """Return after how many tokens to strike: at random, and with some left to say."""
        chance = random.Random(f"{self._seed} {number}")
        return min(chance.randint(EARLIEST, LATEST), max(1, len(expected) - 2))

    async def _listen(
        self, request: dict[str, Any], call: str, home: str, fault: str, *, strike_at: int
    ) -> _Heard:
        heard, report = _Heard(), Answer()
        async with aclosing(self.client.answer(request, call=call, report=report)) as events:
            async for event in events:
                heard.complete = isinstance(event, Finish)
                if isinstance(event, Say):
                    heard.tokens.append(event.text)
                    heard.times.append(time.monotonic())
                if heard.struck is None and len(heard.tokens) >= strike_at:
                    self._engines[home].signal(FAULTS[fault])
                    heard.struck = len(heard.tokens)
        last = report.tries[-1]
        if report.moves:  # An engine may have sent its last word before it was struck.
            heard.survivor_seconds = (last.first_output or last.asked) - last.asked
        return heard

    async def _alone(self, url: str, request: dict[str, Any], *, said: str, said_tokens: int) -> list[str]:
        """Ask one engine without any client between; return its tokens."""
        replica = self._replicas[url]
        ask = Ask(0, replica, said.rstrip(), said_tokens)
        async with aclosing(attempt(self.client.engine, Request(request), ask)) as parts:
            return [part.text async for part in parts if isinstance(part, Text)]

    async def _restore(self, url: str, fault: str) -> None:
        engine = self._engines[url]
        if fault == "kill":
            await engine.wait()
            await engine.start()
        else:
            engine.signal(signal.SIGCONT)
        while url in self.client.pool.shut_out():
            self.client.pool.answered(url, "")
            await asyncio.sleep(HEALTH_SECONDS)


class ResultFile:
    """The results of a run, one JSON line an answer, so that a run that was broken off goes on where it stopped.

    Args:
        path: the file; its first line says what was run.
        setup: what is run now.

    Raises:
        LLMError: the file holds the results of something else.

    """

    def __init__(self, path: Path, setup: Mapping[str, Any]) -> None:
        self._path = path
        self.folder = path.parent
        first = json.dumps(setup, sort_keys=True)
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{first}\n")
        text = path.read_text()
        if not text.endswith("\n"):  # Broken off while it was written.
            path.write_text(text[: text.rfind("\n") + 1])
        lines = path.read_text().splitlines()
        if not lines or lines[0] != first:
            raise LLMError(f"{path}: holds the results of another run; choose another --folder")
        self.results = [Disturbed(**json.loads(line)) for line in lines[1:]]

    def add(self, result: Disturbed) -> None:
        """Write a result down."""
        self.results.append(result)
        with self._path.open("a") as file:
            file.write(f"{json.dumps(asdict(result))}\n")


@dataclass(frozen=True)
class Summary:
    """The figures of a run; gaps in seconds."""

    answers: int
    complete: int
    same: int
    seamless: int
    gap_p50: float
    gap_p95: float
    added_p50: float
    added_p95: float
    added_max: float


def summarise(results: Sequence[Disturbed]) -> Summary:
    """Return the figures of ``results``."""
    gaps = [result.gap_seconds for result in results]
    added = [result.added_seconds for result in results]
    return Summary(
        answers=len(results),
        complete=sum(result.complete for result in results),
        same=sum(result.same for result in results),
        seamless=sum(result.seamless for result in results),
        gap_p50=percentile(gaps, 0.5),
        gap_p95=percentile(gaps, 0.95),
        added_p50=percentile(added, 0.5),
        added_p95=percentile(added, 0.95),
        added_max=max(added),
    )
