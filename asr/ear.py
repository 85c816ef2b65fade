"""One stream from its bytes to its turns: resampling, VAD and turn detection joined, without I/O."""

from collections import deque
from collections.abc import Iterator

import numpy as np

from asr.audio import AudioBuffer, AudioInput, Samples
from asr.detectors import VAD_WINDOW, VAD_WINDOW_SECONDS, SpeechProbability, SpeechState
from asr.events import Action
from asr.level import VoiceLevel
from asr.turn import TurnDetector

#: Audio kept: the longest window, the longest pause after it, and some.
KEEP_SECONDS = 40.0
#: Silero's memory is cleared between turns: long stretches without speech bias it against speech.
VAD_RESET_SECONDS = 2.0
VAD_RESET_PROBABILITY = 0.1
VAD_RESET_WINDOWS = 5


class Ear:
    """Listens to one stream.

    Args:
        audio: what turns the client's bytes into samples.
        speech: the VAD, shared; its state is kept here.
        turns: what decides.
        narrowband: whether the audio came over an 8 kHz line.

    """

    def __init__(
        self, audio: AudioInput, speech: SpeechProbability, turns: TurnDetector, *, narrowband: bool
    ) -> None:
        self.turns = turns
        self._audio = audio
        self._speech = speech
        self._state = SpeechState(narrowband=narrowband)
        self._since_reset = 0.0
        self._recent: deque[float] = deque(maxlen=VAD_RESET_WINDOWS)
        self._pending = np.zeros(0, np.float32)
        self._buffer = AudioBuffer(KEEP_SECONDS)
        self._level = VoiceLevel(fall_decibels=turns.settings.fall_decibels)
        self.heard_seconds = 0.0

    @property
    def bytes_per_second(self) -> int:
        """Bytes that a second of the client's audio takes."""
        return self._audio.bytes_per_second

    @property
    def received_seconds(self) -> float:
        """Length of the audio received so far."""
        return self._buffer.end

    def feed(self, data: bytes) -> Iterator[list[Action]]:
        """Take at most a few seconds of audio and yield what they lead to, window by window."""
        samples = self._audio.feed(data)
        self._buffer.append(samples)
        self._pending = np.concatenate((self._pending, samples))
        while len(self._pending) >= VAD_WINDOW:
            window, self._pending = self._pending[:VAD_WINDOW], self._pending[VAD_WINDOW:]
            yield self._window(window)

    def slice(self, start: float, end: float) -> Samples:
        """Return the audio between two stream times, seconds."""
        return self._buffer.slice(start, end)

    def _window(self, window: Samples) -> list[Action]:
        probability = self._speech(window, self._state)
        self.heard_seconds += VAD_WINDOW_SECONDS
        self._recent.append(probability)
        self._since_reset += VAD_WINDOW_SECONDS
        quiet = len(self._recent) == VAD_RESET_WINDOWS and max(self._recent) < VAD_RESET_PROBABILITY
        if quiet and self._since_reset >= VAD_RESET_SECONDS and not self.turns.busy:
            self._state.reset()
            self._since_reset = 0.0
        fallen = self._level.fallen(window, VAD_WINDOW_SECONDS)
        return self.turns.heard(probability, self.heard_seconds, fallen=fallen)
