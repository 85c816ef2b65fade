"""Errors of the ear.

``AsrError``
    base class; its text is one line that says what to do.
``ParameterError``
    a client asked for something this server does not do: names the parameter, the value, what is allowed.
``MessageError``
    a client sent a message that is not part of the protocol.
``AudioError``
    audio that cannot be decoded.
``OverloadError``
    more work is waiting than the server takes on.
"""


class AsrError(Exception):
    """Base class of what this package raises."""


class ParameterError(AsrError):
    """A parameter of a request is not allowed."""


class MessageError(AsrError):
    """A message of a client cannot be understood."""


class AudioError(AsrError):
    """Audio cannot be decoded."""


class OverloadError(AsrError):
    """The server has more waiting work than it is allowed to hold."""
