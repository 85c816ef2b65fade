"""The ear's server: Deepgram's and OpenAI's endpoints over one engine."""

import asyncio
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from opentelemetry.context import Context
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from asr.audio import SAMPLE_RATE, AudioInput
from asr.confidence import Thresholds
from asr.connection import Connection, Dialect
from asr.detectors import EndDetector, SpeechDetector
from asr.ear import Ear
from asr.engine import Engine
from asr.errors import AsrError, OverloadError
from asr.flux import FluxDialect, FluxParameters
from asr.listen import ListenDialect, ListenParameters
from asr.registry import Registry
from asr.scheduler import DecodeScheduler, Priority
from asr.settings import AsrSettings
from asr.spans import TurnSpans
from asr.transcript import WordTimes
from asr.transcriptions import Task, error_response, transcribe
from asr.turn import TurnDetector
from asr.whisper import DecodeJob
from modelstore import ModelError
from serving.errors import ServingError
from telemetry import logs
from telemetry.tracing import extract_context

#: What builds the three things in which the protocols differ from a query and a request id.
Opener = Callable[[QueryParams, str], tuple[AudioInput, Thresholds, Dialect]]
LOADING = "the models are still loading; try again in a few seconds"
#: Length of the noise with which the models are warmed up, seconds.
WARM_UP_SECONDS = 2.0


class AsrService:
    """The ear as the serving shell runs it."""

    name = "asr"

    def __init__(self, settings: AsrSettings) -> None:
        self._settings = settings
        self._loaded: Loaded | None = None

    def routes(self) -> Sequence[BaseRoute]:
        """Return the ear's endpoints."""
        return [
            WebSocketRoute("/v2/listen", self._flux),
            WebSocketRoute("/v1/listen", self._listen),
            Route("/v1/models", self._models),
            Route("/v1/audio/transcriptions", self._transcriptions, methods=["POST"]),
            Route("/v1/audio/translations", self._translations, methods=["POST"]),
        ]

    async def run(self, ready: Callable[[], None]) -> None:
        """Load the models, decode once, and decode what comes until cancelled.

        Raises:
            ServingError: a model is missing or cannot be read.

        """
        try:
            loaded = await asyncio.to_thread(load, self._settings)
        except (AsrError, ModelError) as error:
            raise ServingError(str(error)) from None
        async with asyncio.TaskGroup() as group:
            group.create_task(loaded.engine.run(), name="asr-engine")
            await _warm_up(loaded.engine)
            self._loaded = loaded
            ready()

    async def _flux(self, websocket: WebSocket) -> None:
        await self._stream(websocket, self._open_flux)

    async def _listen(self, websocket: WebSocket) -> None:
        await self._stream(websocket, self._open_listen)

    def _open_flux(self, query: QueryParams, request_id: str) -> tuple[AudioInput, Thresholds, Dialect]:
        wanted = FluxParameters.parse(query)
        model = self._ready.registry.choose(wanted.model)
        dialect = FluxDialect(
            wanted,
            request_id=request_id,
            model=model,
            choose_language=lambda hint: self._ready.registry.language(model, hint, self._settings.language),
        )
        return wanted.audio_input(), wanted.thresholds, dialect

    def _open_listen(self, query: QueryParams, request_id: str) -> tuple[AudioInput, Thresholds, Dialect]:
        wanted = ListenParameters.parse(query)
        model = self._ready.registry.choose(wanted.model)
        language = self._ready.registry.language(model, wanted.language, self._settings.language)
        dialect = ListenDialect(wanted, request_id=request_id, model=model, language=language)
        return wanted.audio_input(), wanted.thresholds, dialect

    async def _stream(self, websocket: WebSocket, open_dialect: Opener) -> None:
        request_id = str(uuid.uuid4())
        try:
            engine = self._admit()
            audio, thresholds, dialect = open_dialect(websocket.query_params, request_id)
        except AsrError as error:
            await _refuse(websocket, error, request_id)
            return
        turns = TurnDetector(self._settings.turn, thresholds)
        ear = Ear(audio, engine.speech, turns, narrowband=audio.narrowband)
        await websocket.accept(headers=[(b"dg-request-id", request_id.encode())])
        trace = _trace_context(websocket)
        logs.bind(trace)
        await Connection(websocket, ear, dialect, engine, self._settings, TurnSpans(trace)).serve()

    async def _transcriptions(self, request: Request) -> Response:
        return await self._file(request, "transcribe")

    async def _translations(self, request: Request) -> Response:
        return await self._file(request, "translate")

    async def _file(self, request: Request, task: Task) -> Response:
        if self._loaded is None:
            return error_response(LOADING, 503, "server_error")
        return await transcribe(request, task, self._loaded.engine, self._loaded.registry, self._settings)

    async def _models(self, _: Request) -> Response:
        names = self._loaded.registry.models if self._loaded else ()
        models = [{"id": name, "object": "model", "created": 0, "owned_by": "offhook"} for name in names]
        return JSONResponse({"object": "list", "data": models})

    @property
    def _ready(self) -> "Loaded":
        if self._loaded is None:
            raise OverloadError(LOADING)
        return self._loaded

    def _admit(self) -> Engine:
        engine = self._ready.engine
        if engine.streams >= self._settings.max_streams:
            raise OverloadError(f"{engine.streams} streams are open, which is all this server takes")
        return engine


@dataclass(frozen=True)
class Loaded:
    """What is there once the models are loaded."""

    registry: Registry
    engine: Engine


def load(settings: AsrSettings) -> Loaded:
    """Load every model. Blocking.

    Raises:
        ModelMissingError: a model has not been pulled.
        AsrError: a model cannot be read.

    """
    registry = Registry.load(settings)
    scheduler = DecodeScheduler(
        max_batch=settings.max_batch,
        max_wait_seconds=settings.batch_wait_seconds,
        max_partials=settings.max_waiting_partials,
    )
    engine = Engine(
        registry.models,
        SpeechDetector(),
        EndDetector(),
        scheduler,
        lanes=settings.lanes,
        max_waiting_files=settings.max_waiting_files,
        alone=registry.alone,
    )
    return Loaded(registry, engine)


async def _warm_up(engine: Engine) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, int(WARM_UP_SECONDS * SAMPLE_RATE)).astype(np.float32)
    for model in engine.models:
        for priority in (Priority.FINAL, Priority.FILE):
            await engine.decode(engine, model, priority, DecodeJob(noise, words=WordTimes.WITH_TEXT))
    await engine.judge(noise)


def _trace_context(websocket: WebSocket) -> Context:
    """Return the context of the ``traceparent`` header, or of the query parameter of that name."""
    carrier = {
        name: value for name in ("traceparent", "tracestate") if (value := websocket.query_params.get(name))
    }
    return extract_context({**carrier, **websocket.headers})


async def _refuse(websocket: WebSocket, error: AsrError, request_id: str) -> None:
    status = 503 if isinstance(error, OverloadError) else 400
    body = {"err_code": "Bad Request", "err_msg": str(error), "request_id": request_id}
    headers = {"dg-error": str(error), "dg-request-id": request_id}
    await websocket.send_denial_response(JSONResponse(body, status_code=status, headers=headers))
