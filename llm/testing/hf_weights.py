"""The embedded GGUF model as a Hugging Face directory that vLLM loads, and tiny random heads for it.

``python -m llm.testing.hf_weights MODEL.gguf FOLDER`` fills FOLDER with:

============ ================================================================================
target       the model itself, float32
draft        its first six layers: a draft model with the same vocabulary
medusa       three random heads
eagle        one random layer over the hidden state
eagle3       one random layer over three hidden states
mtp          the model recast as MiMo, with one random multi-token-prediction layer
lora         a LoRA adapter that changes what it says
============ ================================================================================

Random heads guess next to nothing right. What they prove is that a method starts, verifies and reports.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFReader
from gguf.quants import dequantize
from numpy.typing import NDArray
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

Tensors = dict[str, NDArray[np.float32]]

DRAFT_LAYERS = 6
MEDUSA_HEADS = 3
LORA_RANK = 8
SEED = 0
#: Spread of random weights.
RANDOM_SCALE = 0.02
#: GGUF token type of control tokens.
CONTROL_TOKEN = 3

#: GGUF's names of a layer's tensors, and Hugging Face's.
_LAYER = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_TOP = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "generation_config.json")


def main() -> None:
    """Convert the file named first into the folder named second."""
    source, folder = Path(sys.argv[1]), Path(sys.argv[2])
    reader = GGUFReader(source)
    config, tensors = config_of(reader), tensors_of(reader)
    _save(folder / "target", config, tensors)
    _save_tokenizer(folder / "target", reader)
    _save_draft(folder / "draft", config, tensors)
    _copy_tokenizer(folder, "draft")
    rng = np.random.default_rng(SEED)
    heads = Heads(config, tensors, rng)
    _save(folder / "medusa", *heads.medusa())
    _save(folder / "eagle", *heads.eagle())
    _save(folder / "eagle3", *heads.eagle3())
    _save(folder / "mtp", *heads.mtp())
    _copy_tokenizer(folder, "mtp")
    _save_lora(folder / "lora", config, rng)


def config_of(reader: GGUFReader) -> dict[str, Any]:
    """Return the model's ``config.json``."""

    def value(key: str) -> Any:
        return reader.fields[f"llama.{key}"].contents()

    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": len(reader.fields["tokenizer.ggml.tokens"].contents()),
        "hidden_size": value("embedding_length"),
        "intermediate_size": value("feed_forward_length"),
        "num_hidden_layers": value("block_count"),
        "num_attention_heads": value("attention.head_count"),
        "num_key_value_heads": value("attention.head_count_kv"),
        "hidden_act": "silu",
        "max_position_embeddings": value("context_length"),
        "rms_norm_eps": float(value("attention.layer_norm_rms_epsilon")),
        "rope_theta": float(value("rope.freq_base")),
        "tie_word_embeddings": not any(tensor.name == "output.weight" for tensor in reader.tensors),
        "torch_dtype": "float32",
        **{f"{name}_token_id": _token(reader, name) for name in ("bos", "eos")},
        "pad_token_id": _token(reader, "padding"),
    }


def tensors_of(reader: GGUFReader) -> Tensors:
    """Return the weights in float32 under Hugging Face's names."""
    heads = reader.fields["llama.attention.head_count"].contents()
    kv_heads = reader.fields["llama.attention.head_count_kv"].contents()
    tensors: Tensors = {}
    for tensor in reader.tensors:
        shape = tuple(int(size) for size in reversed(tensor.shape))
        weights = dequantize(tensor.data, tensor.tensor_type).reshape(shape).astype(np.float32)
        name = tensor.name.removesuffix(".weight")
        if name.startswith("blk."):
            _, layer, part = name.split(".", 2)
            if part in ("attn_q", "attn_k"):
                weights = _unpermute(weights, heads if part == "attn_q" else kv_heads)
            tensors[f"model.layers.{layer}.{_LAYER[part]}.weight"] = np.ascontiguousarray(weights)
        elif name in _TOP:
            tensors[f"{_TOP[name]}.weight"] = weights
    return tensors


