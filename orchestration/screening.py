"""Who has picked up a call that Offhook placed: pipecat's voicemail detector, asked before the agent speaks.

Until it is known, the conversation hears nothing of what is said: a person's "Hello?" is answered with the
greeting, a machine's greeting with the message, if there is one.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pipecat.classifiers.base_classifier import (
    BaseClassifier,
    ChoiceQuestion,
    ChoiceResult,
    ClassifierError,
    ClassifierImage,
    ClassifierQuestion,
    ClassifierResult,
)
from pipecat.extensions.voicemail.voicemail_detector import VoicemailDetector
from pipecat.frames.frames import (
    EagerEndOfTurnCancelFrame,
    EagerTranscriptionFrame,
    Frame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    ProposedUserStartedSpeakingFrame,
    ProposedUserStoppedSpeakingFrame,
    TranscriptionFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection

from orchestration.agent import Voicemail

APOSTROPHES = "['\u2019]"
PERSON, MACHINE = "conversation", "voicemail"
#: What the ear proposes, and what it is where nobody but the ear has a say.
PROPOSED: dict[type[Frame], type[Frame]] = {
    ProposedUserStartedSpeakingFrame: UserStartedSpeakingFrame,
    ProposedUserStoppedSpeakingFrame: UserStoppedSpeakingFrame,
}
#: What is said on the line by nobody, or by a machine.
HEARD = (
    EagerEndOfTurnCancelFrame,
    EagerTranscriptionFrame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    TranscriptionFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)


class PhraseClassifier(BaseClassifier):
    """Knows a machine by the phrases machines use, and by how long it talks.

    Args:
        phrases: any of them is a machine's, whatever the case and the punctuation.
        person_words: a person who picks up says this many words at most before they wait for an answer.

    """

    def __init__(self, phrases: Sequence[str], *, person_words: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._phrases = [f" {_plain(phrase)} " for phrase in phrases]
        self._person_words = person_words

    async def _ask(
        self,
        state: str | dict[str, Any] | list[Any],
        questions: Mapping[str, ClassifierQuestion],
        images: Sequence[ClassifierImage] = (),
    ) -> tuple[dict[str, ClassifierResult], None]:
        heard = _plain(str(state))
        machine = any(phrase in f" {heard} " for phrase in self._phrases)
        choice = MACHINE if machine or len(heard.split()) > self._person_words else PERSON
        results: dict[str, ClassifierResult] = {}
        for name, question in questions.items():
            if not isinstance(question, ChoiceQuestion) or choice not in question.options:
                raise ClassifierError(f"{name}: only persons and machines are told apart")
            shares = {option: float(option == choice) for option in question.options}
            results[name] = ChoiceResult(choice=choice, probabilities=shares, confidence=1.0)
        return results, None


class Screening(VoicemailDetector):
    """pipecat's detector, which also keeps what is said from the conversation until it has decided.

    Its own gate behind the mouth is not needed: nothing has been said that it would hold.

    Args:
        voicemail: what the agent's definition says of machines.
        classifier: decides.

    """

    def __init__(self, voicemail: Voicemail, classifier: BaseClassifier) -> None:
        super().__init__(
            classifier=classifier,
            decision_timeout=voicemail.decide_seconds,
            voicemail_response_delay=voicemail.quiet_seconds if voicemail.action == "message" else 0.0,
        )

    @property
    def met_person(self) -> bool:
        """Whether it is known that a person has picked up."""
        return self._decision == PERSON

    @property
    def heard(self) -> str:
        """What has been said so far."""
        return " ".join(self._transcript)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Take a frame; what the ear proposes is taken as it is, for nobody settles whose turn it is yet."""
        if not self.met_person and type(frame) in PROPOSED:
            frame = PROPOSED[type(frame)]()
        await super().process_frame(frame, direction)

    async def push_frame(self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM) -> None:
        """Push a frame on, unless it tells of speech that is no person's."""
        if self.met_person or direction is FrameDirection.UPSTREAM or not isinstance(frame, HEARD):
            await super().push_frame(frame, direction)


def _plain(text: str) -> str:
    """Return the words of a text in lower case, with one space between them."""
    return " ".join(re.findall(r"[^\W_]+", re.sub(APOSTROPHES, "", text.lower())))
