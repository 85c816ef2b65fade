"""docs/telemetry.md is a reference: nothing that is measured is missing there."""

from prometheus_client import Counter, Gauge, Histogram

from telemetry import metrics, names
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
    """With its labels."""
    found = [value for value in vars(metrics).values() if isinstance(value, Counter | Gauge | Histogram)]
    for collector in [*found, *metrics.HISTOGRAMS.values()]:
        suffix = "_total" if isinstance(collector, Counter) else ""
        assert isinstance(collector, Counter | Gauge | Histogram)
        row = f"| `{collector._name}{suffix}` | {', '.join(collector._labelnames) or '-'} |"
        assert row in PAGE, row
