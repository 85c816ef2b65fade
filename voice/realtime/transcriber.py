"""Writes down what a client recorded itself: the ear's file endpoint."""

import io
import logging
import wave
from collections.abc import Mapping

import httpx

from voice.realtime.audio import BYTES_PER_SAMPLE, rate_of, to_pcm
from voice.realtime.config import Format

logger = logging.getLogger(__name__)

#: How long the ear may take, seconds.
TIMEOUT_SECONDS = 60.0


class Transcriber:
    """The ear's file endpoint, for the recordings of all sessions.

    Args:
        ear_url: WebSocket base URL of the ear.
        model: name of the ear's model.

    """

    def __init__(self, ear_url: str, *, model: str) -> None:
        self._url = f"http{ear_url.removeprefix('ws')}/v1/audio/transcriptions"
        self._model = model
        self._http = httpx.AsyncClient(timeout=TIMEOUT_SECONDS)

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def transcribe(
        self, audio: bytes, encoding: Format, *, language: str, prompt: str, headers: Mapping[str, str]
    ) -> str | None:
        """Return what is said in ``audio``; None where the ear does not answer.

        Args:
            audio: sound in ``encoding``.
            encoding: its encoding.
            language: of the speech, ISO 639-1.
            prompt: words to expect.
            headers: trace context.

        """
        file = wav(to_pcm(audio, encoding), rate_of(encoding))
        form = {"model": self._model, "language": language, "prompt": prompt}
        try:
            response = await self._http.post(
                self._url, files={"file": ("turn.wav", file, "audio/wav")}, data=form, headers=dict(headers)
            )
            response.raise_for_status()
            return str(response.json()["text"])
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            logger.warning("a turn could not be written down: %s", type(error).__name__)
            return None


def wav(pcm: bytes, rate: int) -> bytes:
    """Return mono 16-bit PCM as a WAV file."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(BYTES_PER_SAMPLE)
        file.setframerate(rate)
        file.writeframes(pcm)
    return buffer.getvalue()
