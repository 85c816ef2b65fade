"""What every carrier's module offers the door."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pipecat.serializers.base_serializer import FrameSerializer

from voice.phone.media import Event, StreamStart

#: A carrier's API may take this long, seconds.
REST_SECONDS = 10.0


class SignatureError(Exception):
    """A webhook that its carrier did not send; ``cause`` is counted.

    Args:
        cause: ``unconfigured``, ``unsigned``, ``bad_signature``, ``stale`` or ``replayed``.
        text: what the sender is told.

    """

    def __init__(self, cause: str, text: str) -> None:
        super().__init__(text)
        self.cause = cause


@dataclass(frozen=True)
class Webhook:
    """A request as the carrier made it: ``url`` is the public one; header names are lower case."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    form: Mapping[str, str]

    def field(self, *names: str) -> str:
        """Return the first of these form fields that is there."""
        return next((self.form[name] for name in names if self.form.get(name)), "")


@dataclass(frozen=True)
class Document:
    """What a webhook is answered with."""

    content: str
    media_type: str


@dataclass(frozen=True)
class RestRequest:
    """One request to a carrier's REST API."""

    method: str
    url: str
    auth: tuple[str, str] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] | None = None
    json: Any = None
    #: How long the carrier may take, seconds.
    seconds: float = REST_SECONDS


class MediaCarrier(Protocol):
    """What streams a call and takes orders about it: a carrier, or our own SIP process."""

    name: str
    #: Where its REST API is, unless settings say otherwise.
    api_base: str

    def parse_start(self, message: str | bytes, query: Mapping[str, str]) -> StreamStart | None:
        """Return how a media stream begins; None for a message that comes before it.

        Raises:
            HandshakeError: it does not begin as it should.

        """

    def parse(self, message: str | bytes) -> Event:
        """Return the event in a message of a media stream.

        Raises:
            ViolationError: the protocol does not allow it.

        """

    def serializer(self, start: StreamStart) -> FrameSerializer:
        """Return pipecat's serializer of the stream."""

    def mark(self, start: StreamStart, name: str) -> dict[str, Any]:
        """Return the message that asks to be told when all audio so far is played."""

    def dial(self, base: str, to: str, answer_url: str, status_url: str) -> RestRequest:
        """Return the request that places a call."""

    def dialled(self, reply: Mapping[str, Any]) -> str:
        """Return the name of the call that a reply to :meth:`dial` tells."""

    def hang_up(self, base: str, call_id: str) -> RestRequest:
        """Return the request that ends a call."""

    def transfer(self, base: str, call_id: str, to: str, url: str) -> RestRequest:
        """Return the request that connects the caller to ``to``; ``url`` answers with :meth:`Carrier.connect`."""


class Carrier(MediaCarrier, Protocol):
    """One carrier: it also asks what to do with a call, by webhook."""

    def verify(self, webhook: Webhook, now: float) -> str:
        """Return what is unique to this signed request.

        Raises:
            SignatureError: the carrier did not send it.

        """

    def call_id(self, webhook: Webhook) -> str:
        """Return the carrier's name of the call a webhook is about."""

    def answer(self, media_url: str, token: str, call_id: str) -> Document:
        """Return the document that streams the call to ``media_url``."""

    def busy(self) -> Document:
        """Return the document that turns the call away."""

    def hold(self, text: str, seconds: int, again_url: str) -> Document:
        """Return the document that says ``text``, waits, and then asks ``again_url`` what to do."""

    def connect(self, to: str) -> Document:
        """Return the document that connects the caller to a number."""
