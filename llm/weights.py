"""The embedded model's weights in the form the embedded engine runs fastest and answers best in.

Q4_1 tensors become Q4_0, for which llama.cpp has kernels that repack the weights for the processor: half
the time a token, and better answers. The choice was made by asking the model questions (docs/tuning.md).
F32 is for comparisons: with it llama.cpp computes what vLLM computes from the same weights in float32.
Metadata is carried over as it is, and so are tensors that are in the wanted form or better suited to their own.
"""

from functools import partial
from pathlib import Path
from typing import Literal

from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter, LlamaFileType
from gguf.quants import dequantize, quantize

from llm.errors import WeightsError
from modelstore import derived, locate

Precision = Literal["as_is", "q4_0", "f32"]

#: For each precision: the file type to declare, and what each kind of tensor becomes.
_CONVERSIONS = {
    "q4_0": (LlamaFileType.MOSTLY_Q4_0, {GGMLQuantizationType.Q4_1: GGMLQuantizationType.Q4_0}),
    "f32": (
        LlamaFileType.ALL_F32,
        {
            GGMLQuantizationType.Q4_1: GGMLQuantizationType.F32,
            GGMLQuantizationType.Q8_0: GGMLQuantizationType.F32,
        },
    ),
}
#: Metadata the writer sets itself.
_WRITTEN_BY_GGUF = ("GGUF.", "general.architecture")


def gguf_path(model: str, precision: Precision) -> Path:
    """Return the GGUF file of ``model``, converted once to ``precision``.

    Raises:
        modelstore.ModelMissingError: the model is not in the store.
        WeightsError: the directory holds no GGUF file, or more than one.

    """
    source = _only_gguf(locate(model))
    if precision == "as_is":
        return source
    make = partial(_make, source, precision)
    return _only_gguf(derived(model, precision, make))


def convert(source: Path, target: Path, precision: Precision) -> None:
    """Write ``source`` to ``target`` in ``precision``."""
    file_type, kinds = _CONVERSIONS[precision]
    reader = GGUFReader(source)
    writer = GGUFWriter(target, str(reader.fields["general.architecture"].contents()))
    for key, field in reader.fields.items():
        if key.startswith(_WRITTEN_BY_GGUF):
            continue
        value = file_type if key == "general.file_type" else field.contents()
        element = field.types[-1] if field.types[0] == GGUFValueType.ARRAY else None
        writer.add_key_value(key, value, field.types[0], element)
    for tensor in reader.tensors:
        data, kind = tensor.data, tensor.tensor_type
        if kind in kinds:
            data, kind = quantize(dequantize(data, kind), kinds[kind]), kinds[kind]
        writer.add_tensor(tensor.name, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _make(source: Path, precision: Precision, folder: Path) -> None:
    convert(source, folder / f"model-{precision}.gguf", precision)


def _only_gguf(path: Path) -> Path:
    if path.is_file():
        return path
    files = sorted(path.glob("*.gguf"))
    if len(files) != 1:
        raise WeightsError(f"{path}: expected one .gguf file, found {len(files)}; name the file itself")
    return files[0]
