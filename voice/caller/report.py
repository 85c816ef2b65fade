"""What a call that we placed came to: for a reader, or as one JSON object."""

import wave
from pathlib import Path
from typing import Any

from rich.console import Console

from telemetry.names import FIGURES, VOICE_TO_VOICE
from telemetry.waterfall import Bar, render
from voice.caller.playout import BYTES_PER_SAMPLE
from voice.caller.script import AskedTurn, CallerScript
from voice.phone.media import SAMPLE_RATE

#: Silence kept before and after the answers in the recording, seconds.
MARGIN_SECONDS = 0.2
#: The stages of the waterfall: label, from, to (moments of the call's record).
STAGES = (
    ("end of turn", "speech_ended", "confirmed"),
    ("transcript", "speech_ended", "transcribed"),
    ("first token", "llm_requested", "first_token"),
    ("first sentence", "llm_requested", "first_sentence"),
    ("first audio", "text_sent", "first_audio"),
    ("voice to voice", "speech_ended", "audible"),
)


def as_json(script: CallerScript, record: dict[str, Any], answer_wav: Path) -> dict[str, Any]:
    """Return the call as JSON values: what the caller measured beside what the gateway said."""
    told = record["turns"]
    return {
        "turns": [
            _turn_json(asked, told[index] if index < len(told) else None)
            for index, asked in enumerate(script.turns)
        ],
        "trace_id": record["trace_id"],
        "answer_wav": str(answer_wav),
        "call_id": record["call_id"],
        "agent": record["agent"],
        "greeting": record["greeting"],
        "end_reason": record["end_reason"],
    }


def _turn_json(asked: AskedTurn, told: dict[str, Any] | None) -> dict[str, Any]:
    seconds = dict(told["seconds"]) if told else {}
    server = seconds.pop(VOICE_TO_VOICE.key, None)
    seconds[VOICE_TO_VOICE.key] = asked.voice_to_voice
    return {
        "said": asked.question.said,
        "source": asked.question.source,
        "heard": told["heard"] if told else None,
        "answered": told["answered"] if told else None,
        "seconds": {figure.key: seconds[figure.key] for figure in FIGURES if figure.key in seconds},
        "server_voice_to_voice": server,
        "after_speech": told["after_speech"] if told else {},
        "tokens": told["tokens"] if told else {},
        "speculations": told["speculations"] if told else 0,
        "withdrawn": told["withdrawn"] if told else 0,
    }


def show(call: dict[str, Any], console: Console) -> None:
    """Print the conversation and the waterfall of each turn."""
    if call["greeting"]:
        console.print(f"[bold]agent[/bold]   {call['greeting']}")
    for turn in call["turns"]:
        console.print(f"[bold]caller[/bold]  {turn['said'] or turn['source']}")
        console.print(f"        heard as: {turn['heard']}", style="dim")
        console.print(f"[bold]agent[/bold]   {turn['answered']}")
        bars = _bars(turn)
        if bars:
            console.print(
                render(bars, title="latency of this turn, milliseconds after the caller's last sound")
            )
        if (mine := turn["seconds"].get(VOICE_TO_VOICE.key)) is not None:
            console.print(f"voice to voice as the caller heard it: {mine * 1000:.0f} ms")
        console.print()
    console.print(
        f"trace {call['trace_id']} (`offhook trace {call['trace_id'][:8]}`), answer in {call['answer_wav']}"
    )


def write_answers(script: CallerScript, path: Path) -> None:
    """Write what the caller heard in answer, one after the other: 8 kHz mono 16-bit WAV."""
    pcm = b"".join(
        script.playout.recording(turn.answer_began - MARGIN_SECONDS, turn.answer_ended + MARGIN_SECONDS)
        for turn in script.turns
        if turn.answer_began is not None and turn.answer_ended is not None
    )
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(BYTES_PER_SAMPLE)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(pcm)


def _bars(turn: dict[str, Any]) -> list[Bar]:
    at = turn["after_speech"]
    return [Bar(label, at[start], at[end]) for label, start, end in STAGES if start in at and end in at]
