"""Directories of pulled models and of what is derived from them.

``$OFFHOOK_MODELS_DIR`` or ``./.models`` holds one directory a model. A directory that exists is complete:
it is filled beside its place and renamed into it.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from modelstore.errors import ModelMissingError

MODELS_VARIABLE = "OFFHOOK_MODELS_DIR"
HUB_PREFIX = "hf:"


def models_dir() -> Path:
    """Return the directory of the store (absolute, not necessarily existing)."""
    return Path(os.environ.get(MODELS_VARIABLE) or ".models").absolute()


def locate(name: str) -> Path:
    """Return the directory of model ``name``; a name with a slash is a path of the user's own.

    Raises:
        ModelMissingError: it is not there.

    """
    if name.startswith(HUB_PREFIX):
        path = models_dir() / hub_directory(name)
        if path.is_dir():
            return path
        raise ModelMissingError(f"model {name!r} is not in {models_dir()}; run `offhook models pull {name}`")
    if "/" in name:
        path = Path(name).expanduser().absolute()
        if path.exists():
            return path
        raise ModelMissingError(f"model {name!r}: no such path")
    path = models_dir() / name
    if path.is_dir():
        return path
    raise ModelMissingError(f"model {name!r} is not in {models_dir()}; run `offhook models pull {name}`")


def hub_directory(name: str) -> str:
    """Return the directory name in the store of ``hf:OWNER/NAME@REVISION``."""
    return name.removeprefix(HUB_PREFIX).replace("/", "--")


def derived(name: str, key: str, make: Callable[[Path], None]) -> Path:
    """Return the directory ``key`` derived from model ``name``, making it once.

    ``make`` fills an empty temporary directory, which is then renamed into place, so that a crash leaves
    nothing half made. Two processes that ask at once make it once.

    Raises:
        ModelMissingError: the model itself is not there.

    """
    parent = locate(name)
    folder = (parent if parent.is_dir() else parent.parent) / "derived"
    target = folder / key
    if target.is_dir():
        return target
    folder.mkdir(exist_ok=True)
    with lock(folder / f".{key}.lock"):
        if not target.is_dir():
            install(target, make)
    return target


def install(target: Path, make: Callable[[Path], None]) -> None:
    """Let ``make`` fill a temporary directory beside ``target`` and rename it into place.

    The caller holds a lock on ``target``, so that what a killed process left behind can be removed here.
    """
    temporary = target.parent / f".{target.name}.partial"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        make(temporary)
        temporary.rename(target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold an advisory lock on ``path`` against other processes."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
