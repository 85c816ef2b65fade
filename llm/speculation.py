"""Speculative decoding, every method vLLM 0.32 can run, as validated profile sections.

Each class is one method with the keys it needs; ``settings()`` is what ``--speculative-config`` takes.
Combinations that vLLM refuses, or accepts and then ignores, are refused here, before an engine starts.
The rules follow ``vllm/config/speculative.py``. Its ``mlp_speculator`` is left out: the parser takes it, and no
model runner has it any more (``vllm/v1/worker``).
"""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from llm.weights import Precision


@dataclass(frozen=True)
class Surroundings:
    """What of a profile a speculative method has to fit."""

    cpu: bool
    concurrent_calls: int
    batched_tokens: int
    context_tokens: int
    tensor_parallel: int
    async_scheduling: bool


class Speculation(BaseModel):
    """Base class of the methods."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Whether vLLM can schedule the next step while this one's guesses are still being checked.
    schedules_ahead: ClassVar[bool] = False

    tokens: int = Field(ge=1, le=32, description="Tokens guessed before each check.")

    def check(self, around: Surroundings) -> None:
        """Refuse what does not fit the rest of the profile.

        Raises:
            ValueError: saying why.

        """
        step = around.concurrent_calls * (self.tokens + 1)
        if step > around.batched_tokens:
            raise ValueError(
                f"speculation.tokens: {around.concurrent_calls} calls checking {self.tokens} guesses need "
                f"{step} tokens a step, more than batched_tokens = {around.batched_tokens}"
            )
        if around.async_scheduling and not self.schedules_ahead:
            raise ValueError(
                f"async_scheduling = true: not with speculation.method = {self.method!r}; leave it out"  # type: ignore[attr-defined]
            )

    def settings(self) -> dict[str, Any]:
        """Return the value of ``--speculative-config``."""
        raise NotImplementedError


class Ngram(Speculation):
    """Guess what followed the last time the same words stood in the prompt."""

    method: Literal["ngram"]
    lookup_min: int = Field(default=2, ge=1, description="Shortest run of tokens that is looked up.")
    lookup_max: int = Field(default=4, ge=1, description="Longest run of tokens that is looked up.")

    @model_validator(mode="after")
    def _order(self) -> "Ngram":
        if self.lookup_min > self.lookup_max:
            raise ValueError(
                f"speculation.lookup_min = {self.lookup_min}: must not exceed lookup_max = {self.lookup_max}"
            )
        return self

    def settings(self) -> dict[str, Any]:
        """Return the value of ``--speculative-config``."""
        return {
            "method": self.method,
            "num_speculative_tokens": self.tokens,
            "prompt_lookup_min": self.lookup_min,
            "prompt_lookup_max": self.lookup_max,
        }


class NgramGpu(Ngram):
    """The same look-up on the GPU, beside the model."""

    schedules_ahead = True

    method: Literal["ngram_gpu"]  # type: ignore[assignment]

    def check(self, around: Surroundings) -> None:
        """Refuse a processor."""
        super().check(around)
        if around.cpu:
            raise ValueError("speculation.method: ngram_gpu needs a GPU; use 'ngram' with [cpu]")


class Suffix(Speculation):
    """Guess from a suffix tree over this and past answers (needs the package ``arctic-inference``)."""

    method: Literal["suffix"]
    tree_depth: int = Field(default=24, ge=1, description="Longest match and guess together, tokens.")
    cached_requests: int = Field(default=10_000, ge=0, description="Past answers kept; 0: only the prompt's.")
    spec_factor: float = Field(default=1.0, ge=0, description="Guessed tokens per matched token.")
    min_token_probability: float = Field(default=0.1, ge=0, le=1)

    def settings(self) -> dict[str, Any]:
        """Return the value of ``--speculative-config``."""
        return {
            "method": self.method,
            "num_speculative_tokens": self.tokens,
            "suffix_decoding_max_tree_depth": self.tree_depth,
            "suffix_decoding_max_cached_requests": self.cached_requests,
            "suffix_decoding_max_spec_factor": self.spec_factor,
            "suffix_decoding_min_token_prob": self.min_token_probability,
        }


class WithModel(Speculation):
    """A method whose guesses come from further weights."""

    model: str = Field(
        min_length=1, description="Model store name, hub name or path of the guessing weights."
    )
    quantization: str = Field(default="", description="Quantisation of those weights, if any.")

    def settings(self) -> dict[str, Any]:
        """Return the value of ``--speculative-config``."""
        settings = {
            "method": self.method,  # type: ignore[attr-defined]
            "model": self.model,
            "num_speculative_tokens": self.tokens,
        }
        return {**settings, "quantization": self.quantization} if self.quantization else settings


class Drafting(WithModel):
    """Weights that write their guesses with a model of their own, which may be split over GPUs."""

    schedules_ahead = True

    draft_tensor_parallel: int = Field(default=1, ge=1, description="1, or the target's tensor_parallel.")
    sampling: Literal["greedy", "probabilistic"] = "greedy"

    def check(self, around: Surroundings) -> None:
        """Refuse a split vLLM does not have."""
        super().check(around)
        if self.draft_tensor_parallel not in (1, around.tensor_parallel):
            raise ValueError(
                f"speculation.draft_tensor_parallel = {self.draft_tensor_parallel}: must be 1 or "
                f"tensor_parallel = {around.tensor_parallel}"
            )

    def settings(self) -> dict[str, Any]:
        """Return the value of ``--speculative-config``."""
        return {
            **super().settings(),
            "draft_tensor_parallel_size": self.draft_tensor_parallel,
            "draft_sample_method": self.sampling,
        }


class DraftModel(Drafting):
    """A small model of the same family guesses, the large one checks."""

    method: Literal["draft_model"]
    parallel_drafting: bool = Field(default=False, description="The draft writes all its guesses at once.")
    own_vocabulary: bool = Field(
        default=False, description="The draft's vocabulary differs from the target's."
    )

    def settings(self) -> dict[str, Any]:
        """Return the value of ``--speculative-config``."""
        return {
            **super().settings(),
            "parallel_drafting": self.parallel_drafting,
            "use_heterogeneous_vocab": self.own_vocabulary,
        }


class Medusa(WithModel):
    """Extra output heads, one for each further token."""

    method: Literal["medusa"]


class Eagle(Drafting):
    """One extra layer over the target's last hidden state."""

    method: Literal["eagle", "eagle3"]


