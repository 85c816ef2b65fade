"""The state machine of one connection, without clock or I/O."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tts.contexts import Cancelled, Contexts, Ended, Event, Flushed, Opened, Rejected, Say

FORMAT = {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 8000}


def contexts(**limits: Any) -> Contexts:
    """Return the contexts of a fresh connection."""
    return Contexts(**({"max_contexts": 4, "max_pending_characters": 1000, "idle_seconds": 60.0} | limits))


def request(text: str, context_id: str = "a", *, more: bool = True, **fields: Any) -> str:
    """Return a generation request as a client sends it."""
    voice = {"mode": "id", "id": "joe"}
    body = {"context_id": context_id, "transcript": text, "continue": more, "output_format": FORMAT}
    return json.dumps(body | {"model_id": "sonic", "voice": voice} | fields)


def said(events: list[Event]) -> list[str]:
    """Return the texts that are to be said."""
    return [event.text for event in events if isinstance(event, Say)]


def test_tokens_are_joined_to_clauses() -> None:
    """Pieces of text wait until a clause is complete; the end gives the rest."""
    machine = contexts()
    events = [
        e
        for token in ["The", " cat", " sat", " down", ",", " it"]
        for e in machine.receive(request(token), 0)
    ]
    assert isinstance(events[0], Opened)
    assert said(events) == ["The cat sat down,"]
    assert [type(event) for event in machine.receive(request(" purred.", more=False), 1.0)] == [Say, Ended]


def test_without_buffering_each_transcript_is_said_at_once() -> None:
    """With max_buffer_delay_ms 0 the client does the joining."""
    assert said(contexts().receive(request("Half a", max_buffer_delay_ms=0), 0)) == ["Half a"]


def test_buffered_text_is_said_after_the_longest_delay() -> None:
    """The delay the client allows is kept."""
    machine = contexts()
    machine.receive(request("no end in sight", max_buffer_delay_ms=500), 10.0)
    assert machine.due == 10.5
    assert said(machine.tick(10.5)) == ["no end in "]


def test_a_flush_says_all_and_counts() -> None:
    """Each flush is answered with its number; later text carries the next."""
    machine = contexts()
    first = machine.receive(request("one two", flush=True), 0)
    assert said(first) == ["one two"]
    assert [event.flush_id for event in first if isinstance(event, Flushed)] == [1]
    second = machine.receive(request("three four", more=False), 0)
    assert [event.flush_id for event in second if isinstance(event, Say)] == [2]


def test_cancel_forgets_the_context() -> None:
    """After a cancel the same id begins anew."""
    machine = contexts()
    machine.receive(request("one two"), 0)
    assert machine.receive(json.dumps({"context_id": "a", "cancel": True}), 0) == [Cancelled("a")]
    assert isinstance(machine.receive(request("again"), 0)[0], Opened)


def test_later_messages_need_only_their_text() -> None:
    """Voice and format are settled by the first message; an SDK's defaults in later ones do no harm."""
    machine = contexts()
    machine.receive(request("one"), 0)
    later = machine.receive(
        json.dumps({"context_id": "a", "transcript": " two", "voice": "x", "continue": False}), 0
    )
    assert said(later) == ["one two"]


def test_a_closed_context_takes_no_text() -> None:
    """Text after the end is an error for that context, until it is over."""
    machine = contexts()
    machine.receive(request("one", more=False), 0)
    (rejected,) = machine.receive(request("two"), 0)
    assert isinstance(rejected, Rejected)
    assert "new context_id" in str(rejected.problem)


def test_too_much_text_ends_only_its_context() -> None:
    """A flood is refused; other contexts go on."""
    machine = contexts(max_pending_characters=20)
    machine.receive(request("fine", "b"), 0)
    (*_, rejected) = machine.receive(request("x" * 21, "a"), 0)
    assert isinstance(rejected, Rejected)
    assert rejected.problem.status == 429
    assert said(machine.receive(request(" too", "b", more=False), 0)) == ["fine too"]


def test_what_was_said_makes_room() -> None:
    """Text counts only until it has been said."""
    machine = contexts(max_pending_characters=20)
    for now in range(10):
        (*_, say) = machine.receive(request("fifteen letters", flush=True), now)
        assert not isinstance(say, Rejected)
        machine.said("a", 15, now)


def test_too_many_contexts_are_refused() -> None:
    """The bound holds for contexts that are still being said, too."""
    machine = contexts(max_contexts=2)
    machine.receive(request("a", "a", more=False), 0)
    machine.receive(request("b", "b"), 0)
    assert isinstance(machine.receive(request("c", "c"), 0)[0], Rejected)
    machine.forget("a")
    assert isinstance(machine.receive(request("c", "c"), 0)[0], Opened)


def test_an_idle_context_is_ended() -> None:
    """A client that forgot to end its context gets ``done``."""
    machine = contexts()
    machine.receive(request("hello", flush=True), 0.0)
    machine.said("a", 5, 1.0)
    assert machine.due == 61.0
    assert machine.tick(61.0) == [Ended("a")]


@given(
    st.lists(
        st.one_of(
            st.text(max_size=30),
            st.binary(max_size=30),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.text(max_size=5),
                lambda inner: st.dictionaries(st.sampled_from(
                    ["context_id", "transcript", "continue", "voice", "output_format", "cancel", "flush",
                     "max_buffer_delay_ms", "generation_config", "sample_rate", "encoding"]), inner),
            ).map(json.dumps),
        ),
        max_size=20,
    )
)  # fmt: skip
def test_garbage_is_answered_with_errors(messages: list[str | bytes]) -> None:
    """Nothing a client sends raises."""
    machine = contexts()
    for now, message in enumerate(messages):
        for event in machine.receive(message, float(now)) + machine.tick(float(now)):
            assert isinstance(event, Opened | Say | Flushed | Ended | Cancelled | Rejected)


operations = st.lists(
    st.one_of(
        st.tuples(
            st.just("text"),
            st.sampled_from("abc"),
            st.text("ab. ,!", max_size=8),
            st.booleans(),
            st.booleans(),
        ),
        st.tuples(st.just("cancel"), st.sampled_from("abc")),
        st.tuples(st.just("over"), st.sampled_from("abc")),
    ),
    max_size=40,
)


@given(operations)
def test_each_context_is_said_verbatim(steps: list[tuple[Any, ...]]) -> None:
    """What is to be said in a context is what was sent in it, however contexts interleave."""
    machine = contexts(max_contexts=8)
    sent: dict[str, str] = {}
    heard: dict[str, str] = {}
    for step in steps:
        if step[0] == "text":
            _, name, text, more, flush = step
            events = machine.receive(request(text, name, more=more, flush=flush), 0.0)
        elif step[0] == "cancel":
            events = machine.receive(json.dumps({"context_id": step[1], "cancel": True}), 0.0)
        else:
            machine.forget(step[1])
            sent.pop(step[1], None)
            events = []
        for event in events:
            if isinstance(event, Opened):
                sent[event.context_id] = heard[event.context_id] = ""
            elif isinstance(event, Cancelled | Rejected):
                sent.pop(str(event.context_id), None)
        if step[0] == "text" and step[1] in sent:
            sent[step[1]] += step[2]
        for event in events:
            if isinstance(event, Say):
                heard[event.context_id] += event.text
            elif isinstance(event, Ended | Flushed):
                assert heard[event.context_id] == sent[event.context_id]
