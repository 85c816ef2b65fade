"""A call's events become spans, metrics and a cost; read back by a real OTLP receiver and by the waterfall."""

import io
import json
from collections.abc import Iterator

import pytest
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import REGISTRY
from rich.console import Console

from llm.client import Answer, Try
from orchestration import callspans, recorder
from orchestration.patience import Waiting
from orchestration.recorder import CallRecorder, EngineIdentity
from orchestration.timeline import Moment
from telemetry import names
from telemetry.cost import Prices
from telemetry.exporting import BoundedProcessor
from telemetry.store import SpanStore, SpanStoreExporter
from telemetry.waterfall import render, trace_bars
from tests.telemetry.conftest import REPOSITORY
from tests.telemetry.test_exporting import Collector, running_collector

ENGINE = EngineIdentity("llamacpp", "smollm2-135m-instruct")


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> Iterator[tuple[Collector, SpanStore]]:
    """Let spans go to a receiver and into a store; yield both, filled when the provider is flushed."""
    from pathlib import Path

    store = SpanStore(Path(str(tmp_path)) / "calls.sqlite")
    provider = TracerProvider(resource=Resource.create({"service.name": "offhook-gateway"}))
    with running_collector() as receiver:
        provider.add_span_processor(BoundedProcessor(OTLPSpanExporter(receiver.endpoint), "recorder"))
        provider.add_span_processor(BoundedProcessor(SpanStoreExporter(store), "recorder-store"))
        tracer = provider.get_tracer("test")
        monkeypatch.setattr(recorder, "tracer", tracer)
        monkeypatch.setattr(callspans, "tracer", tracer)
        receiver.flush = provider.force_flush  # type: ignore[attr-defined]
        yield receiver, store
        provider.shutdown()


def make_recorder(door: str, *, record_content: bool = False) -> CallRecorder:
    """Begin a call."""
    return CallRecorder(
        call_id="CA1", door=door, agent="concierge", language="en", parent=Context(), version="0123abcd",
        engine=ENGINE, prices=Prices(output_million_tokens=10.0), record_content=record_content,
    )  # fmt: skip


def heard(
    call: CallRecorder, event: str, now: float, text: str = "", last_speech: float | None = None
) -> None:
    """Let the ear report; ``last_speech`` is a position in the stream, seconds."""
    call.turn_info({"event": event, "transcript": text, "words": [], "last_speech": last_speech}, now)


def answer(
    call: CallRecorder, at: float, *, tries: list[Try] | None = None, moves: int = 0, cut: bool = False
) -> None:
    """Let the mind answer in five tokens from ``at`` on, and the mouth say it."""
    call.llm_requested(at)
    for number, token in enumerate(("Paris", " is", " it", ".", " Yes.")):
        call.llm_text(token, at + 0.1 + number / 100)
    if not cut:
        call.mouth_text(at + 0.2)
        call.mouth_audio(at + 0.3)
    call.llm_finished(
        Answer(
            sent=at, first_token=at + 0.1, finished=at + 0.2, tries=tries or [Try("http://127.0.0.1:8083", at)],
            moves=moves, prompt_tokens=0 if cut else 50, cached_tokens=0 if cut else 40,
            completion_tokens=0 if cut else 5, complete=not cut,
        )
    )  # fmt: skip


def eventful_call(door: str, *, record_content: bool = False) -> CallRecorder:
    """A call with a withdrawn speculation, a tool, a failover and a barge-in."""
    call = make_recorder(door, record_content=record_content)
    call.opening("Hello.", "Be kind.")
    t = call._started
    call.ear_audio(bytes(10 * 8000 * 2), 8000, t + 10.0)
    heard(call, "StartOfTurn", t + 1.0)
    heard(call, "EagerEndOfTurn", t + 2.0, "What is the", 1.8)
    answer(call, t + 2.0, cut=True)
    heard(call, "TurnResumed", t + 2.5)
    heard(call, "EagerEndOfTurn", t + 3.0, "What is the capital of France?", 2.8)
    call.tool_called("lookup", "call-1", t + 3.0, t + 3.05, arguments='{"city": "Paris"}', result="[1]")
    moved = [Try("http://127.0.0.1:8083", t + 3.05), Try("http://127.0.0.1:8084", t + 3.1)]
    answer(call, t + 3.05, tries=moved, moves=1)
    heard(call, "EndOfTurn", t + 3.2, "What is the capital of France?", 2.8)
    call.audible(t + 3.5)
    call.audible(t + 4.0)
    call.barged_in(t + 3.9)
    heard(call, "StartOfTurn", t + 4.05, "")
    call.audible(t + 4.1)
    heard(call, "EndOfTurn", t + 5.0, "Thanks.", 4.7)
    answer(call, t + 5.0)
    call.audible(t + 5.4)
    call.finish("caller hung up")
    return call


