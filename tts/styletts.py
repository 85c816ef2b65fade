"""Kokoro's network as two ONNX graphs, so that words have true times and sound can be streamed.

Kokoro (hexgrad, 82 million parameters) is a StyleTTS 2 (Li et al., 2023, arXiv:2306.07691) with an iSTFTNet
decoder. Its export is one graph from phonemes to sound. Here it is cut where the phonemes have been laid out in
time: the first part takes a few per cent of the time and tells how long each phoneme lasts, how high and how loud
the voice is; the second makes the sound and is run over ranges of frames.

Two things make a range differ from the same stretch of the whole. The voiced source is a sine whose phase adds up
from the first frame: the phase a range would have begun with is put into the pitch of its first frame, which lies
in the context and is not heard, so that ranges join without a seam. And the decoder normalises each channel over
all frames it sees: a range is normalised by itself and :data:`CONTEXT` frames on both sides, which is close to the
whole and not equal to it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from modelstore import derived, locate
from tts.errors import EngineError
from tts.inference import open_session, save_part
from tts.speech import Samples

Floats = NDArray[np.float32]

SAMPLE_RATE = 24000
#: Samples of one frame (25 ms); pitch and loudness have two values a frame.
HOP = 600
#: Frames decoded on each side of a range and not heard.
CONTEXT = 16
#: Phonemes the network takes at once.
MAX_SYMBOLS = 510
#: Name of the derived artefact; changes when what is derived changes.
DERIVED_KEY = "kokoro-split-1"

_DURATIONS = "/encoder/Clip_output_0"
_TEXT = "/encoder/MatMul_1_output_0"
_PITCH = "/encoder/Reshape_output_0"
_LOUDNESS = "/encoder/Reshape_1_output_0"
_INPUTS = ["tokens", "style", "speed"]


@dataclass(frozen=True)
class Draft:
    """An utterance laid out in time, with no sound yet.

    Attributes:
        text: float32 (1, channels, frames), what is said in each frame.
        pitch: float32 (1, 2 x frames), hertz; 0 where the voice does not sound.
        loudness: float32 (1, 2 x frames).
        durations: frames of each id, the silence before and after among them.
        style: float32 (1, 256), the voice.

    """

    text: Floats
    pitch: Floats
    loudness: Floats
    durations: NDArray[np.int64]
    style: Floats

    @property
    def frames(self) -> int:
        """Number of frames."""
        return int(self.text.shape[2])


class KokoroNet:
    """The loaded network and one voice. Its methods block and may be called from any thread.

    Args:
        model: name of a Kokoro model in the model store, or a path to its directory: one ``.onnx`` file,
            ``voices.npz``, and ``config.json`` with the ``vocab``.
        voice: name of one of its voices.
        threads: threads one step may use.
        device: ``cpu`` or ``cuda``.

    Raises:
        ModelMissingError: the model is not there.
        EngineError: it is not a Kokoro model, or has no such voice.

    """

    def __init__(self, model: str, voice: str, *, threads: int, device: str) -> None:
        folder = locate(model)
        self.alphabet = _read_alphabet(folder / "config.json")
        self._styles = _read_voice(folder / "voices.npz", voice)
        parts = derived(model, DERIVED_KEY, lambda target: split_network(folder, target))
        self._planner = open_session(parts / "planner.onnx", threads=threads, device=device)
        self._decoder = open_session(parts / "decoder.onnx", threads=threads, device=device)

    def plan(self, symbols: str, *, speed: float = 1.0) -> Draft:
        """Return the draft of ``symbols``, at most :data:`MAX_SYMBOLS`, all of the alphabet."""
        style = self._styles[len(symbols) - 1]
        feed = {
            "tokens": np.array([[0, *(self.alphabet[symbol] for symbol in symbols), 0]], dtype=np.int64),
            "style": style,
            "speed": np.array([speed], dtype=np.float32),
        }
        durations, text, pitch, loudness = self._planner.run([_DURATIONS, _TEXT, _PITCH, _LOUDNESS], feed)
        return Draft(text, pitch, loudness, durations.reshape(-1).astype(np.int64), style)

    def decode(self, draft: Draft, start: int, end: int) -> Samples:
        """Return the sound of frames ``start`` to ``end`` (exclusive), :data:`HOP` samples a frame."""
        first, last = max(0, start - CONTEXT), min(draft.frames, end + CONTEXT)
        pitch = draft.pitch[:, 2 * first : 2 * last].copy()
        pitch[0, 0] += _phase(draft.pitch[0, : 2 * first]) * SAMPLE_RATE / (HOP // 2)
        feed = {
            _TEXT: np.ascontiguousarray(draft.text[:, :, first:last]),
            _PITCH: pitch,
            _LOUDNESS: np.ascontiguousarray(draft.loudness[:, 2 * first : 2 * last]),
            "style": draft.style,
        }
        (sound,) = self._decoder.run(None, feed)
        samples: Samples = sound.reshape(-1)[(start - first) * HOP : (end - first) * HOP]
        return samples


def split_network(folder: Path, target: Path) -> None:
    """Write ``planner.onnx`` and ``decoder.onnx`` of the model in ``folder`` to ``target``.

    Raises:
        EngineError: there is no graph, several, or one that was exported in another way.

    """
    files = sorted(folder.glob("*.onnx"))
    if len(files) != 1:
        raise EngineError(f"{folder} has {len(files)} .onnx files; a Kokoro model has one")
    model = onnx.load(str(files[0]))
    made = {name for node in model.graph.node for name in node.output}
    inputs = [item.name for item in model.graph.input]
    if inputs != _INPUTS or not {_DURATIONS, _TEXT, _PITCH, _LOUDNESS} <= made:
        raise EngineError(
            f"{files[0]} is not an export that can be cut; take kokoro-v1.0.onnx, .fp16.onnx or .int8.onnx"
        )
    save_part(model, _INPUTS, [_DURATIONS, _TEXT, _PITCH, _LOUDNESS], target / "planner.onnx")
    sound = [item.name for item in model.graph.output]
    save_part(model, [_TEXT, _PITCH, _LOUDNESS, "style"], sound, target / "decoder.onnx")


def _phase(pitch: Floats) -> float:
    """Return what the voiced source has turned after ``pitch``, as a part of one turn."""
    turns = float(np.sum(pitch, dtype=np.float64)) * (HOP // 2) / SAMPLE_RATE
    return turns % 1.0


def _read_alphabet(path: Path) -> dict[str, int]:
    try:
        vocab: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["vocab"]
        return {str(symbol): int(number) for symbol, number in vocab.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EngineError(f"{path} is not the configuration of a Kokoro model: {error!r}") from None


def _read_voice(path: Path, voice: str) -> Sequence[Floats]:
    """Return the styles of ``voice`` by number of phonemes less one, each float32 (1, 256)."""
    try:
        with np.load(path) as voices:
            if voice not in voices:
                raise EngineError(f"{path} has no voice {voice!r}; it has {', '.join(sorted(voices))}")
            styles = voices[voice].astype(np.float32)
    except (OSError, ValueError) as error:
        raise EngineError(f"{path} cannot be read: {error}") from None
    return list(styles.reshape(len(styles), 1, -1))
