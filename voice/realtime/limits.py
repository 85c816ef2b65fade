"""Bounds of one session."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SessionLimits:
    """Bounds of one session.

    Attributes:
        max_items: items of the conversation.
        max_buffer_seconds: sound that waits to be committed.
        max_asks: answers the mind may be asked for.
        token_limit: longest answer where the client sets none, tokens; None: the engine's own.
        late_cancel_seconds: so long after the caller's speech has cut a response off, a cancellation that names none
            may still be meant for that one.

    """

    max_items: int = 1000
    max_buffer_seconds: float = 300.0
    max_asks: int = 400
    token_limit: int | None = None
    late_cancel_seconds: float = 0.5
