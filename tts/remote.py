"""A voice behind somebody else's ``POST /v1/audio/speech``: LLM-style engines such as Orpheus or Qwen3-TTS.

Such engines (served by vLLM-Omni, SGLang or their own servers) stream 16-bit samples through OpenAI's endpoint, and
say nothing about when a word is heard. Word times are estimated from the pace of what the voice has said so far.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

import httpx
import numpy as np

from tts.errors import EngineError
from tts.speech import Compute, Piece, Samples, TimedWord, Utterance, Word
from tts.trim import SilenceTrimmer

#: How long a connection without a request is kept: a pause between two calls should not cost a handshake.
KEEP_CONNECTION_SECONDS = 120.0


class RemoteEngine:
    """One voice of an OpenAI-compatible speech endpoint.

    Args:
        base_url: up to and without ``/audio/speech``, such as ``http://127.0.0.1:8000/v1``.
        model: name of the model there.
        voice: name of the voice there.
        language: BCP 47 tag of text whose language is not said.
        api_key: sent as a bearer token; empty for none.
        parameters: further fields of the request's body.
        sample_rate: rate of the ``pcm`` the endpoint gives, samples a second.
        timeout_seconds: longest silence on the line before the utterance is given up.
        characters_per_second: pace of speech to begin with, from which word times are estimated.

    """

    def __init__(
        self,
        base_url: str,
        *,
        model: str,
        voice: str,
        language: str = "en",
        api_key: str = "",
        parameters: Mapping[str, Any] | None = None,
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
        self._parameters = dict(parameters or {})
        self._timeout_seconds = timeout_seconds
        self._pace = Pace(characters_per_second)
        self._client: httpx.AsyncClient | None = None

    async def start(self) -> None:
        """Open the pool of connections; the endpoint is asked at warm-up."""
        limits = httpx.Limits(max_connections=None, keepalive_expiry=KEEP_CONNECTION_SECONDS)
        self._client = httpx.AsyncClient(timeout=self._timeout_seconds, headers=self._headers, limits=limits)

    async def close(self) -> None:
        """Close all connections."""
        if self._client is not None:
            await self._client.aclose()

    async def speak(self, utterance: Utterance, compute: Compute) -> AsyncGenerator[Piece]:
        """Stream ``utterance`` from the endpoint; closing the iterator closes the request.

        Phonemes given in the text are not sent: the endpoint takes none.
        """
        del compute  # nothing heavy happens here
        trimmer = SilenceTrimmer(self.sample_rate)
        words = estimate_words(utterance, self._pace.characters_per_second)
        heard = 0
        async with aclosing(self._stream(self._body(utterance))) as stream:
            async for samples in stream:
                sound = trimmer.feed(samples)
                heard += len(sound)
                if len(sound):
                    yield Piece(sound, words)
                    words = ()
        if len(tail := trimmer.finish()):
            yield Piece(tail)
        self._pace.note(_length(utterance), heard / self.sample_rate * utterance.speed)

    def _body(self, utterance: Utterance) -> dict[str, Any]:
        text = " ".join(_said(word) for word in utterance.words if _said(word))
        body = {
            "model": self._model,
            "voice": self._voice,
            "input": text,
            "response_format": "pcm",
            # Without it vLLM-Omni renders all before it sends any.
            "stream_format": "audio",
        }
        # Engines that cannot change their speed refuse the field.
        speed = {} if utterance.speed == 1.0 else {"speed": utterance.speed}
        return body | speed | self._parameters

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


class Pace:
    """How fast a voice speaks, learnt from what it has said.

    Args:
        characters_per_second: what is believed before it has said anything.
        memory: characters said before that weigh as much as those said last.
        shortest: utterances of fewer characters tell nothing, since their edges weigh too much.

    """

    def __init__(self, characters_per_second: float, *, memory: int = 200, shortest: int = 12) -> None:
        self.characters_per_second = characters_per_second
        self._memory = memory
        self._shortest = shortest

    def note(self, characters: int, seconds: float) -> None:
        """Learn that ``characters`` took ``seconds`` at the voice's own speed."""
        if characters < self._shortest or seconds <= 0:
            return
        believed = self._memory / self.characters_per_second
        self.characters_per_second = (self._memory + characters) / (believed + seconds)


def estimate_words(utterance: Utterance, characters_per_second: float) -> tuple[TimedWord, ...]:
    """Return when each word is likely to be heard, at an even pace."""
    timed: list[TimedWord] = []
    at = 0.0
    for word in utterance.words:
        said = _said(word)
        end = at + (len(said) + bool(said)) / (characters_per_second * utterance.speed)
        timed.append(TimedWord(word.written, round(at, 4), round(end, 4)))
        at = end
    return tuple(timed)


def _said(word: Word) -> str:
    return word.spoken or (word.written if word.ipa else "")


def _length(utterance: Utterance) -> int:
    return sum(len(_said(word)) + 1 for word in utterance.words if _said(word))
