"""A local store of the last calls' spans: SQLite, bounded by age and size.

Every process of the stack exports into the same file, so that ``offhook trace`` shows whole traces without
any collector. Writing happens on the batch processor's thread, never on a call's path.
"""

import fcntl
import json
import re
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import format_span_id, format_trace_id

from telemetry.names import SPAN_CALL

#: Raised whenever the tables change.
SCHEMA_VERSION = 3
_SCHEMA = (
    """CREATE TABLE spans (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    trace_id TEXT NOT NULL, span_id TEXT NOT NULL, parent_id TEXT, service TEXT NOT NULL, name TEXT NOT NULL,
    start REAL NOT NULL, finish REAL NOT NULL, attributes TEXT NOT NULL, events TEXT NOT NULL,
    links TEXT NOT NULL, UNIQUE (trace_id, span_id)
)""",
    "CREATE INDEX spans_finish ON spans (finish)",
    "CREATE INDEX spans_name_start ON spans (name, start)",
)
#: What `trace` takes: a trace id or the beginning of one.
TRACE_ID = re.compile(r"[0-9a-f]{4,32}")
_COLUMNS = "trace_id, span_id, parent_id, service, name, start, finish, attributes, events, links"
#: How long spans are kept, and how large the file may become: long enough for a promise over 30 days.
MAX_AGE_SECONDS = 31 * 24 * 3600.0
MAX_BYTES = 256 << 20
#: How long a writer waits for another process's write, seconds.
LOCK_TIMEOUT_SECONDS = 5.0
#: Share of the oldest spans that goes when the file has outgrown its bound.
SHRINK_SHARE = 0.25


@dataclass(frozen=True)
class StoredSpan:
    """One span as it was stored; ``start`` and ``finish`` are seconds since the epoch.

    ``links`` are the ids of spans of the same trace.
    """

    trace_id: str
    span_id: str
    parent_id: str | None
    service: str
    name: str
    start: float
    finish: float
    attributes: dict[str, Any]
    events: list[dict[str, Any]]
    links: list[str]


