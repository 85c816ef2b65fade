"""Directories of models and of what is derived from them."""

from pathlib import Path

import pytest

from modelstore import ModelMissingError, derived, locate, models_dir
from tests.modelstore.conftest import leftovers, python

REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def small() -> Path:
    """A pulled model."""
    folder = models_dir() / "small"
    folder.mkdir(parents=True)
    return folder


def test_a_pulled_model_is_found(small: Path) -> None:
    """By its name."""
    assert locate("small") == small


def test_a_missing_model_says_what_to_do() -> None:
    """The error names the model, the place, and the command."""
    with pytest.raises(
        ModelMissingError, match=r"model 'small' is not in .*models; run `offhook models pull small`"
    ):
        locate("small")


def test_a_name_with_a_slash_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of the user's own, directory or file, absolute or below the home directory."""
    (tmp_path / "own.gguf").write_bytes(b"")
    assert locate(str(tmp_path / "own.gguf")) == tmp_path / "own.gguf"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert locate("~/own.gguf") == tmp_path / "own.gguf"
    with pytest.raises(ModelMissingError, match="no such path"):
        locate(str(tmp_path / "other"))


def test_a_hub_model_is_found_by_its_pinned_name() -> None:
    """hf: names lie under owner--name@revision."""
    name = f"hf:owner/name@{REVISION}"
    with pytest.raises(ModelMissingError, match=f"run `offhook models pull {name}`"):
        locate(name)
    folder = models_dir() / f"owner--name@{REVISION}"
    folder.mkdir(parents=True)
    assert locate(name) == folder


def test_derived_is_made_once(small: Path) -> None:
    """The second time nothing is made."""
    made = []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "x").write_text("x")

    assert derived("small", "key", make) == derived("small", "key", make) == small / "derived" / "key"
    assert len(made) == 1


def test_what_fails_leaves_nothing(small: Path) -> None:
    """A maker that fails leaves no directory, and may try again."""

    def fail(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        derived("small", "key", fail)
    assert leftovers(small) == ["derived"]
    assert derived("small", "key", lambda folder: None).is_dir()


def test_two_processes_make_it_once(small: Path, tmp_path: Path) -> None:
    """Both get the directory; one of them made it."""
    script = f"""
import os, pathlib, time
from modelstore import derived
def make(folder):
    with open({str(tmp_path / "made")!r}, "a") as file:
        file.write("made\\n")
    (folder / "half").write_text("")
    time.sleep(0.5)
    (folder / "half").rename(folder / "whole")
print(sorted(os.listdir(derived("small", "key", make))))
"""
    processes = [python(script) for _ in range(2)]
    assert [process.communicate(timeout=60)[0].strip() for process in processes] == ["['whole']"] * 2
    assert (tmp_path / "made").read_text() == "made\n"


def test_of_a_missing_model_nothing_is_derived() -> None:
    """The model itself must be there."""
    with pytest.raises(ModelMissingError):
        derived("small", "key", lambda folder: None)
