"""Cartesia's own SDK against the mouth."""

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from cartesia import AsyncCartesia
from cartesia.resources.tts import AsyncTTSResourceConnection
from cartesia.types.websocket_response import WebsocketResponse
from websockets.asyncio.client import connect

from tests.tts.conftest import Mouth

VOICE: Any = {"mode": "id", "id": "joe"}


@pytest.fixture
async def connection(mouth: Mouth) -> AsyncIterator[AsyncTTSResourceConnection]:
    """Connect the SDK."""
    client = AsyncCartesia(api_key="none", base_url=mouth.url, websocket_base_url=mouth.websocket_url)
    async with client.tts.websocket_connect() as connection:
        yield connection


def settings(encoding: str = "pcm_s16le", rate: int = 8000) -> dict[str, Any]:
    """Return what a context of the SDK is opened with."""
    output_format = {"container": "raw", "encoding": encoding, "sample_rate": rate}
    return {"model_id": "any", "voice": VOICE, "output_format": output_format, "timeout": 20.0}


async def collect(context: Any) -> tuple[bytes, list[tuple[str, float, float]], list[WebsocketResponse]]:
    """Return the audio, the timed words and all messages of ``context``."""
    audio, words, messages = b"", [], []
    async for message in context.receive():
        messages.append(message)
        if message.type == "chunk":
            audio += message.audio
        elif message.type == "timestamps":
            times = message.word_timestamps
            words += list(zip(times.words, times.start, times.end, strict=True))
    return audio, words, messages


async def test_a_context_is_spoken_to_its_end(connection: AsyncTTSResourceConnection) -> None:
    """Token-sized pieces come back as chunks, word times and ``done``; words lie inside the audio."""
    context = connection.context(**settings(), add_timestamps=True)
    text = "The capital of France is Paris. It costs $5.20 to get there!"
    for token in text.split(" "):
        await context.push(token + " ")
    await context.no_more_inputs()
    audio, words, messages = await collect(context)
    assert messages[0].type == "chunk"
    assert messages[-1].type == "done"
    assert [word for word, _, _ in words] == text.split()
    assert [start for _, start, _ in words] == sorted(start for _, start, _ in words)
    assert words[-1][2] <= len(audio) / 16000 + 0.05
    assert 3.0 < len(audio) / 16000 < 8.0


@pytest.mark.parametrize(
    ("encoding", "rate", "size"),
    [("pcm_mulaw", 8000, 1), ("pcm_alaw", 8000, 1), ("pcm_s16le", 48000, 2), ("pcm_f32le", 44100, 4)],
)
async def test_every_encoding(
    connection: AsyncTTSResourceConnection, encoding: str, rate: int, size: int
) -> None:
    """The audio has the asked encoding and rate; the same words are about as long in each."""
    context = connection.context(**settings(encoding, rate))
    await context.push("One, two, three, four.", continue_=False)
    audio, _, _ = await collect(context)
    assert 1.2 < len(audio) / size / rate < 2.6


async def test_a_flush_is_answered_with_its_number(connection: AsyncTTSResourceConnection) -> None:
    """``flush_done`` comes after the audio of what was flushed and before the rest."""
    context = connection.context(**settings())
    await context.push("Half a thought", flush=True)
    await context.push(" and the other half", continue_=False)
    _, _, messages = await collect(context)
    kinds = [message.type for message in messages]
    at = kinds.index("flush_done")
    assert "chunk" in kinds[:at]
    assert "chunk" in kinds[at:]
    assert {m.flush_id for m in messages[:at] if m.type == "chunk"} == {1}
    assert {m.flush_id for m in messages[at + 1 :] if m.type == "chunk"} == {2}


async def test_cancel_ends_the_sound_at_once(mouth: Mouth) -> None:
    """After a cancel nothing more of the context comes, while another context is spoken whole."""
    async with connect(f"{mouth.websocket_url}/tts/websocket") as websocket:
        await websocket.send(generation("long", "This is a rather long sentence about nothing at all. " * 20))
        first = json.loads(await websocket.recv())
        assert (first["type"], first["context_id"]) == ("chunk", "long")
        await websocket.send(json.dumps({"context_id": "long", "cancel": True}))
        await websocket.send(generation("next", "And now something else."))
        kinds = []
        while not kinds or kinds[-1] != ("next", "done"):
            message = json.loads(await websocket.recv())
            kinds.append((message["context_id"], message["type"]))
        heard_next = kinds.index(("next", "chunk"))
        assert all(context_id == "next" for context_id, _ in kinds[heard_next:])
        assert ("long", "done") not in kinds