class SpanStore:
    """The spans of the last calls.

    Args:
        path: the SQLite file; made, with its directory, when first written.
        max_age_seconds: spans older than this are deleted.
        max_bytes: above this size of the file the oldest spans are deleted.

    A file of another version's schema is begun anew: it holds nothing but the last days' measurements.

    """

    def __init__(
        self, path: Path, *, max_age_seconds: float = MAX_AGE_SECONDS, max_bytes: int = MAX_BYTES
    ) -> None:
        self.path = path
        self._max_age_seconds = max_age_seconds
        self._max_bytes = max_bytes

    def add(self, spans: Sequence[StoredSpan], *, now: float) -> None:
        """Store ``spans`` and delete what has become too old or too much."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        rows = [
            (s.trace_id, s.span_id, s.parent_id, s.service, s.name, s.start, s.finish,
             json.dumps(s.attributes), json.dumps(s.events), json.dumps(s.links))
            for s in spans
        ]  # fmt: skip
        with self._connect() as db:
            _prepare(db, self.path)
            db.executemany(f"INSERT OR REPLACE INTO spans ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?)", rows)  # noqa: S608
            db.execute("DELETE FROM spans WHERE finish < ?", (now - self._max_age_seconds,))
            self._shrink(db)

    def file_number(self) -> int:
        """Return what tells one file from another that took its place; 0 where there is none."""
        try:
            return self.path.stat().st_ino
        except OSError:
            return 0

    def trace(self, trace_id: str) -> list[StoredSpan]:
        """Return the spans of a trace, oldest first; ``trace_id`` may be a beginning of it, at least 4 digits.

        A beginning that several traces share returns the spans of all of them.
        """
        if not TRACE_ID.fullmatch(trace_id.lower()):
            return []
        beginning = trace_id.lower()
        return self._select(
            "WHERE trace_id >= ? AND trace_id < ? ORDER BY start", (beginning, beginning + "g")
        )

    def calls(self, limit: int) -> list[StoredSpan]:
        """Return the spans of the last calls, newest first."""
        return self._select("WHERE name = ? ORDER BY start DESC LIMIT ?", (SPAN_CALL, limit))

    def since(self, name: str, start: float) -> list[StoredSpan]:
        """Return the spans called ``name`` that began at ``start`` (seconds since the epoch) or later."""
        return self._select("WHERE name = ? AND start >= ? ORDER BY start", (name, start))

    def after(self, number: int, names: Sequence[str], limit: int) -> tuple[list[StoredSpan], int]:
        """Return spans of these names that were stored after the one with ``number``, and the last one's number.

        At most ``limit``, the newest of them, in the order in which they were stored.
        """
        if not self.path.exists():
            return [], 0
        wanted = ", ".join("?" * len(names))
        with self._connect() as db:
            if _version(db) != SCHEMA_VERSION:
                return [], 0
            rows = db.execute(
                f"SELECT {_COLUMNS}, number FROM spans WHERE number > ? AND name IN ({wanted})"  # noqa: S608
                " ORDER BY number DESC LIMIT ?",
                (number, *names, limit),
            ).fetchall()
        rows.reverse()
        return [_read(row[:-1]) for row in rows], rows[-1][-1] if rows else number

    def _select(self, where: str, values: tuple[Any, ...]) -> list[StoredSpan]:
        if not self.path.exists():
            return []
        with self._connect() as db:
            if _version(db) != SCHEMA_VERSION:
                return []
            rows = db.execute(f"SELECT {_COLUMNS} FROM spans {where}", values).fetchall()  # noqa: S608 - constants
        return [_read(row) for row in rows]

    def _shrink(self, db: sqlite3.Connection) -> None:
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        (free,) = db.execute("PRAGMA freelist_count").fetchone()
        (page_bytes,) = db.execute("PRAGMA page_size").fetchone()
        if (pages - free) * page_bytes <= self._max_bytes:
            return
        (count,) = db.execute("SELECT count(*) FROM spans").fetchone()
        oldest = "SELECT finish FROM spans ORDER BY finish LIMIT 1 OFFSET ?"
        db.execute(f"DELETE FROM spans WHERE finish <= ({oldest})", (int(count * SHRINK_SHARE),))  # noqa: S608

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=LOCK_TIMEOUT_SECONDS)) as db, db:
            db.execute("PRAGMA synchronous=NORMAL")
            yield db


class SpanStoreExporter(SpanExporter):
    """Export spans into a :class:`SpanStore`."""

    def __init__(self, store: SpanStore) -> None:
        self._store = store

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Store ``spans``; a store that cannot be written costs the spans, never the call."""
        try:
            self._store.add([_stored(span) for span in spans], now=time.time())
        except (OSError, sqlite3.Error):
            return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    """Make the tables, once; writers that come at the same moment wait for the first."""
    if _version(db) == SCHEMA_VERSION:
        return
    # SQLite's own lock does not cover the change to a write-ahead log.
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _version(db) == SCHEMA_VERSION:
            return
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("DROP TABLE IF EXISTS spans")
        for statement in _SCHEMA:
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        db.commit()


def _read(row: tuple[Any, ...]) -> StoredSpan:
    trace_id, span_id, parent_id, service, name, start, finish, attributes, events, links = row
    return StoredSpan(
        trace_id, span_id, parent_id, service, name, start, finish,
        json.loads(attributes), json.loads(events), json.loads(links),
    )  # fmt: skip


def _stored(span: ReadableSpan) -> StoredSpan:
    context = span.get_span_context()
    assert context is not None
    assert span.start_time is not None
    assert span.end_time is not None
    return StoredSpan(
        trace_id=format_trace_id(context.trace_id),
        span_id=format_span_id(context.span_id),
        parent_id=format_span_id(span.parent.span_id) if span.parent else None,
        service=str(span.resource.attributes.get("service.name", "")),
        name=span.name,
        start=span.start_time / 1e9,
        finish=span.end_time / 1e9,
        attributes=dict(span.attributes or {}),
        events=[
            {"name": event.name, "at": event.timestamp / 1e9, "attributes": dict(event.attributes or {})}
            for event in span.events
        ],
        links=[format_span_id(link.context.span_id) for link in span.links],
    )
