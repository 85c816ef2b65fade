"""vLLM on this machine's processors, with the embedded model: its profile, and what `offhook tune` may try.

``python -m llm.testing.vllm_profile FOLDER`` writes ``vllm-cpu.toml``, ``candidates.toml`` and ``batching.toml``
into FOLDER. The weights are converted once and lie in the model store.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

import tomli_w

from llm.testing.vllm_env import python_of
from modelstore import derived, locate

MODEL = "smollm2-135m-instruct"
#: Every speculative method vLLM has on processors; ``model`` is a folder of :func:`weights`.
METHODS: dict[str, dict[str, Any]] = {
    "ngram": {"method": "ngram", "tokens": 3},
    "suffix": {"method": "suffix", "tokens": 8},
    "draft_model": {"method": "draft_model", "tokens": 3, "model": "draft"},
    "medusa": {"method": "medusa", "tokens": 3, "model": "medusa"},
    "eagle": {"method": "eagle", "tokens": 3, "model": "eagle"},
    "eagle3": {"method": "eagle3", "tokens": 3, "model": "eagle3"},
    "mtp": {"method": "mtp", "tokens": 1},
}
#: Those that guess without weights of their own, or with ones that are not random: worth a comparison.
COMPARABLE = ("ngram", "suffix", "draft_model")


def weights() -> Path:
    """Return the folder of the embedded model as vLLM loads it, beside heads for it (`llm.testing.hf_weights`).

    Raises:
        modelstore.ModelMissingError: the embedded model has not been pulled.

    """

    def make(folder: Path) -> None:
        (source,) = locate(MODEL).glob("*.gguf")
        command = [str(python_of()), "-m", "llm.testing.hf_weights", str(source), str(folder)]
        subprocess.run(command, check=True)

    return derived(MODEL, "hf-f32-1", make)


def profile(folder: Path) -> dict[str, Any]:
    """Return a profile of the target in ``folder`` on one processor, as a table.

    On two it collapses as soon as something else wants one of them (docs/tuning.md).
    """
    return {
        "engine": "vllm",
        "model": str(folder / "target"),
        "dtype": "float32",
        "context_tokens": 1024,
        "concurrent_calls": 4,
        "batched_tokens": 256,
        "block_tokens": 32,
        "cpu": {"threads_bind": "0", "kv_cache_gib": 1},
        "sampling": {"temperature": 0.0, "max_tokens": 60},
        "warm_up": {"prompt_tokens": [32], "max_tokens": 4},
    }


def speculating(method: str, folder: Path) -> dict[str, Any]:
    """Return what a profile with ``method`` has beside :func:`profile`, as a table."""
    speculation = dict(METHODS[method])
    if "model" in speculation:
        speculation["model"] = str(folder / speculation["model"])
    table: dict[str, Any] = {"speculation": speculation}
    return {**table, "model": str(folder / "mtp")} if method == "mtp" else table


def write(target: Path) -> None:
    """Write the profile and the candidates into ``target``."""
    folder = weights()
    methods = [{"name": name, **speculating(name, folder)} for name in COMPARABLE]
    binds = [
        {"name": f"cores {cores}", "cpu": {"threads_bind": cores, "kv_cache_gib": 1}}
        for cores in ("0-1", "0")
    ]
    budgets = [{"name": f"{tokens} tokens a step", "batched_tokens": tokens} for tokens in (64, 256, 1024)]
    target.mkdir(parents=True, exist_ok=True)
    for name, table in (
        ("vllm-cpu", profile(folder)),
        ("candidates", {"candidate": [{"name": "no speculation", "speculation": {}}, *methods]}),
        ("batching", {"candidate": [*budgets, *binds]}),
    ):
        (target / f"{name}.toml").write_text(tomli_w.dumps(table), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
