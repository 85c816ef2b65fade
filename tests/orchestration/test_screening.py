"""Persons and machines, by what they say."""

import pytest
from pipecat.classifiers.base_classifier import ChoiceQuestion, ClassifierError
from pipecat.extensions.voicemail.voicemail_detector import VOICEMAIL_QUESTION
from pydantic import ValidationError

from orchestration.agent import Voicemail
from orchestration.screening import MACHINE, PERSON, PhraseClassifier

PERSONS = (
    "Hello?",
    "Hi, this is Sam.",
    "Good morning, Smith and Sons, how can I help you?",
    "Yeah, who is this?",
    "Hello, hello? I can't hear you, the line is bad, can you say that again?",
)
MACHINES = (
    "You've reached Dana. Leave a message.",
    "Hi, you have reached the voicemail of Dana Scully.",
    "I can\u2019t come to the phone right now.",
    "The number you have dialed is no longer in service.",
    "Please leave your name and number after the tone.",
    "Our office is currently closed.",
    "Hi this is Dana I am out and about enjoying the sunshine so do tell me who you are and what it is "
    "that you would like and when it would be good to talk",
)


def classifier() -> PhraseClassifier:
    """Return one with the phrases that an agent has unless it says otherwise."""
    voicemail = Voicemail()
    return PhraseClassifier(voicemail.phrases, person_words=voicemail.person_words)


@pytest.mark.parametrize(
    ("heard", "who"), [*((heard, PERSON) for heard in PERSONS), *((heard, MACHINE) for heard in MACHINES)]
)
async def test_who_it_is(heard: str, who: str) -> None:
    """pipecat's own question is answered."""
    results = await classifier().choice(heard, {"voicemail": VOICEMAIL_QUESTION})
    assert results["voicemail"].choice == who


async def test_another_question() -> None:
    """A question it has no answer to is none of its business."""
    with pytest.raises(ClassifierError, match="persons and machines"):
        await classifier().choice(
            "Hello?", {"mood": ChoiceQuestion(instructions="?", options={"good": None})}
        )


def test_a_message_must_be_there() -> None:
    """An agent that is to leave a message has one."""
    with pytest.raises(ValidationError, match="needs a message"):
        Voicemail(action="message")
