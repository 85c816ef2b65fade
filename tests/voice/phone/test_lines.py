"""What an agent and its owner may do with a carrier's call."""

import pytest

from llm.errors import ToolError
from orchestration.doors import TwilioSettings
from tests.voice.phone.fake_carrier import FakeCarrier, Sdk
from voice.errors import OutboundError
from voice.phone.carriers.twilio import Twilio
from voice.phone.lines import Line, LineControl
from voice.phone.media import StreamStart


class FakeCall:
    """A call that only remembers how it ended."""

    reason = ""

    def end(self, reason: str) -> None:
        """End."""
        self.reason = reason


class HeardControl(LineControl):
    """Hands of an agent whose words have been heard."""

    async def heard(self) -> None:
        """Return at once."""


def line(api_base: str) -> tuple[Line, FakeCall]:
    """Return a line of Twilio's."""
    call = FakeCall()
    carrier = Twilio(TwilioSettings(account_sid="AC1", auth_token="twilio-token"))
    made = Line(carrier, StreamStart("MZ1", "CA1", {}), call, api_base, lambda number: number)  # type: ignore[arg-type]
    return made, call


async def test_an_agent_transfers(fake_carrier: FakeCarrier) -> None:
    """The agent's transfer is the carrier's, and ends the call here."""
    control = HeardControl()
    control.line, call = line(fake_carrier.url)
    await control.transfer("+1 415 555 0124")
    asked = fake_carrier.asked.pop()
    sdk = Sdk("twilio", fake_carrier)
    sdk.same(asked, sdk.transfer("CA1", "+14155550124", asked))
    assert "<Number>+14155550124</Number>" in asked.fields["Twiml"]
    assert call.reason == "transferred"


@pytest.mark.parametrize("number", ["+14155550124", "the boss"])
async def test_a_transfer_that_fails(number: str) -> None:
    """The agent is told, and the caller stays on the line."""
    control = HeardControl()
    control.line, call = line("http://127.0.0.1:9")
    with pytest.raises(ToolError):
        await control.transfer(number)
    assert call.reason == ""


async def test_hanging_up(fake_carrier: FakeCarrier) -> None:
    """The carrier is told to end the call; where it cannot be told, the call goes on."""
    good, call = line(fake_carrier.url)
    await good.hang_up()
    sdk = Sdk("twilio", fake_carrier)
    sdk.same(fake_carrier.asked.pop(), sdk.hang_up("CA1"))
    assert call.reason == "hung up by request"
    lost, call = line("http://127.0.0.1:9")
    with pytest.raises(OutboundError, match="cannot be reached"):
        await lost.hang_up()
    assert call.reason == ""
