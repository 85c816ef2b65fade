"""OpenAI's ``POST /v1/audio/transcriptions`` and ``/v1/audio/translations``: files in, text out."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Literal

import av
from babel import Locale, UnknownLocaleError
from faster_whisper.audio import decode_audio
from faster_whisper.utils import format_timestamp
from faster_whisper.vad import VadOptions, get_speech_timestamps
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from asr import parameters
from asr.audio import SAMPLE_RATE, Samples
from asr.engine import Engine
from asr.errors import AsrError, AudioError, OverloadError, ParameterError
from asr.guard import believed
from asr.registry import Registry
from asr.scheduler import Priority
from asr.settings import AsrSettings
from asr.transcript import Segment, Transcript, WordTimes
from asr.whisper import DecodeJob

Task = Literal["transcribe", "translate"]
FORMATS = ("json", "text", "verbose_json", "srt", "vtt")
STREAMED_FORMATS = ("json", "text")
GRANULARITIES = ("segment", "word")
#: Largest file taken, bytes; OpenAI's own limit.
MAX_FILE_BYTES = 25 * 1024 * 1024
#: Longest audio taken, seconds.
MAX_AUDIO_SECONDS = 4 * 3600.0
#: Files are cut at pauses into stretches of at most this length, seconds.
STRETCH_SECONDS = 25.0
#: Quiet at which a long file may be cut, milliseconds.
CUT_MILLISECONDS = 300


@dataclass(frozen=True)
class FileRequest:
    """What one request asks for."""

    data: bytes
    task: Task
    model: str
    format: str
    stream: bool
    words: bool
    language: str | None
    keyterms: tuple[str, ...]

    @classmethod
    async def parse(
        cls, form: FormData, task: Task, registry: Registry, settings: AsrSettings
    ) -> "FileRequest":
        """Read the form.

        Raises:
            ParameterError: a field is missing or has a value that is not allowed.

        """
        upload = form.get("file")
        if not isinstance(upload, UploadFile):
            raise ParameterError("file: send the audio as a multipart file named file")
        if (upload.size or 0) > MAX_FILE_BYTES:
            raise ParameterError(f"file: at most {MAX_FILE_BYTES // 2**20} MiB are taken")
        chosen = str(form.get("response_format") or "json")
        if chosen not in FORMATS:
            raise ParameterError(f"response_format: must be one of {', '.join(FORMATS)}")
        granularities = form.getlist("timestamp_granularities[]") + form.getlist("timestamp_granularities")
        if any(item not in GRANULARITIES for item in granularities):
            raise ParameterError(f"timestamp_granularities: must be of {', '.join(GRANULARITIES)}")
        stream = parameters.flag("stream", str(form.get("stream") or "false"))
        if stream and chosen not in STREAMED_FORMATS:
            raise ParameterError(
                f"stream: the text is streamed as {', '.join(STREAMED_FORMATS)}, not as {chosen}"
            )
        model = registry.choose(str(form.get("model") or ""))
        if task == "translate" and not registry.models[model].multilingual:
            raise ParameterError(f"model: {model} knows English alone and translates nothing into it")
        wanted = parameters.language(str(form.get("language") or ""))
        prompt = str(form.get("prompt") or "").strip()
        return cls(
            data=await upload.read(),
            task=task,
            model=model,
            format=chosen,
            stream=stream,
            words="word" in granularities,
            language=registry.language(model, wanted, settings.language),
            keyterms=(prompt,) if prompt else (),
        )


async def transcribe(
    request: Request, task: Task, engine: Engine, registry: Registry, settings: AsrSettings
) -> Response:
    """Answer one request."""
    try:
        async with request.form(max_files=1) as form:
            wanted = await FileRequest.parse(form, task, registry, settings)
        audio = await asyncio.to_thread(read_audio, wanted.data)
        seconds = len(audio) / SAMPLE_RATE
        parts = _decode(audio, wanted, engine, settings)
        if not wanted.stream:
            return _render([part async for part in parts], wanted, seconds)
        # The first part is waited for here, so that a refusal still has its status.
        first = await anext(parts, None)
        return StreamingResponse(_events(first, parts, seconds), media_type="text/event-stream")
    except OverloadError as error:
        return error_response(str(error), 503, "server_error")
    except (AsrError, HTTPException) as error:
        reason = error.detail if isinstance(error, HTTPException) else str(error)
        return error_response(reason, 400, "invalid_request_error")


def read_audio(data: bytes) -> Samples:
    """Return the samples of an audio file of any format FFmpeg reads. Blocking.

    Raises:
        AudioError: it is none, or too long.

    """
    try:
        audio: Samples = decode_audio(io.BytesIO(data), sampling_rate=SAMPLE_RATE)
    except (av.FFmpegError, IndexError, ValueError):
        raise AudioError("file: not audio that can be read; send wav, mp3, flac, ogg, m4a or webm") from None
    if len(audio) > MAX_AUDIO_SECONDS * SAMPLE_RATE:
        raise AudioError(f"file: at most {MAX_AUDIO_SECONDS / 3600:g} hours are taken at once")
    return audio


def stretches(audio: Samples) -> list[tuple[int, int]]:
    """Return the first and last sample of each stretch that holds speech, cut at pauses. Blocking."""
    longest = int(STRETCH_SECONDS * SAMPLE_RATE)
    if len(audio) <= longest:
        return [(0, len(audio))]
    options = VadOptions(max_speech_duration_s=STRETCH_SECONDS, min_silence_duration_ms=CUT_MILLISECONDS)
    found: list[tuple[int, int]] = []
    for speech in get_speech_timestamps(audio, options):
        start, end = int(speech["start"]), int(speech["end"])
        if found and end - found[-1][0] <= longest:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, min(end, start + longest)))
    return found


async def _decode(
    audio: Samples, wanted: FileRequest, engine: Engine, settings: AsrSettings
) -> AsyncIterator[Transcript]:
    stream = object()
    try:
        for start, end in await asyncio.to_thread(stretches, audio):
            job = DecodeJob(
                audio[start:end],
                offset=start / SAMPLE_RATE,
                language=wanted.language,
                keyterms=wanted.keyterms,
                words=WordTimes.WITH_TEXT if wanted.words else WordTimes.NO,
                task=wanted.task,
            )
            transcript = await engine.decode(stream, wanted.model, Priority.FILE, job)
            if transcript and believed(transcript, 1.0, settings.decode):
                yield transcript
    finally:
        engine.close(stream)


async def _events(
    first: Transcript | None, rest: AsyncIterator[Transcript], seconds: float
) -> AsyncIterator[str]:
    """Write the text part by part as OpenAI streams it; an error on the way is the last event."""
    text = first.text if first else ""
    try:
        if text:
            yield _event("transcript.text.delta", delta=text)
        async for part in rest:
            delta = f" {part.text}" if text else part.text
            text += delta
            yield _event("transcript.text.delta", delta=delta)
    except AsrError as error:
        yield f"data: {json.dumps(error_body(str(error), 'server_error'))}\n\n"
        return
    yield _event("transcript.text.done", text=text, usage=_usage(seconds))


def _event(kind: str, **body: Any) -> str:
    return f"data: {json.dumps({'type': kind, **body}, ensure_ascii=False)}\n\n"


def _usage(seconds: float) -> dict[str, Any]:
    return {"type": "duration", "seconds": round(seconds)}


def _render(parts: list[Transcript], wanted: FileRequest, seconds: float) -> Response:
    text = " ".join(part.text for part in parts)
    if wanted.format == "text":
        return PlainTextResponse(text + "\n")
    if wanted.format == "json":
        return JSONResponse({"text": text, "usage": _usage(seconds)})
    segments = [(part, segment) for part in parts for segment in part.segments if segment.text]
    if wanted.format == "srt":
        return PlainTextResponse(subtitles([segment for _, segment in segments], numbered=True, mark=","))
    if wanted.format == "vtt":
        body = subtitles([segment for _, segment in segments], numbered=False, mark=".")
        return PlainTextResponse("WEBVTT\n\n" + body, media_type="text/vtt")
    heard = parts[0].language if parts else wanted.language or "en"
    verbose: dict[str, Any] = {
        "task": wanted.task,
        "language": language_name("en" if wanted.task == "translate" else heard),
        "duration": round(seconds, 3),
        "text": text,
        "segments": [_segment(index, part, segment) for index, (part, segment) in enumerate(segments)],
        "usage": _usage(seconds),
    }
    if wanted.words:
        verbose["words"] = [
            {"word": word.text, "start": word.start, "end": word.end} for part in parts for word in part.words
        ]
    return JSONResponse(verbose)


def language_name(code: str) -> str:
    """Return the English name of a language, as OpenAI writes it; the code itself where it has none."""
    try:
        return (Locale.parse(code).get_language_name("en") or code).lower()
    except (UnknownLocaleError, ValueError):
        return code


def subtitles(segments: list[Segment], *, numbered: bool, mark: str) -> str:
    """Return cues as SubRip and WebVTT write them; ``mark`` stands before the milliseconds."""
    cues = []
    for number, segment in enumerate(segments, 1):
        start = format_timestamp(segment.start, always_include_hours=True, decimal_marker=mark)
        end = format_timestamp(segment.end, always_include_hours=True, decimal_marker=mark)
        head = f"{number}\n" if numbered else ""
        cues.append(f"{head}{start} --> {end}\n{segment.text}\n\n")
    return "".join(cues)


def _segment(index: int, part: Transcript, segment: Segment) -> dict[str, Any]:
    return {
        "id": index,
        "seek": 0,
        "start": round(segment.start, 3),
        "end": round(segment.end, 3),
        "text": segment.text,
        "tokens": list(segment.tokens),
        "temperature": 0.0,
        "avg_logprob": part.average_log_probability,
        "compression_ratio": part.compression_ratio,
        "no_speech_prob": part.no_speech_probability,
    }


def error_response(message: str, status: int, kind: str) -> Response:
    """Return an error as OpenAI answers it."""
    return JSONResponse(error_body(message, kind), status_code=status)


def error_body(message: str, kind: str) -> dict[str, Any]:
    """Return an error as OpenAI writes it; what stands before a colon is the parameter at fault."""
    name, colon, _ = message.partition(":")
    param = name.partition("=")[0] if colon and " " not in name else None
    return {"error": {"message": message, "type": kind, "param": param, "code": None}}
