"""OpenAI's own SDK against the speech endpoint."""

import io

import av
import httpx
import openai
import pytest
from openai import AsyncOpenAI

from tests.tts.conftest import Mouth

TEXT = "The capital of France is Paris."


@pytest.fixture
def client(mouth: Mouth) -> AsyncOpenAI:
    """Return the SDK, pointed at the mouth."""
    return AsyncOpenAI(api_key="none", base_url=f"{mouth.url}/v1", max_retries=0)


@pytest.mark.parametrize("name", ["wav", "mp3", "opus", "flac", "aac"])
async def test_files(client: AsyncOpenAI, name: str) -> None:
    """Each format is a file that plays, of about the length of the sentence."""
    answer = await client.audio.speech.create(
        model="any",
        voice="joe",
        input=TEXT,
        response_format=name,  # type: ignore[arg-type]
    )
    with av.open(io.BytesIO(answer.content)) as container:
        stream = container.streams.audio[0]
        seconds = sum(frame.samples for frame in container.decode(audio=0)) / stream.rate
    assert 1.2 < seconds < 3.0


async def test_pcm_is_streamed(client: AsyncOpenAI) -> None:
    """Bare samples at 24 kHz come in several pieces, the first before the last is made."""
    request = client.audio.speech.with_streaming_response.create(
        model="any", voice="joe", input=TEXT * 3, response_format="pcm"
    )
    async with request as answer:
        pieces = [piece async for piece in answer.iter_bytes()]
    assert len(pieces) > 3
    assert 4 < sum(map(len, pieces)) / 48000 < 9


@pytest.mark.parametrize(
    ("fields", "status", "hint"),
    [
        ({"voice": "nobody"}, 404, "there are: joe"),
        ({"input": ""}, 400, "input"),
        ({"input": "x" * 5000}, 400, "4096"),
        ({"response_format": "vorbis"}, 400, "response_format"),
        ({"speed": 9}, 400, "speed"),
        ({"stream_format": "sse"}, 400, "stream_format"),
    ],
)
async def test_wrong_requests(mouth: Mouth, fields: dict[str, object], status: int, hint: str) -> None:
    """Errors have OpenAI's form and say what is allowed."""
    body = {"model": "any", "voice": "joe", "input": TEXT} | fields
    async with httpx.AsyncClient() as http:
        answer = await http.post(f"{mouth.url}/v1/audio/speech", json=body)
        assert (answer.status_code, hint in answer.json()["error"]["message"]) == (status, True)


async def test_the_sdk_understands_errors(client: AsyncOpenAI) -> None:
    """A missing voice is the SDK's NotFoundError."""
    with pytest.raises(openai.NotFoundError, match="nobody"):
        await client.audio.speech.create(model="any", voice="nobody", input=TEXT)


async def test_a_body_that_is_too_large(mouth: Mouth) -> None:
    """A flood is refused."""
    async with httpx.AsyncClient() as http:
        answer = await http.post(f"{mouth.url}/v1/audio/speech", content=b"x" * 200_000)
        assert answer.status_code == 413