class Mtp(Speculation):
    """The target's own multi-token-prediction layers; no further weights."""

    schedules_ahead = True

    method: Literal["mtp"]

    def settings(self) -> dict[str, Any]:
        """Return the value of ``--speculative-config``."""
        return {"method": self.method, "num_speculative_tokens": self.tokens}


class DFlash(Drafting):
    """A block-diffusion draft that writes all its guesses in one pass."""

    method: Literal["dflash", "dspark"]

    def check(self, around: Surroundings) -> None:
        """Refuse a processor: its attention kernels are CUDA's alone."""
        super().check(around)
        if around.cpu:
            raise ValueError(f"speculation.method: {self.method} needs a GPU")


SpeculationField = Annotated[
    Ngram | NgramGpu | Suffix | DraftModel | Medusa | Eagle | Mtp | DFlash,
    Field(discriminator="method"),
]


class LlamaCppSpeculation(BaseModel):
    """What llama.cpp offers: look-up in the prompt, or a smaller GGUF model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["ngram", "draft_model"]
    tokens: int = Field(ge=1, le=32, description="Tokens guessed before each check.")
    model: str = Field(default="", description="GGUF model that guesses, for draft_model.")
    precision: Precision = Field(default="as_is", description="As for the profile's own model.")
    lookup: int = Field(default=3, ge=1, description="Run of tokens that is looked up, for ngram.")

    @model_validator(mode="after")
    def _model_fits_method(self) -> "LlamaCppSpeculation":
        if self.method == "draft_model" and not self.model:
            raise ValueError("speculation.model: draft_model needs the model that guesses")
        if self.method == "ngram" and self.model:
            raise ValueError("speculation.model: ngram guesses without a model; leave it out")
        return self


class SglangSpeculation(BaseModel):
    """What SGLang offers, as a chain of guesses."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["ngram", "draft_model", "eagle", "eagle3"]
    tokens: int = Field(ge=1, le=32, description="Tokens guessed before each check.")
    model: str = Field(default="", description="Weights that guess; none for ngram.")

    @property
    def algorithm(self) -> str:
        """SGLang's own name of the method."""
        return {"draft_model": "STANDALONE"}.get(self.method, self.method.upper())

    @model_validator(mode="after")
    def _model_fits_method(self) -> "SglangSpeculation":
        if self.method != "ngram" and not self.model:
            raise ValueError(f"speculation.model: {self.method} needs the weights that guess")
        if self.method == "ngram" and self.model:
            raise ValueError("speculation.model: ngram guesses without a model; leave it out")
        return self
