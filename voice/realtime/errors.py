"""Errors of the Realtime door.

``ClientEventError``
    a client's event cannot be taken; becomes an ``error`` event, and the session goes on.
"""

from voice.errors import VoiceError


class ClientEventError(VoiceError):
    """A client's event cannot be taken.

    Args:
        message: what is wrong and what to do, for the client.
        code: OpenAI's short name of the problem, where it has one.
        param: path of the offending parameter, as ``session.audio.input.format``.
        event_id: the client's own name of the event.

    """

    def __init__(
        self, message: str, *, code: str, param: str | None = None, event_id: str | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.param = param
        self.event_id = event_id

    def as_json(self) -> dict[str, str | None]:
        """Return the error as OpenAI's ``error`` event carries it."""
        return {
            "type": "invalid_request_error",
            "code": self.code,
            "message": str(self),
            "param": self.param,
            "event_id": self.event_id,
        }
