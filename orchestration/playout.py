"""When each piece of the agent's speech leaves: in real time, paused while somebody else may be speaking.

Sans-I/O: frames of one response come in faster than they are heard; what is due goes out, asked with the time.
A word counts as said once enough of its sound has left, so an interrupted answer keeps exactly the words that
were heard. Where the mouth falls behind, :class:`~orchestration.gathering.Gathering` decides when it goes on. Times
are monotonic seconds, positions are seconds of sound of the current context.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from orchestration.gathering import Gathering

F = TypeVar("F")

#: Sound that leaves ahead of its moment, so that a late wake-up is not heard, seconds.
LEAD_SECONDS = 0.02
#: A word has been heard when this much of it has left, seconds, or all of it.
WORD_HEARD_SECONDS = 0.15
#: Pieces of sound that can be played once more: those that may lie between here and the wire.
REWIND_PIECES = 8
#: Sound that left this long ago has been heard out, seconds.
HEARD_OUT_SECONDS = 0.1


@dataclass(frozen=True)
class _Sound(Generic[F]):
    frame: F
    seconds: float


@dataclass(frozen=True)
class _Word(Generic[F]):
    frame: F
    context: int
    position: float


@dataclass(frozen=True)
class _Mark(Generic[F]):
    frame: F
    starts_context: bool
    ends_context: bool


class Playout(Generic[F]):
    """The agent's speech on its way out.

    Args:
        lead_seconds: how far ahead of its moment sound leaves.
        word_heard_seconds: how much of a word must have left before it counts as said, unless all of it has.
        gathering: decides when late sound goes on.

    """

    def __init__(
        self,
        *,
        lead_seconds: float = LEAD_SECONDS,
        word_heard_seconds: float = WORD_HEARD_SECONDS,
        gathering: Gathering | None = None,
    ) -> None:
        self._lead_seconds = lead_seconds
        self._word_heard_seconds = word_heard_seconds
        self._items: deque[_Sound[F] | _Mark[F]] = deque()
        self._words: deque[_Word[F]] = deque()
        self._recent: deque[_Sound[F]] = deque(maxlen=REWIND_PIECES)
        self._contexts_in = 0
        self._contexts_out = 0
        self._next = 0.0
        self._position = 0.0
        self._last_sound = float("-inf")
        self._gathering = gathering or Gathering()
        self.paused = False
        #: How long after it has left the caller hears a sound, seconds: the carrier's buffer and the network.
        self.lag_seconds = 0.0

    # What comes in.

    def add_sound(self, frame: F, seconds: float) -> None:
        """Queue a short piece of sound (a few tens of milliseconds)."""
        self._items.append(_Sound(frame, seconds))

    def add_word(self, frame: F, position: float) -> None:
        """Queue a word whose sound begins at ``position`` of the context begun last."""
        self._words.append(_Word(frame, self._contexts_in, position))

    def add_mark(self, frame: F, *, starts_context: bool = False, ends_context: bool = False) -> None:
        """Queue anything else: it leaves after the sound before it, and the words of that sound."""
        self._contexts_in += starts_context
        self._items.append(_Mark(frame, starts_context, ends_context))

    def pause(self, now: float) -> bool:
        """Stop at once; return whether there was anything to stop."""
        if self.paused or not self.speaking(now):
            return False
        self.paused = True
        return True

    def resume(self, now: float, lost: float = 0.0) -> None:
        """Go on from where it stopped; ``lost`` seconds of sound that left before did not come out."""
        if not self.paused:
            return
        self.paused = False
        self._next = now
        while self._recent and lost > 1e-6:
            sound = self._recent.pop()
            self._items.appendleft(sound)
            self._position -= sound.seconds
            lost -= sound.seconds

    def clear(self) -> Iterable[F]:
        """Forget all that has not left; return the frames that were forgotten, in order."""
        words = [word.frame for word in self._words]
        frames = [*words, *(item.frame for item in self._items)]
        self._items.clear()
        self._words.clear()
        self._recent.clear()
        self._contexts_out = self._contexts_in
        self._begin_context()
        self.paused = False
        self._last_sound = float("-inf")
        return frames

    # What goes out.

    def due(self, now: float) -> list[F]:
        """Return the frames that leave at ``now``, in order."""
        frames: list[F] = []
        while self._items and not self.paused:
            item = self._items[0]
            if isinstance(item, _Mark):
                if now < self._held_until(item) - 1e-6:
                    break
                whole = item.starts_context or item.ends_context
                frames += self._say_words(float("inf") if whole else self._heard_position())
                if item.starts_context:
                    self._recent.clear()
                    self._contexts_out += 1
                    self._begin_context()
                if item.ends_context:
                    self._gathering.complete()
            elif self._gathers(now) or not self._sound_is_due(item, now):
                break
            self._items.popleft()
            frames.append(item.frame)
            if isinstance(item, _Sound):
                self._recent.append(item)
                frames += self._say_words(self._heard_position())
                self._gathering.left(last=not self._sounds_wait())
        return frames

    def next_due(self) -> float | None:
        """Return when to ask again; None while nothing waits or all is paused."""
        if self.paused or not self._items:
            return None
        first = self._items[0]
        if isinstance(first, _Mark) and (held := self._held_until(first)) != float("-inf"):
            return held
        if (until := self._gathering.until) is not None:
            return until
        return self._next - self._lead_seconds

    def speaking(self, now: float) -> bool:
        """Return whether the caller hears the agent, or is about to."""
        return self._sounds_wait() or now - self._last_sound < HEARD_OUT_SECONDS

    def _heard_position(self) -> float:
        """Return up to where the sound of this context has been heard."""
        return self._position - self.lag_seconds

    def _held_until(self, mark: _Mark[F]) -> float:
        """Return when ``mark`` may leave: the end of all speech once it was heard, anything else at once."""
        if not self.lag_seconds or not mark.ends_context or self._sounds_wait():
            return float("-inf")
        return self._last_sound + self.lag_seconds

    def _begin_context(self) -> None:
        self._position = 0.0
        self._gathering.begin()

    def _gathers(self, now: float) -> bool:
        """Return whether sound that came too late waits for more of it."""
        self._gathering.came(now, self._next)
        if self._gathering.until is None:
            return False
        waiting = sum(item.seconds for item in self._items if isinstance(item, _Sound))
        complete = any(isinstance(item, _Mark) and item.ends_context for item in self._items)
        return self._gathering.holds(now, waiting, complete=complete)

    def _sounds_wait(self) -> bool:
        return any(isinstance(item, _Sound) for item in self._items)

    def _sound_is_due(self, item: _Sound[F], now: float) -> bool:
        if self._next + HEARD_OUT_SECONDS < now:
            self._next = now
        if now < self._next - self._lead_seconds - 1e-6:
            return False
        self._next = max(self._next, now - self._lead_seconds) + item.seconds
        self._position += item.seconds
        self._last_sound = self._next
        return True

    def _say_words(self, until: float) -> list[F]:
        said = []
        while self._words and self._is_said(until):
            said.append(self._words.popleft().frame)
        return said

    def _is_said(self, until: float) -> bool:
        """Return whether the next word was heard, where the sound of this context was heard up to ``until``."""
        word = self._words[0]
        if word.context != self._contexts_out:
            return word.context < self._contexts_out
        enough = word.position + self._word_heard_seconds
        follower = self._words[1] if len(self._words) > 1 else None
        if follower and follower.context == word.context and follower.position > word.position:
            enough = min(enough, follower.position)
        return enough <= until
