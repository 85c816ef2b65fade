"""What watching costs: the same calls with telemetry off, on, and on with a collector that hangs, in turn.

Each variant has an ear, a mouth and a gateway of its own, and all of them one mind, which has no telemetry of ours.
Processor time is what the processes themselves report; it is compared call by call, since the same questions cost
about the same. The recorder alone is measured as well: what it takes of a turn's own time.
"""

import asyncio
import contextlib
import secrets
import socket
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from prometheus_client import Counter

from orchestration.settings import Configuration
from orchestration.stack import stack_specs, wait_http_ready
from orchestration.supervisor import ServerSpec
from serving.ports import free_ports
from telemetry.statistics import percentile
from telemetry.tracing import NO_STORE, STORE_VARIABLE
from voice.caller.call import fetch_record
from voice.caller.line import place_call
from voice.caller.script import Question
from voice.engine_metrics import sums_of
from voice.errors import CallerError
from voice.up import running_servers

OFF = "off"
ON = "on"
HUNG = "on, collector hangs"
VARIANTS = (OFF, ON, HUNG)
SERVERS = ("asr", "tts", "gateway")
#: After a call its last spans are exported; that is its cost too, seconds.
SETTLE_SECONDS = 2.0
#: Random samples of a confidence interval, and the interval.
RESAMPLES = 2000
CONFIDENCE = 0.95
CPU = "process_cpu_seconds_total"


@dataclass
class Variant:
    """One of :data:`VARIANTS` and what was measured of it.

    Attributes:
        name: which.
        ports: of its servers, by name.
        cpu: processor seconds of each call.
        heard: voice to voice of each turn, as the caller heard it, seconds.
        failures: calls that were not held.

    """

    name: str
    ports: dict[str, int]
    cpu: list[float] = field(default_factory=list)
    heard: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def gateway(self) -> str:
        """HTTP base URL of its gateway."""
        return f"http://127.0.0.1:{self.ports['gateway']}"

    def specs(self, templates: Sequence[ServerSpec], environment: dict[str, str]) -> list[ServerSpec]:
        """Return its servers, after those of a stack."""
        own = {f"OFFHOOK_{name.upper()}__PORT": str(port) for name, port in self.ports.items()}
        own |= {"OFFHOOK_TTS__CACHE_MEGABYTES": "0", **environment}
        return [
            replace(
                spec, name=f"{spec.name} ({self.name})", env={**spec.env, **own}, wait_ready=self._ready(spec)
            )
            for spec in templates
        ]

    def _ready(self, spec: ServerSpec) -> Callable[[], Awaitable[object]]:
        return lambda: wait_http_ready(f"http://127.0.0.1:{self.ports[spec.name]}/readyz")


async def measure(
    configuration: Configuration,
    scripts: Callable[[str], Awaitable[Sequence[Sequence[Question]]]],
    *,
    rounds: int,
    report: Callable[[str], None],
) -> list[Variant]:
    """Hold ``rounds`` calls with each variant, in turn; the order turns by one each round.

    Args:
        configuration: of the stack; ports are replaced.
        scripts: returns the questions of one call each, spoken by the mouth at the given base URL.
        rounds: calls with each variant.
        report: told what happens.

    Raises:
        StackError: a server did not start.

    """
    async with _running(configuration, report) as variants:
        calls = await scripts(f"http://127.0.0.1:{variants[0].ports['tts']}")
        for variant in variants:  # what a first call warms up is nobody's cost
            await _hold(variant, calls[0], keep=False)
        for number in range(rounds):
            turned = number % len(variants)
            for variant in (*variants[turned:], *variants[:turned]):
                report(f"round {number + 1} of {rounds}: telemetry {variant.name}")
                await _hold(variant, calls[number % len(calls)], keep=True)
    return variants


@contextlib.asynccontextmanager
async def _running(
    configuration: Configuration, report: Callable[[str], None]
) -> AsyncIterator[list[Variant]]:
    specs = stack_specs(configuration)
    templates = [spec for spec in specs if spec.name in SERVERS]
    shared = [spec for spec in specs if spec.name not in SERVERS]
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.create_server(("127.0.0.1", 0), backlog=128) as hanging,
    ):
        collector = f"http://127.0.0.1:{hanging.getsockname()[1]}"
        environments = {
            OFF: {"OTEL_SDK_DISABLED": "true", STORE_VARIABLE: NO_STORE},
            ON: {STORE_VARIABLE: str(Path(folder) / "on.sqlite")},
            HUNG: {
                STORE_VARIABLE: str(Path(folder) / "hung.sqlite"),
                "OTEL_EXPORTER_OTLP_ENDPOINT": collector,
            },
        }
        variants = [
            Variant(name, dict(zip(SERVERS, free_ports(len(SERVERS)), strict=True))) for name in VARIANTS
        ]
        own = [spec for one in variants for spec in one.specs(templates, environments[one.name])]
        async with running_servers([*shared, *own], report):
            yield variants


async def _hold(variant: Variant, questions: Sequence[Question], *, keep: bool) -> None:
    began = await _processor_seconds(variant)
    call_sid = f"CA{secrets.token_hex(16)}"
    media = f"ws{variant.gateway.removeprefix('http')}/phone/twilio/media"
    try:
        script = await place_call(media, questions, call_sid=call_sid, parameters={})
        await fetch_record(variant.gateway, call_sid)
    except CallerError as error:
        variant.failures.append(str(error))
        return
    await asyncio.sleep(SETTLE_SECONDS)
    if keep:
        variant.cpu.append(await _processor_seconds(variant) - began)
        variant.heard += [turn.voice_to_voice for turn in script.turns if turn.voice_to_voice is not None]


