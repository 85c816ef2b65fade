"""``offhook tune``: start each candidate in turn, play calls to it, and measure what a caller would wait for.

Each call is played as it is held: the opening is prefilled when the phone rings, then the turns come one after
another, each with everything said before it in its prompt. Several calls run at once. Results are written as
they are taken, one JSON line a candidate, so that a run that was broken off goes on where it stopped.
"""

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx

from llm.client import Answer, LLMClient
from llm.engine import LaunchSpec, launch_specs
from llm.errors import LLMError
from llm.failover import Limits, Say
from llm.process import running
from llm.profile import Sampling
from llm.questions import Transcript
from llm.replica import Replica
from llm.settings import LLMSettings
from llm.sources import Source
from llm.tune_plan import Candidate, Load, fingerprint
from telemetry.statistics import percentile

RESULTS_FILE = "results.jsonl"
#: A candidate that is slower than this is measured as what it is: nothing is cut off early, seconds.
PATIENT = Limits(first_token=60.0, stall=60.0, total=120.0)
#: The end of a sentence: its mark, a closing quote perhaps, and then white space.
_SENTENCE_END = re.compile(r"[.!?…][\"')\]]*\s")
_METRIC = re.compile(r"^(?P<name>[\w:]+)(?:{[^}]*})? (?P<value>\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Turn:
    """One measured turn; seconds from the request being sent, ``longest_gap`` between two pieces of text."""

    first_token: float
    first_sentence: float
    longest_gap: float
    whole: float
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class Result:
    """The figures of one candidate; times in seconds.

    ``accepted_length`` is the tokens a step yields: 1 without speculation. ``turns_per_second`` is that of all
    concurrent calls together. ``error`` says why there are no figures.
    """

    name: str
    fingerprint: str
    turns: int = 0
    ready_seconds: float = 0.0
    first_sentence_p50: float = 0.0
    first_sentence_p95: float = 0.0
    first_token_p50: float = 0.0
    first_token_p95: float = 0.0
    longest_gap_p95: float = 0.0
    tokens_per_second: float = 0.0
    turns_per_second: float = 0.0
    accepted_length: float = 1.0
    cached_share: float = 0.0
    error: str = ""


@dataclass
class Tuner:
    """Measures candidates one after another.

    Attributes:
        load: how each is asked.
        settings: where engines run, and their interpreter.
        folder: takes the results and the engines' logs.
        say: told of progress, one line at a time.

    """

    load: Load
    settings: LLMSettings
    folder: Path
    say: Callable[[str], None] = field(default=lambda _: None)

    async def run(self, candidates: Sequence[Candidate]) -> list[Result]:
        """Return the result of every candidate; those a former run has measured are taken from its file."""
        self.folder.mkdir(parents=True, exist_ok=True)
        known = read_results(self.folder)
        results = []
        for number, candidate in enumerate(candidates, 1):
            key = fingerprint(candidate, self.load)
            if key in known:
                self.say(f"[{number}/{len(candidates)}] {candidate.name}: measured before")
                results.append(known[key])
                continue
            self.say(f"[{number}/{len(candidates)}] {candidate.name}: starting")
            result = await self._measure(candidate, key)
            self.say(f"[{number}/{len(candidates)}] {candidate.name}: {_in_short(result)}")
            with (self.folder / RESULTS_FILE).open("a") as file:
                file.write(json.dumps(asdict(result)) + "\n")
            results.append(result)
        return results

    async def _measure(self, candidate: Candidate, key: str) -> Result:
        specs = launch_specs(candidate.profile, self.settings)
        api_key = self.settings.api_key.get_secret_value()
        log = self.folder / f"engine-{key}.log"
        began = time.monotonic()
        try:
            async with running(specs[-1], log=log, api_key=api_key):
                ready = time.monotonic() - began
                with busy(self.load.busy):
                    return await self._ask(candidate, specs[-1], key, ready)
        except LLMError as error:
            return Result(candidate.name, key, error=str(error))

    async def _ask(self, candidate: Candidate, spec: LaunchSpec, key: str, ready: float) -> Result:
        api_key = self.settings.api_key.get_secret_value()
        before = await counters(spec, api_key)
        began = time.monotonic()
        async with LLMClient([Source(Replica(spec.base_url, spec.model, api_key))], PATIENT) as client:
            turns = await self._play(client, candidate.profile.sampling)
        seconds = time.monotonic() - began
        after = await counters(spec, api_key)
        return summarise(
            candidate.name, key, turns, ready_seconds=ready, seconds=seconds,
            accepted_length=accepted_length(before, after),
        )  # fmt: skip

    async def _play(self, client: LLMClient, sampling: Sampling) -> list[Turn]:
        waiting = [*self.load.transcripts] * self.load.rounds
        turns: list[Turn] = []

        async def caller(number: int) -> None:
            while waiting:
                turns.extend(await play_call(client, waiting.pop(0), sampling, call=f"caller-{number}"))

        async with asyncio.TaskGroup() as group:
            for number in range(self.load.concurrent):
                group.create_task(caller(number))
        return turns


async def play_call(
    client: LLMClient, transcript: Transcript, sampling: Sampling, *, call: str
) -> list[Turn]:
    """Play one call to its end and return what its turns took.

    Raises:
        LLMError: the engine failed.

    """
    messages: list[dict[str, str]] = transcript.opening()
    options = sampling.model_dump(exclude_none=True)
    await client.prefill({"messages": messages, **options}, call=call)
    turns = []
    for said in transcript.turns:
        messages = [*messages, {"role": "user", "content": said}]
        turn, text = await _ask(client, {"messages": messages, **options}, call)
        turns.append(turn)
        messages = [*messages, {"role": "assistant", "content": text}]
    return turns


async def _ask(client: LLMClient, request: Mapping[str, Any], call: str) -> tuple[Turn, str]:
    report, text, sentence = Answer(), "", None
    times: list[float] = []
    async with aclosing(client.answer(request, call=call, report=report)) as events:
        async for event in events:
            if isinstance(event, Say):
                text += event.text
                times.append(time.monotonic())
                if sentence is None and _SENTENCE_END.search(text):
                    sentence = times[-1]
    assert report.finished is not None
    first = report.first_token or report.finished
    return Turn(
        first_token=first - report.sent,
        first_sentence=(sentence or report.finished) - report.sent,
        longest_gap=max((later - earlier for earlier, later in pairwise(times)), default=0.0),
        whole=report.finished - report.sent,
        prompt_tokens=report.prompt_tokens,
        cached_tokens=report.cached_tokens,
        completion_tokens=report.completion_tokens,
    ), text


async def counters(spec: LaunchSpec, api_key: str) -> dict[str, float]:
    """Return the engine's counters by name, whichever engine it is, summed over their labels.

    Raises:
        EngineError: never; an engine without metrics has no counters.

    """
    headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
    try:
        async with httpx.AsyncClient(headers=headers, timeout=5.0) as http:
            text = (await http.get(spec.metrics_url)).text
    except httpx.HTTPError:
        return {}
    found: dict[str, float] = {}
    for match in _METRIC.finditer(text):
        name = match["name"].partition(":")[2]
        found[name] = found.get(name, 0.0) + float(match["value"])
    return found


def accepted_length(before: Mapping[str, float], after: Mapping[str, float]) -> float:
    """Return how many tokens a checked guess yields: the accepted ones and the one that is always right."""

    def grown(name: str) -> float:
        return after.get(name, 0.0) - before.get(name, 0.0)

    drafts = grown("spec_decode_num_drafts_total")
    return 1.0 + grown("spec_decode_num_accepted_tokens_total") / drafts if drafts else 1.0


def summarise(
    name: str,
    key: str,
    turns: Sequence[Turn],
    *,
    ready_seconds: float,
    seconds: float,
    accepted_length: float,
) -> Result:
    """Return the figures of measured turns, taken in ``seconds``."""
    sentences = [turn.first_sentence for turn in turns]
    tokens = [turn.first_token for turn in turns]
    writing = sum(turn.whole - turn.first_token for turn in turns)
    written = sum(turn.completion_tokens - 1 for turn in turns if turn.completion_tokens)
    read = sum(turn.prompt_tokens for turn in turns)
    return Result(
        name=name,
        fingerprint=key,
        turns=len(turns),
        ready_seconds=ready_seconds,
        first_sentence_p50=percentile(sentences, 0.5),
        first_sentence_p95=percentile(sentences, 0.95),
        first_token_p50=percentile(tokens, 0.5),
        first_token_p95=percentile(tokens, 0.95),
        longest_gap_p95=percentile([turn.longest_gap for turn in turns], 0.95),
        tokens_per_second=written / writing if writing else 0.0,
        turns_per_second=len(turns) / seconds,
        accepted_length=accepted_length,
        cached_share=sum(turn.cached_tokens for turn in turns) / read if read else 0.0,
    )


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Keep as many processes computing for the length of the block, as ear and mouth would."""
    command = [sys.executable, "-c", "while True: pass"]
    started = [subprocess.Popen(command) for _ in range(processes)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def read_results(folder: Path) -> dict[str, Result]:
    """Return the results in ``folder`` by fingerprint; failures are left out, they are tried again."""
    path = folder / RESULTS_FILE
    if not path.is_file():
        return {}
    results = [Result(**json.loads(line)) for line in path.read_text().splitlines() if line.endswith("}")]
    return {result.fingerprint: result for result in results if not result.error}


def _in_short(result: Result) -> str:
    if result.error:
        return f"failed: {result.error}"
    return (
        f"first sentence p95 {result.first_sentence_p95 * 1000:.0f} ms, first token p50 "
        f"{result.first_token_p50 * 1000:.0f} ms, {result.tokens_per_second:.0f} tokens/s a call, "
        f"{result.accepted_length:.2f} tokens a step"
    )
