"""Two hours of one stream, played as fast as the ear can take them: memory must stay flat."""

import resource
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from asr.audio import SAMPLE_RATE
from asr.bench.corpus import Clip, silence
from asr.bench.offline import OfflineStream, Player, Run
from asr.turn import EventType

#: Silence after each clip: in a call the caller listens most of the time, seconds.
PAUSE_SECONDS = 6.0
#: Pieces into which the stream is cut for measuring; the first ones warm allocators up.
WARM_UP_PIECES = 4


def measure(
    clips: list[Clip],
    player: Player,
    seconds: float,
    progress: Callable[[Iterable[Any]], Iterable[Any]],
) -> dict[str, Any]:
    """Play ``seconds`` of speech and silence through one ear and return how its memory went."""
    single = [clip.audio for clip in clips if clip.single_turn]
    loop = np.concatenate([part for audio in single for part in (audio, silence(PAUSE_SECONDS))])
    pieces = max(WARM_UP_PIECES + 1, round(seconds * SAMPLE_RATE / len(loop)))
    stream = OfflineStream(player)
    sizes = []
    turns = 0
    for _ in progress(range(pieces)):
        stream.feed(loop)
        turns += len(stream.run.of(EventType.END))
        stream.run = Run()
        sizes.append(resident_megabytes())
    return {
        "seconds": round(pieces * len(loop) / SAMPLE_RATE),
        "turns": turns,
        "megabytes_after_warm_up": round(sizes[WARM_UP_PIECES - 1], 1),
        "megabytes_at_the_end": round(sizes[-1], 1),
        "peak_megabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def resident_megabytes() -> float:
    """Return the resident memory of this process (Linux)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20
