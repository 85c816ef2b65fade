"""Official clients against the real server: they are the judges of the protocols."""

import asyncio
import io
import json
import wave
from collections.abc import Callable

import av
import numpy as np
import pytest
import websockets
from deepgram import AsyncDeepgramClient
from deepgram.environment import DeepgramClientEnvironment
from deepgram.listen.v1.types import ListenV1Finalize, ListenV1Results
from deepgram.listen.v2.types import ListenV2Connected, ListenV2TurnInfo
from openai import AsyncOpenAI, BadRequestError

from asr.audio import MULAW, SAMPLE_RATE, Samples
from tests.asr.conftest import Server, linear16, play, silence

SENTENCE = "What time is it?"
OTHER = "What's the weather like in New York?"


def client(server: Server) -> AsyncDeepgramClient:
    """Return the official client, pointed at our server."""
    environment = DeepgramClientEnvironment(
        base=server.http, production=server.ws, agent=server.ws, agent_rest=server.http
    )
    return AsyncDeepgramClient(api_key="unused", environment=environment)


async def flux(server: Server, pcm: bytes, bytes_per_second: int = 32000, **query: object) -> list[object]:
    """Play audio through the SDK's v2 client and return all messages."""
    query = {"model": "flux-general-en", "encoding": "linear16", "sample_rate": 16000, **query}
    messages: list[object] = []
    async with client(server).listen.v2.connect(**query) as connection:  # type: ignore[arg-type]

        async def receive() -> None:
            messages.extend([message async for message in connection])

        receiving = asyncio.create_task(receive())
        await play(connection.send_media, pcm, bytes_per_second, speed=4)
        await connection.send_close_stream()
        await asyncio.wait_for(receiving, 60)
    return messages


def events(messages: list[object]) -> list[str]:
    """Return the turn events in order, without partials."""
    found = [str(item.event) for item in messages if isinstance(item, ListenV2TurnInfo)]
    return [event for event in found if event != "Update"]


async def test_flux_turn_through_the_sdk(server: Server, speech: Callable[[str], Samples]) -> None:
    """The SDK's v2 client sees one whole turn, in order, numbered, with timed words."""
    audio = np.concatenate([silence(0.3), speech(SENTENCE), silence(2.0)])
    messages = await flux(server, linear16(audio), eager_eot_threshold=0.5)
    assert isinstance(messages[0], ListenV2Connected)
    assert events(messages) == ["StartOfTurn", "EagerEndOfTurn", "EndOfTurn"]
    assert [getattr(item, "sequence_id") for item in messages] == list(range(len(messages)))  # noqa: B009
    end = messages[-1]
    assert isinstance(end, ListenV2TurnInfo)
    assert "what time is it" in end.transcript.lower()
    assert end.trigger == "model"
    assert end.end_of_turn_confidence >= 0.7
    assert [word.word for word in end.words] == end.transcript.split()
    times = [(word.start, word.end) for word in end.words]
    assert all(start is not None and stop is not None and start <= stop for start, stop in times)
    assert times == sorted(times)
    eager = next(item for item in messages if getattr(item, "event", "") == "EagerEndOfTurn")
    assert eager.transcript == end.transcript  # type: ignore[attr-defined]


@pytest.mark.parametrize(("encoding", "rate"), [("mulaw", 8000), ("linear16", 8000), ("linear16", 48000)])
async def test_flux_takes_telephone_and_studio_audio(
    server: Server, speech: Callable[[str], Samples], encoding: str, rate: int
) -> None:
    """Mu-law and linear PCM at 8 to 48 kHz give the same words."""
    audio = np.concatenate([silence(0.3), speech(SENTENCE), silence(2.0)])
    pcm = np.frombuffer(linear16(resample(audio, rate)), "<i2")
    data = encode_mulaw(pcm) if encoding == "mulaw" else pcm.tobytes()
    per_second = rate * (1 if encoding == "mulaw" else 2)
    messages = await flux(server, data, per_second, encoding=encoding, sample_rate=rate)
    assert events(messages) == ["StartOfTurn", "EndOfTurn"]
    assert "time is it" in messages[-1].transcript.lower()  # type: ignore[attr-defined]


