"""SmallWebRTC's signalling as data: what a browser may send to ``/api/offer``.

The same JSON that pipecat's client SDKs send. https://docs.pipecat.ai/client/js/transports/small-webrtc
"""

from typing import Annotated, Literal

from aiortc import RTCIceCandidate
from aiortc.sdp import candidate_from_sdp
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from voice.errors import SignallingError

MAX_CANDIDATES = 64
MAX_PORT = 65_535
CANDIDATE_LINE = "a=candidate:"
Identifier = Annotated[str, StringConstraints(min_length=1, max_length=128)]


class Offer(BaseModel):
    """``POST``: a session description, for a new connection or for the one ``pc_id`` names."""

    model_config = ConfigDict(extra="ignore")

    sdp: Annotated[str, StringConstraints(min_length=1, max_length=65_536)]
    type: Literal["offer"]
    pc_id: Identifier | None = None
    restart_pc: bool | None = None


class Candidate(BaseModel):
    """One ICE candidate; an empty one says that there are no more (RFC 8840)."""

    candidate: Annotated[str, StringConstraints(max_length=512)]
    sdp_mid: Annotated[str, StringConstraints(max_length=32)]
    sdp_mline_index: int = Field(ge=0, le=8)

    def parsed(self) -> RTCIceCandidate | None:
        """Return the candidate as aiortc has it, or None for the end of candidates.

        Raises:
            SignallingError: it is not one.

        """
        if not self.candidate:
            return None
        parsed = _candidate(self.candidate.removeprefix("candidate:"))
        parsed.sdpMid = self.sdp_mid
        parsed.sdpMLineIndex = self.sdp_mline_index
        return parsed


class Patch(BaseModel):
    """``PATCH``: candidates found since."""

    model_config = ConfigDict(extra="ignore")

    pc_id: Identifier
    candidates: list[Candidate] = Field(max_length=MAX_CANDIDATES)


def parse_offer(body: bytes) -> Offer:
    """Read the body of ``POST /api/offer``.

    Raises:
        SignallingError: it is not an offer of sound.

    """
    try:
        offer = Offer.model_validate_json(body)
    except ValidationError as error:
        raise SignallingError(_describe(error)) from None
    if "m=audio" not in offer.sdp:
        raise SignallingError("sdp: offers no audio")
    for line in offer.sdp.splitlines():
        if line.startswith(CANDIDATE_LINE):
            _candidate(line.removeprefix(CANDIDATE_LINE))
    return offer


def _candidate(text: str) -> RTCIceCandidate:
    """Return an ICE candidate.

    Raises:
        SignallingError: it is none, or its port is none.

    """
    try:
        parsed = candidate_from_sdp(text)
    except (ValueError, AssertionError, IndexError):
        raise SignallingError("not an ICE candidate") from None
    if not 0 <= parsed.port <= MAX_PORT:
        raise SignallingError("not an ICE candidate: no such port")
    return parsed


def parse_patch(body: bytes) -> Patch:
    """Read the body of ``PATCH /api/offer``.

    Raises:
        SignallingError: it is not a list of candidates.

    """
    try:
        return Patch.model_validate_json(body)
    except ValidationError as error:
        raise SignallingError(_describe(error)) from None


def _describe(error: ValidationError) -> str:
    item = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(str(part) for part in item['loc']) or 'body'}: {item['msg']}"
