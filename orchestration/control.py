"""What an agent may do with its own call, besides talking. Doors say what their network can do."""

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

from pipecat.frames.frames import DataFrame, Frame, OutputDTMFFrame, TTSSpeakFrame

from llm.errors import ToolError

#: How long what was said last may take to be heard before the agent acts, seconds.
HEARD_SECONDS = 20.0
#: Sound that has left the gateway and is still on its way to the caller's ear, seconds.
LINE_SECONDS = 0.3


@dataclass
class HeardFrame(DataFrame):
    """Travels behind the agent's sound; :attr:`heard` is set when all before it has been let out."""

    heard: asyncio.Event = field(default_factory=asyncio.Event)


class Handle(Protocol):
    """A call in progress, as its control sees it."""

    def end(self, reason: str) -> None:
        """End the call."""

    async def queue(self, frame: Frame) -> None:
        """Put a frame into the call."""


class CallControl:
    """The agent's hands on one call: what every door can do.

    A door whose network can do more overrides it, and gives it to
    :meth:`voice.reception.Place.call`. What fails raises :class:`~llm.errors.ToolError`, whose text the model is
    told.
    """

    call: Handle

    async def hang_up(self) -> None:
        """End the call, once the caller has heard what was said."""
        await self.heard()
        self.call.end("the agent hung up")

    async def transfer(self, number: str) -> None:
        """Connect the caller to ``number`` (E.164), once they have heard what was said; the call then ends here.

        Raises:
            ToolError: this door cannot, or it did not work.

        """
        raise ToolError("this call cannot be transferred", kind="unsupported")

    async def press(self, keys: str) -> None:
        """Press ``keys`` (0-9, * and #) towards the other side, as tones in the sound."""
        await self.call.queue(OutputDTMFFrame.from_string(keys))

    async def say(self, text: str) -> None:
        """Let the agent say ``text``; it becomes part of the conversation."""
        await self.call.queue(TTSSpeakFrame(text))

    async def heard(self) -> None:
        """Wait until the caller has heard everything that was said so far."""
        behind = HeardFrame()
        await self.call.queue(behind)
        try:
            async with asyncio.timeout(HEARD_SECONDS):
                await behind.heard.wait()
        except TimeoutError:
            return  # The mouth is silent or too long; what was asked for is done all the same.
        await asyncio.sleep(LINE_SECONDS)
