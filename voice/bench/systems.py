"""The systems that are measured side by side: Offhook as it is and changed in one thing, and its peers.

All share one ear, mind and mouth process where they can, so that they differ in nothing but themselves.
"""

import contextlib
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path

import tomli_w

from llm.profile import load_profile
from orchestration.agent import Agent, load_agent
from orchestration.settings import Configuration
from orchestration.stack import stack_specs, wait_http_ready
from orchestration.supervisor import ServerSpec
from serving.ports import free_port
from voice.up import running_servers

OFFHOOK = "offhook"
WITHOUT_SPECULATION = "offhook, no speculation"
WITHOUT_READING_AHEAD = "offhook, no reading ahead"
PATIENT = "offhook, patient"
STOCK = "stock pipecat"
TALKER = "offhook, long replies"
TALKER_WITH_ECHO = "offhook, echo not cancelled"
STOCK_TALKER = "stock pipecat, long replies"
#: What makes the talkers talk.
TALKER_PROMPT = (
    "You are a helpful assistant on the telephone. Answer every question in two or three short sentences."
)
TALKER_TOKENS = 80
#: ``[turns] eot_threshold`` of the patient agent: the highest there is.
PATIENT_THRESHOLD = 0.9


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
    configuration: Configuration, names: Collection[str], report: Callable[[str], None]
) -> AsyncIterator[dict[str, System]]:
    """Start the stack and the named systems beside it; yield them by name once they are ready.

    Raises:
        StackError: one of them did not start.

    """
    agent = load_agent(configuration.gateway.agent)
    specs = [_without_cache(spec) for spec in stack_specs(configuration)]
    systems = [System(OFFHOOK, configuration.gateway_url, tells=True)]
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            if name != OFFHOOK:
                spec, system = _beside(name, agent, configuration, Path(folder))
                specs.append(spec)
                systems.append(system)
        async with running_servers(specs, report):
            yield {system.name: system for system in systems}


def _beside(name: str, agent: Agent, configuration: Configuration, folder: Path) -> tuple[ServerSpec, System]:
    """Return how to run the system ``name`` beside the stack."""
    if name == STOCK:
        return _stock(name, configuration.gateway.agent, configuration)
    if name in (WITHOUT_SPECULATION, WITHOUT_READING_AHEAD):
        off = "speculate" if name == WITHOUT_SPECULATION else "read_ahead"
        slow = agent.model_copy(update={"turns": agent.turns.model_copy(update={off: False})})
        return _gateway(name, _written(slow, folder / f"no-{off}.toml"))
    if name == PATIENT:
        patient = agent.turns.model_copy(update={"eot_threshold": PATIENT_THRESHOLD})
        return _gateway(name, _written(agent.model_copy(update={"turns": patient}), folder / "patient.toml"))
    talker = _written(_talker(agent), folder / "talker.toml")
    if name == STOCK_TALKER:
        return _stock(name, talker, configuration)
    if name == TALKER_WITH_ECHO:
        return _gateway(name, talker, OFFHOOK_GUARD__CANCEL_ECHO="never")
    return _gateway(name, talker)


def _talker(agent: Agent) -> Agent:
    sampling = agent.sampling.model_copy(update={"max_tokens": TALKER_TOKENS})
    return agent.model_copy(
        update={"system_prompt": TALKER_PROMPT, "greeting": "Hello.", "sampling": sampling}
    )


def _written(agent: Agent, path: Path) -> str:
    path.write_text(tomli_w.dumps(agent.model_dump(mode="json", exclude_none=True)), encoding="utf-8")
    return str(path)


def _without_cache(spec: ServerSpec) -> ServerSpec:
    """Turn the mouth's phrase cache off: an answer that another system asked for first would be free."""
    return replace(spec, env={**spec.env, "OFFHOOK_TTS__CACHE_MEGABYTES": "0"})


def _gateway(name: str, agent: str, **settings: str) -> tuple[ServerSpec, System]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {"OFFHOOK_GATEWAY__PORT": str(port), "OFFHOOK_GATEWAY__AGENT": agent, **settings}
    argv = (sys.executable, "-m", "voice")
    spec = ServerSpec(_log_name(name), argv, lambda: wait_http_ready(f"{url}/readyz"), environment)
    return spec, System(name, url, tells=True)


def _stock(name: str, agent: str, configuration: Configuration) -> tuple[ServerSpec, System]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    profile = load_profile(configuration.llm.profile)
    argv = [sys.executable, "-m", "voice.bench.stock_bot", "--port", str(port)]
    argv += ["--agent", agent, "--llm-model", profile.served_name]
    argv += ["--llm-url", f"http://{configuration.llm.host}:{configuration.llm.port}"]
    spec = ServerSpec(_log_name(name), argv, lambda: wait_http_ready(f"{url}/readyz"))
    return spec, System(name, url, tells=False)


def _log_name(name: str) -> str:
    return name.replace(",", "").replace(" ", "-")
