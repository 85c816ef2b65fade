"""Joins one SIP call to the gateway: sound, keys, marks, and the end of either side.

The socket speaks Vonage's media stream protocol (https://developer.vonage.com/en/voice/voice-api/concepts/websockets):
bytes are 16-bit PCM, texts are JSON.
"""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Awaitable, Callable

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from voice.closing import close_reason
from voice.sip.call import BYTES_PER_SAMPLE, SipCall
from voice.sip.playback import Playback

logger = logging.getLogger(__name__)

#: How often the stack's buffers are looked at, seconds: half a packet.
TICK_SECONDS = 0.01
#: While the other side holds the call, the ear gets silence in pieces of this length, seconds.
SILENCE_SECONDS = 0.02
#: Sound the gateway may send ahead of the stack's own buffer, seconds.
AHEAD_SECONDS = 2.0
#: A goodbye may take this long to be played out, seconds.
LAST_WORDS_SECONDS = 2.0
#: How long a key is said to have been held, ms; the stack tells a key once it is released.
KEY_MS = 100
#: Keys pressed and not yet told; more are dropped.
MAX_KEYS = 64


class _OverError(Exception):
    """One side has ended the call."""


class Bridge:
    """One call between the stack and the gateway.

    Args:
        call: established.
        socket: to the gateway, accepted.

    """

    def __init__(self, call: SipCall, socket: ClientConnection) -> None:
        self._call = call
        self._socket = socket
        self._rate = call.sample_rate
        self._playback = Playback(max_bytes=int(AHEAD_SECONDS * self._rate) * BYTES_PER_SAMPLE)
        self._keys: asyncio.Queue[str] = asyncio.Queue(MAX_KEYS)
        self._silence_until = 0.0

    async def run(self) -> None:
        """Carry the call until either side ends it; the other one is told."""
        try:
            await self._carry()
        except asyncio.CancelledError:
            await self._call.hang_up()
            raise
        await self._end()

    async def _carry(self) -> None:
        self._call.on_key = self._key
        start = {
            "event": "websocket:connected",
            "content-type": f"audio/l16;rate={self._rate}",
            "call": self._call.name,
        }
        works = (self._from_gateway, self._from_caller, self._tell_keys, self._call.closed.wait)
        try:
            await self._socket.send(json.dumps(start))
            async with asyncio.TaskGroup() as group:
                for work in works:
                    group.create_task(_until_over(work), name=f"sip{work.__name__}")
        except* (_OverError, ConnectionClosed):
            pass

    async def _end(self) -> None:
        if not self._call.closed.is_set():
            await self._play_out()
            await self._call.hang_up()
        await self._socket.close(self._call.ending, close_reason(self._call.close_reason))

    async def _play_out(self) -> None:
        """Let the caller hear the last of what was said."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_SECONDS):
                while not self._playback.is_done(self._call.buffered()) and not self._call.closed.is_set():
                    self._feed()
                    await asyncio.sleep(TICK_SECONDS)

    # From the gateway to the caller.

    async def _from_gateway(self) -> None:
        async for message in self._socket:
            if isinstance(message, bytes):
                self._playback.add(message)
                self._feed()
            else:
                await self._command(message)

    async def _command(self, message: str) -> None:
        command = json.loads(message)
        match command.get("action"):
            case "clear":
                self._call.flush()
                await self._played(self._playback.clear())
            case "notify":
                self._playback.mark(command.get("payload"))
            case other:
                logger.warning("the gateway sent an unknown action: %.32r", other)

    def _feed(self) -> None:
        if self._call.held:
            self._playback.wrote(len(self._playback.waiting()))
            return
        if waiting := self._playback.waiting():
            self._playback.wrote(self._call.write(waiting))

    async def _played(self, payloads: list[object]) -> None:
        for payload in payloads:
            await self._socket.send(json.dumps({"event": "websocket:notify", "payload": payload}))

    # From the caller to the gateway.

    async def _from_caller(self) -> None:
        while True:
            audio = self._call.read()
            if self._call.held:
                audio = self._silence(time.monotonic())
            if audio:
                await self._socket.send(audio)
            self._feed()
            await self._played(self._playback.played(self._call.buffered()))
            await asyncio.sleep(TICK_SECONDS)

    def _silence(self, now: float) -> bytes:
        """Return what keeps a held call alive: nobody speaks."""
        if now < self._silence_until:
            return b""
        self._silence_until = max(self._silence_until, now - SILENCE_SECONDS) + SILENCE_SECONDS
        return bytes(int(SILENCE_SECONDS * self._rate) * BYTES_PER_SAMPLE)

    def _key(self, digit: str) -> None:
        with contextlib.suppress(asyncio.QueueFull):
            self._keys.put_nowait(digit)

    async def _tell_keys(self) -> None:
        while True:
            key = {"event": "websocket:dtmf", "digit": await self._keys.get(), "duration": KEY_MS}
            await self._socket.send(json.dumps(key))


async def _until_over(work: Callable[[], Awaitable[object]]) -> None:
    await work()
    raise _OverError
