"""The bundled networks, run without pipecat, against pipecat's own use of them."""

import subprocess
import sys
from collections.abc import Callable

import numpy as np
from pipecat.audio.turn.smart_turn._whisper_features import compute_whisper_log_mel_features
from pipecat.audio.vad.silero import SileroOnnxModel

from asr.audio import SAMPLE_RATE, Samples
from asr.bench.corpus import telephone
from asr.detectors import VAD_WINDOW, EndDetector, SpeechDetector, SpeechState, bundled
from tests.asr.conftest import REPOSITORY, silence

SENTENCE = "What time is it?"


def probabilities(detector: SpeechDetector, audio: Samples, state: SpeechState) -> list[float]:
    """Return the probability of each window."""
    return [
        detector(audio[offset : offset + VAD_WINDOW], state)
        for offset in range(0, len(audio) - VAD_WINDOW + 1, VAD_WINDOW)
    ]


def test_silero_hears_what_pipecats_wrapper_hears(speech: Callable[[str], Samples]) -> None:
    """Window by window, the probabilities are those of pipecat's own wrapper."""
    audio = speech(SENTENCE)
    ours = probabilities(SpeechDetector(), audio, SpeechState())
    theirs = SileroOnnxModel(str(bundled("audio/vad/data/silero_vad.onnx")))
    for index, probability in enumerate(ours):
        window = audio[index * VAD_WINDOW : (index + 1) * VAD_WINDOW]
        assert abs(probability - float(theirs(window, SAMPLE_RATE).item())) < 1e-4


def test_telephone_speech_is_heard_in_narrowband(speech: Callable[[str], Samples]) -> None:
    """An 8 kHz line's speech is speech to the 8 kHz network, and silence is not."""
    detector = SpeechDetector()
    heard = probabilities(detector, telephone(speech(SENTENCE)), SpeechState(narrowband=True))
    assert max(heard) > 0.8
    assert max(probabilities(detector, silence(1.0), SpeechState(narrowband=True))) < 0.2


def test_smart_turns_features_are_pipecats(speech: Callable[[str], Samples]) -> None:
    """The spectrogram equals the one pipecat computes."""
    audio = speech(SENTENCE)[: 8 * SAMPLE_RATE]
    theirs = compute_whisper_log_mel_features(np.pad(audio, (8 * SAMPLE_RATE - len(audio), 0)))
    assert np.abs(EndDetector().features(audio) - theirs).max() < 1e-4


def test_the_server_does_not_load_pipecat() -> None:
    """Importing the server imports neither pipecat nor anything from the rooms above."""
    code = "import sys, asr.server; print([m for m in sys.modules if m.split('.')[0] in " + (
        "('pipecat', 'torch', 'orchestration', 'voice')])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    assert result.stdout.strip() == "[]"
