"""A VITS voice as three ONNX graphs, so that its sound can be streamed.

VITS (Kim, Kong and Son, 2021, arXiv:2106.06103) lays an utterance out in time from its phonemes, turns that
draft into latents with a normalising flow, and those into sound with a HiFi-GAN decoder; the last two take most
of the time. A Piper voice has all of it in one graph. Here it is cut before the flow and before the decoder. The
first part, which needs the whole text, also tells how long each phoneme lasts. Flow and decoder are
convolutional: a frame depends on its neighbours within :data:`FLOW_CONTEXT` and :data:`DECODER_CONTEXT` and on
no others, so running them over ranges with that much context on both sides gives what running them at once does.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnx.utils
from numpy.typing import NDArray

from modelstore import derived, locate
from tts.errors import EngineError
from tts.inference import open_session
from tts.speech import Samples

#: Frames on each side that a latent depends on: four layers of kernel 5 in each of four couplings.
FLOW_CONTEXT = 32
#: Frames on each side that a decoded frame depends on; measured on medium Piper voices (with 10 the difference
#: is at float rounding, with 8 it is at -53 dB).
DECODER_CONTEXT = 10
#: Name of the derived artefact; changes when what is derived changes.
DERIVED_KEY = "vits-split-2"

_FLOW_FIRST = "/flow/flows.7/Slice"
_FLOW_LAST = "/Mul_7"
_DECODER_FIRST = "/dec/conv_pre/Conv"


@dataclass(frozen=True)
class VitsConfig:
    """What the voice's JSON file says.

    Attributes:
        sample_rate: samples a second.
        espeak_voice: voice that phonemises for it.
        language: BCP 47 tag of the text it speaks.
        symbols: ids of each phoneme symbol, with ``_`` (pad), ``^`` (begin) and ``$`` (end).
        noise_scale: variation of the sound.
        length_scale: pace; larger is slower.
        noise_w: variation of the durations.
        speakers: number of speakers the model holds.

    """

    sample_rate: int
    espeak_voice: str
    language: str
    symbols: dict[str, list[int]]
    noise_scale: float
    length_scale: float
    noise_w: float
    speakers: int

    @classmethod
    def read(cls, path: Path) -> "VitsConfig":
        """Read ``path``, a Piper voice's ``.onnx.json``.

        Raises:
            EngineError: it is not one.

        """
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            inference = data["inference"]
            return cls(
                sample_rate=int(data["audio"]["sample_rate"]),
                espeak_voice=str(data["espeak"]["voice"]),
                language=str(data.get("language", {}).get("code") or data["espeak"]["voice"]).replace(
                    "_", "-"
                ),
                symbols={str(symbol): list(ids) for symbol, ids in data["phoneme_id_map"].items()},
                noise_scale=float(inference["noise_scale"]),
                length_scale=float(inference["length_scale"]),
                noise_w=float(inference["noise_w"]),
                speakers=int(data["num_speakers"]),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise EngineError(f"{path} is not the configuration of a Piper voice: {error!r}") from None

    def ids(self, symbols: str) -> list[int]:
        """Return the model's ids of phoneme ``symbols``: symbol ``k`` has ids 2 + 2k and its pad.

        Symbols that the voice does not know become pads, so that positions hold.
        """
        table = self.symbols
        pad = table["_"][0]
        ids = [table["^"][0], pad]
        for symbol in symbols:
            ids += [table.get(symbol, [pad])[0], pad]
        return [*ids, table["$"][0]]


@dataclass(frozen=True)
class Draft:
    """An utterance whose phonemes have been given their length, but no sound yet.

    Attributes:
        values: float32 (1, channels, frames), drawn from the prior of the text.
        durations: frames of each id, in order; their sum is ``frames``.

    """

    values: NDArray[np.float32]
    durations: NDArray[np.int64]

    @property
    def frames(self) -> int:
        """Number of latent frames."""
        return int(self.values.shape[2])


class VitsVoice:
    """A loaded voice. Its methods block and may be called from any thread.

    Args:
        model: name of a Piper voice in the model store, or a path to its directory.
        threads: threads one step may use.

    Raises:
        ModelMissingError: the model is not there.
        EngineError: it is not a Piper voice of one speaker.

    """

    def __init__(self, model: str, *, threads: int) -> None:
        folder = derived(model, DERIVED_KEY, lambda target: split_voice(model, target))
        self.config = VitsConfig.read(folder / "voice.json")
        self._encoder = open_session(folder / "encoder.onnx", threads=threads)
        self._flow = open_session(folder / "flow.onnx", threads=threads)
        self._decoder = open_session(folder / "decoder.onnx", threads=threads)
        #: Samples of one latent frame.
        self.hop = len(self.decode(np.zeros((1, self._channels(), 1), dtype=np.float32)))

    def encode(self, ids: Sequence[int], *, speed: float = 1.0) -> Draft:
        """Return the draft of an utterance. Its variation is random, as the model's is."""
        config = self.config
        scales = [config.noise_scale, config.length_scale / speed, config.noise_w]
        feed = {
            "input": np.array([ids], dtype=np.int64),
            "input_lengths": np.array([len(ids)], dtype=np.int64),
            "scales": np.array(scales, dtype=np.float32),
        }
        values, durations = self._encoder.run(None, feed)
        return Draft(values, durations.reshape(-1).astype(np.int64))

    def flow(self, draft: Draft, start: int, end: int) -> NDArray[np.float32]:
        """Return the latents of frames ``start`` to ``end``, equal to those computed all at once."""
        first, last = max(0, start - FLOW_CONTEXT), min(draft.frames, end + FLOW_CONTEXT)
        values = np.ascontiguousarray(draft.values[:, :, first:last])
        mask = np.ones((1, 1, last - first), dtype=np.float32)
        names = [item.name for item in self._flow.get_inputs()]
        (latents,) = self._flow.run(None, dict(zip(names, (values, mask), strict=True)))
        window: NDArray[np.float32] = latents[:, :, start - first : end - first]
        return window

    def decode(self, latents: NDArray[np.float32]) -> Samples:
        """Return the sound of ``latents``, :attr:`hop` samples a frame."""
        (sound,) = self._decoder.run(None, {self._decoder.get_inputs()[0].name: latents})
        samples: Samples = sound.reshape(-1)
        return samples

    def _channels(self) -> int:
        return int(self._decoder.get_inputs()[0].shape[1])


