"""A wrong profile is refused before an engine starts, in one line that says why."""

from pathlib import Path
from typing import Any

import pytest

from llm.errors import ProfileError
from llm.profile import load_profile, parse_profile

VLLM = {"engine": "vllm", "model": "m"}
CPU = {**VLLM, "cpu": {}}
LLAMACPP = {"engine": "llamacpp", "model": "m"}
SGLANG = {"engine": "sglang", "model": "m"}


def speculating(base: dict[str, Any] = VLLM, **speculation: Any) -> dict[str, Any]:
    """Return ``base`` with a speculation section."""
    return {**base, "speculation": speculation}


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"engine": "tgi", "model": "m"}, "engine"),
        ({"engine": "vllm"}, "model: Field required"),
        ({**VLLM, "modle": "x"}, "modle: no such key for this engine"),
        ({**VLLM, "concurrent_calls": 0}, "concurrent_calls = 0: input should be greater"),
        ({**VLLM, "quantization": "int3"}, "quantization = 'int3'"),
        ({**CPU, "kv_cache_dtype": "fp8"}, "kv_cache_dtype: fp8 needs a GPU"),
        ({**CPU, "quantization": "fp8"}, "quantization: fp8 needs a GPU"),
        ({**VLLM, "adapters": [{"name": "a", "path": "p"}, {"name": "a", "path": "q"}]}, "same name"),
        ({**VLLM, "adapters": [{"name": "offhook", "path": "p"}]}, "served_name"),
        (speculating(method="telepathy", tokens=3), "speculation"),
        (speculating(method="ngram"), "tokens: Field required"),
        (speculating(method="ngram", tokens=3, model="m"), "model: no such key"),
        (speculating(method="ngram", tokens=3, lookup_min=5, lookup_max=2), "must not exceed lookup_max"),
        (speculating(method="draft_model", tokens=3), "model: Field required"),
        (speculating(method="medusa", tokens=3), "model: Field required"),
        (speculating(method="mtp", tokens=3, model="m"), "model: no such key"),
        (speculating(CPU, method="ngram_gpu", tokens=3), "ngram_gpu needs a GPU"),
        (speculating(CPU, method="dflash", tokens=3, model="m"), "dflash needs a GPU"),
        (speculating({**VLLM, "concurrent_calls": 64}, method="mtp", tokens=8), "need 576 tokens a step"),
        (speculating({**VLLM, "async_scheduling": True}, method="medusa", tokens=3, model="m"), "leave it out"),
        (
            speculating({**VLLM, "tensor_parallel": 4}, method="eagle", tokens=3, model="m", draft_tensor_parallel=2),
            "must be 1 or tensor_parallel = 4",
        ),
        ({**LLAMACPP, "speculation": {"method": "draft_model", "tokens": 3}}, "needs the model"),
        ({**SGLANG, "speculation": {"method": "ngram", "tokens": 3, "model": "m"}}, "leave it out"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_saying_why(table: dict[str, Any], says: str) -> None:
    """The message names the key and what is allowed."""
    with pytest.raises(ProfileError) as caught:
        parse_profile(table, shown="test")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_async_scheduling_follows_the_method() -> None:
    """vLLM schedules ahead for some methods only; left alone, the profile knows which."""
    ahead = parse_profile(speculating(method="eagle3", tokens=3, model="m"), shown="x")
    behind = parse_profile(speculating(method="ngram", tokens=3), shown="x")
    assert (ahead.schedules_ahead, behind.schedules_ahead) == (True, False)  # type: ignore[union-attr]


def test_a_profile_of_ones_own_is_a_file(tmp_path: Path) -> None:
    """A path works wherever a name does."""
    path = tmp_path / "mine.toml"
    path.write_text('engine = "vllm"\nmodel = "m"\n')
    assert load_profile(str(path)).name == "mine"


@pytest.mark.parametrize(("text", "says"), [("engine = ", "cannot be read as TOML"), (None, "no such file")])
def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, text: str | None, says: str) -> None:
    """No traceback for a typing error."""
    path = tmp_path / "mine.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ProfileError, match=says):
        load_profile(str(path))