async def test_several_contexts_interleave(connection: AsyncTTSResourceConnection) -> None:
    """Contexts of one connection are spoken at the same time, each in its own order."""
    contexts = [connection.context(**settings(), add_timestamps=True) for _ in range(3)]
    for number, context in enumerate(contexts):
        await context.push(f"This is speaker number {number} of three.", continue_=False)
    for number, context in enumerate(contexts):
        _, words, _ = await collect(context)
        assert words[4][0] == str(number)


async def test_silence_is_a_context_too(connection: AsyncTTSResourceConnection) -> None:
    """A context with nothing to say ends with ``done`` and no audio."""
    context = connection.context(**settings())
    await context.push(" *** 😀 ", continue_=False)
    audio, _, messages = await collect(context)
    assert audio == b""
    assert messages[-1].type == "done"


@pytest.mark.parametrize(
    ("change", "status", "hint"),
    [
        ({"voice": {"mode": "id", "id": "nobody"}}, 404, "there are: joe"),
        (
            {"output_format": {"container": "raw", "encoding": "mp3", "sample_rate": 8000}},
            400,
            "choose one of",
        ),
        (
            {"output_format": {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 1}},
            400,
            "8000 to 48000",
        ),
        ({"output_format": {"container": "wav", "encoding": "pcm_s16le", "sample_rate": 8000}}, 400, "raw"),
        ({"pronunciation_dict_id": "none"}, 404, "there are: none"),
        ({"max_buffer_delay_ms": 9999}, 400, "max_buffer_delay_ms"),
        ({"max_ahead_seconds": 0}, 400, "max_ahead_seconds"),
        ({"transcript": 5}, 400, "transcript"),
        ({"transcript": "x" * 20001}, 429, "20000 characters"),
    ],
)
async def test_a_wrong_request_ends_its_context_only(
    mouth: Mouth, change: dict[str, Any], status: int, hint: str
) -> None:
    """The error says what is allowed, in Cartesia's form; the connection goes on."""
    async with connect(f"{mouth.websocket_url}/tts/websocket") as websocket:
        await websocket.send(json.dumps(json.loads(generation("bad", "Hello.")) | change))
        error = json.loads(await websocket.recv())
        assert (error["type"], error["context_id"], error["status_code"]) == ("error", "bad", status)
        assert hint in error["message"]
        assert error["done"] is True
        await websocket.send(generation("good", "Hello."))
        assert json.loads(await websocket.recv())["type"] == "chunk"


async def test_what_is_not_json_is_an_error_without_context(mouth: Mouth) -> None:
    """Garbage is answered, not punished."""
    async with connect(f"{mouth.websocket_url}/tts/websocket") as websocket:
        for garbage in ["", "{", "[]", '{"transcript": "no context"}', b"\x00\xff"]:
            await websocket.send(garbage)
            error = json.loads(await websocket.recv())
            assert (error["type"], error["context_id"], error["status_code"]) == ("error", None, 400)


async def test_tags_change_pause_and_loudness(mouth: Mouth) -> None:
    """A break is silence of its length; a volume tag holds from there on."""
    text = '<break time="1s"/>Loud and clear. <volume ratio="0.5"/>Soft and clear.'
    samples = np.frombuffer(await speak(mouth, text), "<i2").astype(np.float64)
    assert np.abs(samples[: int(0.99 * 8000)]).max() < 40
    half = len(samples) // 2 + 4000
    assert np.abs(samples[half:]).max() < 0.8 * np.abs(samples[:half]).max()


async def speak(mouth: Mouth, text: str, **fields: Any) -> bytes:
    """Return the audio of ``text``, spoken over a connection of its own."""
    async with connect(f"{mouth.websocket_url}/tts/websocket") as websocket:
        await websocket.send(generation("one", text, **fields))
        audio = b""
        while (message := json.loads(await websocket.recv()))["type"] != "done":
            assert message["type"] in {"chunk", "timestamps"}, message
            audio += base64.b64decode(message.get("data", ""))
        return audio


def generation(context_id: str, text: str, **fields: Any) -> str:
    """Return a request that says ``text`` in a context of its own."""
    output_format = {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 8000}
    body = {
        "context_id": context_id,
        "transcript": text,
        "continue": False,
        "model_id": "any",
        "voice": VOICE,
    }
    return json.dumps(body | {"output_format": output_format} | fields)
