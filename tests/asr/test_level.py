"""The level of a voice: its fall is seen at once, and only on a quiet line."""

import numpy as np

from asr.audio import SAMPLE_RATE, Samples
from asr.detectors import VAD_WINDOW, VAD_WINDOW_SECONDS
from asr.level import VoiceLevel


def sound(seconds: float, decibels: float) -> Samples:
    """Return noise of one level, decibels relative to full scale."""
    random = np.random.default_rng(0)
    noise = random.standard_normal(round(seconds * SAMPLE_RATE)) * 10 ** (decibels / 20)
    return noise.astype(np.float32)


def falls(level: VoiceLevel, audio: Samples) -> list[bool]:
    """Return what is said of each window."""
    windows = [audio[at : at + VAD_WINDOW] for at in range(0, len(audio) - VAD_WINDOW + 1, VAD_WINDOW)]
    return [level.fallen(window, VAD_WINDOW_SECONDS) for window in windows]


def test_the_first_window_that_ends_low_has_fallen() -> None:
    """A window is judged by its end, so that a voice that stops inside it is not waited for longer."""
    level = VoiceLevel(fall_decibels=25)
    assert not any(falls(level, sound(1.0, -20)))
    half = np.concatenate([sound(VAD_WINDOW_SECONDS / 2, -20), sound(VAD_WINDOW_SECONDS / 2, -60)])
    assert falls(level, half) == [True]
    assert all(falls(level, sound(0.3, -60)))
    assert not any(falls(level, sound(0.3, -30)))


def test_on_a_noisy_line_nothing_falls() -> None:
    """Where the line between words is within reach of the voice, the VAD decides alone."""
    level = VoiceLevel(fall_decibels=25)
    assert not any(falls(level, np.concatenate([sound(1.0, -20), sound(1.0, -40)])))


def test_a_soft_speaker_after_a_loud_sound_is_not_low_for_long() -> None:
    """The loudest fades, so that a knock on the telephone is forgotten."""
    level = VoiceLevel(fall_decibels=25, fading_decibels=3)
    falls(level, sound(0.1, -5))
    assert all(falls(level, sound(0.5, -33)))
    assert not falls(level, sound(2.0, -33))[-1]


def test_silence_from_the_beginning_is_no_fall() -> None:
    """Digital silence has no level to fall from."""
    assert not any(falls(VoiceLevel(fall_decibels=25), np.zeros(SAMPLE_RATE, np.float32)))
