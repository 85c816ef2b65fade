"""docs/telemetry.md is a reference: nothing that is measured is missing there."""

from prometheus_client import Counter, Gauge, Histogram

import asr.metrics
import asr.spans
import llm.metrics
import tts.metrics
import tts.tracing
from telemetry import gpu, metrics, names
from tests.telemetry.conftest import REPOSITORY

PAGE = (REPOSITORY / "docs" / "telemetry.md").read_text()


def test_every_span_attribute_and_event_is_there() -> None:
    """By its full name."""
    for constant, name in vars(names).items():
        if constant.isupper() and isinstance(name, str):
            assert f"`{name}`" in PAGE, name
    for name in (*names.CONTENT, *(named.name for named in (*names.FIGURES, *names.STAGES))):
        assert f"| `{name}` |" in PAGE, name


def test_every_metric_is_there() -> None:
    """With its labels, of every package."""
    modules = (metrics, asr.metrics, tts.metrics, llm.metrics)
    named = [value for module in modules for value in vars(module).values()]
    found = [value for value in named if isinstance(value, Counter | Gauge | Histogram)]
    for collector in [*found, *metrics.HISTOGRAMS.values()]:
        suffix = "_total" if isinstance(collector, Counter) else ""
        row = f"| `{collector._name}{suffix}` | {', '.join(collector._labelnames) or '-'} |"
        assert row in PAGE, row


def test_every_gauge_of_a_gpu_is_there() -> None:
    """They exist only where a GPU does, so they are named here."""
    for name in ("gpu_devices", *gpu.QUESTIONS):
        assert f"| `{name}` |" in PAGE, name


def test_attributes_of_the_servers_are_there() -> None:
    """What ear and mouth write on their own spans."""
    for module in (asr.spans, tts.tracing):
        for constant, name in vars(module).items():
            if constant.isupper() and isinstance(name, str) and "." in name:
                assert f"`{name}`" in PAGE, name
