"""The picture of a measurement: how voice to voice is distributed, and where a turn's time goes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from voice.bench.figures import percentile
from voice.caller.report import STAGES

MILLISECONDS = 1000


def draw(systems: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Draw the distribution beside the waterfall of the median turn, as PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, figures in systems.items():
        if values := figures["voice_to_voice_all"]:
            shares = [number / 100 for number in range(101)]
            left.plot([percentile(values, share) * MILLISECONDS for share in shares], shares, label=name)
    left.set_title("voice to voice, as the caller hears it")
    left.set_xlabel("milliseconds")
    left.set_ylabel("share of turns")
    left.set_xlim(left=0)
    left.grid(alpha=0.3)
    left.legend()
    _waterfall(right, systems)
    figure.savefig(path, dpi=110)


def _waterfall(axes: Any, systems: Mapping[str, Mapping[str, Any]]) -> None:
    told = {name: figures["moments"] for name, figures in systems.items() if figures.get("moments")}
    labels = []
    for number, (name, moments) in enumerate(told.items()):
        for place, (label, start, end) in enumerate(STAGES):
            row = number * (len(STAGES) + 1) + place
            labels.append((row, f"{label} ({name})" if len(told) > 1 else label))
            if start in moments and end in moments:
                began = moments[start] * MILLISECONDS
                axes.barh(row, moments[end] * MILLISECONDS - began, left=began, color=f"C{number}")
    axes.set_yticks([row for row, _ in labels], [label for _, label in labels], fontsize=7)
    axes.invert_yaxis()
    axes.set_title("the median turn, after the caller's last sound")
    axes.set_xlabel("milliseconds")
    axes.grid(alpha=0.3, axis="x")
