"""The two small networks that listen for turns: Silero (is this speech?) and smart-turn (is it finished?).

Both come as ONNX files inside the pipecat wheel; the files alone are used, so that the server does not load
pipecat. Both run on one thread that does not spin while it waits.
"""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from faster_whisper.feature_extractor import FeatureExtractor
from numpy.typing import NDArray

from asr.audio import SAMPLE_RATE, Samples
from asr.errors import AsrError

VAD_WINDOW = 512
VAD_WINDOW_SECONDS = VAD_WINDOW / SAMPLE_RATE
VAD_CONTEXT = 64
SMART_TURN_SECONDS = 8


def bundled(name: str) -> Path:
    """Return a data file of the pipecat wheel without importing pipecat.

    Raises:
        AsrError: pipecat is not installed or has no such file.

    """
    spec = importlib.util.find_spec("pipecat")
    for location in (spec.submodule_search_locations if spec else None) or ():
        path = Path(location) / name
        if path.is_file():
            return path
    raise AsrError(f"the pipecat wheel has no {name}; install pipecat-ai 1.14")


def _session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


class SpeechDetector:
    """Silero VAD, loaded once; each stream keeps its own :class:`SpeechState`."""

    def __init__(self) -> None:
        self._session = _session(bundled("audio/vad/data/silero_vad.onnx"))

    def __call__(self, window: Samples, state: "SpeechState") -> float:
        """Return the probability that a window of 512 samples (32 ms) at 16 kHz is speech."""
        samples = window[:: state.step]
        audio = np.concatenate((state.context, samples[None]), axis=1)
        rate = np.array(SAMPLE_RATE // state.step, dtype=np.int64)
        output, state.memory = self._session.run(None, {"input": audio, "state": state.memory, "sr": rate})
        state.context = audio[:, -VAD_CONTEXT // state.step :]
        return float(output[0, 0])


#: What tells speech from the rest: a window of 512 samples and a stream's state in, a probability out.
SpeechProbability = Callable[[Samples, "SpeechState"], float]


class SpeechState:
    """What Silero remembers of one stream.

    Args:
        narrowband: the audio came over an 8 kHz line and holds nothing above 4 kHz. Silero's 8 kHz network
            then hears far better than its 16 kHz one, and taking every second sample loses nothing.

    """

    def __init__(self, *, narrowband: bool = False) -> None:
        self.step = 2 if narrowband else 1
        self.reset()

    def reset(self) -> None:
        """Forget everything; long stretches without speech bias the recurrent state against speech."""
        self.memory: NDArray[np.float32] = np.zeros((2, 1, 128), np.float32)
        self.context: NDArray[np.float32] = np.zeros((1, VAD_CONTEXT // self.step), np.float32)

    def before(self, samples: Samples) -> "SpeechState":
        """Return a state for a window that follows ``samples`` (64 at 16 kHz), with what is remembered here."""
        state = SpeechState(narrowband=self.step > 1)
        state.memory = self.memory
        state.context = samples[None, :: self.step]
        return state


class EndDetector:
    """smart-turn v3.2: how likely the speaker has finished, from the last 8 s of audio."""

    def __init__(self) -> None:
        self._session = _session(bundled("audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx"))
        self._features = FeatureExtractor(chunk_length=SMART_TURN_SECONDS)

    def __call__(self, audio: Samples) -> float:
        """Return the probability that the turn in ``audio`` (16 kHz) is complete; takes 30 to 100 ms."""
        return float(self._session.run(None, {"input_features": self.features(audio)[None]})[0][0, 0])

    def features(self, audio: Samples) -> NDArray[np.float32]:
        """Return the (80, 800) log-mel spectrogram of the last 8 s, zero-padded in front, normalised."""
        size = SMART_TURN_SECONDS * SAMPLE_RATE
        audio = np.pad(audio[-size:], (size - min(size, len(audio)), 0))
        audio = (audio - audio.mean()) / np.sqrt(audio.var() + 1e-7)
        return np.asarray(self._features(audio.astype(np.float32), padding=0), np.float32)