def resample(audio: Samples, rate: int) -> Samples:
    """Return 16 kHz audio at another rate."""
    import soxr

    changed: Samples = soxr.resample(audio, SAMPLE_RATE, rate)
    return changed


def encode_mulaw(pcm: "np.ndarray[tuple[int], np.dtype[np.int16]]") -> bytes:
    """Return the mu-law bytes nearest to 16-bit samples."""
    order = np.argsort(MULAW)
    places = np.clip(np.searchsorted(MULAW[order], pcm), 0, 255)
    return order[places].astype(np.uint8).tobytes()


async def test_v1_results_through_the_sdk(server: Server, speech: Callable[[str], Samples]) -> None:
    """The SDK's v1 client sees interim and final results, an utterance end, and a finalized result."""
    messages: list[object] = []
    audio = np.concatenate([silence(0.3), speech(SENTENCE), silence(2.0), speech(SENTENCE)])
    async with client(server).listen.v1.connect(
        model="nova-3",
        encoding="linear16",
        sample_rate=16000,
        interim_results=True,
        punctuate=True,
        vad_events=True,
        utterance_end_ms=1000,
    ) as connection:

        async def receive() -> None:
            messages.extend([message async for message in connection])

        receiving = asyncio.create_task(receive())
        await play(connection.send_media, linear16(audio), 32000, speed=4)
        await connection.send_keep_alive()
        await connection.send_finalize(ListenV1Finalize(type="Finalize"))
        await connection.send_close_stream()
        await asyncio.wait_for(receiving, 60)
    kinds = [getattr(item, "type", "") for item in messages]
    assert kinds[-1] == "Metadata"
    assert {"SpeechStarted", "UtteranceEnd"} <= set(kinds)
    results = [item for item in messages if isinstance(item, ListenV1Results)]
    assert any(not item.is_final for item in results)
    final = next(item for item in results if item.is_final)
    assert final.speech_final
    best = final.channel.alternatives[0]
    assert "time is it" in best.transcript.lower()
    assert best.words[0].punctuated_word == best.transcript.split()[0]
    assert 0 < best.words[0].start < best.words[-1].end
    assert any(item.from_finalize for item in results)