async def _processor_seconds(variant: Variant) -> float:
    async with httpx.AsyncClient() as http:
        total = 0.0
        for port in variant.ports.values():
            response = await http.get(f"http://127.0.0.1:{port}/metrics")
            total += sums_of(response.text)[CPU]
    return total


def figures(variants: Sequence[Variant]) -> dict[str, Any]:
    """Return what was measured: each variant beside the one with telemetry off; seconds and shares."""
    (off,) = [variant for variant in variants if variant.name == OFF]
    return {
        variant.name: {
            "calls": len(variant.cpu),
            "turns": len(variant.heard),
            "failures": variant.failures,
            "cpu_seconds_a_call": statistics.median(variant.cpu),
            "voice_to_voice": {key: percentile(variant.heard, share) for key, share in _SHARES.items()},
            "more_cpu": _interval(
                [mine / theirs - 1 for mine, theirs in zip(variant.cpu, off.cpu, strict=False)],
                lambda values: float(np.median(values)),
            ),
            "more_p50": _difference(variant.heard, off.heard, 0.5),
            "more_p95": _difference(variant.heard, off.heard, 0.95),
        }
        for variant in variants
    }


_SHARES = {"p50": 0.5, "p95": 0.95}


def _interval(values: Sequence[float], figure: Callable[[Any], float]) -> dict[str, float]:
    """Return a figure of ``values`` and its bootstrapped confidence interval."""
    data = np.asarray(values)
    chance = np.random.default_rng(1)
    drawn = [figure(chance.choice(data, data.size)) for _ in range(RESAMPLES)]
    return _with_bounds(figure(data), drawn)


def _difference(mine: Sequence[float], theirs: Sequence[float], share: float) -> dict[str, float]:
    """Return by how much a percentile of ``mine`` lies above that of ``theirs``, and the confidence interval."""
    chance = np.random.default_rng(1)
    ours, others = np.asarray(mine), np.asarray(theirs)
    drawn = [
        float(
            np.quantile(chance.choice(ours, ours.size), share)
            - np.quantile(chance.choice(others, others.size), share)
        )
        for _ in range(RESAMPLES)
    ]
    return _with_bounds(percentile(mine, share) - percentile(theirs, share), drawn)


def _with_bounds(value: float, drawn: Sequence[float]) -> dict[str, float]:
    tail = (1 - CONFIDENCE) / 2
    return {"value": value, "low": percentile(drawn, tail), "high": percentile(drawn, 1 - tail)}


# The recorder alone.

#: A turn of this many tokens, of which so many make the first clause; the caller's audio comes in packets of 20 ms.
TOKENS = 20
CLAUSE_TOKENS = 8
PACKETS_A_SECOND = 50
SPEECH_SECONDS = 3
PAUSE_SECONDS = 1


def recorder_cost(turns: int) -> dict[str, float]:
    """Return what the recorder takes of one turn's time, seconds, with spans stored and metrics counted.

    ``waited_p95`` is what of it stands between the caller's last sample and the first audible one, and so is added to
    voice to voice: the packet that is taken down when the ear's message comes, that message, the request, the
    tokens of the first clause, the mouth's text and audio, the confirmation, the first sound. ``turn`` is the mean
    of the whole turn, spans included; ``export`` what storing them takes on the exporter's thread.
    """
    from opentelemetry.context import Context

    from llm.client import Answer, Try
    from orchestration.recorder import CallRecorder
    from telemetry import metrics, tracing

    tracing.start("bench")
    call = CallRecorder(call_id="bench", door="bench", agent="bench", language="en", parent=Context())
    packet = bytes(320)
    waited, whole = [], []

    def spent(action: Callable[[], Any], times: int = 1) -> float:
        began = time.thread_time()
        for _ in range(times):
            action()
        return time.thread_time() - began

    def tell(event: str, later: float = 0.0) -> None:
        message = {"event": event, "transcript": "What is it?", "last_speech": 1.0}
        call.turn_info(message, time.monotonic() + later)

    def clause() -> None:
        at = time.monotonic()
        call.llm_requested(at)
        for _ in range(CLAUSE_TOKENS):
            call.llm_text(" word", at)
        call.mouth_text(at)
        call.mouth_audio(at)

    def rest() -> None:
        at = time.monotonic()
        for _ in range(TOKENS - CLAUSE_TOKENS):
            call.llm_text(" word", at)
        tries = [Try("http://127.0.0.1:1", at)]
        call.llm_finished(Answer(at, at, at, tries, completion_tokens=TOKENS, complete=True))

    def listen() -> None:
        call.ear_audio(packet, 8000, time.monotonic())

    for _ in range(turns):
        speaking = spent(lambda: tell("StartOfTurn")) + spent(lambda: tell("Update", SPEECH_SECONDS))
        speaking += spent(listen, (SPEECH_SECONDS + PAUSE_SECONDS) * PACKETS_A_SECOND)
        waiting = spent(listen) + spent(lambda: tell("EagerEndOfTurn")) + spent(clause)
        waiting += spent(lambda: tell("EndOfTurn")) + spent(lambda: call.audible(time.monotonic()))
        waited.append(waiting)
        whole.append(speaking + waiting + spent(rest))
    ending = spent(lambda: call.finish("caller hung up"))
    tracing.flush()
    exported = _total(metrics.EXPORT_CPU)
    return {
        "turns": turns,
        "waited_p95": percentile(waited, 0.95),
        "turn": (sum(whole) + ending) / turns,
        "export": exported / turns,
    }


def _total(counter: Counter) -> float:
    """Return the sum of a counter of this process over its labels."""
    return sum(
        sample.value
        for family in counter.collect()
        for sample in family.samples
        if sample.name.endswith("_total")
    )
