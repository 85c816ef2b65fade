"""The gateway's own pages about promises and calls."""

import time
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from orchestration.doors import AccessSettings
from telemetry import names
from telemetry.slo import load_objectives
from telemetry.store import SpanStore
from tests.telemetry.conftest import span
from voice.access.gatekeeper import Gatekeeper
from voice.slo_page import SloPage

TRACE = "abcd" + "0" * 28


@pytest.fixture
def client(tmp_path: Path) -> httpx.AsyncClient:
    """A client on this machine of a gateway that has held one call of two turns."""
    store, now = SpanStore(tmp_path / "calls.sqlite"), time.time()
    call = {
        names.CALL_DOOR: "twilio", names.CALL_AGENT: "concierge", names.CALL_OUTCOME: "completed",
        names.CALL_SECONDS: 60.0, names.CALL_COST: 0.06, f"{names.CALL_COST}.machine": 0.06,
        names.CALL_COST_CURRENCY: "EUR", names.CALL_TURNS: 2,
    }  # fmt: skip
    spans = [span(TRACE, 1, start=now, seconds=60.0, **call)]
    for number, seconds in enumerate((0.5, 1.5)):
        figures = {names.VOICE_TO_VOICE.name: seconds, names.TURN_OUTCOME: "answered"}
        parent = spans[0].span_id
        spans.append(
            span(TRACE, 2 + number, name=names.SPAN_TURN, parent=parent, start=now + number, **figures)
        )
    store.add(spans, now=now)
    gatekeeper = Gatekeeper.from_settings(AccessSettings(), host="127.0.0.1")
    app = Starlette(routes=SloPage(store, load_objectives(), gatekeeper).routes())
    transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 1))
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")


async def test_the_page_needs_nothing_from_elsewhere(client: httpx.AsyncClient) -> None:
    """One document, no outside asset, and a policy that would forbid any."""
    response = await client.get("/slo")
    assert response.status_code == 200
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert "https://" not in response.text
    assert response.text.count("http://") == response.text.count("http://www.w3.org/2000/svg")


async def test_promises_stand_as_the_turns_say(client: httpx.AsyncClient) -> None:
    """One of two turns was too slow: half kept, of 5 percent that may be bad ten times as much used."""
    body = (await client.get("/api/slo")).json()
    (promise,) = [row for row in body["objectives"] if row["objective"] == "voice-to-voice"]
    assert (promise["events"], promise["bad"], promise["good_share"]) == (2, 1, 0.5)
    assert promise["budget_left"] == pytest.approx(-9.0)
    assert body["figures"]["voice_to_voice"]["p50"] == pytest.approx(1.0)
    assert body["cost"]["per_minute"] == pytest.approx(0.06)
    assert [turn["seconds"] for turn in body["voice_to_voice"]] == [0.5, 1.5]
    assert body["worst"][0]["voice_to_voice"] == 1.5


async def test_calls_and_their_waterfalls(client: httpx.AsyncClient) -> None:
    """The list leads to a trace; an unknown one is 404."""
    (call,) = (await client.get("/api/slo/calls")).json()
    assert (call["trace_id"], call["door"], call["turns"]) == (TRACE, "twilio", 2)
    trace = (await client.get(f"/api/slo/traces/{TRACE[:6]}")).json()
    assert [bar["label"] for bar in trace["bars"]] == [
        "call (gateway)",
        "  turn (gateway)",
        "  turn (gateway)",
    ]
    assert (await client.get("/api/slo/traces/ffff")).status_code == 404


async def test_calls_are_not_for_everybody(client: httpx.AsyncClient) -> None:
    """From another machine without a key there is no call to be seen."""
    client._transport = httpx.ASGITransport(app=client._transport.app, client=("192.0.2.7", 1))  # type: ignore[attr-defined]
    for path in ("/api/slo", "/api/slo/calls", f"/api/slo/traces/{TRACE}"):
        assert (await client.get(path)).status_code in (401, 403)
