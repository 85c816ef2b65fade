"""Objectives: the file, and what is said of a wrong one."""

from pathlib import Path

import pytest

from telemetry.errors import ObjectivesError
from telemetry.generate import generated
from telemetry.slo import load_objectives
from tests.telemetry.conftest import REPOSITORY

GOOD = '[objectives.fast]\ntitle = "Fast"\nobjective = 0.95\nfigure = "voice_to_voice"\nunder_seconds = 0.8\n'


def load(tmp_path: Path, text: str) -> object:
    """Load objectives from a text."""
    (tmp_path / "slos.toml").write_text(text)
    return load_objectives(str(tmp_path / "slos.toml"))


def test_the_shipped_objectives_are_sound() -> None:
    """They load, and promise what the project's first page does."""
    shipped = load_objectives().objectives
    assert shipped["voice-to-voice"].under_seconds == 0.8
    assert shipped["calls-without-fault"].objective == 0.9999


def test_what_is_checked_in_is_current() -> None:
    """Every generated file below deploy/ is what `offhook slo generate` writes today."""
    for name, text in generated(load_objectives()).items():
        assert (REPOSITORY / "deploy" / name).read_text() == text, (
            f"run `offhook slo generate`: {name} is stale"
        )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("0.95", "1.5"), "objectives.fast.objective: Input should be less than 1"),
        (("0.8", "0.82"), "under_seconds is one of 0.01, 0.025"),
        (("voice_to_voice", "speed"), "figure is one of end_of_turn_delay"),
        (('figure = "voice_to_voice"\n', ""), "give either figure and under_seconds, or events"),
        (("title", "titel"), "objectives.fast.titel: Extra inputs are not permitted"),
        (("[objectives.fast]", "[objectives.FAST]"), "objectives.FAST"),
        ((GOOD, ""), "objectives: Field required"),
        ((GOOD, "[objectives"), "cannot be read"),
    ],
)
def test_a_wrong_file_is_one_clear_line(tmp_path: Path, change: tuple[str, str], expected: str) -> None:
    """The error names the file, the key and what is allowed."""
    with pytest.raises(ObjectivesError) as error:
        load(tmp_path, GOOD.replace(*change))
    assert expected in str(error.value)
    assert "slos.toml: " in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file(tmp_path: Path) -> None:
    """A path that names nothing is told as such."""
    with pytest.raises(ObjectivesError, match=r"none\.toml: cannot be read: .*No such file"):
        load_objectives(str(tmp_path / "none.toml"))
