"""The responses of one session, one at a time: what the mind is asked, and what comes of it. Sans-I/O."""

from collections.abc import Sequence
from typing import Any

from llm.client import Answer
from orchestration.dialogue import Request
from voice.realtime.config import SessionConfig
from voice.realtime.conversation import Conversation
from voice.realtime.effects import Ask, Effect, Silence, send
from voice.realtime.errors import ClientEventError
from voice.realtime.events import ResponseParams
from voice.realtime.ids import random_id
from voice.realtime.items import Item
from voice.realtime.limits import SessionLimits
from voice.realtime.requests import build_request, input_items
from voice.realtime.response import Event, Response, ToolCall


class Answers:
    """See the module's text.

    Args:
        conversation: the session's.
        limits: its bounds.

    """

    def __init__(self, conversation: Conversation, limits: SessionLimits) -> None:
        self._conversation = conversation
        self._conversation_id = random_id("conv")
        self._limits = limits
        self._answer: Answer | None = None
        self._asks = 0
        self._waiting: Response | None = None
        self._cut_off_at: float | None = None
        #: The response that is being given.
        self.active: Response | None = None
        #: Name of the last one.
        self.last_id = ""
        #: Whether the session has been heard to speak.
        self.heard = False

    # How one begins and ends.

    def begin(self, params: ResponseParams, config: SessionConfig, *, automatic: bool) -> list[Effect]:
        """Begin a response: to a turn of the caller's, or because the client asks.

        Raises:
            ClientEventError: one is being given already.

        """
        if self.active:
            raise ClientEventError(
                f"Conversation already has an active response in progress: {self.active.id}. "
                "Wait until the response is finished before creating a new one.",
                code="conversation_already_has_active_response",
            )
        self._input(params)
        self.active = response = Response(
            random_id("resp"),
            params,
            config,
            automatic=automatic,
            token_limit=self._limits.token_limit,
            conversation_id=None if params.conversation == "none" else self._conversation_id,
            new_id=random_id,
            append=self._conversation.append,
        )
        response.answer = self._answer
        self.last_id = response.id
        begun = send([*response.created(), self._rate_limits()])
        return begun if automatic else [*begun, *self._ask(response)]

    def _ask(self, response: Response) -> list[Effect]:
        """Ask for a response, as soon as all that was said has been written down."""
        if self._conversation.awaits():
            self._waiting = response
            return []
        return [Ask(response)]

    def transcribed(self) -> list[Effect]:
        """Ask for the response that waited, if nothing else has to be written down first."""
        waiting = self._waiting
        if waiting is None or self._conversation.awaits():
            return []
        self._waiting = None
        return [Ask(waiting)] if waiting is self.active else []

    def cancel(self, response_id: str | None, now: float) -> list[Effect]:
        """Stop the response, because the client says so at ``now``, seconds on any monotonic clock.

        Raises:
            ClientEventError: none of that name is being given.

        """
        late = response_id is None and self._is_late(now)
        if self.active is None or late or response_id not in (None, self.active.id):
            raise ClientEventError(
                "Cancellation failed: no active response found", code="response_cancel_not_active"
            )
        return self.stop()

    def _is_late(self, now: float) -> bool:
        """Whether a cancellation is meant for the response that the caller's speech cut off a moment ago.

        Clients that are told of the speech cancel what they hear, once; a short interruption may be answered before
        that arrives.
        """
        cut_off_at, self._cut_off_at = self._cut_off_at, None
        return cut_off_at is not None and now - cut_off_at < self._limits.late_cancel_seconds

    def stop(self) -> list[Effect]:
        """Stop the response that is being given, if one is."""
        response, self.active = self.active, None
        return [Silence(), *send(response.cancel("client_cancelled"))] if response else []

    def give_up(self, response: Response) -> list[Effect]:
        """Say that a response has failed, if it is still being given and nothing has come of it."""
        if response is not self.active or response.began:
            return []
        self.active = None
        return [Silence(), *send(response.fail("no answer came in time; try again"))]

    def interrupted(self, now: float) -> list[Effect]:
        """Cut the response off: the caller speaks, at ``now``. The call itself falls silent."""
        response, self.active = self.active, None
        self._cut_off_at = now if response else None
        return send(response.cancel("turn_detected")) if response else []

    def _rate_limits(self) -> Event:
        remaining = max(0, self._limits.max_asks - self._asks)
        limit = {"name": "requests", "limit": self._limits.max_asks, "remaining": remaining}
        return {"type": "rate_limits.updated", "rate_limits": [{**limit, "reset_seconds": 0.0}]}

    # The mind.

    def request(
        self, response: Response | None, config: SessionConfig, eager: Sequence[Any] = ()
    ) -> Request | None:
        """Return what the mind is to be asked; None where nobody wants an answer any more.

        Args:
            response: the response it is for; None for one to a turn of the caller's.
            config: the session's settings.
            eager: messages of a turn that may not be over, and is to be answered ahead.

        """
        automatic = self.active if self.active and self.active.automatic else None
        wanted = automatic if response is None else response
        if not eager and (wanted is None or wanted is not self.active or wanted.began):
            return None
        self._answer = None
        self._asks += 1
        if self.active:
            self.active.answer = None
        params = wanted.params if wanted else ResponseParams()
        items = self._conversation if params.input is None else self._input(params)
        return build_request(config, params, items, eager)

    def _input(self, params: ResponseParams) -> list[Item]:
        return input_items(
            params, lambda item_id: self._conversation.get(item_id, purpose="retrieve"), random_id
        )

    def answered(self, answer: Answer) -> None:
        """Note what the engine says of the answer it has just finished."""
        self._answer = answer
        if self.active:
            self.active.answer = answer

    def called(self, calls: Sequence[ToolCall]) -> list[Effect]:
        """Take the mind's calls of the client's functions."""
        response = self.active
        return send([event for call in calls for event in response.call(call)]) if response else []

    # The mouth.

    def begun(self) -> None:
        """Note that the output of the response begins here."""
        if self.active:
            self.active.began = True

    @property
    def speaking(self) -> Response | None:
        """The response whose output comes now; what else comes belongs to none, and is not sent."""
        return self.active if self.active and self.active.began else None

    def sound(self, encoded: bytes, seconds: float) -> list[Effect]:
        """Take sound that leaves now, encoded for the client."""
        if self.speaking is None:
            return []
        self.heard = True
        return send(self.speaking.sound(encoded, seconds))

    def word(self, text: str) -> list[Effect]:
        """Take a word that has been spoken."""
        return send(self.speaking.word(text)) if self.speaking and self.speaking.spoken else []

    def written(self, text: str) -> list[Effect]:
        """Take written text."""
        return send(self.speaking.text(text)) if self.speaking else []

    def finished(self) -> list[Effect]:
        """Take the end of the output."""
        response = self.speaking
        if response is None:
            return []
        self.active = None
        return send(response.finish())
