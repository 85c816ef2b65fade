"""Questions for the caller to ask: from audio files, or spoken by the mouth."""

import io
from pathlib import Path

import av
import httpx

from voice.caller.playout import BYTES_PER_SAMPLE
from voice.caller.script import Question
from voice.errors import CallerError
from voice.phone.media import SAMPLE_RATE

#: How long the mouth may take to speak a question, seconds.
SPEECH_SECONDS = 60.0
#: Silence before a question, as a caller draws breath, seconds.
LEAD_SECONDS = 0.2


def question_from_file(path: str) -> Question:
    """Return the recording at ``path`` (any format FFmpeg reads) as a question.

    Raises:
        CallerError: it cannot be read, or holds no sound.

    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise CallerError(f"{path}: {error.strerror}") from None
    return _question(data, None, path)


async def question_from_text(text: str, *, mouth_url: str, voice: str) -> Question:
    """Let the mouth at ``mouth_url`` (HTTP base URL) say ``text``.

    Raises:
        CallerError: the mouth is not there or refuses.

    """
    body = {"model": "offhook", "input": text, "voice": voice, "response_format": "wav"}
    try:
        async with httpx.AsyncClient(timeout=SPEECH_SECONDS) as http:
            response = await http.post(f"{mouth_url}/v1/audio/speech", json=body)
            response.raise_for_status()
    except httpx.HTTPError as error:
        raise CallerError(f"the mouth at {mouth_url} cannot say the question: {error}") from None
    return _question(response.content, text, f"--say {text!r}")


def _question(data: bytes, said: str | None, source: str) -> Question:
    pcm = bytearray(round(LEAD_SECONDS * SAMPLE_RATE) * BYTES_PER_SAMPLE)
    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
    try:
        with av.open(io.BytesIO(data), mode="r") as container:
            for frame in container.decode(audio=0):
                for piece in resampler.resample(frame):
                    pcm += piece.to_ndarray().tobytes()
        for piece in resampler.resample(None):
            pcm += piece.to_ndarray().tobytes()
    except (av.FFmpegError, IndexError) as error:
        raise CallerError(f"{source}: not an audio file that can be read: {error}") from None
    question = Question(bytes(pcm), said, source)
    if not question.speech_seconds:
        raise CallerError(f"{source}: there is nothing to be heard in it")
    return question
