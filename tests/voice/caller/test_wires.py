"""What a caller's carrier sends is what the gateway takes, and the other way round."""

import json

import pytest

from tests.voice.phone.streams import SILENCE, Stream, carrier
from voice.caller.line import place_call
from voice.caller.wires import WIRES, Clear, Mark, Sound
from voice.errors import CallerError
from voice.phone.media import Audio, Stopped
from voice.phone.media import Mark as Played


@pytest.mark.parametrize("name", list(WIRES))
def test_the_gateway_takes_what_the_caller_sends(name: str) -> None:
    """The beginning names the call, sound is 20 ms of it, and a goodbye is one."""
    wire, gateway = WIRES[name]("CA1", {}), carrier(name)
    start = None
    for message in wire.start():
        start = gateway.parse_start(message, {})
    assert start is not None
    assert start.call_id == "CA1"
    assert gateway.parse(wire.packet(SILENCE)) == Audio(160)
    if (stop := wire.stop()) is not None:
        assert gateway.parse(stop) == Stopped()


@pytest.mark.parametrize("name", list(WIRES))
def test_the_caller_takes_what_the_gateway_sends(name: str) -> None:
    """A mark comes back by its name; what takes sound back is known for it."""
    wire, gateway = WIRES[name]("CA1", {}), carrier(name)
    start = [gateway.parse_start(message, {}) for message in wire.start()][-1]
    assert start is not None
    mark = wire.take(json.dumps(gateway.mark(start, "heard-1")))
    assert isinstance(mark, Mark)
    assert gateway.parse(mark.answer) == Played("heard-1")
    assert wire.take(json.dumps({"event": "clear", "action": "clear"})) == Clear()
    sound = wire.take(Stream(name).audio())
    assert isinstance(sound, Sound)
    assert len(sound.mulaw) == 160


async def test_a_url_names_its_carrier() -> None:
    """One of a carrier nobody knows is refused before anybody is called."""
    with pytest.raises(CallerError, match="twilio, telnyx, plivo, vonage"):
        await place_call("ws://127.0.0.1:9/phone/acme/media", [], call_sid="CA1", parameters={})
