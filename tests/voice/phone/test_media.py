"""The carriers' media streams, read and guarded."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.voice.phone.streams import STREAMS, Stream, carrier
from voice.errors import HandshakeError
from voice.phone.media import Audio, Digit, Other, Stopped, StreamGuard

EACH = pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)


def guard_of(stream: Stream) -> StreamGuard:
    """Return a guard of that carrier's stream."""
    return StreamGuard(carrier(stream.name).parse, max_lead_seconds=2.0)


@EACH
def test_start(stream: Stream) -> None:
    """What comes before the start is passed over; the start names stream, call and token."""
    *before, last = stream.start("call-1", token="secret")
    for message in before:
        assert carrier(stream.name).parse_start(message, {}) is None
    start = carrier(stream.name).parse_start(last, {"token": "secret"} if stream.name != "twilio" else {})
    assert start is not None
    assert start.call_id == "call-1"
    assert start.parameters["token"] == "secret"


@EACH
@pytest.mark.parametrize("rate", [16000, 44100])
def test_another_rate_is_turned_away(stream: Stream, rate: int) -> None:
    """The error names what was promised and what is taken."""
    with pytest.raises(HandshakeError, match=f"at {rate} Hz .* at 8000 Hz"):
        carrier(stream.name).parse_start(stream.start("call-1", rate=rate)[-1], {})


@EACH
def test_events(stream: Stream) -> None:
    """Sound and keys are told apart, and neither ends the call."""
    guard = guard_of(stream)
    assert guard.take(stream.audio(), 0.0) == (Audio(160), None)
    assert guard.take(stream.digit("5"), 0.1) == (Digit("5"), None)
    assert guard.take(stream.digit("x"), 0.1) == (Other(), None)


@EACH
def test_real_time_audio_passes(stream: Stream) -> None:
    """A carrier's own pace is never too fast, nor is a burst within the lead."""
    guard = guard_of(stream)
    for number in range(1000):
        assert guard.take(stream.audio(), 100.0 + 0.02 * number)[1] is None
    assert guard.take(stream.audio(b"\xff" * 8000), 120.0)[1] is None


@EACH
def test_twice_real_time_does_not(stream: Stream) -> None:
    """16 kHz where 8 kHz was promised runs ahead by a second each second."""
    guard = guard_of(stream)
    reasons = [guard.take(stream.audio(b"\xff" * 320), 0.02 * number)[1] for number in range(200)]
    assert reasons[:90] == [None] * 90
    assert "runs ahead of real time" in str(reasons[-1])


@pytest.mark.parametrize("stream", STREAMS[:3], ids=lambda stream: stream.name)
def test_stop(stream: Stream) -> None:
    """`stop` ends the call as a hang-up."""
    assert guard_of(stream).take('{"event": "stop"}', 0.0) == (Stopped(), "caller hung up")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
EVENTS = ["media", "start", "dtmf", "mark", "stop", "playedStream", "websocket:connected", "websocket:notify"]
PARTS = ("media", "start", "mark", "dtmf", "stream_id", "content-type", "payload", "digit", "call")
MESSAGES = st.one_of(
    st.text(max_size=60),
    st.binary(max_size=60),
    JSON.map(json.dumps),
    st.fixed_dictionaries(
        {"event": st.sampled_from(EVENTS)},
        optional=dict.fromkeys(
            ("media", "start", "mark", "dtmf", "stream_id", "content-type", "payload", "digit", "call"), JSON
        ),
    ).map(json.dumps),
)


@EACH
@given(messages=st.lists(MESSAGES, max_size=20))
def test_whatever_comes(stream: Stream, messages: list[str | bytes]) -> None:
    """Nothing a peer can send raises."""
    guard = guard_of(stream)
    for number, message in enumerate(messages):
        reason = guard.take(message, float(number))[1]
        assert reason is None or isinstance(reason, str)


@EACH
@given(message=MESSAGES)
def test_whatever_begins(stream: Stream, message: str | bytes) -> None:
    """A stream that begins with anything else is turned away, and nothing else is raised."""
    try:
        start = carrier(stream.name).parse_start(message, {})
        assert start is None or start.call_id
    except HandshakeError as error:
        assert str(error)
