"""How many callers one machine hears in real time."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from asr.bench.corpus import Clip
from asr.bench.live import Heard, Served, caller, percentiles, server

#: Longest transcription delay at the 95th percentile that still counts as keeping up, seconds.
LIMIT_SECONDS = 0.5
KINDS = ("short_command", "read_sentence")
MAX_CLIP_SECONDS = 8.0
CLIPS_EACH = 5
#: Streams start this far apart, so that their turns do not end together, seconds.
STAGGER_SECONDS = 0.37


def measure(
    clips: list[Clip], counts: list[int], progress: Callable[[Iterable[Any]], Iterable[Any]]
) -> dict[str, Any]:
    """Return delays and CPU by number of streams, and the most streams that stay under the limit."""
    chosen = [
        clip for clip in clips if clip.kind in KINDS and clip.single_turn and clip.seconds <= MAX_CLIP_SECONDS
    ]
    with server() as served:
        rows = [asyncio.run(_measure(chosen, count, served)) for count in progress(counts)]
    good = [
        row["streams"] for row in rows if row["transcript_p95"] <= LIMIT_SECONDS and not row["turns_missed"]
    ]
    return {"rows": rows, "streams_under_limit": max(good, default=0), "limit_seconds": LIMIT_SECONDS}


async def _measure(clips: list[Clip], count: int, served: Served) -> dict[str, Any]:
    before = served.cpu_seconds()
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_stream(_own_clips(clips, index), served.url, index * STAGGER_SECONDS))
            for index in range(count)
        ]
    used = served.cpu_seconds() - before
    heard = [item for task in tasks for item in task.result()]
    transcripts = [item.transcript for item in heard if item.transcript is not None]
    played = sum(clip.seconds for index in range(count) for clip in _own_clips(clips, index))
    delays, ends = percentiles(transcripts), percentiles([item.end for item in heard if item.end is not None])
    return {
        "streams": count,
        "turns": len(heard),
        "turns_missed": len(heard) - len(transcripts),
        "transcript_p50": delays["p50"],
        "transcript_p95": delays["p95"],
        "end_p50": ends["p50"],
        "end_p95": ends["p95"],
        "cpu_seconds_per_speech_second": round(used / played, 3),
        "server_megabytes": round(served.resident_megabytes()),
    }


def _own_clips(clips: list[Clip], index: int) -> list[Clip]:
    return [clips[(index * CLIPS_EACH + offset) % len(clips)] for offset in range(CLIPS_EACH)]


async def _stream(clips: list[Clip], url: str, wait: float) -> list[Heard]:
    await asyncio.sleep(wait)
    async with caller(url) as client:
        return [await client.say(clip) for clip in clips]
