"""What every part of the measurement needs: running systems, something to say, and calls to them."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voice.bench.systems import System
from voice.caller.call import fetch_record
from voice.caller.line import place_call
from voice.caller.questions import question_from_file, question_from_text
from voice.caller.script import AskedTurn, CallerScript, EchoPath, Patience, Question
from voice.errors import CallerError

#: What a caller says to hear a long answer.
LONG_QUESTIONS = tuple(
    f"Can you tell me everything you know about {topic}?"
    for topic in (
        "the city of London", "the history of bread", "life on a farm", "the river Nile", "learning to swim",
        "horses", "the planet Mars", "a good breakfast", "the city of Paris", "building a house",
    )
)  # fmt: skip


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes:
        rounds: calls to each system compared.
        interruptions: answers interrupted.
        clips: recordings of a kind, at most.
        callers: how many call at once, one step after the other.
        turns: of the endurance run.

    """

    rounds: int = 8
    interruptions: int = 30
    clips: int = 40
    callers: tuple[int, ...] = (1, 2, 4)
    turns: int = 200


QUICK = Sizes(rounds=2, interruptions=6, clips=6, callers=(1, 2), turns=20)


@dataclass(frozen=True)
class HeldCall:
    """One call: the caller's side of it, and the gateway's record where there is one."""

    script: CallerScript
    record: dict[str, Any] | None

    @property
    def pairs(self) -> list[tuple[AskedTurn, dict[str, Any] | None]]:
        """Every question asked, with what the system told of the turn; None where they do not match."""
        told = self.record["turns"] if self.record else []
        same = len(told) == len(self.script.turns)
        return [(turn, told[n] if same else None) for n, turn in enumerate(self.script.turns)]


@dataclass
class Lab:
    """See the module's text.

    Args:
        systems: those that run, by name.
        mouth_url: HTTP base URL of the mouth that speaks the caller's questions.
        ear_url: HTTP base URL of the ear that writes down what the caller heard.
        voice: of the caller.
        sizes: how much is measured.
        manifest: the recordings, or None.
        files: recordings to ask instead of the built-in questions.
        door: which carrier's media stream the calls come through.
        report: told what happens.

    """

    systems: Mapping[str, System]
    mouth_url: str
    ear_url: str
    voice: str
    sizes: Sizes
    manifest: Path | None
    files: Sequence[str]
    door: str
    report: Callable[[str], None]
    _spoken: dict[str, Question] = field(default_factory=dict)

    async def say(self, text: str) -> Question:
        """Return ``text`` in the caller's voice."""
        if text not in self._spoken:
            self._spoken[text] = await question_from_text(text, mouth_url=self.mouth_url, voice=self.voice)
        return self._spoken[text]

    async def script(self, texts: Sequence[str]) -> list[Question]:
        """Return what to ask: the user's recordings, or ``texts``."""
        if self.files:
            return [question_from_file(path) for path in self.files]
        return [await self.say(text) for text in texts]

    async def call(
        self,
        system: str,
        questions: Sequence[Question],
        *,
        patience: Patience | None = None,
        echo: EchoPath | None = None,
    ) -> HeldCall:
        """Hold one call with ``system``.

        Raises:
            CallerError: it could not be held.

        """
        called = self.systems[system]
        call_sid = f"CA{secrets.token_hex(16)}"
        door = self.door if called.tells else "twilio"  # the stock bot has one door
        url = f"ws{called.base_url.removeprefix('http')}/phone/{door}/media"
        script = await place_call(
            url, questions, call_sid=call_sid, parameters={}, patience=patience, echo=echo
        )
        record = await fetch_record(called.base_url, call_sid) if called.tells else None
        return HeldCall(script, record)

    async def try_call(self, failures: list[str], system: str, *args: Any, **kwargs: Any) -> HeldCall | None:
        """Hold a call as :meth:`call` does; one that fails is noted in ``failures``."""
        try:
            return await self.call(system, *args, **kwargs)
        except CallerError as error:
            failures.append(str(error))
            self.report(f"a call failed: {error}")
            return None
