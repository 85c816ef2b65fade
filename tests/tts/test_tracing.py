"""Spans of the server join the client's trace and hold no text."""

import asyncio
import json
import secrets
from pathlib import Path

import httpx
import pytest
from openai import AsyncOpenAI
from websockets.asyncio.client import connect

from telemetry.names import SPAN_TTS_SERVER, TTS_TIME_TO_FIRST_AUDIO
from telemetry.store import SpanStore, StoredSpan
from tests.tts.conftest import Mouth
from tests.tts.test_cartesia import generation, speak

SECRET = "Xylophone zebra."


def traceparent() -> tuple[str, str]:
    """Return a new trace id and its header."""
    trace_id = secrets.token_hex(16)
    return trace_id, f"00-{trace_id}-{secrets.token_hex(8)}-01"


async def stored(mouth: Mouth, trace_id: str) -> StoredSpan:
    """Wait for the server's span of a trace."""
    store = SpanStore(Path(mouth.trace_store))
    async with asyncio.timeout(10):
        while not (spans := store.trace(trace_id)):
            await asyncio.sleep(0.1)
    (span,) = spans
    assert span.name == SPAN_TTS_SERVER
    assert "zebra" not in json.dumps([span.attributes, span.events])
    return span


@pytest.mark.parametrize("way", ["header", "query", "message"])
async def test_a_context_joins_the_trace_it_is_given(mouth: Mouth, way: str) -> None:
    """By handshake header, by query parameter, or by a field of the first message."""
    trace_id, header = traceparent()
    url = f"{mouth.websocket_url}/tts/websocket"
    if way == "message":
        await speak(mouth, SECRET, traceparent=header)
    else:
        query = f"?traceparent={header}" if way == "query" else ""
        headers = {"traceparent": header} if way == "header" else {}
        async with connect(url + query, additional_headers=headers) as websocket:
            await websocket.send(generation("one", SECRET))
            while json.loads(await websocket.recv())["type"] != "done":
                pass
    span = await stored(mouth, trace_id)
    assert span.attributes[TTS_TIME_TO_FIRST_AUDIO.name] > 0
    assert span.attributes["tts.characters"] == len(SECRET)
    assert span.attributes["tts.voice"] == "joe"


async def test_a_speech_request_joins_the_trace_of_its_header(mouth: Mouth) -> None:
    """The HTTP endpoint takes the standard header."""
    trace_id, header = traceparent()
    client = AsyncOpenAI(api_key="none", base_url=f"{mouth.url}/v1")
    await client.audio.speech.create(
        model="any", voice="joe", input=SECRET, extra_headers={"traceparent": header}
    )
    assert (await stored(mouth, trace_id)).attributes["tts.audio_seconds"] > 0.3


async def test_a_cancelled_context_says_so(mouth: Mouth) -> None:
    """Its span tells how much was made before."""
    trace_id, header = traceparent()
    async with connect(f"{mouth.websocket_url}/tts/websocket") as websocket:
        await websocket.send(generation("one", "A long story. " * 40, traceparent=header))
        await websocket.recv()
        await websocket.send(json.dumps({"context_id": "one", "cancel": True}))
        assert (await stored(mouth, trace_id)).attributes["tts.cancelled"] is True


async def test_figures_are_exported(mouth: Mouth) -> None:
    """Prometheus sees first audio, speech made, streams and the cache."""
    await speak(mouth, SECRET)
    async with httpx.AsyncClient() as http:
        text = (await http.get(f"{mouth.url}/metrics")).text
    for name in (
        "tts_server_first_audio_seconds_bucket",
        "tts_server_audio_seconds_total",
        'tts_server_contexts{voice="joe"} 0.0',
        "tts_server_waiting_steps 0.0",
        'tts_server_phrase_cache_total{result="hit"}',
    ):
        assert name in text
