"""Opening ONNX graphs the way a server with neighbours should, and cutting parts out of them."""

from collections.abc import Sequence
from pathlib import Path

import onnx
import onnxruntime
from onnx import ModelProto, TensorProto, helper

from tts.errors import EngineError

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def open_session(path: Path, *, threads: int, device: str = "cpu") -> onnxruntime.InferenceSession:
    """Return a session of the graph at ``path``.

    Args:
        path: the ONNX file.
        threads: threads one run may use, where it runs on a processor.
        device: ``cpu`` or ``cuda``.

    Raises:
        EngineError: it cannot be loaded, or the installed onnxruntime has no such device.

    """
    provider = PROVIDERS[device]
    if provider not in onnxruntime.get_available_providers():
        raise EngineError(
            f"the installed onnxruntime has no {device!r}; install onnxruntime-gpu in its place, or say "
            "device = 'cpu'"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that wait by spinning would take the core from the ear and the mind.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=[provider])
    except Exception as error:  # onnxruntime's own exceptions share no public base class
        raise EngineError(f"{path} cannot be loaded: {error}") from None


def save_part(model: ModelProto, inputs: Sequence[str], outputs: Sequence[str], path: Path) -> None:
    """Write the part of ``model`` that computes ``outputs`` from ``inputs`` to ``path``.

    ``onnx.utils.extract_model`` needs every tensor's shape to be inferred, which stops at onnxruntime's fused
    operators. Tensors inside the graph are taken for float32 of any shape.
    """
    graph = model.graph
    known = {item.name: item for item in [*graph.input, *graph.output]}
    nodes = _needed(model, set(inputs), outputs)
    used = {name for node in nodes for name in node.input}
    part = helper.make_graph(
        nodes,
        path.stem,
        [known.get(name) or helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in inputs],
        [known.get(name) or helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [item for item in graph.initializer if item.name in used],
    )
    whole = helper.make_model(part, opset_imports=model.opset_import, ir_version=model.ir_version)
    onnx.save(whole, str(path))


def _needed(model: ModelProto, inputs: set[str], outputs: Sequence[str]) -> list[onnx.NodeProto]:
    makers = {name: index for index, node in enumerate(model.graph.node) for name in node.output}
    needed: set[int] = set()
    waiting = [name for name in outputs if name not in inputs]
    while waiting:
        index = makers.get(waiting.pop())
        if index is None or index in needed:
            continue
        needed.add(index)
        waiting += [name for name in model.graph.node[index].input if name and name not in inputs]
    return [model.graph.node[index] for index in sorted(needed)]
