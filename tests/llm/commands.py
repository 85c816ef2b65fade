"""Profiles whose command lines are kept in ``golden/``, one for every engine and every speculative method."""

from typing import Any

VLLM = {"engine": "vllm", "model": "org/model", "tool_parser": "hermes"}
CPU = {"dtype": "float32", "block_tokens": 32, "cpu": {"threads_bind": "0-1", "kv_cache_gib": 2}}


def _speculating(**speculation: Any) -> dict[str, Any]:
    return {**VLLM, "speculation": speculation}


PROFILES: dict[str, dict[str, Any]] = {
    "llamacpp": {"engine": "llamacpp", "model": "/models/small.gguf", "threads": 2},
    "llamacpp-ngram": {
        "engine": "llamacpp", "model": "/models/small.gguf", "speculation": {"method": "ngram", "tokens": 4},
    },
    "llamacpp-draft-model": {
        "engine": "llamacpp", "model": "/models/small.gguf",
        "speculation": {"method": "draft_model", "tokens": 4, "model": "/models/tiny.gguf"},
    },
    "sglang": {"engine": "sglang", "model": "org/model", "quantization": "fp8", "tensor_parallel": 2,
               "tool_parser": "qwen"},
    "sglang-ngram": {"engine": "sglang", "model": "org/model", "speculation": {"method": "ngram", "tokens": 4}},
    "sglang-draft-model": {"engine": "sglang", "model": "org/model",
                           "speculation": {"method": "draft_model", "tokens": 3, "model": "org/draft"}},
    "sglang-eagle3": {"engine": "sglang", "model": "org/model",
                      "speculation": {"method": "eagle3", "tokens": 3, "model": "org/head"}},
    "sglang-eagle": {"engine": "sglang", "model": "org/model",
                     "speculation": {"method": "eagle", "tokens": 3, "model": "org/head"}},
    "trtllm": {"engine": "trtllm", "model": "org/model", "tensor_parallel": 2, "tool_parser": "qwen3"},
    "vllm": {**VLLM, "quantization": "fp8", "kv_cache_dtype": "fp8", "tensor_parallel": 2},
    "vllm-cpu": {**VLLM, **CPU},
    "vllm-dummy": {**VLLM, "load_format": "dummy", "prefix_caching": False, "cuda_graphs": False},
    "vllm-adapters": {**VLLM, "adapters": [{"name": "shop", "path": "org/shop-lora"},
                                           {"name": "bank", "path": "org/bank-lora"}]},
    "vllm-ngram": _speculating(method="ngram", tokens=4),
    "vllm-ngram-gpu": _speculating(method="ngram_gpu", tokens=4),
    "vllm-suffix": _speculating(method="suffix", tokens=8),
    "vllm-draft-model": _speculating(method="draft_model", tokens=3, model="org/draft"),
    "vllm-medusa": _speculating(method="medusa", tokens=3, model="org/medusa"),
    "vllm-eagle": _speculating(method="eagle", tokens=3, model="org/eagle"),
    "vllm-eagle3": _speculating(method="eagle3", tokens=3, model="org/eagle3", quantization="fp8"),
    "vllm-mtp": _speculating(method="mtp", tokens=1),
    "vllm-dflash": _speculating(method="dflash", tokens=7, model="org/dflash"),
    "vllm-dspark": _speculating(method="dspark", tokens=7, model="org/dspark"),
    "vllm-disaggregated": {**VLLM, "disaggregation": {"connector": "NixlConnector"}},
}  # fmt: skip
