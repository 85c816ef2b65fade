"""Threads that leave the processor to those whose work a caller waits for, where there is not enough for both.

On Linux every thread has a niceness of its own (``setpriority(2)``); anybody may raise it, and nobody lower it.
"""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_TASKS = Path("/proc/self/task")


def give_way(niceness: int) -> None:
    """Raise the niceness of this thread by ``niceness``."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), os.nice(0) + niceness)


def giving_way(load: Callable[[], T], niceness: int) -> T:
    """Return what ``load`` returns; the threads that it has begun are nicer by ``niceness`` from now on.

    No other thread of this process may begin threads meanwhile. Where threads have no niceness of their own, nothing
    happens to them.
    """
    before = _threads()
    loaded = load()
    for thread in _threads() - before:
        os.setpriority(os.PRIO_PROCESS, thread, os.nice(0) + niceness)
    return loaded


def _threads() -> set[int]:
    return {int(task.name) for task in _TASKS.iterdir()} if _TASKS.is_dir() else set()
