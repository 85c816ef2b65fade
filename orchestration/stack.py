"""The servers of one machine, as the supervisor runs them."""

import asyncio
import os
import secrets
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx

from llm.engine import LaunchSpec, launch_specs
from llm.profile import load_profile
from llm.readiness import wait_ready
from orchestration.agent import load_agents
from orchestration.errors import StackError
from orchestration.settings import Configuration
from orchestration.supervisor import ServerSpec
from orchestration.trunk import REGISTERING, SipSettings

#: Where the servers' output goes.
LOG_DIR = Path(".offhook/logs")
#: How often a starting server is asked whether it is ready, seconds.
POLL_SECONDS = 0.1
#: One such question may take this long, seconds.
POLL_TIMEOUT_SECONDS = 2.0
#: How far ear and mind give way to the gateway and the SIP process, and to the mouth: a transcript that is late is
#: waited for, sound that is late is a hole in a word.
ENGINE_NICENESS = 5
MOUTH_NICENESS = 2


def stack_specs(configuration: Configuration) -> list[ServerSpec]:
    """Return the servers ``configuration`` asks for, after checking what can be checked before starting any.

    Raises:
        StackError: a port is taken, or two servers want the same one.
        AgentError: the agent that should answer is missing or wrong.
        LLMError: the engine profile is missing or wrong.

    """
    load_agents([configuration.gateway.agent, *configuration.gateway.agents])
    engines = launch_specs(load_profile(configuration.llm.profile), configuration.llm)
    _require_free_ports(configuration)
    key = configuration.llm.api_key.get_secret_value()
    specs = [_engine(spec, key) for spec in engines]
    if not configuration.gateway.asr_url:
        specs.append(_server("asr", configuration.asr.host, configuration.asr.port, ENGINE_NICENESS))
    if not configuration.gateway.tts_url:
        specs.append(_server("tts", configuration.tts.host, configuration.tts.port, MOUTH_NICENESS))
    gateway = (sys.executable, "-m", "voice")
    ready = _ready_at(f"{configuration.gateway_url}/readyz")
    shared = _bridge(configuration.sip)
    specs.append(ServerSpec(name="gateway", argv=gateway, wait_ready=ready, env=shared))
    if configuration.sip.enabled:
        specs.append(_sip(configuration.sip, shared))
    return specs


def _sip(sip: SipSettings, shared: dict[str, str]) -> ServerSpec:
    url = f"http://127.0.0.1:{sip.http_port}/readyz"
    argv = (sys.executable, "-m", "voice.sip")
    # The supervisor gives nobody time to drain: it hangs up at once rather than fall silent.
    env = {**shared, "OFFHOOK_GATEWAY__DRAIN_SECONDS": "0"}
    return ServerSpec(name="sip", argv=argv, wait_ready=lambda: _wait_listening(url), env=env)


async def _wait_listening(url: str) -> None:
    """Return once the SIP process takes calls, or would but for its registrar, which may be away for a while."""
    async with httpx.AsyncClient(timeout=POLL_TIMEOUT_SECONDS) as http:
        while True:
            try:
                state = (await http.get(url)).json()
                if state["status"] in ("ready", "impeded") and state["reason"] != REGISTERING:
                    return
            except httpx.HTTPError:
                pass  # not listening yet
            await asyncio.sleep(POLL_SECONDS)


def _bridge(sip: SipSettings) -> dict[str, str]:
    """Return the environment in which gateway and SIP process share a secret."""
    if not sip.enabled or sip.bridge_secret.get_secret_value():
        return {}
    return {"OFFHOOK_SIP__BRIDGE_SECRET": secrets.token_hex(32)}


def rotate_logs() -> None:
    """Put the logs of the last run aside, so that what they say is of this one."""
    LOG_DIR.mkdir(parents=True, exist_ok=True)
    for log in LOG_DIR.glob("*.log"):
        log.replace(log.with_suffix(".log.1"))


async def wait_http_ready(url: str) -> None:
    """Return once ``url``, a server of this machine, answers 200."""
    # A gateway's certificate names its public host, not this machine's loopback address.
    async with httpx.AsyncClient(timeout=POLL_TIMEOUT_SECONDS, verify=False) as http:  # noqa: S501
        while True:
            try:
                if (await http.get(url)).status_code == httpx.codes.OK:
                    return
            except httpx.HTTPError:
                pass  # not listening yet
            await asyncio.sleep(POLL_SECONDS)


def _server(name: str, host: str, port: int, niceness: int) -> ServerSpec:
    return ServerSpec(
        name=name,
        argv=(sys.executable, "-m", name),
        wait_ready=_ready_at(f"http://{host}:{port}/readyz"),
        niceness=niceness,
    )


def _ready_at(url: str) -> Callable[[], Awaitable[object]]:
    return lambda: wait_http_ready(url)


def _engine(spec: LaunchSpec, key: str) -> ServerSpec:
    return ServerSpec(
        name=spec.name,
        argv=spec.argv,
        env=spec.env,
        wait_ready=lambda: wait_ready(spec, api_key=key),
        start_seconds=spec.start_seconds,
        niceness=ENGINE_NICENESS,
    )


def _require_free_ports(configuration: Configuration) -> None:
    taken: dict[int, str] = {}
    sections = {name: getattr(configuration, name) for name in ("gateway", "asr", "tts", "llm")}
    if configuration.sip.enabled:
        sections["sip"] = configuration.sip
    for name, section in sections.items():
        if section.port and section.port in taken:
            raise StackError(
                f"[{name}] port = {section.port} is also that of [{taken[section.port]}]; change one"
            )
        taken[section.port] = name
        with socket.socket(socket.AF_INET6 if ":" in section.host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((section.host, section.port))
            except OSError as error:
                raise StackError(
                    f"[{name}] cannot listen on {section.host}:{section.port}: {os.strerror(error.errno or 0)}; "
                    f"stop what holds it, or set another [{name}] port"
                ) from None
