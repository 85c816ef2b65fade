"""What the mouth says can be understood: Whisper writes down what was said."""

import re

import jiwer
import numpy as np
import pytest
from faster_whisper import WhisperModel

from modelstore import locate
from tests.tts.conftest import Mouth
from tests.tts.test_cartesia import speak


@pytest.fixture(scope="module")
def ear() -> WhisperModel:
    """Load the smallest Whisper."""
    return WhisperModel(str(locate("whisper-tiny.en")), device="cpu", compute_type="int8", cpu_threads=1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("The museum opens at nine, and it closes at six.", "the museum opens at 9 and it closes at 6"),
        ("**Sure!** Your table is booked for Friday. 😀", "sure your table is booked for friday"),
        ("I will call you back tomorrow, in the morning.", "i will call you back tomorrow in the morning"),
    ],
)
async def test_speech_is_understood(mouth: Mouth, ear: WhisperModel, text: str, said: str) -> None:
    """Clauses rendered apart and joined, streamed in chunks at 16 kHz, are heard as one text."""
    fields = {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 16000}
    audio = np.frombuffer(await speak(mouth, text, output_format=fields), "<i2").astype(np.float32) / 32768
    segments, _ = ear.transcribe(audio, beam_size=1, without_timestamps=True)
    heard = " ".join(segment.text for segment in segments).lower()
    heard = re.sub(r"[^a-z0-9 ]", "", heard).replace("nine", "9").replace("six", "6")
    assert jiwer.wer(said, heard) < 0.35