def spans_of(collector: Collector) -> list[Span]:
    """Return every span received."""
    collector.flush()  # type: ignore[attr-defined]
    return [
        span
        for request in collector.requests
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def attributes(span: Span) -> dict[str, object]:
    """Return a span's attributes as Python values."""
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in span.attributes}


def test_an_eventful_call_as_a_receiver_sees_it(collector: tuple[Collector, SpanStore]) -> None:
    """Spans, links, events and attributes of a call with everything in it."""
    receiver, _ = collector
    eventful_call("recorder-otlp")
    spans = spans_of(receiver)
    (call,) = [span for span in spans if span.name == names.SPAN_CALL]
    assert {span.trace_id for span in spans} == {call.trace_id}
    turns = [span for span in spans if span.name == names.SPAN_TURN]
    first, second = sorted(turns, key=lambda span: span.start_time_unix_nano)
    assert {event.name for event in first.events} >= {
        names.EVENT_SPECULATION_WITHDRAWN, names.EVENT_FAILOVER, names.EVENT_BARGE_IN,
    }  # fmt: skip
    assert attributes(first)[names.TURN_OUTCOME] == "interrupted"
    assert attributes(second)[names.TURN_OUTCOME] == "answered"
    (speculation,) = [span for span in spans if span.name == names.SPAN_SPECULATION]
    assert attributes(speculation)[names.SPECULATION_TOKENS] == 5
    llm = next(span for span in spans if span.name == names.SPAN_LLM and span.parent_span_id == first.span_id)
    assert [link.span_id for link in llm.links] == [speculation.span_id]
    assert llm.kind == Span.SPAN_KIND_CLIENT
    said = attributes(llm)
    assert said[names.GEN_AI_PROVIDER] == "llamacpp"
    assert said[names.GEN_AI_MODEL] == "smollm2-135m-instruct"
    assert said[names.GEN_AI_FIRST_CHUNK] == pytest.approx(0.1)
    assert (said[names.GEN_AI_INPUT_TOKENS], said[names.GEN_AI_OUTPUT_TOKENS]) == (50, 5)
    assert (said[names.SERVER_ADDRESS], said[names.SERVER_PORT]) == ("127.0.0.1", 8084)
    assert said[names.LLM_ATTEMPTS] == 2
    (tool,) = [span for span in spans if span.name == names.SPAN_TOOL]
    assert tool.parent_span_id == first.span_id


def test_stages_add_up_to_voice_to_voice(collector: tuple[Collector, SpanStore]) -> None:
    """Of every answered turn, in its span and in the histogram."""
    receiver, _ = collector
    eventful_call("recorder-stages")
    turns = [attributes(span) for span in spans_of(receiver) if span.name == names.SPAN_TURN]
    for turn in turns:
        stages = [turn[stage.name] for stage in names.STAGES]
        assert sum(stages) == pytest.approx(turn[names.VOICE_TO_VOICE.name])
    labels = {"door": "recorder-stages", "agent": "concierge", "version": "0123abcd", "stage": "hold"}
    assert REGISTRY.get_sample_value("voice_stage_seconds_count", labels) == len(turns)


def test_what_is_said_is_recorded_only_on_demand(collector: tuple[Collector, SpanStore]) -> None:
    """Turned on: transcripts, prompts, arguments and results; off: not one of those attributes."""
    receiver, _ = collector
    eventful_call("recorder-silent")
    assert not any(names.CONTENT & set(attributes(span)) for span in spans_of(receiver))
    receiver.requests.clear()
    eventful_call("recorder-content", record_content=True)
    said: dict[str, list[str]] = {}
    for span in spans_of(receiver):
        for name, value in attributes(span).items():
            if name in names.CONTENT:
                said.setdefault(name, []).append(str(value))
    assert set(said) == names.CONTENT
    assert said[names.CALL_GREETING] == ["Hello."]
    assert said[names.TURN_HEARD] == ["What is the capital of France?", "Thanks."]
    assert json.loads(said[names.GEN_AI_INPUT][0]) == [
        {"role": "user", "parts": [{"type": "text", "content": "What is the capital of France?"}]}
    ]
    assert json.loads(said[names.GEN_AI_OUTPUT][0])[0]["parts"][0]["content"] == "Paris is it. Yes."
    assert (said[names.GEN_AI_TOOL_ARGUMENTS], said[names.GEN_AI_TOOL_RESULT]) == (
        ['{"city": "Paris"}'],
        ["[1]"],
    )


