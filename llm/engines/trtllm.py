"""Command line of TensorRT-LLM's ``trtllm-serve`` (options as in the source of 1.2)."""

from pathlib import Path

from llm.command import Command, Place, model_path
from llm.profile import TrtllmProfile


def build(profile: TrtllmProfile, place: Place) -> Command:
    """Return the command that starts TensorRT-LLM; its script lies beside the interpreter."""
    argv = [
        str(Path(place.python).parent / "trtllm-serve"), model_path(profile.model),
        "--host", place.host,
        "--port", str(place.port),
        "--served_model_name", profile.served_name,
        "--backend", "pytorch",
        "--max_batch_size", str(profile.concurrent_calls),
        "--max_num_tokens", str(profile.batched_tokens),
        "--max_seq_len", str(profile.context_tokens),
        "--kv_cache_free_gpu_memory_fraction", str(profile.kv_cache_share),
        "--enable_chunked_prefill",
    ]  # fmt: skip
    if profile.tensor_parallel > 1:
        argv += ["--tp_size", str(profile.tensor_parallel)]
    if profile.tool_parser:
        argv += ["--tool_parser", profile.tool_parser]
    if place.traces_url:
        argv += ["--otlp_traces_endpoint", place.traces_url]
    return Command((*argv, *profile.extra_arguments), dict(profile.environment))
