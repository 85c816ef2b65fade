"""Command line of SGLang's OpenAI server (argument names as of SGLang 0.5.23)."""

from llm.command import Command, Place, model_path
from llm.profile import SglangProfile


def build(profile: SglangProfile, place: Place) -> Command:
    """Return the command that starts SGLang."""
    argv = [
        place.python, "-m", "sglang.launch_server",
        "--host", place.host,
        "--port", str(place.port),
        "--model-path", model_path(profile.model),
        "--served-model-name", profile.served_name,
        "--dtype", profile.dtype,
        "--context-length", str(profile.context_tokens),
        "--max-running-requests", str(profile.concurrent_calls),
        "--chunked-prefill-size", str(profile.chunked_prefill_tokens),
        "--cuda-graph-max-bs-decode", str(profile.concurrent_calls),
        "--mem-fraction-static", str(profile.memory_share),
        "--enable-metrics",
        # The cached share of each prompt comes back with its usage figures.
        "--enable-cache-report",
    ]  # fmt: skip
    if profile.quantization:
        argv += ["--quantization", profile.quantization]
    if profile.tensor_parallel > 1:
        argv += ["--tensor-parallel-size", str(profile.tensor_parallel)]
    if profile.tool_parser:
        argv += ["--tool-call-parser", profile.tool_parser]
    argv += [*_speculation(profile), *profile.extra_arguments]
    return Command(tuple(argv), dict(profile.environment))


def _speculation(profile: SglangProfile) -> list[str]:
    speculation = profile.speculation
    if not speculation:
        return []
    argv = ["--speculative-algorithm", speculation.algorithm]
    if speculation.model:
        argv += ["--speculative-draft-model-path", model_path(speculation.model)]
    if speculation.method == "ngram":
        return [*argv, "--speculative-num-draft-tokens", str(speculation.tokens)]
    # A chain, not a tree: one candidate a step, and the verified token beside the guesses.
    return [
        *argv,
        "--speculative-num-steps", str(speculation.tokens),
        "--speculative-eagle-topk", "1",
        "--speculative-num-draft-tokens", str(speculation.tokens + 1),
    ]  # fmt: skip