def test_an_answer_that_was_cut_off_belongs_to_its_turn(collector: tuple[Collector, SpanStore]) -> None:
    """What interrupts comes with its first words; the answer it cut off is reported only then."""
    receiver, _ = collector
    call = make_recorder("recorder-cut")
    t = call._started
    heard(call, "StartOfTurn", t + 1.0)
    heard(call, "EndOfTurn", t + 2.0, "Tell me everything.")
    call.llm_requested(t + 2.0)
    call.llm_text("Once", t + 2.1)
    call.audible(t + 2.5)
    call.barged_in(t + 3.0)
    heard(call, "StartOfTurn", t + 3.1)
    heard(call, "Update", t + 3.1, "Stop")
    cut = Answer(
        sent=t + 2.0, first_token=t + 2.1, finished=t + 3.1, tries=[Try("http://127.0.0.1:1", t + 2.0)]
    )
    cut.completion_tokens = 7
    call.llm_finished(cut)
    heard(call, "Update", t + 4.0, "Stop it")
    assert call.record.turns[0].output_tokens == 7
    assert [span.name for span in spans_of(receiver)].count(names.SPAN_TURN) == 1
    heard(call, "EndOfTurn", t + 4.5, "Stop it.")
    call.finish("caller hung up")
    (first,) = [attributes(span) for span in spans_of(receiver) if span.name == names.SPAN_LLM]
    assert first[names.GEN_AI_OUTPUT_TOKENS] == 7


def test_a_turn_is_told_of_while_it_is_answered() -> None:
    """Whoever asks in the middle of a call is told what has been said so far, and of each turn once."""
    call = make_recorder("recorder-current")
    t = call._started
    heard(call, "StartOfTurn", t + 1.0)
    assert call.record.as_json()["turns"] == []
    heard(call, "EndOfTurn", t + 2.0, "Where is it?")
    call.audible(t + 2.5)
    call.said("It is")
    (turn,) = call.record.as_json()["turns"]
    assert (turn["heard"], turn["spoken"]) == ("Where is it?", "It is")
    heard(call, "StartOfTurn", t + 4.0)
    assert [turn["index"] for turn in call.record.as_json()["turns"]] == [0]
    call.finish("caller hung up")
    assert [turn["index"] for turn in call.record.as_json()["turns"]] == [0]


def test_the_calls_span_sums_up(collector: tuple[Collector, SpanStore]) -> None:
    """Percentiles over turns, tokens, waste and cost: 10 tokens that stood and 5 thrown away at 10 a million."""
    receiver, _ = collector
    call = eventful_call("recorder-summary")
    (span,) = [span for span in spans_of(receiver) if span.name == names.SPAN_CALL]
    found = attributes(span)
    values = sorted(turn.figures()[names.VOICE_TO_VOICE] for turn in call.record.turns)
    assert found[f"{names.VOICE_TO_VOICE.name}.p50"] == pytest.approx(sum(values) / 2)
    assert found[f"{names.VOICE_TO_VOICE.name}.p95"] == pytest.approx(
        values[0] + 0.95 * (values[1] - values[0])
    )
    assert found[f"{names.BARGE_IN_STOP.name}.max"] == pytest.approx(0.2)
    assert (found[names.CALL_OUTPUT_TOKENS], found[names.CALL_WASTED_TOKENS]) == (10, 5)
    assert found[names.CALL_COST] == pytest.approx(15 * 10 / 1e6)
    assert found[f"{names.CALL_COST}.wasted"] == pytest.approx(5 * 10 / 1e6)
    assert found[names.CALL_OUTCOME] == "completed"


