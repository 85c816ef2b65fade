"""Real engines for the tests: the embedded one, and vLLM on processors where its environment has been built."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from llm.engine import LaunchSpec, launch_specs
from llm.profile import load_profile, parse_profile
from llm.readiness import wait_ready
from llm.replica import Replica
from llm.settings import LLMSettings
from llm.testing import vllm_profile
from llm.testing.vllm_env import python_of
from modelstore import ModelMissingError, locate
from serving.ports import free_port

KEY = "test-key"
MODEL = "smollm2-135m-instruct"
#: The embedded profile with weights in float32: what it says does not depend on how its work is batched.
EXACT = {"engine": "llamacpp", "name": "exact", "model": MODEL, "precision": "f32", "context_tokens": 1024}

#: The worker runs in the engine's own process: each process that imports vLLM takes 15 s of a core, and without this
#: there are three an engine.
ONE_PROCESS_LESS = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0"}


@contextmanager
def running(*specs: LaunchSpec, log: Path | None = None) -> Iterator["list[subprocess.Popen[bytes]]"]:
    """Run the engines of ``specs``, all ready, for the length of the block; each leads a process group."""
    output = log.open("ab") if log else None
    processes = [
        subprocess.Popen(
            spec.argv, env={**os.environ, **spec.env}, stdout=output, stderr=output, start_new_session=True
        )
        for spec in specs
    ]

    async def all_ready() -> None:
        async with asyncio.TaskGroup() as group:
            for spec in specs:
                group.create_task(wait_ready(spec, api_key=KEY))

    try:
        asyncio.run(all_ready())
        yield processes
    except BaseException:
        if log:
            print(log.read_text()[-3000:])
        raise
    finally:
        for process in processes:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def specs_of(table: dict[str, Any], **settings: Any) -> tuple[LaunchSpec, ...]:
    """Return the engines of a profile given as a table, at a free port."""
    return launch_specs(
        parse_profile(table, shown="test"), LLMSettings(port=free_port(), api_key=KEY, **settings)
    )


def replica_of(spec: LaunchSpec, **more: Any) -> Replica:
    """Return the engine as the client sees it."""
    return Replica(spec.base_url, spec.model, KEY, **more)


@pytest.fixture(scope="session")
def embedded_model() -> None:
    """Fail early, saying what to do, where the model has not been pulled."""
    try:
        locate(MODEL)
    except ModelMissingError as error:
        pytest.fail(str(error))


@pytest.fixture(scope="session")
def embedded(embedded_model: None) -> Iterator[LaunchSpec]:
    """The embedded profile's engine, ready."""
    (spec,) = launch_specs(load_profile("embedded"), LLMSettings(port=free_port(), api_key=KEY))
    with running(spec):
        yield spec


@pytest.fixture
def replica(embedded: LaunchSpec) -> Replica:
    """The embedded engine as the client sees it."""
    return replica_of(embedded)


@pytest.fixture(scope="session")
def vllm_python() -> str:
    """The interpreter that has vLLM."""
    python = python_of()
    if not python.exists():
        pytest.skip("no vLLM here; build its environment with `python -m llm.testing.vllm_env`")
    return str(python)


@pytest.fixture(scope="session")
def hf_weights(vllm_python: str, embedded_model: None) -> Path:
    """The embedded model and random speculative heads for it, as vLLM loads them."""
    return vllm_profile.weights()


@pytest.fixture(scope="session")
def vllm_table(hf_weights: Path) -> dict[str, Any]:
    """A vLLM profile of the embedded model on one processor."""
    return {"name": "vllm-cpu", **vllm_profile.profile(hf_weights), "environment": ONE_PROCESS_LESS}


class Collector(ThreadingHTTPServer):
    """An OTLP endpoint that keeps what it is sent."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        super().__init__(("127.0.0.1", 0), _Take)

    @property
    def url(self) -> str:
        """Where spans are sent."""
        return f"http://127.0.0.1:{self.server_port}/v1/traces"


class _Take(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        """Keep the body."""
        self.server.bodies.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    """A collector the engine sends its spans to."""
    with Collector() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="session")
def vllm_engine(
    vllm_table: dict[str, Any],
    vllm_python: str,
    collector: Collector,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[LaunchSpec, int]]:
    """A vLLM without speculation, with room for an adapter and a parser of tool calls, and its process group."""
    more = {
        "resident_adapters": 1,
        "tool_parser": "hermes",
        # In as many processes as a user's.
        "environment": {"OTEL_BSP_SCHEDULE_DELAY": "100"},
    }
    table = {**vllm_table, **more}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", collector.url)
        (spec,) = specs_of(table, engine_python=vllm_python)
    with running(spec, log=tmp_path_factory.mktemp("vllm") / "engine.log") as (process,):
        yield spec, process.pid


@pytest.fixture(scope="session")
def vllm_serving(vllm_engine: tuple[LaunchSpec, int]) -> LaunchSpec:
    """The same, for tests that only ask it."""
    return vllm_engine[0]