class Heads:
    """Random speculative heads that fit a model: each method returns a config and its tensors."""

    def __init__(self, config: dict[str, Any], tensors: Tensors, rng: np.random.Generator) -> None:
        self._config = config
        self._tensors = tensors
        self._rng = rng
        self._hidden: int = config["hidden_size"]
        self._head = self._hidden // config["num_attention_heads"]
        self._embedding = tensors["model.embed_tokens.weight"]

    def medusa(self) -> tuple[dict[str, Any], Tensors]:
        """Return three one-layer heads that share the model's output matrix."""
        config = {
            "architectures": ["MedusaModel"],
            "model_type": "medusa",
            "hidden_size": self._hidden,
            "vocab_size": self._config["vocab_size"],
            "medusa_num_heads": MEDUSA_HEADS,
            "medusa_num_layers": 1,
            "original_lm_head": True,
            "torch_dtype": "float32",
        }
        blocks = {
            f"blocks.{n}.layers.0.weight": self._random(self._hidden, self._hidden)
            for n in range(MEDUSA_HEADS)
        }
        return config, {**blocks, "lm_heads.0.weight": self._embedding}

    def eagle(self) -> tuple[dict[str, Any], Tensors]:
        """Return one layer fed with the embedding and the last hidden state."""
        config = {**self._config, "architectures": ["EagleLlamaForCausalLM"], "num_hidden_layers": 1}
        tensors = self._layer("layers.0.", self._hidden)
        del tensors["layers.0.input_layernorm.weight"]  # EAGLE's first layer has none.
        return config, {**tensors, "fc.weight": self._random(self._hidden, 2 * self._hidden)}

    def eagle3(self) -> tuple[dict[str, Any], Tensors]:
        """Return one layer fed with three hidden states, and an output matrix of its own."""
        config = {
            **self._config,
            "architectures": ["LlamaForCausalLMEagle3"],
            "num_hidden_layers": 1,
            "draft_vocab_size": self._config["vocab_size"],
            "tie_word_embeddings": False,
        }
        tensors = self._layer("midlayer.", 2 * self._hidden)
        return config, {
            **tensors,
            "midlayer.hidden_norm.weight": self._ones(),
            "fc.weight": self._random(self._hidden, 3 * self._hidden),
            "norm.weight": self._ones(),
            "lm_head.weight": self._embedding,
        }

    def mtp(self) -> tuple[dict[str, Any], Tensors]:
        """Return the whole model recast as MiMo (Qwen2 with zero biases) with one prediction layer."""
        config = {
            **self._config,
            "architectures": ["MiMoForCausalLM"],
            "model_type": "qwen2",
            "num_nextn_predict_layers": 1,
            "tie_word_embeddings": False,
            "use_sliding_window": False,
        }
        tensors = {**self._tensors, "lm_head.weight": self._embedding}
        for layer in range(self._config["num_hidden_layers"]):
            tensors |= self._zero_biases(f"model.layers.{layer}.")
        prefix = "model.mtp_layers.0."
        norms = ("token_layernorm", "hidden_layernorm", "final_layernorm")
        return config, {
            **tensors,
            **self._layer(prefix, self._hidden),
            **self._zero_biases(prefix),
            **{f"{prefix}{name}.weight": self._ones() for name in norms},
            f"{prefix}input_proj.weight": self._random(self._hidden, 2 * self._hidden),
        }

    def _layer(self, prefix: str, inputs: int) -> Tensors:
        kv = self._config["num_key_value_heads"] * self._head
        inner, hidden = self._config["intermediate_size"], self._hidden
        return {
            f"{prefix}self_attn.q_proj.weight": self._random(hidden, inputs),
            f"{prefix}self_attn.k_proj.weight": self._random(kv, inputs),
            f"{prefix}self_attn.v_proj.weight": self._random(kv, inputs),
            f"{prefix}self_attn.o_proj.weight": self._random(hidden, hidden),
            f"{prefix}mlp.gate_proj.weight": self._random(inner, hidden),
            f"{prefix}mlp.up_proj.weight": self._random(inner, hidden),
            f"{prefix}mlp.down_proj.weight": self._random(hidden, inner),
            f"{prefix}input_layernorm.weight": self._ones(),
            f"{prefix}post_attention_layernorm.weight": self._ones(),
        }

    def _zero_biases(self, prefix: str) -> Tensors:
        kv = self._config["num_key_value_heads"] * self._head
        sizes = {"q": self._hidden, "k": kv, "v": kv}
        return {f"{prefix}self_attn.{n}_proj.bias": np.zeros(size, np.float32) for n, size in sizes.items()}

    def _ones(self) -> NDArray[np.float32]:
        return np.ones(self._hidden, np.float32)

    def _random(self, *shape: int) -> NDArray[np.float32]:
        return (self._rng.standard_normal(shape) * RANDOM_SCALE).astype(np.float32)


