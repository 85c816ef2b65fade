"""Every speculative method vLLM has on a processor: it starts, says what is said without it, and reports."""

import os
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from llm.engine import LaunchSpec
from llm.testing.vllm_profile import METHODS, speculating

from .conftest import KEY, running, specs_of

pytestmark = pytest.mark.vllm

#: Two engines start at once, each on a core of its own: starting one is what takes the time.
PAIRS = [tuple(METHODS)[start : start + 2] for start in range(0, len(METHODS), 2)]
QUESTIONS = ["What is the capital of France?", "Tell me a short story about a dog."]


def answers(spec: LaunchSpec) -> list[str]:
    """Ask the questions, greedily."""
    texts = []
    with httpx.Client(headers={"authorization": f"Bearer {KEY}"}, timeout=60) as http:
        for question in QUESTIONS:
            body = {"model": spec.model, "temperature": 0, "max_tokens": 40,
                    "messages": [{"role": "user", "content": question}]}  # fmt: skip
            response = http.post(f"{spec.base_url}/v1/chat/completions", json=body)
            texts.append(response.raise_for_status().json()["choices"][0]["message"]["content"])
    return texts


def counted(spec: LaunchSpec, metric: str) -> float:
    """Return the engine's counter."""
    text = httpx.get(spec.metrics_url).text
    return sum(float(value) for value in re.findall(rf"^{metric}{{.*}} (\S+)$", text, re.MULTILINE))


@pytest.fixture(scope="module")
def without(vllm_serving: LaunchSpec) -> list[str]:
    """What is said without speculation."""
    return answers(vllm_serving)


@pytest.mark.parametrize("methods", PAIRS, ids="+".join)
def test_methods_change_the_speed_and_not_the_words(
    methods: tuple[str, ...],
    vllm_table: dict[str, Any],
    hf_weights: Path,
    vllm_python: str,
    without: list[str],
    tmp_path: Path,
) -> None:
    """At temperature 0 the text is the same, guesses were made, and their acceptance is counted."""
    cores = sorted(os.sched_getaffinity(0))
    specs: list[LaunchSpec] = []
    for number, method in enumerate(methods):
        bound = {**vllm_table["cpu"], "threads_bind": str(cores[number % len(cores)])}
        table = {**vllm_table, "cpu": bound, **speculating(method, hf_weights)}
        specs += specs_of(table, engine_python=vllm_python)
    with running(*specs, log=tmp_path / "engines.log"):
        for method, spec in zip(methods, specs, strict=True):
            assert answers(spec) == without, method
            assert counted(spec, "vllm:spec_decode_num_draft_tokens_total") > 0, method
            assert counted(spec, "vllm:spec_decode_num_accepted_tokens_total") >= 0, method
