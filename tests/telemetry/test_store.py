"""The local store: bounded, shared by processes, found by the beginning of a trace id."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from telemetry import names
from telemetry.store import SpanStore, SpanStoreExporter
from tests.telemetry.conftest import REPOSITORY, span


def test_what_goes_in_comes_out(store: SpanStore) -> None:
    """Every field of a span survives."""
    original = span(
        number=7, parent="f" * 16, events=[{"name": "x", "at": 100.5, "attributes": {}}], a__b=1.5
    )
    store.add([original], now=101.0)
    assert store.trace("a" * 32) == [original]


def test_an_empty_store_has_nothing(store: SpanStore) -> None:
    """No file yet: no calls, no trace, and none is made by asking."""
    assert store.calls(5) == []
    assert store.trace("abcd") == []
    assert not store.path.exists()


def test_a_trace_is_found_by_its_beginning(store: SpanStore) -> None:
    """A beginning finds the trace, in either case; one that two traces share finds both."""
    store.add([span("abcd1" + "0" * 27), span("abcd2" + "0" * 27, 1), span("f" * 32, 2)], now=101.0)
    assert {found.trace_id[:5] for found in store.trace("ABCD1")} == {"abcd1"}
    assert {found.trace_id[:5] for found in store.trace("abcd")} == {"abcd1", "abcd2"}
    assert len(store.trace("f" * 32)) == 1


@pytest.mark.parametrize("beginning", ["", "abc", "%", "____", "zzzz", "a' OR 1=1", "a" * 33])
def test_what_is_no_beginning_finds_nothing(store: SpanStore, beginning: str) -> None:
    """Wildcards, too few digits and other things are no trace."""
    store.add([span()], now=101.0)
    assert store.trace(beginning) == []


def test_calls_are_the_newest_first(store: SpanStore) -> None:
    """Only call spans, newest first, as many as asked for."""
    spans = [span(f"{number:032x}", number, start=float(number)) for number in range(10)]
    store.add([*spans, span("e" * 32, 99, name=names.SPAN_TURN, start=50.0)], now=20.0)
    assert [call.start for call in store.calls(3)] == [9.0, 8.0, 7.0]
    assert [call.start for call in store.since(names.SPAN_CALL, 8.0)] == [8.0, 9.0]


def test_old_spans_go(tmp_path: Path) -> None:
    """What is older than the bound is deleted by the next write."""
    store = SpanStore(tmp_path / "s", max_age_seconds=60.0)
    store.add([span(number=1, start=0.0)], now=10.0)
    store.add([span("b" * 32, 2, start=70.0)], now=71.0)
    assert [found.trace_id[0] for found in store.calls(5)] == ["b"]


def test_the_file_is_bounded(tmp_path: Path) -> None:
    """However much is written, the file keeps its size, and the newest spans."""
    limit = 256 << 10
    store = SpanStore(tmp_path / "s", max_bytes=limit)
    for batch in range(40):
        spans = [span(f"{batch * 50 + n:032x}", n, start=100.0 + batch, filler="x" * 500) for n in range(50)]
        store.add(spans, now=101.0 + batch)
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert size < 2 * limit
    kept = store.calls(1000)
    assert 100 < len(kept) < 1000
    assert kept[0].start == 139.0


def test_processes_write_at_once(store: SpanStore) -> None:
    """Four processes that begin with no file lose nothing."""
    script = """
import sys
from telemetry.store import SpanStore
from tests.telemetry.conftest import span
from pathlib import Path
store, writer = SpanStore(Path(sys.argv[1])), int(sys.argv[2])
for number in range(25):
    store.add([span(f"{writer:032x}", number)], now=101.0)
"""
    command = [sys.executable, "-c", script, str(store.path)]
    writers = [subprocess.Popen([*command, str(writer)], cwd=REPOSITORY) for writer in range(4)]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    assert [len(store.trace(f"{writer:032x}")) for writer in range(4)] == [25] * 4


def test_a_file_of_another_version_is_begun_anew(store: SpanStore) -> None:
    """Tables of another version are replaced by the first write, and hold nothing until then."""
    with sqlite3.connect(store.path) as old:
        old.execute("CREATE TABLE spans (x)")
    assert store.calls(5) == []
    store.add([span()], now=101.0)
    assert len(store.calls(5)) == 1


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_store_that_cannot_be_written_costs_only_spans(tmp_path: Path) -> None:
    """A file where the directory should be: the export fails, nothing is raised."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExportResult

    (tmp_path / "file").write_text("")
    exporter = SpanStoreExporter(SpanStore(tmp_path / "file" / "calls.sqlite"))
    with TracerProvider().get_tracer("test").start_as_current_span("x") as made:
        pass
    assert exporter.export([made]) is SpanExportResult.FAILURE  # type: ignore[list-item]
