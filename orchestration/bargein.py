"""Whether somebody who speaks while the agent speaks takes the turn.

Sans-I/O. The agent falls silent at the first sign of speech, before anyone can know what it is. What the ear
then understands decides: words of their own take the turn; a murmur ("mm-hm", "yeah"), a cough, or the
agent's own echo do not, and the agent goes on from where it stopped. On a line that echoes, falling silent on
every sound would be worse than being slow, so after a few false alarms only understood words count.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from orchestration.murmurs import is_murmur
from orchestration.murmurs import words as words_of

#: Words of the agent that an echo is compared with.
ECHO_WORDS = 60


class Verdict(Enum):
    """What to do with an event of the ear."""

    PASS = "pass it on"  # noqa: S105 - not a password
    KEEP = "keep it: nobody has taken the turn"
    TAKE = "the turn is taken: begin it first"


@dataclass(frozen=True)
class BargeInSettings:
    """When a sound silences the agent, and for how long.

    Attributes:
        speech_probability: of a VAD window that counts as speech.
        windows: such windows in a row before the agent falls silent.
        pause_windows: windows without speech in a row after which a sound understood as a murmur is over.
        quiet_windows: windows without speech in a row that end any sound.
        verdict_seconds: after the sound has ended, how long the ear may take to understand something in it.
        max_silent_seconds: the agent is never silenced longer by a sound in which nothing is understood.
        max_false_alarms: after so many more false alarms than interruptions, a sound alone no longer silences
            the agent; 0 never lets it.
        echo_share: share of words the agent just said that makes a phrase its echo.

    """

    speech_probability: float = 0.8
    windows: int = 1
    pause_windows: int = 2
    quiet_windows: int = 6
    verdict_seconds: float = 0.3
    max_silent_seconds: float = 2.5
    max_false_alarms: int = 4
    echo_share: float = 0.8


class BargeIn:
    """One call's interruptions."""

    def __init__(self, language: str, settings: BargeInSettings | None = None) -> None:
        self._settings = settings or BargeInSettings()
        self._language = language.split("-")[0]
        self._speech_run = 0
        self._quiet_run = 0
        self._run_began = 0.0
        self._sound_ended: float | None = None
        self._kept = self._murmured = False
        self._said: list[str] = []
        self.false_alarms = 0
        #: When the sound that silenced the agent began; None while nothing did.
        self.silenced_at: float | None = None

    def said(self, words: Iterable[str]) -> None:
        """Note words the agent has just said: they may come back as an echo."""
        self._said = (self._said + [word for text in words for word in words_of(text)])[-ECHO_WORDS:]

    def window(self, probability: float, *, began: float, now: float) -> bool:
        """Take a VAD window over the agent's speech, which began at ``began``; return whether it must fall silent."""
        if probability >= self._settings.speech_probability:
            if self._speech_run == 0:
                self._run_began = began
            self._speech_run += 1
            self._quiet_run = 0
            self._sound_ended = None
        else:
            self._speech_run = 0
            self._quiet_run += 1
            if self._quiet_run == self._settings.quiet_windows:
                self._sound_ended = now
        return self._speech_run >= self._settings.windows and self._fall_silent(self._run_began)

    def glimpse(self, probability: float, *, began: float) -> bool:
        """Take the latest 32 ms of a line over which the agent speaks; return whether it must fall silent now.

        A part of them is still to come as a window. They count where one window is enough.
        """
        counts = self._settings.windows == 1 and probability >= self._settings.speech_probability
        if not counts or not self._fall_silent(began):
            return False
        self._quiet_run = 0
        self._sound_ended = None
        return True

    def _fall_silent(self, began: float) -> bool:
        if self.silenced_at is not None or self.false_alarms >= self._settings.max_false_alarms:
            return False
        self.silenced_at = began
        self._murmured = False
        return True

    def judge(self, message: Mapping[str, Any], *, speaking: bool) -> Verdict:
        """Decide about a TurnInfo message of the ear.

        Args:
            message: the message, as Flux has it.
            speaking: the agent has the floor, even if silenced. A "yes" that ends after the agent has finished
                answers it.

        """
        event, text = message.get("event"), str(message.get("transcript", ""))
        if event == "StartOfTurn":
            self._kept = speaking or self.silenced_at is not None
        if not self._kept:
            return Verdict.PASS
        answers = event == "EndOfTurn" and not speaking and not self.is_echo(text)
        if (self.is_murmur(text) or self.is_echo(text)) and not answers:
            self._kept = event != "EndOfTurn"
            self._murmured = bool(text)
            return Verdict.KEEP
        self._kept = False
        if self.silenced_at is not None:
            self.silenced_at = None
            self.false_alarms = max(0, self.false_alarms - 1)
        return Verdict.PASS if event == "StartOfTurn" else Verdict.TAKE

    def false_alarm(self, now: float) -> bool:
        """Return, once, that what silenced the agent has turned out to be nothing."""
        if self.silenced_at is None:
            return False
        settings = self._settings
        murmured = self._murmured and self._quiet_run >= settings.pause_windows
        waited = self._sound_ended is not None and now - self._sound_ended >= settings.verdict_seconds
        if not (murmured or waited) and now - self.silenced_at < settings.max_silent_seconds:
            return False
        self.silenced_at = None
        self.false_alarms += 1
        return True

    def is_murmur(self, text: str) -> bool:
        """Return whether ``text`` only shows that somebody listens."""
        return is_murmur(text, self._language)

    def is_echo(self, text: str) -> bool:
        """Return whether ``text`` is what the agent has just said."""
        words = words_of(text)
        return len(words) > 1 and _share(words, self._said) >= self._settings.echo_share


def _share(words: Sequence[str], said: Sequence[str]) -> float:
    """Return how much of ``words`` is, pair by pair, in ``said``."""
    pairs = set(itertools.pairwise(said))
    found = sum(pair in pairs for pair in itertools.pairwise(words))
    return found / (len(words) - 1)
