"""A real Prometheus for a while, and what is asked of it."""

import contextlib
import json
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import uvicorn

from serving.ports import free_port
from tests.telemetry.conftest import tool

#: Long enough for a loaded machine; nothing here waits that long where all is well.
PATIENCE_SECONDS = 60.0


@contextlib.contextmanager
def serving(config: uvicorn.Config) -> Iterator[None]:
    """Run a server in the background."""
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started, "a server that listens")
    yield
    server.should_exit = True
    thread.join(10)


class Watch:
    """A running Prometheus."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str, **parameters: str) -> Any:
        """Ask Prometheus's API."""
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=10) as response:
            return json.load(response)["data"]

    def query(self, expression: str) -> list[Any]:
        """Return the result of an instant query."""
        result: list[Any] = self.get("query", query=expression)["result"]
        return result


def until(true: Callable[[], Any], what: str) -> None:
    """Wait for something."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        with contextlib.suppress(OSError):
            if true():
                return
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.2)


@contextlib.contextmanager
def process(*command: str, log: Path) -> Iterator[None]:
    """Run a program in the background."""
    with log.open("w") as output:
        running = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        yield
    finally:
        running.terminate()
        running.wait(10)


@contextlib.contextmanager
def prometheus(folder: Path) -> Iterator[Watch]:
    """Run Prometheus on the ``prometheus.yml`` in ``folder``."""
    port = free_port()
    with process(
        tool("prometheus"), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}", "--enable-feature=exemplar-storage",
        log=folder / "prometheus.log",
    ):  # fmt: skip
        yield Watch(f"http://127.0.0.1:{port}")