class SoundStream:
    """The sound of one draft, asked for in ranges of frames that go forward.

    Latents are computed somewhat ahead, at least twice as far each time, so that the first range needs few of
    them and the context they take on both sides is paid for only a few times.
    """

    def __init__(self, voice: VitsVoice, draft: Draft) -> None:
        self._voice = voice
        self._draft = draft
        self._latents = draft.values[:, :, :0]

    def decode(self, start: int, end: int) -> Samples:
        """Return the sound of frames ``start`` to ``end`` (exclusive), equal to that of decoding all."""
        first = max(0, start - DECODER_CONTEXT)
        last = min(self._draft.frames, end + DECODER_CONTEXT)
        self._extend(last)
        window = np.ascontiguousarray(self._latents[:, :, first:last])
        hop = self._voice.hop
        return self._voice.decode(window)[(start - first) * hop : (end - first) * hop]

    def _extend(self, needed: int) -> None:
        known = self._latents.shape[2]
        if needed <= known:
            return
        end = min(self._draft.frames, max(needed, 2 * known))
        self._latents = np.concatenate((self._latents, self._voice.flow(self._draft, known, end)), axis=2)


def split_voice(model: str, target: Path) -> None:
    """Write the three graphs and ``voice.json`` of Piper voice ``model`` to ``target``.

    Raises:
        EngineError: the graph is not that of a Piper voice of one speaker.

    """
    source = voice_file(model)
    config = source.with_name(source.name + ".json")
    speakers = VitsConfig.read(config).speakers
    if speakers > 1:
        raise EngineError(f"{source} has {speakers} speakers; choose a voice with one")
    graph = onnx.load(str(source)).graph
    nodes = {node.name: node for node in graph.node}
    durations = [node.output[0] for node in graph.node if node.op_type == "Ceil"]
    if any(name not in nodes for name in (_FLOW_FIRST, _FLOW_LAST, _DECODER_FIRST)) or len(durations) != 1:
        raise EngineError(
            f"{source} is not a Piper voice: its flow, its decoder or its durations were not found"
        )
    draft = nodes[_FLOW_FIRST].input[0]
    mask = nodes[_FLOW_LAST].input[1]
    latents = nodes[_DECODER_FIRST].input[0]
    text = [item.name for item in graph.input]
    for name, inputs, outputs in (
        ("encoder", text, [draft, durations[0]]),
        ("flow", [draft, mask], [latents]),
        ("decoder", [latents], [graph.output[0].name]),
    ):
        onnx.utils.extract_model(str(source), str(target / f"{name}.onnx"), inputs, outputs)
    (target / "voice.json").write_bytes(config.read_bytes())


def voice_file(model: str) -> Path:
    """Return the ONNX file of Piper voice ``model``.

    Raises:
        ModelMissingError: the model is not there.
        EngineError: it has none, or several.

    """
    path = locate(model)
    files = [path] if path.is_file() else sorted(path.glob("*.onnx"))
    if len(files) != 1:
        raise EngineError(f"{path} has {len(files)} .onnx files; a Piper voice has one")
    return files[0]
