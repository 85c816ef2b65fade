"""A caller at a carrier's end of a media stream: speaks in real time, and keeps what it hears."""

import asyncio
import audioop
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from telemetry.loudness import last_audible
from tests.voice.conftest import wav_bytes
from tests.voice.phone.streams import SILENCE, Stream

PACKET_SECONDS = 0.02
PACKET_BYTES = 160
RATE = 8000
#: The agent is done when it was quiet for this long, seconds.
SETTLED_SECONDS = 1.5


class CarrierLine:
    """One call; use :func:`carrier_line`.

    Args:
        socket: the media stream.
        stream: how the carrier puts things.

    """

    def __init__(self, socket: ClientConnection, stream: Stream) -> None:
        self.socket = socket
        self.stream = stream
        #: What was heard, 8 kHz mu-law.
        self.heard = bytearray()
        #: How much had been heard whenever the gateway took back what it had sent, bytes.
        self.cleared: list[int] = []
        self._to_say = bytearray()
        self._last_sound = time.monotonic()
        self._changed = asyncio.Event()

    async def speak(self) -> None:
        """Send a packet every 20 ms."""
        due = time.monotonic()
        while True:
            packet, self._to_say = bytes(self._to_say[:PACKET_BYTES]), self._to_say[PACKET_BYTES:]
            await self.socket.send(self.stream.audio(packet.ljust(PACKET_BYTES, SILENCE[:1])))
            self._changed.set()
            due += PACKET_SECONDS
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def listen(self) -> None:
        """Keep what is heard, and answer marks."""
        async for message in self.socket:
            sound = self.stream.sound(message)
            self.heard += sound
            if sound and last_audible(audioop.ulaw2lin(sound, 2)) is not None:
                self._last_sound = time.monotonic()
            if self.stream.clears(message):
                self.cleared.append(len(self.heard))
            if played := self.stream.played(message):
                await self.socket.send(played)
            self._changed.set()

    def say(self, pcm: bytes) -> None:
        """Say 8 kHz 16-bit PCM, from now on."""
        self._to_say += audioop.lin2ulaw(pcm, 2)

    async def until(self, happened: Callable[[], bool], seconds: float = 30.0) -> None:
        """Return once ``happened``; fail where it does not within ``seconds``."""
        async with asyncio.timeout(seconds):
            while not happened():
                self._changed.clear()
                await self._changed.wait()

    async def until_heard(self, seconds: float, *, since: int = 0) -> None:
        """Return once so many seconds of sound have come after byte ``since``."""
        await self.until(lambda: len(self.heard) - since > seconds * RATE)

    async def until_quiet(self) -> None:
        """Return once all is said on both sides."""
        await self.until(lambda: not self._to_say and time.monotonic() - self._last_sound > SETTLED_SECONDS)

    async def hang_up(self) -> None:
        """Say goodbye as the carrier does."""
        if stop := self.stream.stop():
            await self.socket.send(stop)

    def recording(self, since: int = 0) -> bytes:
        """Return what was heard after byte ``since`` as a WAV file."""
        pcm = audioop.ulaw2lin(bytes(self.heard[since:]), 2)
        return wav_bytes(np.frombuffer(pcm, dtype="<i2"), RATE)


@asynccontextmanager
async def carrier_line(
    url: str,
    stream: Stream,
    call_id: str,
    *,
    token: str = "",
    headers: Mapping[str, str] | None = None,
    **options: Any,
) -> AsyncIterator[CarrierLine]:
    """Open a media stream and hold the call while the block lasts; ``options`` are those of the socket."""
    async with connect(
        url, compression=None, max_size=None, additional_headers=dict(headers or {}), **options
    ) as socket:
        for message in stream.start(call_id, token=token):
            await socket.send(message)
        line = CarrierLine(socket, stream)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_quietly(work())) for work in (line.speak, line.listen)]
            try:
                yield line
            finally:
                for task in tasks:
                    task.cancel()


async def _quietly(work: Coroutine[Any, Any, None]) -> None:
    """Work until the other side closes the stream."""
    with suppress(ConnectionClosed):
        await work
