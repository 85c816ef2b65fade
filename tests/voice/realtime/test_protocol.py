"""What the protocol can do besides, over the real stack with the openai SDK: turns, tools, formats, truncation."""

import asyncio
import audioop
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import numpy as np
import pytest
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin, Subprotocol

from tests.conftest import Stack
from tests.voice.conftest import Gateway, transcribe, wav_bytes
from tests.voice.realtime.clients import PATIENCE_SECONDS, RATE


@contextlib.asynccontextmanager
async def session(url: str, key: str = "none", **settings: Any) -> AsyncIterator[AsyncRealtimeConnection]:
    """A session with settings of its own."""
    client = AsyncOpenAI(api_key=key, base_url=f"{url}/v1")
    async with client.realtime.connect(model="gpt-realtime") as connection:
        await connection.session.update(session={"type": "realtime", **settings})
        yield connection


async def events_until(connection: AsyncRealtimeConnection, kind: str) -> list[Any]:
    """Return what comes, up to the first event of a kind."""
    events: list[Any] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        async for event in connection:
            assert event.type != "error", event
            events.append(event)
            if event.type == kind:
                return events
    raise AssertionError(f"the connection closed before {kind}")


async def ask(connection: AsyncRealtimeConnection, text: str, **response: Any) -> list[Any]:
    """Write a message; return the events of the answer."""
    item: Any = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    await connection.conversation.item.create(item=item)
    await connection.response.create(response=response)  # type: ignore[arg-type]
    return await events_until(connection, "response.done")


def joined(events: list[Any], kind: str) -> str:
    """Return the deltas of a kind, together."""
    return "".join(event.delta for event in events if event.type == kind)


def sound(events: list[Any]) -> bytes:
    """Return the sound of an answer."""
    deltas = [event.delta for event in events if event.type == "response.output_audio.delta"]
    return b"".join(base64.b64decode(delta) for delta in deltas)


async def test_text_modality(stack: Stack) -> None:
    """A session whose answers are written sends text and no sound, and its usage counts the engine's tokens."""
    async with session(stack.gateway_url, output_modalities=["text"]) as connection:
        events = await ask(connection, "What is the capital of France?")
    assert "Paris" in joined(events, "response.output_text.delta")
    assert not sound(events)
    response = events[-1].response
    assert response.status == "completed"
    assert response.usage.input_tokens > 10
    assert response.usage.output_tokens > 2


@pytest.mark.parametrize("encoding", ["audio/pcm", "audio/pcmu", "audio/pcma"])
async def test_manual_turns_in_every_format(stack: Stack, question: bytes, encoding: str) -> None:
    """Without turn detection the client commits and asks; sound goes both ways in the encoding it chose."""
    pcm8, _ = audioop.ratecv(question, 2, 1, RATE, 8000, None)
    encoded, rate = {
        "audio/pcm": (question, RATE),
        "audio/pcmu": (audioop.lin2ulaw(pcm8, 2), 8000),
        "audio/pcma": (audioop.lin2alaw(pcm8, 2), 8000),
    }[encoding]
    kind = {"type": encoding, **({"rate": RATE} if encoding == "audio/pcm" else {})}
    audio = {
        "input": {"format": kind, "turn_detection": None, "transcription": {"model": "whisper-1"}},
        "output": {"format": kind},
    }
    async with session(stack.gateway_url, audio=audio) as connection:
        await connection.input_audio_buffer.append(audio=base64.b64encode(encoded).decode())
        await connection.input_audio_buffer.commit()
        await connection.response.create()
        events = await events_until(connection, "response.done")
    (heard,) = [e for e in events if e.type == "conversation.item.input_audio_transcription.completed"]
    assert "france" in heard.transcript.lower()
    assert "Paris" in joined(events, "response.output_audio_transcript.delta")
    answer = sound(events)
    if encoding != "audio/pcm":
        to_linear = audioop.ulaw2lin if encoding == "audio/pcmu" else audioop.alaw2lin
        answer = to_linear(answer, 2)
    assert "Paris" in transcribe(stack, wav_bytes(np.frombuffer(answer, "<i2"), rate))


async def test_a_recording_sent_at_once(stack: Stack, question: bytes) -> None:
    """With turn detection a client may send its whole recording faster than it was spoken; commit ends the turn."""
    async with session(stack.gateway_url) as connection:
        await connection.input_audio_buffer.append(audio=base64.b64encode(question).decode())
        await events_until(connection, "input_audio_buffer.speech_started")
        await connection.input_audio_buffer.append(audio=base64.b64encode(bytes(RATE)).decode())
        await events_until(connection, "input_audio_buffer.committed")
        events = await events_until(connection, "response.done")
    assert "Paris" in joined(events, "response.output_audio_transcript.delta")


async def test_truncation(storyteller: Gateway) -> None:
    """The client cuts a story off after a second; the conversation keeps that second's words."""
    async with session(storyteller.url) as connection:
        item: Any = {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "Tell me a story about a river."}],
        }
        await connection.conversation.item.create(item=item)
        await connection.response.create()
        heard = b""
        while len(heard) < 3 * RATE * 2:
            heard += sound([last := (await events_until(connection, "response.output_audio.delta"))[-1]])
        await connection.conversation.item.truncate(item_id=last.item_id, content_index=0, audio_end_ms=1000)
        events = await events_until(connection, "conversation.item.truncated")
        (done,) = [event.response for event in events if event.type == "response.done"]
        assert done.status_details.reason == "client_cancelled"
        told = done.output[0].content[0].transcript
        await connection.conversation.item.retrieve(item_id=last.item_id)
        (shown,) = await events_until(connection, "conversation.item.retrieved")
    kept = shown.item.content[0].transcript
    assert kept
    assert told.startswith(kept)
    assert len(kept) < len(told)