def wav(audio: Samples) -> bytes:
    """Return audio as a WAV file."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(linear16(audio))
    return buffer.getvalue()


async def test_openai_transcriptions(server: Server, speech: Callable[[str], Samples]) -> None:
    """The openai SDK gets every response format."""
    data = wav(speech(SENTENCE))
    async with AsyncOpenAI(base_url=f"{server.http}/v1", api_key="unused", max_retries=0) as openai:
        create = openai.audio.transcriptions.create
        plain = await create(model="whisper-1", file=("a.wav", data))
        assert "time is it" in plain.text.lower()
        text = await create(model="whisper-1", file=("a.wav", data), response_format="text")
        assert text.strip() == plain.text
        verbose = await create(
            model="whisper-1",
            file=("a.wav", data),
            response_format="verbose_json",
            timestamp_granularities=["word", "segment"],
        )
        assert verbose.language == "english"
        assert verbose.segments
        assert verbose.words
        assert verbose.words[-1].end <= verbose.duration + 0.5
        srt = await create(model="whisper-1", file=("a.wav", data), response_format="srt")
        assert srt.startswith("1\n00:00:00,")
        vtt = await create(model="whisper-1", file=("a.wav", data), response_format="vtt")
        assert vtt.startswith("WEBVTT\n\n00:00:00.")


async def test_openai_transcriptions_stream(server: Server, speech: Callable[[str], Samples]) -> None:
    """With stream=True the SDK gets the text of a long file part by part, and whole at the end."""
    audio = np.concatenate([speech(SENTENCE), silence(30.0), speech(OTHER)])
    async with AsyncOpenAI(base_url=f"{server.http}/v1", api_key="unused", max_retries=0) as openai:
        stream = await openai.audio.transcriptions.create(
            model="gpt-4o-transcribe", file=("a.wav", wav(audio)), stream=True
        )
        events = [event async for event in stream]
        with pytest.raises(BadRequestError) as refused:
            await openai.audio.transcriptions.create(
                model="whisper-1", file=("a.wav", wav(audio)), stream=True, response_format="srt"
            )
    *deltas, done = events
    assert len(deltas) == 2
    assert all(event.type == "transcript.text.delta" for event in deltas)
    assert done.type == "transcript.text.done"
    assert "".join(event.delta for event in deltas) == done.text  # type: ignore[union-attr]
    assert "time is it" in deltas[0].delta.lower()  # type: ignore[union-attr]
    assert "weather" in deltas[1].delta.lower()  # type: ignore[union-attr]
    assert refused.value.param == "stream"


CONTAINERS = {
    "mp3": ("mp3", "libmp3lame", 16000),
    "ogg": ("ogg", "libopus", 48000),
    "webm": ("webm", "libopus", 48000),
    "m4a": ("mp4", "aac", 44100),
    "flac": ("flac", "flac", 16000),
    "wav": ("wav", "pcm_mulaw", 8000),
}


def encoded(audio: Samples, container: str, codec: str, rate: int) -> bytes:
    """Return audio as a file of some container and codec."""
    buffer = io.BytesIO()
    pcm = np.frombuffer(linear16(resample(audio, rate)), "<i2")
    frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
    frame.sample_rate = rate
    with av.open(buffer, "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate, layout="mono")
        for part in (frame, None):
            out.mux(stream.encode(part))
    return buffer.getvalue()


async def test_files_of_any_common_format(server: Server, speech: Callable[[str], Samples]) -> None:
    """mp3, ogg, webm, m4a, flac and wav give the same words, whatever the file is called."""
    async with AsyncOpenAI(base_url=f"{server.http}/v1", api_key="unused", max_retries=0) as openai:
        for name, form in CONTAINERS.items():
            data = encoded(speech(SENTENCE), *form)
            for suffix in (name, "bin"):
                heard = await openai.audio.transcriptions.create(
                    model="whisper-1", file=(f"speech.{suffix}", data)
                )
                assert "time is it" in heard.text.lower(), (name, suffix)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"file": ("a.wav", b"not audio")}, "file"),
        ({"model": "whisper-9"}, "model"),
        ({"response_format": "xml"}, "response_format"),
        ({"language": "de"}, "language"),
    ],
)
async def test_openai_errors_name_the_field(
    server: Server, speech: Callable[[str], Samples], change: dict[str, object], names: str
) -> None:
    """A bad field is OpenAI's 400 that names it."""
    request = {"model": "whisper-1", "file": ("a.wav", wav(speech(SENTENCE))), **change}
    async with AsyncOpenAI(base_url=f"{server.http}/v1", api_key="unused", max_retries=0) as openai:
        with pytest.raises(BadRequestError) as refused:
            await openai.audio.transcriptions.create(**request)  # type: ignore[call-overload]
    assert refused.value.param == names
    assert refused.value.type == "invalid_request_error"


@pytest.mark.parametrize(
    ("path", "query", "says"),
    [
        ("v2", "eot_threshold=0.1", "from 0.5 to 0.9"),
        ("v2", "eager_eot_threshold=0.8&eot_threshold=0.6", "must not be above"),
        ("v2", "encoding=opus", "linear16, mulaw"),
        ("v2", "sample_rate=96000", "8000 to 48000"),
        ("v2", "model=no-such-model", "this server has whisper-tiny.en"),
        ("v1", "channels=2", "takes 1"),
        ("v1", "language=fr", "English alone"),
    ],
)
async def test_a_wrong_parameter_is_refused_as_deepgram_does(
    server: Server, path: str, query: str, says: str
) -> None:
    """The handshake fails with 400, the reason in ``dg-error`` and in the body."""
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(f"{server.ws}/{path}/listen?{query}")
    response = refused.value.response
    assert response.status_code == 400
    assert says in response.headers["dg-error"]
    assert says in json.loads(response.body)["err_msg"]
