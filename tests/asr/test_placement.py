"""Threads that work together are given cores of their own."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.audio import SAMPLE_RATE
from asr.placement import shares, spread
from asr.settings import DecodeSettings
from asr.whisper import DecodeJob, Whisper
from modelstore import locate
from tests.asr.conftest import MODEL


@given(st.integers(1, 16), st.lists(st.integers(0, 300), unique=True, max_size=64))
def test_shares_are_disjoint_and_nearly_equal(threads: int, cores: list[int]) -> None:
    """Every core is in one share; with fewer cores than threads there are no shares."""
    found = shares(threads, cores)
    if len(cores) < threads:
        assert found == []
        return
    assert len(found) == threads
    assert sorted(core for share in found for core in share) == sorted(cores)
    assert max(map(len, found)) - min(map(len, found)) <= 1


@pytest.fixture
def two_threads() -> Whisper:
    """Return a model that decodes with two threads."""
    return Whisper(locate(MODEL), device="cpu", compute_type="int8", cpu_threads=2, settings=DecodeSettings())


def bound() -> dict[int, set[int]]:
    """Return the cores that each thread of this process may use."""
    return {
        int(task.name): os.sched_getaffinity(int(task.name)) for task in Path("/proc/self/task").iterdir()
    }


def test_the_threads_of_a_decode_do_not_meet(two_threads: Whisper) -> None:
    """Two threads of the process are bound, each to its share of the cores; the others stay as they were."""
    everywhere = os.sched_getaffinity(0)
    job = DecodeJob(np.zeros(SAMPLE_RATE, np.float32))
    two_threads.decode([job])
    # OpenMP gives the threads of a model that is gone, bound as they were, to the next.
    for thread in bound():
        os.sched_setaffinity(thread, everywhere)
    spread(lambda: two_threads.decode([job]), 2)
    moved = [sorted(cores) for cores in bound().values() if cores != everywhere]
    assert sorted(moved) == sorted(map(sorted, shares(2, sorted(everywhere))))
