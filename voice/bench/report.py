"""The table and the picture of a measurement."""

from pathlib import Path
from typing import Any

from rich.table import Table

from voice.bench.figures import percentile

SHARES = ("p50", "p90", "p95", "max")


def table(systems: dict[str, dict[str, Any]], ratio: dict[str, dict[str, float]], reference: str) -> Table:
    """Return one row a system."""
    rows = Table(title="voice to voice, milliseconds, measured by the caller", title_justify="left", box=None)
    for heading in ("system", "turns", "unanswered", *SHARES, f"p50 to {reference}", f"p95 to {reference}"):
        rows.add_column(heading, justify="left" if heading == "system" else "right")
    for name, figures in systems.items():
        heard = figures.get("voice_to_voice", {})
        shares = ratio.get(name, {})
        rows.add_row(
            name,
            str(figures["turns"]),
            str(figures["unanswered"]),
            *(f"{heard[share] * 1000:.0f}" if heard else "-" for share in SHARES),
            *(f"{shares[share]:.2f}x" if shares else "-" for share in ("p50", "p95")),
        )
    return rows


def watching_table(variants: dict[str, Any]) -> Table:
    """Return one row a variant of `offhook bench watching`, with 95 % intervals of what is more than without."""
    rows = Table(title="telemetry", title_justify="left", box=None)
    for heading in (
        "telemetry",
        "calls",
        "turns",
        "cpu s a call",
        "more cpu",
        "p50 ms",
        "more",
        "p95 ms",
        "more",
    ):
        rows.add_column(heading, justify="left" if heading == "telemetry" else "right")

    def spread(found: dict[str, float], scale: float, digits: int, unit: str) -> str:
        value, low, high = (f"{found[key] * scale:+.{digits}f}" for key in ("value", "low", "high"))
        return f"{value}{unit} ({low} to {high})"

    for name, found in variants.items():
        heard = found["voice_to_voice"]
        rows.add_row(
            name,
            str(found["calls"]),
            str(found["turns"]),
            f"{found['cpu_seconds_a_call']:.2f}",
            spread(found["more_cpu"], 100, 1, " %"),
            f"{heard['p50'] * 1000:.0f}",
            spread(found["more_p50"], 1000, 1, ""),
            f"{heard['p95'] * 1000:.0f}",
            spread(found["more_p95"], 1000, 1, ""),
        )
    return rows


def picture(systems: dict[str, dict[str, Any]], path: Path) -> None:
    """Draw the distribution of voice to voice, and where Offhook's time goes, as PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, figures in systems.items():
        values = figures["voice_to_voice_all"]
        if values:
            shares = [number / 100 for number in range(101)]
            left.plot([percentile(values, share) * 1000 for share in shares], shares, label=name)
    left.set_xlabel("voice to voice, ms")
    left.set_ylabel("share of turns")
    left.set_xlim(left=0)
    left.grid(alpha=0.3)
    left.legend()
    staged = {name: figures["stages"] for name, figures in systems.items() if "stages" in figures}
    for number, (name, stages) in enumerate(staged.items()):
        keys = list(stages)
        places = [place + 0.4 * number for place in range(len(keys))]
        right.barh(places, [stages[key]["p50"] * 1000 for key in keys], height=0.38, label=f"{name}, p50")
        right.set_yticks(places, [key.replace("_", " ") for key in keys])
    right.invert_yaxis()
    right.set_xlabel("ms")
    right.grid(alpha=0.3, axis="x")
    right.legend()
    figure.savefig(path, dpi=110)
