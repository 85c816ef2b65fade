"""Interrupting the agent: how soon it is silent, and whether it remembers what was heard of it, no more, no less.

What the caller was played of an interrupted answer is written down by the ear and compared with the words that the
gateway kept in the conversation. The recogniser mishears words in the middle; where the answer was cut is found
as the prefix of the whole answer that is nearest to what was written down. Where the sound stops in a word, it likes
to go on with words of its own; those get no time in the sound, and are left out.
"""

import io
import itertools
import random
import wave
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import httpx

from orchestration.murmurs import words
from voice.bench.figures import spread
from voice.bench.lab import LONG_QUESTIONS, Lab
from voice.bench.systems import TALKER
from voice.caller.playout import BYTES_PER_SAMPLE
from voice.caller.script import PACKET_SECONDS, AskedTurn, CallerScript
from voice.errors import CallerError
from voice.phone.media import SAMPLE_RATE

#: Answers interrupted in one call.
INTERRUPTIONS_A_CALL = 5
#: How much of an answer is heard before it is interrupted, seconds.
EARLIEST, LATEST = 0.8, 3.0
#: Words by which the cut may be off: the word that was being said when it came is heard or not.
CUT_WORDS = 1
#: How long the ear may take to write down one answer, seconds.
TRANSCRIPTION_SECONDS = 60.0
#: Silence around an answer that is written down, seconds.
MARGIN_SECONDS = 0.3
#: A word that begins less than this before the sound ends, or after it, is not in the sound, seconds.
UNSAID_SECONDS = 0.05


async def measure(lab: Lab) -> dict[str, Any]:
    """Interrupt answers until there are as many as asked for; return the figures."""
    random_ = random.Random(7)
    failures: list[str] = []
    rows: list[dict[str, Any]] = []
    calls = too_late = 0
    while len(rows) < lab.sizes.interruptions and calls < 2 * lab.sizes.interruptions:
        left = min(INTERRUPTIONS_A_CALL, lab.sizes.interruptions - len(rows))
        texts = [LONG_QUESTIONS[(calls * 3 + n) % len(LONG_QUESTIONS)] for n in range(left + 1)]
        questions = [await lab.say(text) for text in texts]
        script = [questions[0]] + [
            question.spoken_over(random_.uniform(EARLIEST, LATEST)) for question in questions[1:]
        ]
        calls += 1
        lab.report(f"interruptions: {len(rows)} of {lab.sizes.interruptions}")
        if call := await lab.try_call(failures, TALKER, script):
            tried = [pair for pair in itertools.pairwise(call.pairs) if pair[1][0].interrupting]
            met = [(before, told, over) for (before, told), (over, _) in tried if not was_over(told, over)]
            too_late += len(tried) - len(met)
            rows += [await _row(lab, call.script, *interruption) for interruption in met]
    return figures(rows[: lab.sizes.interruptions], too_late, failures)


def was_over(told: dict[str, Any] | None, over: AskedTurn) -> bool:
    """Return whether the answer had ended by itself when the caller spoke over what they took for its middle."""
    stop = over.barge_in_stop
    return stop is not None and stop <= PACKET_SECONDS and not (told and told["interrupted"])


def figures(rows: Sequence[dict[str, Any]], too_late: int, failures: Sequence[str]) -> dict[str, Any]:
    """Return what the interruptions say together."""
    kept = [row for row in rows if row["kept"] is not None]
    return {
        "interruptions": len(rows),
        "too_late": too_late,
        "failed_calls": list(failures),
        "stopped": sum(row["caller_stop"] is not None for row in rows),
        "gateway_stop": spread([row["gateway_stop"] for row in rows if row["gateway_stop"] is not None]),
        "caller_stop": spread([row["caller_stop"] for row in rows if row["caller_stop"] is not None]),
        "compared": len(kept),
        "same_words": sum(abs(row["kept"] - row["heard"]) <= CUT_WORDS for row in kept),
        "same_words_exactly": sum(row["kept"] == row["heard"] for row in kept),
        "rows": list(rows),
    }


async def _row(
    lab: Lab, script: CallerScript, before: AskedTurn, told: dict[str, Any] | None, over: AskedTurn
) -> dict[str, Any]:
    row: dict[str, Any] = {"caller_stop": over.barge_in_stop, "gateway_stop": None, "kept": None}
    if told and told["interrupted"]:
        row["gateway_stop"] = told["seconds"].get("barge_in_stop")
        written = await _written_down(lab, script, before, over)
        answer, kept = words(told["answered"]), words(told["spoken"])
        row |= {
            "answer": " ".join(answer),
            "kept_words": " ".join(kept),
            "written_down": written,
            "kept": len(kept),
            "heard": heard_of(answer, words(written)),
        }
    return row


def heard_of(answer: Sequence[str], written: Sequence[str]) -> int:
    """Return how many words of ``answer`` were heard, from what was written down of them."""
    costs = _distances(answer, written)
    return min(range(len(costs)), key=lambda n: (costs[n], abs(n - len(written))))


def _distances(answer: Sequence[str], written: Sequence[str]) -> list[int]:
    """Return the edit distance of each prefix of ``answer`` to ``written``, in words."""
    row = list(range(len(written) + 1))
    found = [row[-1]]
    for length, word in enumerate(answer, 1):
        above, row = row, [length]
        for place, other in enumerate(written, 1):
            row.append(min(above[place] + 1, row[place - 1] + 1, above[place - 1] + (word != other)))
        found.append(row[-1])
    return found


async def _written_down(lab: Lab, script: CallerScript, before: AskedTurn, over: AskedTurn) -> str:
    """Return what the ear makes of what the caller was played of an answer."""
    assert before.answer_began is not None
    end = over.agent_stopped if over.agent_stopped is not None else over.speech_ended
    pcm = script.playout.recording(before.answer_began - MARGIN_SECONDS, end)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(BYTES_PER_SAMPLE)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(pcm + bytes(round(MARGIN_SECONDS * SAMPLE_RATE) * BYTES_PER_SAMPLE))
    try:
        async with httpx.AsyncClient(timeout=TRANSCRIPTION_SECONDS) as http:
            response = await http.post(
                f"{lab.ear_url}/v1/audio/transcriptions",
                files={"file": ("answer.wav", buffer.getvalue(), "audio/wav")},
                data={
                    "model": "whisper-1",
                    "response_format": "verbose_json",
                    "timestamp_granularities[]": "word",
                },
            )
            response.raise_for_status()
    except httpx.HTTPError as error:
        raise CallerError(f"the ear at {lab.ear_url} cannot write an answer down: {error}") from None
    seconds = len(pcm) / BYTES_PER_SAMPLE / SAMPLE_RATE
    return in_the_sound(response.json().get("words", ()), seconds)


def in_the_sound(timed: Iterable[Mapping[str, Any]], seconds: float) -> str:
    """Return the words, as OpenAI's transcriptions give them, that are in ``seconds`` of sound."""
    return " ".join(word["word"] for word in timed if word["start"] < seconds - UNSAID_SECONDS)
