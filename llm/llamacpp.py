"""The embedded engine: llama.cpp in this process, serving the OpenAI API from its own HTTP threads.

``python -m llm.llamacpp --host H --port P --profile JSON``. The command line is made by
``llm.engines.llamacpp``; the API key comes in the environment. No Python runs while a token is made.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence

import xllamacpp

from llm.errors import LLMError
from llm.profile import LlamaCppProfile
from llm.speculation import LlamaCppSpeculation
from llm.weights import gguf_path
from modelstore import ModelError

KEY_VARIABLE = "OFFHOOK_LLM__API_KEY"
#: HTTP threads of the engine: one waits for each request in progress, more for health and metrics.
EXTRA_HTTP_THREADS = 4
#: llama.cpp's log level: errors only.
LOG_ERRORS = 1


def parameters(profile: LlamaCppProfile, *, host: str, port: int, api_key: str) -> "xllamacpp.CommonParams":
    """Return llama.cpp's parameters for ``profile``.

    Each of ``concurrent_calls`` slots has the whole context, so that a call's prefix stays in its slot.

    Raises:
        modelstore.ModelMissingError: the model has not been pulled.
        WeightsError: it is not a GGUF model.

    """
    params = xllamacpp.CommonParams()
    params.model.path = str(gguf_path(profile.model, profile.precision))
    params.model_alias = {profile.served_name}
    params.hostnames = [host]
    params.port = port
    params.api_keys = [api_key] if api_key else []
    _close_doors(params)
    _size(params, profile)
    if profile.speculation:
        _speculate(params.speculative, profile.speculation)
    return params


def _close_doors(params: "xllamacpp.CommonParams") -> None:
    """Serve the API alone: no web page, no other origin, no inspection of other callers' prompts."""
    params.cors_origins, params.cors_origins_explicit, params.cors_credentials = "", True, False
    params.ui = params.endpoint_slots = params.endpoint_props = False
    params.endpoint_metrics = True
    params.verbosity = LOG_ERRORS


def _size(params: "xllamacpp.CommonParams", profile: LlamaCppProfile) -> None:
    params.n_parallel = profile.concurrent_calls
    params.n_ctx = profile.context_tokens * profile.concurrent_calls
    params.n_batch = params.n_ubatch = profile.batch_tokens
    params.cache_ram_mib = profile.prompt_cache_mebibytes
    params.n_gpu_layers = profile.gpu_layers
    params.fit_params = False
    params.cpuparams.n_threads = profile.threads
    params.cpuparams_batch.n_threads = profile.batch_threads
    params.n_threads_http = profile.concurrent_calls + EXTRA_HTTP_THREADS


def _speculate(params: "xllamacpp.CommonParamsSpeculative", speculation: LlamaCppSpeculation) -> None:
    kinds = xllamacpp.common_speculative_type
    if speculation.method == "ngram":
        params.types = [kinds.COMMON_SPECULATIVE_TYPE_NGRAM_SIMPLE]
        params.ngram_simple.size_n, params.ngram_simple.size_m = speculation.lookup, speculation.tokens
    else:
        params.types = [kinds.COMMON_SPECULATIVE_TYPE_DRAFT_SIMPLE]
        params.draft.mparams.path = str(gguf_path(speculation.model, speculation.precision))
        params.draft.n_max = speculation.tokens


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m llm.llamacpp", description=__doc__)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", required=True, type=int)
    parser.add_argument("--profile", required=True, type=LlamaCppProfile.model_validate_json)
    options = parser.parse_args(arguments)
    key = os.environ.get(KEY_VARIABLE, "")
    # Blocked before the engine's threads start, so that they inherit it and sigwait below is the one taker.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    try:
        params = parameters(options.profile, host=options.host, port=options.port, api_key=key)
        server = xllamacpp.Server(params)
    except (LLMError, ModelError, RuntimeError) as error:
        print(f"offhook llm: {error}", file=sys.stderr, flush=True)
        return 1
    print(
        f"offhook llm: serving {options.profile.model} at {server.listening_address}",
        file=sys.stderr,
        flush=True,
    )
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    return 0


if __name__ == "__main__":
    sys.exit(main())
