"""Where the threads of one decode run: each on cores of its own.

The threads of a decode wait for one another after every operation. Left alone, the kernel at times runs two of them
on one core beside an idle one (``perf record -e sched:sched_switch -a``), and the decode takes as long as with one.
"""

import contextlib
import os
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

_TASKS = Path("/proc/self/task")


def shares(threads: int, cores: Sequence[int]) -> list[set[int]]:
    """Return which of ``cores`` each of ``threads`` may use: disjoint shares, as equal as can be.

    With fewer cores than threads there is nothing to share out, and the result is empty.
    """
    if len(cores) < threads:
        return []
    bounds = [len(cores) * thread // threads for thread in range(threads + 1)]
    return [set(cores[start:end]) for start, end in pairwise(bounds)]


def spread(work: Callable[[], object], threads: int) -> None:
    """Give the ``threads`` of this process that ``work`` keeps busiest cores of their own from now on.

    ``work`` is done twice, since its threads may start with it; nothing else should be running meanwhile. Where the
    system cannot do this (Linux can), nothing happens.
    """
    if not hasattr(os, "sched_setaffinity") or not _TASKS.is_dir():
        return
    work()
    before = _processor_time()
    work()
    used = {thread: spent - before.get(thread, 0) for thread, spent in _processor_time().items()}
    busiest = sorted(used, key=lambda thread: -used[thread])[:threads]
    for thread, cores in zip(busiest, shares(threads, sorted(os.sched_getaffinity(0))), strict=False):
        with contextlib.suppress(OSError):  # Some sandboxes forbid it.
            os.sched_setaffinity(thread, cores)


def _processor_time() -> dict[int, int]:
    """Return the processor time of each thread of this process so far, nanoseconds."""
    times: dict[int, int] = {}
    for task in _TASKS.iterdir():
        try:
            times[int(task.name)] = int((task / "schedstat").read_text().split()[0])
        except (OSError, IndexError):
            continue  # A thread that has just ended, or a kernel without these statistics.
    return times
