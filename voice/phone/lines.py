"""The calls a carrier brought and that go on: what is known of each, and how to reach it."""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from pipecat.frames.frames import (
    LLMMessagesAppendFrame,
    OutputDTMFFrame,
    OutputTransportMessageFrame,
    TTSSpeakFrame,
)

from llm.errors import ToolError
from orchestration.call import Call
from orchestration.control import CallControl
from voice.errors import OutboundError
from voice.phone.carriers.base import MediaCarrier
from voice.phone.keypad import DigitCollector
from voice.phone.media import Digit, Event, Mark, StreamStart
from voice.phone.outbound import e164, is_sip
from voice.phone.rest import send
from voice.sip.carrier import SipCarrier

#: How long a carrier may take to play what it was sent and say so, seconds.
PLAYOUT_SECONDS = 20.0


@dataclass
class Line:
    """One call over a carrier's media stream.

    Attributes:
        carrier: the carrier.
        start: what the stream said of itself.
        call: the call.
        api_base: where the carrier's REST API is.
        connect_url: makes the URL of the document that connects the caller to a number.
        keypad: puts keys together.

    """

    carrier: MediaCarrier
    start: StreamStart
    call: Call
    api_base: str
    connect_url: Callable[[str], str]
    keypad: DigitCollector = field(default_factory=DigitCollector)
    _marks: dict[str, asyncio.Event] = field(default_factory=dict)

    def take(self, event: Event, now: float) -> None:
        """Take an event of the stream."""
        if isinstance(event, Digit):
            self.keypad.press(event.digit, now)
        elif isinstance(event, Mark) and (played := self._marks.get(event.name)):
            played.set()

    async def say(self, text: str) -> None:
        """Let the agent say ``text``, and wait until the caller has heard it or cannot any more."""
        await self.call.queue(TTSSpeakFrame(text))
        await self.heard()

    async def heard(self) -> None:
        """Wait until the caller has heard all that was said so far, as the carrier tells, or cannot any more."""
        name = secrets.token_hex(4)
        played = self._marks[name] = asyncio.Event()
        try:
            mark = self.carrier.mark(self.start, name)
            await self.call.queue(OutputTransportMessageFrame(message=mark))
            async with asyncio.timeout(PLAYOUT_SECONDS):
                await played.wait()
        except TimeoutError:
            pass
        finally:
            del self._marks[name]

    async def hang_up(self) -> None:
        """Have the carrier end the call.

        Raises:
            OutboundError: it does not.

        """
        await send(self.carrier.hang_up(self.api_base, self.start.call_id))
        self.call.end("hung up by request")

    async def transfer(self, to: str) -> str:
        """Have the carrier connect the caller to a number, or over SIP to a ``sip:`` URI; the call ends here.

        Returns:
            whom: the number in E.164 form, or the URI.

        Raises:
            OutboundError: it does not.

        """
        number = to if is_sip(to) and isinstance(self.carrier, SipCarrier) else e164(to)
        url = self.connect_url(number)
        await send(self.carrier.transfer(self.api_base, self.start.call_id, number, url))
        self.call.end("transferred")
        return number

    async def press(self, digits: str) -> None:
        """Press keys towards the other side, once the agent has said what it is saying.

        As tones in the sound; over SIP as events beside it.

        Raises:
            OutboundError: the call has ended.

        """
        if isinstance(self.carrier, SipCarrier):
            await self.heard()
            await send(self.carrier.keys(self.start.call_id, digits))
        else:
            await self.call.queue(OutputDTMFFrame.from_string(digits))

    async def pressed(self, digits: str) -> None:
        """Tell the agent what was pressed."""
        text = f"(The caller pressed {' '.join(digits)} on the telephone's keypad.)"
        await self.call.queue(
            LLMMessagesAppendFrame(messages=[{"role": "user", "content": text}], run_llm=True)
        )


class LineControl(CallControl):
    """The agent's hands on a carrier's call: it can transfer, too."""

    line: Line

    async def heard(self) -> None:
        """Wait until the caller has heard everything that was said so far."""
        await self.line.heard()

    async def transfer(self, number: str) -> None:
        """Connect the caller to ``number`` once they have heard what was said.

        Raises:
            ToolError: the carrier does not.

        """
        await self.heard()
        try:
            await self.line.transfer(number)
        except OutboundError as error:
            raise ToolError(str(error), kind="carrier") from None

    async def press(self, keys: str) -> None:
        """Press ``keys`` once the caller has heard what was said.

        Raises:
            ToolError: the call has ended.

        """
        try:
            await self.line.press(keys)
        except OutboundError as error:
            raise ToolError(str(error), kind="carrier") from None


class Lines:
    """Every line of one gateway, by the carrier's name of the call."""

    def __init__(self) -> None:
        self._lines: dict[str, Line] = {}

    def add(self, line: Line) -> None:
        """Keep a line while its call lasts."""
        self._lines[line.start.call_id] = line

    def remove(self, line: Line) -> None:
        """Forget a line whose call has ended."""
        if self._lines.get(line.start.call_id) is line:
            del self._lines[line.start.call_id]

    def find(self, call_id: str) -> Line | None:
        """Return the line of a call in progress."""
        return self._lines.get(call_id)
