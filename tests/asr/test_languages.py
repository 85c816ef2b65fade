"""Several models at once, chosen by name; the multilingual one with a hint and without."""

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import websockets
from deepgram.listen.v1.types import ListenV1Results
from deepgram.listen.v2.types import ListenV2TurnInfo
from openai import AsyncOpenAI, BadRequestError

from asr.audio import Samples
from asr.errors import AsrError
from asr.registry import Registry
from asr.settings import AsrSettings
from asr.whisper import DecodeJob
from modelstore import ModelMissingError
from tests.asr.conftest import MODEL, MULTILINGUAL, Server, foreign, linear16, play, pulled, silence
from tests.asr.test_sdk import client, flux, wav

#: A word of the sentence in each language.
WORDS = {"fr": "vieux", "it": "sbagliato", "pt": "rápida"}
ENGLISH = "What time is it?"
REVISION = "0123456789" * 4


def sentence(language: str) -> Samples:
    """Return a sentence in another language between two silences."""
    return np.concatenate([silence(0.3), foreign(language), silence(2.5)])


@pytest.fixture(scope="module")
def french() -> Samples:
    """Return a French sentence."""
    return sentence("fr")


def last_turn(messages: list[object]) -> ListenV2TurnInfo:
    """Return the last event of a Flux stream."""
    return [item for item in messages if isinstance(item, ListenV2TurnInfo)][-1]


@pytest.mark.parametrize(
    ("language", "hint"), [("fr", None), ("it", None), ("pt", None), ("fr", ["fr"]), ("it", ["it", "en"])]
)
async def test_a_turn_in_another_language(server: Server, language: str, hint: list[str] | None) -> None:
    """The language is detected where no hint or several are given, and reported with the turn."""
    query: dict[str, object] = {"model": MULTILINGUAL}
    if hint:
        query["language_hint"] = hint
    end = last_turn(await flux(server, linear16(sentence(language)), **query))
    assert WORDS[language] in end.transcript.lower()
    assert end.languages == [language]
    assert (end.languages_hinted or []) == (hint or [])


async def test_v1_in_another_language(server: Server, french: Samples) -> None:
    """The v1 protocol takes the language by its tag."""
    messages: list[object] = []
    async with client(server).listen.v1.connect(
        model=MULTILINGUAL, language="fr-CA", encoding="linear16", sample_rate=16000
    ) as connection:

        async def receive() -> None:
            messages.extend([message async for message in connection])

        receiving = asyncio.create_task(receive())
        await play(connection.send_media, linear16(french), 32000, speed=4)
        await connection.send_close_stream()
        await asyncio.wait_for(receiving, 60)
    texts = [
        item.channel.alternatives[0].transcript for item in messages if isinstance(item, ListenV1Results)
    ]
    assert WORDS["fr"] in " ".join(texts).lower()


async def test_hints_change_mid_stream(server: Server, french: Samples) -> None:
    """A Configure with hints holds for the turns after it; a language the model lacks is refused."""
    query = f"model={MULTILINGUAL}&encoding=linear16&sample_rate=16000&language_hint=en"
    async with websockets.connect(f"{server.ws}/v2/listen?{query}") as connection:
        assert json.loads(await connection.recv())["type"] == "Connected"
        for hints, kind in ((["xx"], "ConfigureFailure"), (["fr"], "ConfigureSuccess")):
            await connection.send(json.dumps({"type": "Configure", "language_hints": hints}))
            assert json.loads(await connection.recv())["type"] == kind
        await play(connection.send, linear16(french), 32000, speed=4)
        async for message in connection:
            event = json.loads(message)
            if event.get("event") == "EndOfTurn":
                break
    assert event["languages"] == event["languages_hinted"] == ["fr"]
    assert WORDS["fr"] in event["transcript"].lower()


async def test_files_choose_among_the_models(
    server: Server, french: Samples, speech: Callable[[str], Samples]
) -> None:
    """Each request names its model; the list of models has both."""
    async with AsyncOpenAI(base_url=f"{server.http}/v1", api_key="unused", max_retries=0) as openai:
        assert [model.id async for model in openai.models.list()] == [MODEL, MULTILINGUAL]
        heard = await openai.audio.transcriptions.create(
            model=MULTILINGUAL, file=("a.wav", wav(french)), language="fr", response_format="verbose_json"
        )
        assert heard.language == "french"
        assert WORDS["fr"] in heard.text.lower()
        for model in (MODEL, MULTILINGUAL):
            heard = await openai.audio.transcriptions.create(
                model=model, file=("a.wav", wav(speech(ENGLISH))), response_format="verbose_json"
            )
            assert heard.language == "english"
            assert "time is it" in heard.text.lower()


async def test_translations_into_english(server: Server, speech: Callable[[str], Samples]) -> None:
    """Speech in another language comes back in English; a model that knows English alone says so."""
    async with AsyncOpenAI(base_url=f"{server.http}/v1", api_key="unused", max_retries=0) as openai:
        heard = await openai.audio.translations.create(
            model=MULTILINGUAL, file=("a.wav", wav(sentence("pt"))), response_format="verbose_json"
        )
        assert heard.language == "english"
        assert "rapid" in heard.text.lower()
        with pytest.raises(BadRequestError, match="English alone"):
            await openai.audio.translations.create(model=MODEL, file=("a.wav", wav(speech(ENGLISH))))


def test_a_checkpoint_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, speech: Callable[[str], Samples]
) -> None:
    """A fine-tuned model is served from a path, or from a revision of a hub repository in the store."""
    tuned = tmp_path / "tuned"
    shutil.copytree(pulled(MODEL), tuned)
    store = tmp_path / "store"
    (store / MODEL).parent.mkdir()
    (store / MODEL).symlink_to(pulled(MODEL))
    (store / f"owner--name@{REVISION}").symlink_to(tuned)
    monkeypatch.setenv("OFFHOOK_MODELS_DIR", str(store))
    settings = AsrSettings(models={"mine": str(tuned), "theirs": f"hf:owner/name@{REVISION}"})
    registry = Registry.load(settings)
    assert list(registry.models) == [MODEL, "mine", "theirs"]
    for name in ("mine", "theirs"):
        heard = registry.models[registry.choose(name)].decode([DecodeJob(speech(ENGLISH))])[0]
        assert "time is it" in heard.text.lower()


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"model.safetensors": "x", "tokenizer.json": "{}"}, "ct2-transformers-converter"),
        ({"model.bin": "x"}, "no tokenizer.json"),
        ({"model.bin": "x", "tokenizer.json": "{}"}, "cannot be loaded"),
    ],
)
def test_what_is_no_model_is_refused_with_what_to_do(
    tmp_path: Path, files: dict[str, str], says: str
) -> None:
    """A checkpoint of another format, or half a one, is an error that names it."""
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(AsrError, match=says):
        Registry.load(AsrSettings(model=str(tmp_path)))


def test_a_model_that_was_not_pulled_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A revision that is not in the store says how to bring it."""
    monkeypatch.setenv("OFFHOOK_MODELS_DIR", str(tmp_path))
    with pytest.raises(ModelMissingError, match=f"offhook models pull hf:owner/name@{REVISION}"):
        Registry.load(AsrSettings(model=f"hf:owner/name@{REVISION}"))
