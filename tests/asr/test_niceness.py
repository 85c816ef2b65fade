"""Threads give way."""

import os
import threading
from collections.abc import Iterator

import pytest

from asr.niceness import give_way, giving_way


class Waiting:
    """A thread that does nothing until it is let go."""

    def __init__(self) -> None:
        self._gone = threading.Event()
        self.thread = threading.Thread(target=self._gone.wait)
        self.thread.start()

    @property
    def niceness(self) -> int:
        """Its niceness."""
        assert self.thread.native_id is not None
        return os.getpriority(os.PRIO_PROCESS, self.thread.native_id)

    def end(self) -> None:
        """Let it go."""
        self._gone.set()
        self.thread.join()


@pytest.fixture
def waiting() -> Iterator[list[Waiting]]:
    """Return where threads are kept that the test begins."""
    threads: list[Waiting] = []
    yield threads
    for thread in threads:
        thread.end()


def test_threads_begun_meanwhile_are_nicer(waiting: list[Waiting]) -> None:
    """Those of the loaded give way; those before and after, and the one that loads, do not."""

    def load() -> str:
        waiting.append(Waiting())
        return "loaded"

    load()
    assert giving_way(load, 7) == "loaded"
    load()
    own = os.nice(0)
    assert [thread.niceness for thread in waiting] == [own, own + 7, own]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == own


def test_a_thread_gives_way_itself() -> None:
    """Its niceness rises; that of the process does not."""
    before, found = os.nice(0), []

    def work() -> None:
        give_way(3)
        found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [before + 3]
    assert os.nice(0) == before
