"""What ear, mind and mouth say of themselves right now: their own ``/metrics``, asked while somebody looks."""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from serving.tls import trusted

#: How long a server may take to answer, seconds; a page does not wait longer.
TIMEOUT_SECONDS = 2.0
#: Larger answers are not read, bytes.
MAX_BYTES = 4 << 20

Sums = Mapping[str, float]
#: What is shown: title, unit, and how it follows from the sums of a server's samples. First that is there counts.
Shown = tuple[str, str, Callable[[Sums], float | None]]


def _value(*names: str) -> Callable[[Sums], float | None]:
    return lambda sums: next((sums[name] for name in names if name in sums), None)


def _mean(name: str) -> Callable[[Sums], float | None]:
    return lambda sums: sums[f"{name}_sum"] / sums[f"{name}_count"] if sums.get(f"{name}_count") else None


def _worth(sums: Sums) -> float | None:
    """Return the tokens a draft brings: 1 and those of it that were accepted."""
    for engine in ("vllm", "llamacpp"):
        drafts = sums.get(f"{engine}:spec_decode_num_drafts_total")
        if drafts:
            return 1 + sums.get(f"{engine}:spec_decode_num_accepted_tokens_total", 0.0) / drafts
    return None


def _taken_back(sums: Sums) -> float | None:
    ends = sums.get("asr_eager_ends_total")
    return sums.get("asr_eager_ends_withdrawn_total", 0.0) / ends if ends else None


def _share(part: str, rest: str) -> Callable[[Sums], float | None]:
    def share(sums: Sums) -> float | None:
        whole = sums.get(part, 0.0) + sums.get(rest, 0.0)
        return sums.get(part, 0.0) / whole if whole else None

    return share


EAR: Sequence[Shown] = (
    ("open streams", "", _value("asr_streams")),
    ("a decode takes, mean", "s", _mean("asr_decode_seconds")),
    ("a decode waits for its turn, mean", "s", _mean("asr_wait_seconds")),
    ("decodes in a batch, mean", "", _mean("asr_batch_size")),
    ("ends of turn announced early and taken back", "share", _taken_back),
)
MIND: Sequence[Shown] = (
    ("requests in the batch", "", _value("vllm:num_requests_running", "llamacpp:requests_processing")),
    ("requests waiting", "", _value("vllm:num_requests_waiting", "llamacpp:requests_deferred")),
    ("KV cache in use", "share", _value("vllm:kv_cache_usage_perc")),
    ("tokens a draft is worth", "", _worth),
    ("prompt tokens from the cache", "share",
     _share("llamacpp:prompt_tokens_cached_total", "llamacpp:prompt_tokens_total")),
    ("between two tokens, mean", "s", _mean("vllm:inter_token_latency_seconds")),
)  # fmt: skip
MOUTH: Sequence[Shown] = (
    ("streams of speech", "", _value("tts_server_contexts")),
    ("rendering steps waiting", "", _value("tts_server_waiting_steps")),
    ("first audio in the server, mean", "s", _mean("tts_server_first_audio_seconds")),
    ("phrases from the cache", "share",
     _share("tts_server_phrase_cache_total{hit}", "tts_server_phrase_cache_total{miss}")),
)  # fmt: skip
SHOWN = {"asr": EAR, "llm": MIND, "tts": MOUTH}


class EngineMetrics:
    """Asks the servers of a stack.

    Args:
        servers: which there are now, as kind (``asr``, ``llm``, ``tts``) and HTTP base URL.

    """

    def __init__(self, servers: Callable[[], Sequence[tuple[str, str]]]) -> None:
        self._servers = servers

    async def read(self) -> list[dict[str, Any]]:
        """Return one object a server: kind, URL, and what it says; an error where it does not answer."""
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, verify=trusted()) as http:
            return list(await asyncio.gather(*(self._one(http, kind, url) for kind, url in self._servers())))

    async def _one(self, http: httpx.AsyncClient, kind: str, url: str) -> dict[str, Any]:
        try:
            response = await http.get(f"{url}/metrics")
            response.raise_for_status()
        except httpx.HTTPError as error:
            return {"kind": kind, "url": url, "error": type(error).__name__, "shown": []}
        sums = await asyncio.to_thread(sums_of, response.text[:MAX_BYTES])
        shown = [
            {"title": title, "unit": unit, "value": value}
            for title, unit, find in SHOWN[kind]
            if (value := find(sums)) is not None and math.isfinite(value)
        ]
        return {"kind": kind, "url": url, "error": "", "shown": shown}


def sums_of(text: str) -> dict[str, float]:
    """Return the sum over all labels of every sample but buckets; by ``result`` as well, as ``name{hit}``."""
    sums: dict[str, float] = {}
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name.endswith("_bucket"):
                    continue
                keys = [sample.name]
                if result := sample.labels.get("result"):
                    keys.append(f"{sample.name}{{{result}}}")
                for key in keys:
                    sums[key] = sums.get(key, 0.0) + sample.value
    except ValueError:
        return sums  # not Prometheus's format, from there on
    return sums
