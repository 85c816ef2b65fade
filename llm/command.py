"""A command line with its environment, and the place it runs in."""

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from modelstore import ModelMissingError, locate

HUB_PREFIX = "hf:"


@dataclass(frozen=True)
class Command:
    """What starts one engine process: its arguments, and what is added to the environment."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return a line to paste into a shell; secrets are not part of it."""
        return shlex.join([*(f"{key}={value}" for key, value in self.env.items()), *self.argv])


@dataclass(frozen=True)
class Place:
    """Where an engine runs.

    Attributes:
        host: address it binds.
        port: port it binds.
        python: interpreter it is installed in.
        traces_url: where it sends its own spans, as OTLP over HTTP; empty for nowhere.

    """

    host: str = "127.0.0.1"
    port: int = 8083
    python: str = sys.executable
    traces_url: str = ""


def model_path(name: str) -> str:
    """Return what an engine loads for ``name``: the store's directory where it has one, else the hub name."""
    try:
        return str(locate(name))
    except ModelMissingError:
        return name.removeprefix(HUB_PREFIX).partition("@")[0]
