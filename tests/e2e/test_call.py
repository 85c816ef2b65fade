"""Whole calls over the real stack: real models, real sockets, judged by words and by the order of events."""

import io
import json
import wave
from pathlib import Path

import httpx
import numpy as np
import pytest
from jiwer import wer

from orchestration.murmurs import words
from tests.conftest import Stack


def transcribe(stack: Stack, wav: bytes) -> str:
    """Let the ear's file endpoint write down a recording."""
    response = httpx.post(
        f"http://127.0.0.1:{stack.port('asr')}/v1/audio/transcriptions",
        files={"file": ("answer.wav", wav, "audio/wav")},
        data={"model": "whisper-tiny.en"},
        timeout=60,
    )
    response.raise_for_status()
    return str(response.json()["text"])


@pytest.fixture(scope="module")
def two_turns(stack: Stack) -> dict:
    """One call of two turns, as `offhook call --json` prints it."""
    result = stack.offhook(
        "call",
        "--say",
        "What is the capital of France?",
        "--say",
        "And what is the capital of Italy?",
        "--json",
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_two_questions_are_answered(two_turns: dict) -> None:
    """Each question is heard and answered."""
    first, second = two_turns["turns"]
    assert first["said"] == "What is the capital of France?"
    assert "capital of france" in first["heard"].lower()
    assert "Paris" in first["answered"]
    assert "capital of italy" in second["heard"].lower()
    assert "Rome" in second["answered"]


def test_the_answer_can_be_heard(stack: Stack, two_turns: dict) -> None:
    """The recording of the answers, transcribed again, holds both cities and is what was answered."""
    heard = transcribe(stack, (stack.folder / two_turns["answer_wav"]).read_bytes())
    assert "Paris" in heard
    assert "Rom" in heard, heard  # a small ear has written "Roman"
    answered = " ".join(turn["answered"] for turn in two_turns["turns"])
    assert wer(" ".join(words(answered)), " ".join(words(heard))) < 0.35, f"{answered!r} heard as {heard!r}"


def test_every_figure_is_present_and_in_order(two_turns: dict) -> None:
    """Every stage has its figure, and they happened in the order in which they must."""
    for turn in two_turns["turns"]:
        assert set(turn["seconds"]) == {
            "end_of_turn_delay",
            "transcription_delay",
            "time_to_first_token",
            "time_to_first_sentence",
            "tts_time_to_first_audio",
            "voice_to_voice",
        }
        assert all(seconds > 0 for seconds in turn["seconds"].values())
        assert turn["seconds"]["time_to_first_token"] <= turn["seconds"]["time_to_first_sentence"]
        assert turn["server_voice_to_voice"] > 0
        at = turn["after_speech"]
        order = (
            "speech_ended",
            "transcribed",
            "llm_requested",
            "first_token",
            "first_sentence",
            "first_audio",
        )
        assert [at[moment] for moment in order] == sorted(at[moment] for moment in order)
        assert max(at["confirmed"], at["first_audio"]) <= at["audible"]


def test_the_call_has_one_trace(stack: Stack, two_turns: dict) -> None:
    """`offhook trace` shows the call's spans, those of the servers among them, and no word that was said."""
    shown = stack.offhook("trace", two_turns["trace_id"][:12])
    assert shown.returncode == 0, shown.stderr
    for name in ("call (gateway)", "turn (gateway)", "asr (gateway)", "llm (gateway)", "tts (gateway)"):
        assert name in shown.stdout
    assert "asr.server (asr)" in shown.stdout
    assert "tts.server (tts)" in shown.stdout
    assert two_turns["trace_id"][:8] in stack.offhook("calls").stdout
    stored = (stack.folder / "calls.sqlite").read_bytes()
    assert b"capital" not in stored
    assert b"Paris" not in stored


def test_logs_hold_no_word_that_was_said(stack: Stack, two_turns: dict) -> None:
    """What callers and agents say stays out of every server's log."""
    for server in ("gateway", "asr", "tts", "llm"):
        assert "capital" not in stack.log(server)
        assert "Paris" not in stack.log(server)


def test_metrics_count_the_turns(stack: Stack, two_turns: dict) -> None:
    """The gateway's histograms hold the turns of the call."""
    text = httpx.get(f"{stack.gateway_url}/metrics").text
    for name in ("voice_to_voice", "end_of_turn_delay", "time_to_first_token", "time_to_first_sentence"):
        line = f'voice_{name}_seconds_count{{agent="concierge",door="twilio",'
        counts = [float(row.split()[-1]) for row in text.splitlines() if row.startswith(line)]
        assert counts, f"no {line}"
        assert counts[0] >= len(two_turns["turns"])


def test_the_engine_reads_while_the_caller_speaks(stack: Stack) -> None:
    """Besides the opening and the answers, it is asked to read what has been said so far."""

    def counted(name: str) -> float:
        rows = httpx.get(f"{stack.gateway_url}/metrics").text.splitlines()
        return sum(float(row.split()[-1]) for row in rows if row.split("{")[0].split(" ")[0] == name)

    names = ("voice_llm_attempts_total", "voice_model_calls_total")
    before = [counted(name) for name in names]
    called = stack.offhook("call", "--say", "Can you tell me what a telephone is used for?", "--json")
    assert called.returncode == 0, called.stderr
    attempts, answers = (counted(name) - was for name, was in zip(names, before, strict=True))
    assert answers >= 1
    assert attempts >= 1 + answers + 1


def test_a_recording_can_be_asked(stack: Stack, tmp_path: Path) -> None:
    """`offhook call FILE` asks what is in the file; --url names the gateway."""
    speech = httpx.post(
        f"http://127.0.0.1:{stack.port('tts')}/v1/audio/speech",
        json={
            "model": "x",
            "voice": "joe",
            "input": "What is the capital of France?",
            "response_format": "wav",
        },
        timeout=60,
    )
    (tmp_path / "question.wav").write_bytes(speech.content)
    result = stack.offhook("call", str(tmp_path / "question.wav"), "--json", "--url", stack.gateway_url)
    assert result.returncode == 0, result.stderr
    (turn,) = json.loads(result.stdout)["turns"]
    assert turn["said"] is None
    assert "france" in turn["heard"].lower()
    assert "Paris" in turn["answered"]


def test_a_call_for_a_reader(stack: Stack) -> None:
    """Without --json the conversation and its waterfall are printed."""
    result = stack.offhook("call", "--say", "What is the capital of France?")
    assert result.returncode == 0, result.stderr
    for expected in (
        "Hello, how can I help you?",
        "heard as:",
        "Paris",
        "voice to voice",
        "first sentence",
        "trace",
    ):
        assert expected in result.stdout


def test_silence_is_not_an_audio_question(stack: Stack, tmp_path: Path) -> None:
    """A file with nothing in it, or none at all, is one clear line."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(np.zeros(16000, dtype="<i2").tobytes())
    (tmp_path / "silence.wav").write_bytes(buffer.getvalue())
    (tmp_path / "text.wav").write_text("this is not audio")
    for name, expected in (
        ("silence.wav", "nothing to be heard"),
        ("text.wav", "not an audio file"),
        ("missing.wav", "No such file"),
    ):
        result = stack.offhook("call", str(tmp_path / name))
        assert result.returncode == 1
        assert expected in result.stderr
        assert "Traceback" not in result.stderr
