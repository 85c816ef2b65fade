"""Signalling as pipecat's clients speak it, and whatever else comes."""

import json
from collections.abc import Iterator

import httpx
import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import Stack
from tests.voice.conftest import Gateway, StartGateway
from voice.errors import SignallingError
from voice.web.signalling import Candidate, parse_offer, parse_patch

CANDIDATE = "candidate:1 1 udp 2122260223 192.0.2.1 54321 typ host"


def test_an_offer() -> None:
    """An offer of sound is read; unknown fields of other clients are passed over."""
    offer = parse_offer(
        json.dumps({"sdp": "v=0\r\nm=audio 9", "type": "offer", "requestData": {"a": 1}}).encode()
    )
    assert offer.pc_id is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "JSON"),
        (b"[]", "object"),
        (b'{"sdp": "v=0", "type": "answer"}', "type"),
        (b'{"type": "offer"}', "sdp"),
        (b'{"sdp": "v=0\\r\\nm=video 9", "type": "offer"}', "no audio"),
    ],
)
def test_what_is_no_offer(body: bytes, expected: str) -> None:
    """The error says what is wrong."""
    with pytest.raises(SignallingError, match=expected):
        parse_offer(body)


def test_candidates() -> None:
    """A candidate is read; an empty one ends them; another text is none."""
    made = Candidate(candidate=CANDIDATE, sdp_mid="0", sdp_mline_index=0).parsed()
    assert made is not None
    assert (made.ip, made.port, made.sdpMid) == ("192.0.2.1", 54321, "0")
    assert Candidate(candidate="", sdp_mid="0", sdp_mline_index=0).parsed() is None
    for wrong in ("candidate:1 1 udp", CANDIDATE.replace("54321", "99999")):
        with pytest.raises(SignallingError, match="not an ICE candidate"):
            Candidate(candidate=wrong, sdp_mid="0", sdp_mline_index=0).parsed()
    offer = {"sdp": f"v=0\r\nm=audio 9\r\na={CANDIDATE.replace('54321', '-1')}", "type": "offer"}
    with pytest.raises(SignallingError, match="no such port"):
        parse_offer(json.dumps(offer).encode())


@given(st.text(max_size=80))
def test_whatever_is_called_a_candidate(text: str) -> None:
    """Nothing else is raised."""
    try:
        Candidate(candidate=text, sdp_mid="0", sdp_mline_index=0).parsed()
    except SignallingError as error:
        assert str(error)


@given(st.binary(max_size=200))
def test_whatever_is_patched(body: bytes) -> None:
    """Nothing else is raised."""
    with pytest.raises(SignallingError):
        parse_patch(body)


async def real_offer() -> str:
    """Return the offer of a real WebRTC client."""
    connection = RTCPeerConnection()
    connection.addTrack(AudioStreamTrack())
    connection.createDataChannel("chat")
    await connection.setLocalDescription(await connection.createOffer())
    sdp = connection.localDescription.sdp
    await connection.close()
    return str(sdp)


async def test_another_client_is_answered(stack: Stack) -> None:
    """aiortc's own client connects; candidates may follow; an unknown connection is 404."""
    connection = RTCPeerConnection()
    connection.addTrack(AudioStreamTrack())
    channel = connection.createDataChannel("chat")
    messages: list[dict] = []
    channel.on("message", lambda text: messages.append(json.loads(text)))
    await connection.setLocalDescription(await connection.createOffer())
    async with httpx.AsyncClient(base_url=stack.gateway_url, timeout=20) as http:
        answer = (
            await http.post("/api/offer", json={"sdp": connection.localDescription.sdp, "type": "offer"})
        ).json()
        await connection.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
        candidate = {"candidate": CANDIDATE, "sdp_mid": "0", "sdp_mline_index": 0}
        patched = await http.patch("/api/offer", json={"pc_id": answer["pc_id"], "candidates": [candidate]})
        assert patched.status_code == 200
        assert (await http.patch("/api/offer", json={"pc_id": "x", "candidates": []})).status_code == 404
    await connection.close()


@pytest.fixture(scope="module")
def impatient(start_gateway: StartGateway) -> Iterator[Gateway]:
    """A gateway of its own, which gives up soon on who does not connect."""
    with start_gateway(OFFHOOK_WEB__CONNECT_SECONDS="2") as gateway:
        yield gateway


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_whatever_is_offered(impatient: Gateway, data: st.DataObject) -> None:
    """An offer with lines missing, doubled or changed is answered or refused; the gateway lives on."""
    lines = (await real_offer()).splitlines()
    for _ in range(data.draw(st.integers(1, 4))):
        index = data.draw(st.integers(0, len(lines) - 1))
        match data.draw(st.sampled_from(["drop", "double", "cut", "replace"])):
            case "drop" if len(lines) > 1:
                del lines[index]
            case "double":
                lines.insert(index, lines[index])
            case "cut":
                lines[index] = lines[index][: data.draw(st.integers(0, 20))]
            case _:
                lines[index] = data.draw(st.text(max_size=30))
    async with httpx.AsyncClient(timeout=30) as http:
        offer = {"sdp": "\r\n".join(lines) + "\r\n", "type": "offer"}
        response = await http.post(f"{impatient.url}/api/offer", json=offer)
    assert response.status_code in (200, 400, 503)
    assert impatient.process.poll() is None
