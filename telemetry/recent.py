"""The last calls in memory, for pages that are looked at live: only what is new is read from the store."""

import threading
from dataclasses import replace

from telemetry import names
from telemetry.report import Calls
from telemetry.store import SpanStore, StoredSpan

#: Spans kept in memory, about 1 KiB each; older ones are not on the page.
MAX_SPANS = 20_000
READ = (names.SPAN_CALL, names.SPAN_TURN, names.SPAN_LLM)


class RecentCalls:
    """Calls, turns and answers of a store; thread-safe.

    Args:
        store: where they are.
        max_spans: how many of their spans are kept.

    """

    def __init__(self, store: SpanStore, *, max_spans: int = MAX_SPANS) -> None:
        self._store = store
        self._max_spans = max_spans
        self._lock = threading.Lock()
        self._file = 0
        self._number = 0
        self._spans: dict[tuple[str, str], StoredSpan] = {}

    def since(self, start: float) -> Calls:
        """Return the calls that began at ``start`` (seconds since the epoch) or later."""
        with self._lock:
            self._read()
            spans = [span for span in self._spans.values() if span.start >= start]
        return Calls(
            [span for span in spans if span.name == names.SPAN_CALL],
            [span for span in spans if span.name == names.SPAN_TURN],
            [span for span in spans if span.name == names.SPAN_LLM],
        )

    def _read(self) -> None:
        file = self._store.file_number()
        if file != self._file:
            self._file, self._number, self._spans = file, 0, {}
        new, self._number = self._store.after(self._number, READ, self._max_spans)
        for span in new:
            self._spans[span.trace_id, span.span_id] = _slim(span)
        for key in list(self._spans)[: max(0, len(self._spans) - self._max_spans)]:
            del self._spans[key]


def _slim(span: StoredSpan) -> StoredSpan:
    """Return ``span`` without what was said in it."""
    kept = {name: value for name, value in span.attributes.items() if name not in names.CONTENT}
    return replace(span, attributes=kept, events=[], links=[])
