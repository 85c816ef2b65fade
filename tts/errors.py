"""Errors of the tts package.

``TtsError``
    base class; its text is one line that says what to do.
``RequestError``
    what a client asked for cannot be done; carries the HTTP-style status and a short title.
``EngineError``
    a speech engine failed or is not usable; the utterance is lost, the server goes on.
``PhonemizerError``
    the phonemiser process died, was too slow or refused the text; an :class:`EngineError`.
"""


class TtsError(Exception):
    """Base class of what this package raises."""


class RequestError(TtsError):
    """A request that cannot be served.

    Args:
        message: what is wrong and what is allowed.
        status: HTTP-style status code.
        title: a few words naming the kind of mistake.

    """

    def __init__(self, message: str, *, status: int = 400, title: str = "Invalid request") -> None:
        super().__init__(message)
        self.status = status
        self.title = title


class EngineError(TtsError):
    """An engine cannot render."""


class PhonemizerError(EngineError):
    """Text could not be turned into phonemes."""