async def test_errors_do_not_end_a_session(stack: Stack) -> None:
    """Each is an event with OpenAI's fields; the session answers on."""
    async with session(stack.gateway_url, output_modalities=["text"]) as connection:
        await events_until(connection, "session.updated")
        await connection.send({"type": "dance", "event_id": "mine"})  # type: ignore[arg-type]
        await connection.send({"type": "session.update", "session": {"modalities": ["text"]}})  # type: ignore[arg-type]
        errors = [await connection.recv(), await connection.recv()]
        assert [event.type for event in errors] == ["error", "error"]
        assert errors[0].error.event_id == "mine"  # type: ignore[union-attr]
        assert errors[1].error.param == "session.modalities"  # type: ignore[union-attr]
        assert "Paris" in joined(
            await ask(connection, "What is the capital of France?"), "response.output_text.delta"
        )


async def test_what_a_call_leaves(stack: Stack) -> None:
    """It has a record and a trace of its own door, with a turn that has its figures."""
    async with session(stack.gateway_url, audio={"input": {"turn_detection": None}}) as connection:
        created = await events_until(connection, "session.updated")
        call_id = created[0].session.model_dump()["id"]
        await ask(connection, "What is the capital of France?")
    record: dict[str, Any] = {}
    async with httpx.AsyncClient() as http:
        while not record.get("end_reason"):
            record = (await http.get(f"{stack.gateway_url}/api/calls/{call_id}")).json()
    assert (record["door"], record["end_reason"]) == ("realtime", "caller hung up")
    assert record["outcome"] == "completed"
    (turn,) = record["turns"]
    assert turn["heard"] == "What is the capital of France?"
    assert "Paris" in turn["spoken"]
    assert {"time_to_first_token", "time_to_first_sentence"} <= set(turn["seconds"])
    shown = stack.offhook("trace", record["trace_id"][:12]).stdout
    assert "call (gateway)" in shown
    assert "llm (gateway)" in shown
    assert "Paris" not in stack.log("gateway")


async def test_browsers_show_their_key_in_a_subprotocol(guarded: tuple[Gateway, str]) -> None:
    """A page opens a session with an ephemeral secret that its site's server minted, with the site's settings."""
    gateway, key = guarded
    body = {"session": {"type": "realtime", "instructions": "Speak like a pirate."}}
    url = f"{gateway.url}/v1/realtime/client_secrets"
    assert httpx.post(url, json=body).status_code == 401
    minted = httpx.post(url, json=body, headers={"authorization": f"Bearer {key}"})
    assert minted.status_code == 200, minted.text
    secret = minted.json()["value"]
    assert secret.startswith("ek_")
    assert "pirate" not in base64.b64decode(secret.split(".")[1] + "==").decode()
    offered = [Subprotocol("realtime"), Subprotocol(f"openai-insecure-api-key.{secret}")]
    async with connect(f"{gateway.ws_url}/v1/realtime", subprotocols=offered) as socket:
        assert socket.subprotocol == "realtime"
        created = json.loads(await socket.recv())
    assert created["session"]["instructions"] == "Speak like a pirate."
    assert secret not in gateway.log()
    for subprotocols in (offered[:1], [*offered[:1], Subprotocol("openai-insecure-api-key.ek_x")]):
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{gateway.ws_url}/v1/realtime", subprotocols=subprotocols)
        assert refused.value.response.status_code == 401
        error = json.loads(refused.value.response.body or b"{}")["error"]
        assert error["code"] == "invalid_api_key"


async def test_the_sdk_mints_secrets(guarded: tuple[Gateway, str]) -> None:
    """`client.realtime.client_secrets.create` works as it is; what is wrong in it is told."""
    gateway, key = guarded
    client = AsyncOpenAI(api_key=key, base_url=f"{gateway.url}/v1")
    made = await client.realtime.client_secrets.create(
        expires_after={"anchor": "created_at", "seconds": 60}, session={"type": "realtime"}
    )
    async with AsyncOpenAI(api_key=made.value, base_url=f"{gateway.url}/v1").realtime.connect(
        model="gpt-realtime"
    ) as connection:
        assert (await connection.recv()).type == "session.created"
    wrong = {"session": {"type": "realtime", "output_modalities": ["smell"]}}
    refused = httpx.post(
        f"{gateway.url}/v1/realtime/client_secrets", json=wrong, headers={"authorization": f"Bearer {key}"}
    )
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "session.output_modalities[0]"


async def test_pages_of_other_sites(stack: Stack) -> None:
    """A page of another origin cannot use its visitor's open gateway."""
    with pytest.raises(InvalidStatus) as refused:
        await connect(
            f"ws://127.0.0.1:{stack.port('gateway')}/v1/realtime", origin=Origin("https://evil.example")
        )
    assert refused.value.response.status_code == 403