def test_metrics_say_the_same(collector: tuple[Collector, SpanStore]) -> None:
    """Counters and histograms agree with the record."""
    call = eventful_call("recorder-metrics")
    labels = {"door": "recorder-metrics", "agent": "concierge", "version": "0123abcd"}

    def value(name: str, **more: str) -> float | None:
        return REGISTRY.get_sample_value(name, {**labels, **more})

    assert value("voice_turns_total", outcome="interrupted") == 1
    assert value("voice_turns_total", outcome="answered") == 1
    assert value("voice_calls_total", outcome="completed") == 1
    assert value("voice_calls_active") == 0
    assert value("voice_tokens_total", kind="output") == 10
    assert value("voice_tokens_total", kind="wasted") == 5
    assert value("voice_failovers_total") == 1
    assert value("voice_speculations_total", outcome="withdrawn") == 1
    assert value("voice_voice_to_voice_seconds_count") == 2
    measured = sum(turn.figures()[names.VOICE_TO_VOICE] for turn in call.record.turns)
    assert value("voice_voice_to_voice_seconds_sum") == pytest.approx(measured)


def test_the_waterfall_shows_it(collector: tuple[Collector, SpanStore]) -> None:
    """`offhook trace` of the same call, and no word of what was said."""
    receiver, store = collector
    call = eventful_call("recorder-waterfall")
    receiver.flush()  # type: ignore[attr-defined]
    spans = store.trace(call.record.trace_id)
    labels = [bar.label.strip().split()[0] for bar in trace_bars(spans)]
    assert labels[0] == names.SPAN_CALL
    assert labels.count(names.SPAN_TURN) == 2
    assert {names.SPAN_SPECULATION, names.SPAN_TOOL, names.SPAN_LLM} <= set(labels)
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(render(trace_bars(spans), title=""))
    shown = [line.rstrip() for line in console.export_text().splitlines() if "(gateway)" in line]
    page = (REPOSITORY / "docs" / "telemetry.md").read_text()
    assert [line for line in shown[1:] if line not in page] == []
    stored = store.path.read_bytes()
    assert b"capital" not in stored
    assert b"Paris" not in stored


@pytest.mark.parametrize(
    ("reason", "answered", "outcome", "turn"),
    [
        ("caller hung up", True, "completed", "answered"),
        ("caller hung up", False, "completed", "abandoned"),
        ("connection to the caller was lost", True, "caller", "answered"),
        ("pipeline ended", True, "fault", "answered"),
        ("pipeline ended", False, "fault", "unanswered"),
    ],
)
def test_outcomes(reason: str, answered: bool, outcome: str, turn: str) -> None:
    """A caller who has gone need not be answered; a call that ends for no known reason is our fault."""
    call = make_recorder(f"outcomes-{reason}-{answered}")
    t = call._started
    heard(call, "StartOfTurn", t + 1.0)
    heard(call, "EndOfTurn", t + 2.0, "Hello.")
    if answered:
        answer(call, t + 2.0)
        call.audible(t + 2.5)
    assert call.finish(reason).outcome == outcome
    labels = {
        "door": f"outcomes-{reason}-{answered}",
        "agent": "concierge",
        "version": "0123abcd",
        "outcome": turn,
    }
    assert REGISTRY.get_sample_value("voice_turns_total", labels) == 1


def test_a_filler_is_no_answer() -> None:
    """A turn that was only excused is unanswered, and goes on waiting; its figure is that of the answer."""
    call = make_recorder("filler")
    heard(call, "StartOfTurn", 1.0)
    heard(call, "EndOfTurn", 2.0, "hello")
    call.set_phrase(5.0)
    call.speech_begins(of_conversation=False)
    call.audible(5.1)
    call.said("One moment, please.")
    assert call.waiting(6.0).whom is Waiting.ENGINE
    assert call.waiting(6.0).quiet == pytest.approx(0.9)
    call.speech_begins(of_conversation=True)
    call.audible(9.0)
    assert call.waiting(9.5).whom is Waiting.CALLER
    (turn,) = call.finish("caller hung up").turns
    assert turn.moments[Moment.AUDIBLE] == 9.0
    assert turn.spoken == ""


def test_an_answer_that_leaves_before_the_filler_is_the_answer() -> None:
    """The mouth was slow, not the mind: what was asked for first is heard first."""
    call = make_recorder("late-filler")
    heard(call, "StartOfTurn", 1.0)
    heard(call, "EndOfTurn", 2.0, "hello")
    call.speech_begins(of_conversation=True)
    call.set_phrase(5.0)
    call.audible(5.1)
    call.speech_begins(of_conversation=False)
    call.audible(8.0)
    (turn,) = call.finish("caller hung up").turns
    assert turn.moments[Moment.AUDIBLE] == 5.1
