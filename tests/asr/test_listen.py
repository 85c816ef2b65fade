"""Deepgram's streaming dialect alone."""

import json
from typing import Any

import pytest
from starlette.datastructures import QueryParams

from asr.audio import SAMPLE_RATE
from asr.detectors import VAD_WINDOW, SpeechState
from asr.ear import Ear
from asr.events import Action, DecodeRequest, TurnEvent
from asr.listen import ListenDialect, ListenParameters
from asr.settings import TurnSettings
from asr.transcript import Transcript, Word
from asr.turn import TurnDetector


class Stream:
    """A v1 stream whose windows are speech or not as its test says."""

    def __init__(self, **query: str) -> None:
        wanted = ListenParameters.parse(QueryParams(query))
        self.loud = False
        self.ear = Ear(
            wanted.audio_input(),
            self._speech,
            TurnDetector(TurnSettings(), wanted.thresholds),
            narrowband=False,
        )
        self.dialect = ListenDialect(wanted, request_id="r", model="m", language="en")
        self.sent: list[dict[str, Any]] = []
        self.asked: list[DecodeRequest] = []

    def _speech(self, _: Any, __: SpeechState) -> float:
        return 0.95 if self.loud else 0.01

    def hear(self, seconds: float, *, loud: bool) -> None:
        """Play windows of one kind."""
        self.loud = loud
        for _ in range(round(seconds * SAMPLE_RATE / VAD_WINDOW)):
            for actions in self.ear.feed(bytes(2 * VAD_WINDOW)):
                self.act(actions)
            self.send(self.dialect.advanced(self.ear.heard_seconds))

    def tell(self, kind: str) -> None:
        """Send a message of the client."""
        messages, actions = self.dialect.received(json.dumps({"type": kind}), self.ear)
        self.send(messages)
        self.act(actions)

    def act(self, actions: list[Action]) -> None:
        """Keep events and requests."""
        for action in actions:
            if isinstance(action, TurnEvent):
                self.send(self.dialect.heard(action))
            elif isinstance(action, DecodeRequest):
                self.asked.append(action)

    def answer(self, text: str) -> None:
        """Answer what was asked last; an empty text is one that was not believed."""
        request = self.asked.pop()
        words = tuple(Word(word, 0.9, request.start, request.end) for word in text.split())
        self.act(self.ear.turns.transcribed(request, Transcript(text, words) if text else None))
        self.send(self.dialect.decided(self.ear))

    def send(self, messages: list[str]) -> None:
        """Keep what was sent."""
        self.sent += map(json.loads, messages)


def test_finalize_with_nothing_going_on_is_answered() -> None:
    """A client that finalizes in silence gets its empty result at once."""
    stream = Stream()
    stream.hear(0.5, loud=False)
    stream.tell("Finalize")
    (result,) = stream.sent
    assert result["from_finalize"]
    assert result["channel"]["alternatives"][0]["transcript"] == ""


def test_finalize_of_a_sound_without_words_is_answered() -> None:
    """Where nothing was understood the client is told so, and the next utterance is no answer to it."""
    stream = Stream()
    stream.hear(0.5, loud=True)
    stream.tell("Finalize")
    assert stream.sent == []
    stream.answer("")
    (result,) = stream.sent
    assert result["from_finalize"]
    stream.hear(0.8, loud=True)
    stream.hear(0.1, loud=False)
    stream.answer("Yes.")
    stream.hear(0.5, loud=False)
    assert [item["from_finalize"] for item in stream.sent] == [True, False]
    assert stream.sent[-1]["speech_final"]


def test_finalize_gives_the_words_so_far() -> None:
    """A client that finalizes mid-speech gets what was said, marked as its answer."""
    stream = Stream(punctuate="true")
    stream.hear(0.5, loud=True)
    stream.tell("Finalize")
    stream.answer("Stop here.")
    (result,) = stream.sent
    assert result["from_finalize"]
    assert result["is_final"]
    assert not result["speech_final"]
    assert result["channel"]["alternatives"][0]["transcript"] == "Stop here."


@pytest.mark.parametrize(("endpointing", "quiet"), [("100", 0.1), ("800", 0.8)])
def test_endpointing_is_the_quiet_that_ends_an_utterance(endpointing: str, quiet: float) -> None:
    """The final comes after the client's own quiet, not before."""
    stream = Stream(endpointing=endpointing)
    stream.hear(1.0, loud=True)
    stream.hear(0.064, loud=False)
    stream.answer("Yes.")
    stream.hear(quiet - 0.1, loud=False)
    assert stream.sent == []
    stream.hear(0.1, loud=False)
    assert [item["speech_final"] for item in stream.sent] == [True]


def test_utterance_end_follows_the_last_word_once() -> None:
    """UtteranceEnd comes once, that long after the last word, and not while somebody speaks."""
    stream = Stream(utterance_end_ms="1000")
    stream.hear(1.0, loud=True)
    stream.hear(0.1, loud=False)
    stream.answer("Yes.")
    stream.hear(0.7, loud=False)
    assert [item["type"] for item in stream.sent] == ["Results"]
    stream.hear(2.0, loud=False)
    assert [item["type"] for item in stream.sent] == ["Results", "UtteranceEnd"]
    assert stream.sent[-1]["last_word_end"] <= 1.1


def test_interim_results_come_only_where_asked_for() -> None:
    """Partials are sent as interim results to a client that wants them."""
    for wanted, finals in (("true", [False, True]), ("false", [True])):
        stream = Stream(interim_results=wanted)
        stream.hear(0.6, loud=True)
        stream.answer("I would")
        stream.hear(0.1, loud=False)
        stream.answer("I would.")
        stream.hear(0.5, loud=False)
        assert [item["is_final"] for item in stream.sent][-len(finals) :] == finals
        assert all(item["is_final"] for item in stream.sent) is (wanted == "false")
