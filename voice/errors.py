"""Errors of the voice package.

``VoiceError``
    base class; its text is one line that says what to do.
``HandshakeError``
    a media stream did not begin as its protocol says.
``CallerError``
    a call that Offhook placed itself could not be carried out.
``SignallingError``
    a browser's offer or candidate cannot be used.
``OutboundError``
    a call cannot be placed, transferred or hung up.
``SipError``
    the SIP stack cannot do what it is asked; has the status that the other side answered, where it did.
``AccessSettingsError``
    keys, certificates or other settings of who may come in are wrong.
``AccessDeniedError``
    somebody may not come in; has the HTTP status and the cause that is counted.
"""


class VoiceError(Exception):
    """Base class of what this package raises."""


class HandshakeError(VoiceError):
    """A media stream did not begin as its protocol says."""


class CallerError(VoiceError):
    """A call could not be placed."""


class SignallingError(VoiceError):
    """A browser's offer or candidate cannot be used."""


class OutboundError(VoiceError):
    """A call cannot be placed, transferred or hung up."""


class SipError(VoiceError):
    """The SIP stack cannot do what it is asked.

    Args:
        text: one line that says what to do.
        status: SIP status the other side answered with; 0: it did not.

    """

    def __init__(self, text: str, *, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


class AccessSettingsError(VoiceError):
    """Settings of who may come in are wrong."""


class AccessDeniedError(VoiceError):
    """Somebody may not come in.

    Args:
        status: HTTP status of the refusal.
        cause: short name it is counted under.
        text: what the caller is told; holds nothing of what they sent.
        retry_after: seconds after which trying again makes sense; 0: it never does.

    """

    def __init__(self, status: int, cause: str, text: str, *, retry_after: float = 0.0) -> None:
        super().__init__(text)
        self.status = status
        self.cause = cause
        self.retry_after = retry_after
