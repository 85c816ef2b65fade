"""The systems that are measured side by side: Offhook, Offhook without speculation, a stock pipecat bot.

All share one ear, mind and mouth process where they can, so that they differ in nothing but themselves.
"""

import contextlib
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import tomli_w

from llm.profile import load_profile
from orchestration.agent import Agent, load_agent
from orchestration.settings import Configuration
from orchestration.stack import stack_specs, wait_http_ready
from orchestration.supervisor import ServerSpec
from voice.up import running_servers

OFFHOOK = "offhook"
WITHOUT_SPECULATION = "offhook, no speculation"
STOCK = "stock pipecat"
SYSTEMS = (OFFHOOK, WITHOUT_SPECULATION, STOCK)


@dataclass(frozen=True)
class System:
    """One system under measurement.

    Attributes:
        name: as it stands in the table.
        base_url: HTTP base URL of its gateway.
        tells: whether it says what it heard and answered (``/api/calls``).

    """

    name: str
    base_url: str
    tells: bool


@contextlib.asynccontextmanager
async def running_systems(
    configuration: Configuration, names: Sequence[str], report: Callable[[str], None]
) -> AsyncIterator[list[System]]:
    """Start the stack and the named peers beside it; yield them once they are ready.

    Raises:
        StackError: one of them did not start.

    """
    agent = load_agent(configuration.gateway.agent)
    specs = [_without_cache(spec) for spec in stack_specs(configuration)]
    systems = [System(OFFHOOK, configuration.gateway_url, tells=True)]
    with tempfile.TemporaryDirectory() as folder:
        if WITHOUT_SPECULATION in names:
            spec, system = _without_speculation(agent, Path(folder))
            specs.append(spec)
            systems.append(system)
        if STOCK in names:
            spec, system = _stock(configuration)
            specs.append(spec)
            systems.append(system)
        async with running_servers(specs, report):
            yield [system for system in systems if system.name in names]


def _without_cache(spec: ServerSpec) -> ServerSpec:
    """Turn the mouth's phrase cache off: an answer that another system asked for first would be free."""
    return replace(spec, env={**spec.env, "OFFHOOK_TTS__CACHE_MEGABYTES": "0"})


def _without_speculation(agent: Agent, folder: Path) -> tuple[ServerSpec, System]:
    slow = agent.model_copy(update={"turns": agent.turns.model_copy(update={"speculate": False})})
    path = folder / "agent.toml"
    path.write_text(tomli_w.dumps(slow.model_dump(mode="json", exclude_none=True)), encoding="utf-8")
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {"OFFHOOK_GATEWAY__PORT": str(port), "OFFHOOK_GATEWAY__AGENT": str(path)}
    spec = ServerSpec(
        "gateway-without-speculation",
        (sys.executable, "-m", "voice"),
        lambda: wait_http_ready(f"{url}/readyz"),
        environment,
    )
    return spec, System(WITHOUT_SPECULATION, url, tells=True)


def _stock(configuration: Configuration) -> tuple[ServerSpec, System]:
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    profile = load_profile(configuration.llm.profile)
    argv = [sys.executable, "-m", "voice.bench.stock_bot", "--port", str(port)]
    argv += ["--agent", configuration.gateway.agent, "--llm-model", profile.served_name]
    argv += ["--llm-url", f"http://{configuration.llm.host}:{configuration.llm.port}"]
    return ServerSpec("stock", argv, lambda: wait_http_ready(f"{url}/readyz")), System(
        STOCK, url, tells=False
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
