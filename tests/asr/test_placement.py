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


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core cannot be shared out")
def test_the_threads_of_a_decode_do_not_meet(two_threads: Whisper) -> None:
    """Two threads of the process are bound, to cores that the other may not use; the others stay free."""
    everywhere = os.sched_getaffinity(0)
    job = DecodeJob(np.zeros(SAMPLE_RATE, np.float32))
    spread(lambda: two_threads.decode([job]), 2)
    masks = [os.sched_getaffinity(int(task.name)) for task in Path("/proc/self/task").iterdir()]
    first, second = (mask for mask in masks if mask != everywhere)
    assert first.isdisjoint(second)
    assert first | second == everywhere
    assert os.sched_getaffinity(0) == everywhere
