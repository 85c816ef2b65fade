"""The embedded model's weights are converted once, and nothing else of the model changes."""

from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFReader
from gguf.quants import dequantize

from llm.errors import WeightsError
from llm.weights import gguf_path

from .conftest import MODEL


def test_q4_0_is_the_published_model_in_another_form(embedded_model: None) -> None:
    """Same tensors, same tokeniser and template; each weight within a quantisation step."""
    published, converted = (GGUFReader(gguf_path(MODEL, form)) for form in ("as_is", "q4_0"))
    kinds = {tensor.tensor_type for tensor in converted.tensors}
    assert GGMLQuantizationType.Q4_0 in kinds
    assert GGMLQuantizationType.Q4_1 not in kinds
    for key in ("tokenizer.chat_template", "tokenizer.ggml.merges", "llama.rope.freq_base"):
        assert converted.fields[key].contents() == published.fields[key].contents()
    before = {tensor.name: tensor for tensor in published.tensors}
    assert [tensor.name for tensor in converted.tensors] == list(before)
    tensor = next(item for item in converted.tensors if item.tensor_type == GGMLQuantizationType.Q4_0)
    old = dequantize(before[tensor.name].data, before[tensor.name].tensor_type)
    new = dequantize(tensor.data, tensor.tensor_type)
    assert np.corrcoef(old.ravel(), new.ravel())[0, 1] > 0.99


def test_a_conversion_is_made_once(embedded_model: None) -> None:
    """The second time is a look into the store."""
    first = gguf_path(MODEL, "q4_0")
    made = first.stat().st_mtime_ns
    assert gguf_path(MODEL, "q4_0") == first
    assert first.stat().st_mtime_ns == made


def test_a_folder_without_one_gguf_file_is_refused(tmp_path: Path) -> None:
    """The error says to name the file."""
    with pytest.raises(WeightsError, match=r"expected one .gguf file, found 0; name the file"):
        gguf_path(str(tmp_path), "as_is")
    (tmp_path / "a.gguf").touch()
    assert gguf_path(str(tmp_path), "as_is") == tmp_path / "a.gguf"
    (tmp_path / "b.gguf").touch()
    with pytest.raises(WeightsError, match="found 2"):
        gguf_path(str(tmp_path), "as_is")
    assert gguf_path(str(tmp_path / "b.gguf"), "as_is") == tmp_path / "b.gguf"
