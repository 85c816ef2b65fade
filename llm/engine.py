"""What has to run for a profile: the supervisor's whole view of an engine.

``launch_specs`` says which processes to start; ``llm.readiness.wait_ready`` says when each may be used.
Nothing else differs between engines: the embedded one and a pair of vLLMs are started by the same code.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace

from llm.command import Command, Place
from llm.engines import llamacpp, sglang, trtllm, vllm
from llm.engines.vllm import DECODE, PREFILL
from llm.errors import ProfileError
from llm.profile import (
    Disaggregation,
    LlamaCppProfile,
    OpenAIProfile,
    Profile,
    SglangProfile,
    TrtllmProfile,
    VllmProfile,
    WarmUp,
)
from llm.settings import LLMSettings

#: Environment variables through which engines take their API key; never an argument, which `ps` shows.
#: SGLang knows only the argument and trtllm-serve no key at all: keep them on loopback or in a private network.
_KEY_VARIABLES = {"vllm": "VLLM_API_KEY", "llamacpp": "OFFHOOK_LLM__API_KEY"}
#: Where an engine's metrics are, unless at /metrics.
_METRICS_PATHS = {"trtllm": "/prometheus/metrics"}


@dataclass(frozen=True)
class LaunchSpec:
    """One engine process.

    Attributes:
        name: what the supervisor calls it (``llm``, ``llm-prefill``).
        argv: its command line.
        env: what is added to its environment.
        key_variable: which variable of ``env`` is secret; empty for none.
        base_url: where it answers, without ``/v1``.
        health_url: 200 when the process serves; says nothing about warmth.
        metrics_url: its Prometheus metrics.
        model: the name requests carry.
        warm_up: the completions that must have run before it takes calls.
        start_seconds: how long that may take.

    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    key_variable: str
    base_url: str
    health_url: str
    metrics_url: str
    model: str
    warm_up: WarmUp
    start_seconds: float

    @property
    def public_env(self) -> dict[str, str]:
        """``env`` without its secret."""
        return {name: value for name, value in self.env.items() if name != self.key_variable}


def launch_specs(profile: Profile, settings: LLMSettings) -> tuple[LaunchSpec, ...]:
    """Return the engine processes of ``profile``; none where somebody else runs the engine."""
    if isinstance(profile, OpenAIProfile):
        return ()
    python = settings.engine_python or sys.executable
    place = Place(settings.host, settings.port, python, traces_url=_traces_url())
    if isinstance(profile, VllmProfile) and profile.disaggregation:
        return _pair(profile, profile.disaggregation, place, settings)
    return (_spec("llm", profile, place, command(profile, place), settings),)


def _traces_url() -> str:
    """Return where the standard variables send spans, so that an engine's own join the call's trace."""
    if url := os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        return url
    base = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")
    return f"{base.rstrip('/')}/v1/traces" if base else ""


def prefill_url(profile: Profile, settings: LLMSettings) -> str:
    """Return where the engine that reads prompts answers; empty where one engine does both."""
    if isinstance(profile, VllmProfile) and profile.disaggregation:
        return f"http://{settings.host}:{settings.port + profile.disaggregation.prefill_port_offset}"
    return ""


def _pair(
    profile: VllmProfile, apart: Disaggregation, decode: Place, settings: LLMSettings
) -> tuple[LaunchSpec, ...]:
    """Return the two engines of a disaggregated profile; clients ask the second, at the configured port."""
    prefill = replace(decode, port=decode.port + apart.prefill_port_offset)
    return (
        _spec("llm-prefill", profile, prefill, vllm.build(profile, prefill, half=PREFILL), settings),
        _spec("llm", profile, decode, vllm.build(profile, decode, half=DECODE), settings),
    )


def command(profile: Profile, place: Place) -> Command:
    """Return the command that starts ``profile``'s engine at ``place``.

    Raises:
        ProfileError: the profile names a server that somebody else runs.

    """
    match profile:
        case LlamaCppProfile():
            return llamacpp.build(profile, place)
        case VllmProfile():
            return vllm.build(profile, place)
        case SglangProfile():
            return sglang.build(profile, place)
        case TrtllmProfile():
            return trtllm.build(profile, place)
        case OpenAIProfile():
            raise ProfileError(f"engine profile {profile.name}: nothing to start; the server runs elsewhere")


def _spec(name: str, profile: Profile, place: Place, start: Command, settings: LLMSettings) -> LaunchSpec:
    base_url = f"http://{place.host}:{place.port}"
    env = dict(start.env)
    key = settings.api_key.get_secret_value()
    variable = _KEY_VARIABLES.get(profile.engine, "")
    if key and variable:
        env[variable] = key
    return LaunchSpec(
        name=name,
        argv=start.argv,
        env=env,
        key_variable=variable,
        base_url=base_url,
        health_url=f"{base_url}/health",
        metrics_url=base_url + _METRICS_PATHS.get(profile.engine, "/metrics"),
        model=profile.served_name,
        warm_up=profile.warm_up,
        start_seconds=profile.start_seconds,
    )
