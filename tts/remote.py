"""A voice behind somebody else's ``POST /v1/audio/speech``: LLM-style engines such as Orpheus or Qwen3-TTS.

Such engines (served by vLLM, SGLang or their own servers) stream 16-bit samples through OpenAI's endpoint, and
say nothing about when a word is heard. Word times are estimated from the pace of speech.
"""

import logging
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import httpx
import numpy as np

from tts.errors import EngineError
from tts.speech import Compute, Piece, Samples, TimedWord, Utterance
from tts.trim import SilenceTrimmer

logger = logging.getLogger(__name__)


class RemoteEngine:
    """One voice of an OpenAI-compatible speech endpoint.

    Args:
        base_url: up to and without ``/audio/speech``, such as ``http://127.0.0.1:8000/v1``.
        model: name of the model there.
        voice: name of the voice there.
        language: BCP 47 tag of text whose language is not said.
        api_key: sent as a bearer token; empty for none.
        sample_rate: rate of the ``pcm`` the endpoint gives, samples a second.
        timeout_seconds: longest silence on the line before the utterance is given up.
        characters_per_second: pace of speech, from which word times are estimated.

    """

    def __init__(
        self,
        base_url: str,
        *,
        model: str,
        voice: str,
        language: str = "en",
        api_key: str = "",
        sample_rate: int = 24000,
        timeout_seconds: float = 10.0,
        characters_per_second: float = 15.0,
    ) -> None:
        self.sample_rate = sample_rate
        self.language = language
        self._url = f"{base_url.rstrip('/')}/audio/speech"
        self._model = model
        self._voice = voice
        self._headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._timeout_seconds = timeout_seconds
        self._characters_per_second = characters_per_second
        self._client: httpx.AsyncClient | None = None

    async def start(self) -> None:
        """Open the pool of connections; the endpoint is asked at warm-up."""
        self._client = httpx.AsyncClient(timeout=self._timeout_seconds, headers=self._headers)

    async def close(self) -> None:
        """Close all connections."""
        if self._client is not None:
            await self._client.aclose()

    async def speak(self, utterance: Utterance, compute: Compute) -> AsyncGenerator[Piece]:
        """Stream ``utterance`` from the endpoint. Phonemes given in the text are not sent: it takes none."""
        del compute  # nothing heavy happens here
        body = {
            "model": self._model,
            "voice": self._voice,
            "input": " ".join(
                word.spoken or word.written for word in utterance.words if word.spoken or word.ipa
            ),
            "speed": utterance.speed,
            "response_format": "pcm",
        }
        trimmer = SilenceTrimmer(self.sample_rate)
        words = estimate_words(utterance, self._characters_per_second)
        async for samples in self._stream(body):
            sound = trimmer.feed(samples)
            if len(sound):
                yield Piece(sound, words)
                words = ()
        if len(tail := trimmer.finish()):
            yield Piece(tail)

    async def _stream(self, body: Mapping[str, Any]) -> AsyncGenerator[Samples]:
        if self._client is None:
            raise EngineError("the engine has not been started")
        try:
            async with self._client.stream("POST", self._url, json=body) as response:
                if response.status_code != httpx.codes.OK:
                    detail = (await response.aread())[:200].decode(errors="replace")
                    raise EngineError(f"{self._url} answered {response.status_code}: {detail}")
                odd = b""
                async for data in response.aiter_bytes():
                    data = odd + data
                    whole = len(data) // 2 * 2
                    odd = data[whole:]
                    yield np.frombuffer(data[:whole], "<i2").astype(np.float32) / np.float32(32768)
        except httpx.TimeoutException:
            raise EngineError(f"{self._url} sent nothing for {self._timeout_seconds:g} s") from None
        except httpx.HTTPError as error:
            raise EngineError(f"{self._url} failed: {error!r}") from None


def estimate_words(utterance: Utterance, characters_per_second: float) -> tuple[TimedWord, ...]:
    """Return when each word is likely to be heard, at an even pace."""
    timed: list[TimedWord] = []
    at = 0.0
    for word in utterance.words:
        said = word.spoken or (word.written if word.ipa else "")
        end = at + (len(said) + bool(said)) / (characters_per_second * utterance.speed)
        timed.append(TimedWord(word.written, round(at, 4), round(end, 4)))
        at = end
    return tuple(timed)
