"""The mouth's server: Cartesia's websocket and OpenAI's speech endpoint over shared engines."""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from telemetry import logs
from telemetry.tracing import extract_context
from tts.cache import CachedEngine, PhraseCache
from tts.errors import RequestError
from tts.espeak import Phonemizer
from tts.http import SpeechEndpoint
from tts.kokoro import KokoroEngine
from tts.lexicon import EMPTY, Lexicon, lexicon_of
from tts.messages import OpenRequest, raw_format
from tts.metrics import WAITING
from tts.piper import PiperEngine
from tts.remote import RemoteEngine
from tts.schedule import ComputePool
from tts.session import Session
from tts.settings import KokoroSettings, PiperSettings, TtsSettings, VoiceSettings
from tts.sound import RawFormat
from tts.speaker import Pauses, Speaker
from tts.speech import Engine
from tts.tracing import ContextSpan, trace_headers

T = TypeVar("T")
logger = logging.getLogger(__name__)

#: What is said once at the start, so that the first caller meets a warm engine and loaded number tables.
WARM_UP_TEXT = "It costs $5.20 on March 3; call +1 555 010 4477."


class TtsService:
    """The service behind the shell of :mod:`serving.app`."""

    name = "tts"

    def __init__(self, settings: TtsSettings) -> None:
        self._settings = settings
        self._pool = ComputePool(settings.compute_slots)
        WAITING.set_function(lambda: self._pool.waiting)
        self._phonemizer = Phonemizer()
        cache = PhraseCache(int(settings.cache_megabytes * 1e6))
        self._engines: dict[str, Engine] = {
            name: CachedEngine(name, self._engine(voice), cache, max_characters=settings.cache_characters)
            for name, voice in settings.voices.items()
        }
        self._pauses = Pauses(settings.clause_pause_seconds, settings.sentence_pause_seconds)

    def routes(self) -> Sequence[BaseRoute]:
        """Return the two endpoints."""
        speech = SpeechEndpoint(self._settings, self.open_speaker)
        return [
            WebSocketRoute("/tts/websocket", self._websocket),
            Route("/v1/audio/speech", speech.post, methods=["POST"]),
        ]

    async def run(self, ready: Callable[[], None]) -> None:
        """Load every voice, say something with each, then live until cancelled."""
        try:
            for name, engine in self._engines.items():
                await engine.start()
                await self._warm_up(name)
            ready()
            await asyncio.get_running_loop().create_future()
        finally:
            for engine in self._engines.values():
                await engine.close()
            await self._phonemizer.close()
            self._pool.close()

    def open_speaker(
        self,
        voice: str | None,
        target: RawFormat,
        *,
        language: str | None = None,
        lexicon: Lexicon = EMPTY,
        speed: float = 1.0,
        volume: float = 1.0,
        surplus: bool = False,
        max_ahead_seconds: float | None = None,
    ) -> Speaker:
        """Return a speaker for one stream.

        Raises:
            RequestError: there is no such voice.

        """
        name = voice or self._settings.default_voice
        return Speaker(
            name,
            _choose("voice", name, self._engines),
            target,
            self._pool,
            self._pauses,
            language=language,
            lexicon=lexicon,
            speed=speed,
            volume=volume,
            surplus=surplus,
            max_ahead_seconds=max_ahead_seconds,
        )

    def _engine(self, voice: VoiceSettings) -> Engine:
        if isinstance(voice, PiperSettings):
            return PiperEngine(voice.model, self._phonemizer, threads=voice.threads)
        if isinstance(voice, KokoroSettings):
            return KokoroEngine(
                voice.model,
                voice.voice,
                self._phonemizer,
                language=voice.language,
                threads=voice.threads,
                device=voice.device,
            )
        return RemoteEngine(
            voice.base_url,
            model=voice.model,
            voice=voice.voice,
            language=voice.language,
            api_key=os.environ.get(voice.api_key_variable, ""),
            parameters=voice.parameters,
            sample_rate=voice.sample_rate,
            timeout_seconds=voice.timeout_seconds,
            characters_per_second=voice.characters_per_second,
        )

    async def _websocket(self, websocket: WebSocket) -> None:
        trace = trace_headers(websocket.headers, websocket.query_params)
        logs.bind(extract_context(trace))
        await Session(websocket, self._settings, self._speaker_for, partial(span_for, trace)).run()

    def _speaker_for(self, request: OpenRequest, others: int) -> Speaker:
        config = request.generation_config
        return self.open_speaker(
            request.voice.id,
            raw_format(request.output_format),
            language=request.language,
            lexicon=self._lexicon_for(request),
            speed=config.speed if config else 1.0,
            volume=config.volume if config else 1.0,
            surplus=others >= self._settings.fair_contexts,
            max_ahead_seconds=request.max_ahead_seconds,
        )

    def _lexicon_for(self, request: OpenRequest) -> Lexicon:
        entries: dict[str, str] = {}
        if name := request.pronunciation_dict_id:
            entries |= _choose("pronunciation dictionary", name, self._settings.lexicons)
        return lexicon_of(frozenset((entries | request.pronunciation_dict).items()))

    async def _warm_up(self, voice: str) -> None:
        speaker = self.open_speaker(voice, RawFormat("pcm_s16le", 24000))
        async for _ in speaker.say(WARM_UP_TEXT):
            pass


def span_for(trace: dict[str, str], request: OpenRequest, voice: str) -> ContextSpan:
    """Return the span of a context: under the trace its request names, else that of its connection."""
    if request.traceparent:
        trace = {"traceparent": request.traceparent}
    return ContextSpan(voice, trace)


def _choose(kind: str, name: str, things: Mapping[str, T]) -> T:
    if name not in things:
        known = ", ".join(sorted(things)) or "none"
        raise RequestError(
            f"{kind} {name!r} is not served here; there are: {known}",
            status=404,
            title=f"{kind.capitalize()} not found",
        )
    return things[name]
