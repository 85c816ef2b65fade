"""``POST /v1/audio/speech`` as OpenAI defines it, streamed."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Message, Send

from telemetry import logs
from telemetry.tracing import extract_context
from tts.clauses import ClauseSplitter
from tts.containers import FORMATS, FileEncoder
from tts.errors import EngineError, RequestError
from tts.settings import TtsSettings
from tts.sound import RawFormat
from tts.speaker import Speaker
from tts.tracing import ContextSpan, trace_headers

logger = logging.getLogger(__name__)

#: Sample rate of this endpoint's audio; OpenAI's ``pcm`` is 24 kHz, 16-bit, mono.
SAMPLE_RATE = 24000
MAX_CHARACTERS = 4096
MAX_BODY_BYTES = 64 * 1024

#: Makes the speaker of a request and names its voice; raises RequestError.
OpenSpeaker = Callable[..., Speaker]


class SpeechRequest(BaseModel):
    """The body of a request."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    model: str = ""
    input: str = Field(min_length=1, max_length=MAX_CHARACTERS)
    voice: str | dict[str, str] | None = None
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = "mp3"
    speed: float = Field(1.0, ge=0.25, le=4.0)
    stream_format: Literal["audio"] = "audio"

    @property
    def voice_name(self) -> str | None:
        """Name of the voice, given bare or as an object with an ``id``."""
        return self.voice.get("id") if isinstance(self.voice, dict) else self.voice


class SpeechEndpoint:
    """Serves the endpoint with the speakers ``open_speaker`` makes."""

    def __init__(self, settings: TtsSettings, open_speaker: OpenSpeaker) -> None:
        self._settings = settings
        self._open_speaker = open_speaker
        self._active = 0

    async def post(self, request: Request) -> Response:
        """Answer one request; audio begins to flow with its first clause."""
        try:
            asked = await read_request(request)
            if self._active >= self._settings.max_requests:
                raise RequestError(f"{self._active} requests are being spoken already; try again", status=429)
            speaker = self._open_speaker(
                asked.voice_name, RawFormat("pcm_s16le", SAMPLE_RATE), speed=asked.speed
            )
            trace = trace_headers(request.headers, request.query_params)
            logs.bind(extract_context(trace))
            stream = self._stream(asked, speaker, ContextSpan(speaker.voice, trace))
            first = await anext(stream)
        except RequestError as error:
            return problem(error)
        except EngineError as error:
            return problem(RequestError(str(error), status=500))
        media_type = FORMATS[asked.response_format].media_type
        return _SpeechResponse(_chain(first, stream), media_type, self._settings.send_timeout_seconds)

    async def _stream(
        self, asked: SpeechRequest, speaker: Speaker, span: ContextSpan
    ) -> AsyncGenerator[bytes]:
        target = FORMATS[asked.response_format]
        file = FileEncoder(target, SAMPLE_RATE) if target.container else None
        self._active += 1
        try:
            with span:
                async with aclosing(_audio(asked.input, speaker, span)) as pieces:
                    async for audio in pieces:
                        if data := file.feed(audio) if file else audio:
                            yield data
                yield file.finish() if file else b""
        finally:
            self._active -= 1


async def read_request(request: Request) -> SpeechRequest:
    """Return the body of ``request``.

    Raises:
        RequestError: it is too large, not JSON, or a value is not allowed.

    """
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            raise RequestError(f"the body is larger than {MAX_BODY_BYTES} bytes", status=413)
    try:
        return SpeechRequest.model_validate_json(bytes(body))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        raise RequestError(f"{where}: {first['msg']}") from None


async def _audio(text: str, speaker: Speaker, span: ContextSpan) -> AsyncGenerator[bytes]:
    splitter = ClauseSplitter(speaker.language)
    for chunk in splitter.feed(text, 0.0) + splitter.flush():
        span.text(len(chunk))
        async with aclosing(speaker.say(chunk)) as stream:
            async for spoken in stream:
                span.audio(speaker.seconds)
                yield spoken.audio
    yield speaker.finish()


async def _chain(first: bytes, rest: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    async with aclosing(rest):
        yield first
        async for data in rest:
            yield data


class _SpeechResponse(StreamingResponse):
    """Drops a client that takes nothing for ``timeout_seconds``, and ends the body where the engine fails."""

    def __init__(self, content: AsyncGenerator[bytes], media_type: str, timeout_seconds: float) -> None:
        super().__init__(content, media_type=media_type)
        self._timeout_seconds = timeout_seconds

    async def stream_response(self, send: Send) -> None:
        async def bounded(message: Message) -> None:
            async with asyncio.timeout(self._timeout_seconds):
                await send(message)

        try:
            await super().stream_response(bounded)
        except TimeoutError:
            logger.warning("a client took nothing for %g s; dropped", self._timeout_seconds)
        except EngineError as error:
            logger.error("speech ended early: %s", error)


def problem(error: RequestError) -> Response:
    """Return ``error`` as OpenAI's clients expect it."""
    kind = "invalid_request_error" if error.status < 500 else "server_error"
    body: dict[str, Any] = {"message": str(error), "type": kind, "param": None, "code": None}
    return JSONResponse({"error": body}, status_code=error.status)
