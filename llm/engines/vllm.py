"""Command line of vLLM's OpenAI server (argument names as of vLLM 0.32)."""

import json
from dataclasses import dataclass
from typing import Any

from llm.command import Command, Place, model_path
from llm.profile import VllmProfile


@dataclass(frozen=True)
class Half:
    """One half of a disaggregated pair: its part in vLLM's KV transfer, and its environment in the profile."""

    kv_role: str
    environment: str


PREFILL = Half("kv_producer", "prefill_environment")
DECODE = Half("kv_consumer", "decode_environment")


def build(profile: VllmProfile, place: Place, *, half: Half | None = None) -> Command:
    """Return the command that starts vLLM, or one half of a pair of them."""
    argv = [
        place.python, "-m", "vllm.entrypoints.openai.api_server",
        "--host", place.host,
        "--port", str(place.port),
        *_model(profile),
        *_batch(profile),
        *_graphs(profile),
        *_adapters(profile),
        *_speculation(profile),
        *_tools(profile),
        *_transfer(profile, half),
        *(["--otlp-traces-endpoint", place.traces_url] if place.traces_url else []),
        *profile.extra_arguments,
    ]  # fmt: skip
    env = {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"} if place.traces_url else {}
    return Command(tuple(argv), {**env, **_environment(profile, half)})


def _model(profile: VllmProfile) -> list[str]:
    argv = ["--model", model_path(profile.model), "--served-model-name", profile.served_name]
    if profile.revision:
        argv += ["--revision", profile.revision]
    argv += ["--dtype", profile.dtype, "--load-format", profile.load_format]
    if profile.quantization:
        argv += ["--quantization", profile.quantization]
    argv += ["--kv-cache-dtype", profile.kv_cache_dtype]
    if profile.tensor_parallel > 1:
        argv += ["--tensor-parallel-size", str(profile.tensor_parallel)]
    if not profile.cpu:
        argv += ["--gpu-memory-utilization", str(profile.gpu_memory_share)]
    return argv


def _batch(profile: VllmProfile) -> list[str]:
    argv = [
        "--max-model-len", str(profile.context_tokens),
        "--max-num-seqs", str(profile.concurrent_calls),
        "--max-num-batched-tokens", str(profile.batched_tokens),
        "--enable-chunked-prefill",
        _switch("enable-prefix-caching", profile.prefix_caching),
        _switch("async-scheduling", profile.schedules_ahead),
        # The cached share of each prompt comes back with its usage figures.
        "--enable-prompt-tokens-details",
    ]  # fmt: skip
    if profile.block_tokens:
        argv += ["--block-size", str(profile.block_tokens)]
    return argv


def _graphs(profile: VllmProfile) -> list[str]:
    if not profile.cuda_graphs or profile.cpu:
        return ["--enforce-eager"]
    return ["--cudagraph-capture-sizes", *map(str, graph_sizes(profile))]


def graph_sizes(profile: VllmProfile) -> list[int]:
    """Return the batch sizes worth a CUDA graph: every number of calls, each with its guesses.

    A step holds one token a call, and ``tokens`` more where guesses are checked.
    """
    per_call = 1 + (profile.speculation.tokens if profile.speculation else 0)
    calls = sorted({*range(1, min(profile.concurrent_calls, 4) + 1),
                    *(n for n in range(8, profile.concurrent_calls + 1, 8)), profile.concurrent_calls})  # fmt: skip
    return [n * per_call for n in calls]


def _adapters(profile: VllmProfile) -> list[str]:
    resident = profile.resident_adapters or len(profile.adapters)
    if not resident:
        return []
    argv = ["--enable-lora", "--max-loras", str(resident), "--max-lora-rank", str(profile.max_adapter_rank)]
    modules = [f"{adapter.name}={model_path(adapter.path)}" for adapter in profile.adapters]
    return [*argv, "--lora-modules", *modules] if modules else argv


def _speculation(profile: VllmProfile) -> list[str]:
    if not profile.speculation:
        return []
    settings = profile.speculation.settings()
    if "model" in settings:
        settings["model"] = model_path(settings["model"])
    return ["--speculative-config", _json(settings)]


def _tools(profile: VllmProfile) -> list[str]:
    if not profile.tool_parser:
        return []
    return ["--enable-auto-tool-choice", "--tool-call-parser", profile.tool_parser]


def _transfer(profile: VllmProfile, half: Half | None) -> list[str]:
    if not profile.disaggregation or not half:
        return []
    settings: dict[str, Any] = {"kv_connector": profile.disaggregation.connector, "kv_role": half.kv_role}
    if profile.disaggregation.connector_settings:
        settings["kv_connector_extra_config"] = profile.disaggregation.connector_settings
    return ["--kv-transfer-config", _json(settings)]


def _environment(profile: VllmProfile, half: Half | None) -> dict[str, str]:
    env = {"VLLM_NO_USAGE_STATS": "1"}
    if profile.adapters or profile.resident_adapters:
        env["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] = "True"
    if profile.cpu:
        env["VLLM_CPU_OMP_THREADS_BIND"] = profile.cpu.threads_bind
        env["VLLM_CPU_KVCACHE_SPACE"] = str(profile.cpu.kv_cache_gib)
    own = getattr(profile.disaggregation, half.environment) if half and profile.disaggregation else {}
    return {**env, **profile.environment, **own}


def _switch(name: str, on: bool) -> str:
    return f"--{name}" if on else f"--no-{name}"


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"))
