"""Whether a transcript is believed: Whisper hears words in silence, noise, music and hold tones."""

import re
import zlib

from asr.settings import DecodeSettings
from asr.transcript import Transcript

#: Sounds that Whisper describes: [Music], (buzzing), *sighs*, musical notes.
DESCRIBED_SOUND = re.compile(r"\[[^\]]*\]|\([^)]*\)|\*[^*]*\*|[♪♫]+")


def compression_ratio(text: str) -> float:
    """Return the length of ``text`` over its compressed length, both in bytes."""
    data = text.encode()
    return len(data) / len(zlib.compress(data)) if data else 0.0


def spoken(text: str) -> str:
    """Return ``text`` without the sounds it describes; empty where no letter or digit is left."""
    text = " ".join(DESCRIBED_SOUND.sub(" ", text).split())
    return text if any(character.isalnum() for character in text) else ""


def believed(transcript: Transcript, speech_probability: float, settings: DecodeSettings) -> bool:
    """Return whether ``transcript`` is speech that was heard.

    Args:
        transcript: what Whisper made of the audio.
        speech_probability: the VAD's mean probability over what it took for speech.
        settings: the thresholds.

    """
    if not transcript.text:
        return False
    if transcript.average_log_probability < settings.min_log_probability:
        return False
    if transcript.compression_ratio > settings.compression_ratio_threshold:
        return False
    no_speech = transcript.no_speech_probability > settings.joint_no_speech_threshold
    if no_speech and speech_probability < settings.joint_speech_probability_threshold:
        return False
    doubtful = transcript.average_log_probability < settings.log_probability_threshold
    silent = transcript.no_speech_probability > settings.no_speech_threshold
    return not (doubtful and (silent or speech_probability < settings.speech_probability_threshold))