def _save_draft(folder: Path, config: dict[str, Any], tensors: Tensors) -> None:
    def kept(name: str) -> bool:
        return not name.startswith("model.layers.") or int(name.split(".")[2]) < DRAFT_LAYERS

    smaller = {name: weights for name, weights in tensors.items() if kept(name)}
    _save(folder, {**config, "num_hidden_layers": DRAFT_LAYERS}, smaller)


def _save_lora(folder: Path, config: dict[str, Any], rng: np.random.Generator) -> None:
    hidden = config["hidden_size"]
    tensors: Tensors = {}
    for layer in range(config["num_hidden_layers"]):
        prefix = f"base_model.model.model.layers.{layer}.self_attn.q_proj."
        tensors[f"{prefix}lora_A.weight"] = rng.standard_normal((LORA_RANK, hidden)).astype(np.float32)
        tensors[f"{prefix}lora_B.weight"] = rng.standard_normal((hidden, LORA_RANK)).astype(np.float32)
    folder.mkdir(parents=True)
    settings = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": LORA_RANK, "lora_alpha": LORA_RANK,
                "target_modules": ["q_proj"], "bias": "none", "base_model_name_or_path": "target"}  # fmt: skip
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    save_file(tensors, folder / "adapter_model.safetensors")


def _save(folder: Path, config: dict[str, Any], tensors: Tensors) -> None:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def _save_tokenizer(folder: Path, reader: GGUFReader) -> None:
    tokens = reader.fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(pair.split(" ", 1)) for pair in reader.fields["tokenizer.ggml.merges"].contents()]
    tokenizer = Tokenizer(models.BPE(vocab={token: n for n, token in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    kinds = reader.fields["tokenizer.ggml.token_type"].contents()
    control = [token for token, kind in zip(tokens, kinds, strict=True) if kind == CONTROL_TOKEN]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in control])
    tokenizer.save(str(folder / "tokenizer.json"))
    ids = {name: _token(reader, gguf) for name, gguf in
           (("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("pad", "padding"))}  # fmt: skip
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **{f"{name}_token": tokens[number] for name, number in ids.items()},
        "model_max_length": reader.fields["llama.context_length"].contents(),
        "clean_up_tokenization_spaces": False,
        "chat_template": reader.fields["tokenizer.chat_template"].contents(),
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    generation = {f"{name}_token_id": ids[name] for name in ("bos", "eos", "pad")}
    (folder / "generation_config.json").write_text(json.dumps(generation))


def _copy_tokenizer(folder: Path, name: str) -> None:
    for file in _TOKENIZER_FILES:
        shutil.copy(folder / "target" / file, folder / name / file)


def _token(reader: GGUFReader, name: str) -> int:
    return int(reader.fields[f"tokenizer.ggml.{name}_token_id"].contents())


def _unpermute(weights: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Undo the row order llama.cpp stores rotary projections in."""
    rows = weights.shape[0] // heads // 2
    return weights.reshape(heads, rows, 2, *weights.shape[1:]).swapaxes(1, 2).reshape(weights.shape)


if __name__ == "__main__":
    main()
