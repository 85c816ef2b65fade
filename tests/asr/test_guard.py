"""What is believed of what Whisper says."""

import pytest

from asr.guard import believed, compression_ratio, spoken
from asr.settings import DecodeSettings
from asr.transcript import Transcript

SETTINGS = DecodeSettings()


def heard(text: str = "Thank you.", *, log: float = -0.3, silent: float = 0.1, speech: float = 0.95) -> bool:
    """Return whether a transcript with these marks is believed."""
    transcript = Transcript(
        text,
        average_log_probability=log,
        no_speech_probability=silent,
        compression_ratio=compression_ratio(text),
    )
    return believed(transcript, speech, SETTINGS)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("[Music]", ""),
        ("(buzzing) *sighs* ♪", ""),
        ("...", ""),
        ("Hello (laughs) there.", "Hello there."),
        ("Yes.", "Yes."),
    ],
)
def test_described_sounds_are_not_speech(text: str, left: str) -> None:
    """What Whisper writes about sounds is taken out."""
    assert spoken(text) == left


def test_each_threshold_has_its_say() -> None:
    """Sure text is believed; each kind of doubt has its own threshold."""
    assert heard()
    assert heard(log=-1.2)
    assert not heard("")
    assert not heard(log=SETTINGS.min_log_probability - 0.1)
    assert not heard("no " * 200)
    assert not heard(log=-1.2, silent=SETTINGS.no_speech_threshold + 0.1)
    assert not heard(log=-1.2, speech=SETTINGS.speech_probability_threshold - 0.1)
    assert heard(log=-0.5, silent=0.9, speech=SETTINGS.joint_speech_probability_threshold)
    assert heard(log=-0.5, silent=SETTINGS.joint_no_speech_threshold, speech=0.5)


def test_where_whisper_and_vad_both_hear_nobody_no_text_is_believed() -> None:
    """However probable: babble in the background reads well."""
    silent, speech = SETTINGS.joint_no_speech_threshold, SETTINGS.joint_speech_probability_threshold
    assert not heard(log=-0.1, silent=silent + 0.05, speech=speech - 0.05)
