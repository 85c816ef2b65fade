"""Two hours of one stream to a real server, as fast as it takes them: its memory must stay flat."""

import asyncio
import json
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from asr.audio import SAMPLE_RATE
from asr.bench.corpus import Clip, linear16, silence
from asr.bench.live import Caller, Served, caller, server

#: Silence after each clip: in a call the caller listens most of the time, seconds.
PAUSE_SECONDS = 6.0
#: Pieces into which the stream is cut for measuring; the first ones warm allocators up.
WARM_UP_PIECES = 4
#: Audio in one message, seconds.
CHUNK_SECONDS = 1.0
#: Messages after which the server must have read all that was sent.
CHUNKS_UNDER_WAY = 10
#: How long the server may take to hear what it was sent, once all has been sent, seconds.
REST_SECONDS = 300.0


def measure(
    clips: list[Clip], seconds: float, progress: Callable[[Iterable[Any]], Iterable[Any]]
) -> dict[str, Any]:
    """Play ``seconds`` of speech and silence to one stream and return how the server's memory went."""
    single = [clip.audio for clip in clips if clip.single_turn]
    loop = np.concatenate([part for audio in single for part in (audio, silence(PAUSE_SECONDS))])
    pieces = max(WARM_UP_PIECES + 1, round(seconds * SAMPLE_RATE / len(loop)))
    with server() as served:
        return asyncio.run(_measure(linear16(loop), pieces, served, progress))


async def _measure(
    loop: bytes, pieces: int, served: Served, progress: Callable[[Iterable[Any]], Iterable[Any]]
) -> dict[str, Any]:
    sizes = []
    turns = 0
    async with caller(served.url) as client:
        for _ in progress(range(pieces)):
            await _send(client, loop)
            sizes.append(served.resident_megabytes())
            turns += _take_turns(client)
        await client.socket.send(json.dumps({"type": "CloseStream"}))
        async with asyncio.timeout(REST_SECONDS):
            await client.socket.wait_closed()
        turns += _take_turns(client)
        sizes.append(served.resident_megabytes())
    return {
        "seconds": round(pieces * len(loop) / (2 * SAMPLE_RATE)),
        "turns": turns,
        "megabytes_after_warm_up": round(sizes[WARM_UP_PIECES - 1], 1),
        "megabytes_at_the_end": round(sizes[-1], 1),
        "most_megabytes": round(max(sizes), 1),
    }


async def _send(client: Caller, data: bytes) -> None:
    """Send everything as fast as the server reads it, with no more under way than it takes in a few seconds.

    Answers to the server's pings lie behind what is under way; one that comes too late would end the connection.
    """
    size = int(CHUNK_SECONDS * SAMPLE_RATE) * 2
    for number, offset in enumerate(range(0, len(data), size), 1):
        await client.socket.send(data[offset : offset + size])
        if number % CHUNKS_UNDER_WAY == 0:
            await (await client.socket.ping())


def _take_turns(client: Caller) -> int:
    """Return how many turns have ended since the last call, and forget them."""
    ended = [message for _, message in client.received if message.get("event") == "EndOfTurn"]
    client.received.clear()
    return len(ended)
