"""The gateway's own pages about promises and calls."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, make_asgi_app
from starlette.applications import Starlette

from orchestration.doors import AccessSettings
from serving.ports import free_port
from telemetry import names
from telemetry.cost import Prices
from telemetry.slo import load_objectives
from telemetry.store import SpanStore
from tests.telemetry.conftest import span
from tests.telemetry.watching import serving
from voice.access.gatekeeper import Gatekeeper
from voice.engine_metrics import EngineMetrics, sums_of
from voice.slo_page import SloPage

TRACE = "abcd" + "0" * 28
PRICES = Prices(machine_hour=3.6, gpus=2)


@pytest.fixture
def store(tmp_path: Path) -> SpanStore:
    """One call of two turns, a minute ago, of which what was said is recorded."""
    store, now = SpanStore(tmp_path / "calls.sqlite"), time.time() - 60
    call = {
        names.CALL_DOOR: "twilio", names.CALL_AGENT: "concierge", names.CALL_OUTCOME: "completed",
        names.CALL_SECONDS: 60.0, names.CALL_COST: 0.06, f"{names.CALL_COST}.machine": 0.06,
        names.CALL_COST_CURRENCY: "EUR", names.CALL_TURNS: 2, names.CALL_GREETING: "Hello.",
    }  # fmt: skip
    spans = [span(TRACE, 1, start=now, seconds=60.0, **call)]
    for number, seconds in enumerate((0.5, 1.5)):
        turn = {
            names.VOICE_TO_VOICE.name: seconds, names.TURN_OUTCOME: "answered", names.TURN_INDEX: number,
            names.STAGES[0].name: 0.2, names.STAGES[-1].name: seconds - 0.2, names.TURN_HEARD: "Who are you?",
        }  # fmt: skip
        parent = spans[0].span_id
        spans.append(span(TRACE, 2 + number, name=names.SPAN_TURN, parent=parent, start=now + number, **turn))
    answer = {
        names.GEN_AI_MODEL: "m", names.SERVER_ADDRESS: "127.0.0.1", names.SERVER_PORT: 8083,
        names.GEN_AI_FIRST_CHUNK: 0.1, names.GEN_AI_INPUT_TOKENS: 100, names.GEN_AI_CACHED_TOKENS: 75,
    }  # fmt: skip
    spans.append(span(TRACE, 9, name=names.SPAN_LLM, parent=spans[1].span_id, start=now, **answer))
    store.add(spans, now=now)
    return store


def page(store: SpanStore, engines: EngineMetrics | None = None) -> SloPage:
    """Return the page over ``store``."""
    gatekeeper = Gatekeeper.from_settings(AccessSettings(), host="127.0.0.1")
    engines = engines or EngineMetrics(lambda: [])
    return SloPage(store, load_objectives(), gatekeeper, engines=engines, prices=PRICES)


def visit(shown: SloPage, address: str = "127.0.0.1") -> httpx.AsyncClient:
    """Return a client at ``address``."""
    transport = httpx.ASGITransport(app=Starlette(routes=shown.routes()), client=(address, 1))
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")


@pytest.fixture
def client(store: SpanStore) -> httpx.AsyncClient:
    """A client on this machine."""
    return visit(page(store))


async def test_the_page_needs_nothing_from_elsewhere(client: httpx.AsyncClient) -> None:
    """One document of the gateway's own files, and a policy that would forbid any other."""
    response = await client.get("/slo")
    assert response.status_code == 200
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert "unsafe" not in response.headers["content-security-policy"]
    assert "//" not in response.text


async def test_promises_stand_as_the_turns_say(client: httpx.AsyncClient) -> None:
    """One of two turns was too slow: half kept, of 5 percent that may be bad ten times as much used."""
    body = (await client.get("/api/slo")).json()
    (promise,) = [row for row in body["objectives"] if row["objective"] == "voice-to-voice"]
    assert (promise["events"], promise["bad"], promise["good_share"]) == (2, 1, 0.5)
    assert promise["budget_left"] == pytest.approx(-9.0)
    assert promise["burn"] == pytest.approx({"1h": 10.0, "6h": 10.0, "3d": 10.0})
    assert body["figures"]["voice_to_voice"]["p50"] == pytest.approx(1.0)
    assert body["worst"][0]["voice_to_voice"] == 1.5


async def test_the_four_views(client: httpx.AsyncClient) -> None:
    """Callers, time, engines and cost, each from the same two turns."""
    body = (await client.get("/api/slo?hours=1")).json()
    callers = body["callers"]
    assert sum(callers["turns"]) == 2
    assert sum(sum(column) for column in callers["heat"]["counts"]) == 2
    (door,) = callers["by"]["door"]
    assert (door["name"], door["calls"], door["count"]) == ("twilio", 1, 2)
    assert body["time"]["stages"]["p50"]["listen"] == pytest.approx(0.2)
    assert body["time"]["stages"]["p50"]["send"] == pytest.approx(0.8)
    (engine,) = body["engines"]
    assert (engine["replica"], engine["cached_share"]) == ("127.0.0.1:8083", 0.75)
    assert engine["first_token"]["p50"] == pytest.approx(0.1)
    assert body["cost"]["per_minute"] == pytest.approx(0.06)
    assert body["cost"]["by_agent"]["concierge"]["per_minute"] == pytest.approx(0.06)
    assert (body["live"]["hour_price"], body["live"]["gpus"]) == (3.6, 2)


async def test_only_what_is_new_is_read(store: SpanStore) -> None:
    """Calls that come while the page is open are on it; those before its time are not."""
    shown = page(store)
    assert len(shown._recent.since(0.0).calls) == 1
    store.add([span("f" * 32, 1, start=time.time(), seconds=1.0)], now=time.time())
    assert len(shown._recent.since(0.0).calls) == 2
    assert len(shown._recent.since(time.time() - 10).calls) == 1
    store.path.unlink()
    assert shown._recent.since(0.0).calls == []


@pytest.mark.parametrize("hours", ["0", "-1", "nan", "many", "1e9"])
async def test_a_wrong_time_is_refused(client: httpx.AsyncClient, hours: str) -> None:
    """With what is allowed."""
    response = await client.get(f"/api/slo?hours={hours}")
    assert response.status_code == 400
    assert "hours is a number" in response.json()["error"]


async def test_calls_and_their_waterfalls(client: httpx.AsyncClient) -> None:
    """The list leads to a trace with its transcript; an unknown one is 404."""
    (call,) = (await client.get("/api/slo/calls")).json()
    assert (call["trace_id"], call["door"], call["turns"]) == (TRACE, "twilio", 2)
    trace = (await client.get(f"/api/slo/traces/{TRACE[:6]}")).json()
    assert [(row["name"], row["depth"]) for row in trace["spans"]] == [
        ("call", 0), ("turn", 1), ("llm", 2), ("turn", 1),
    ]  # fmt: skip
    assert trace["spans"][0]["end"] == pytest.approx(60.0)
    assert [line["text"] for line in trace["transcript"]] == ["Hello.", "Who are you?", "Who are you?"]
    assert not any(names.CONTENT & set(row["attributes"]) for row in trace["spans"])
    assert (await client.get("/api/slo/traces/ffff")).status_code == 404


async def test_calls_are_not_for_everybody(store: SpanStore) -> None:
    """From another machine without a key there is no call to be seen."""
    stranger = visit(page(store), "192.0.2.7")
    for path in ("/api/slo", "/api/slo/engines", "/api/slo/calls", f"/api/slo/traces/{TRACE}"):
        assert (await stranger.get(path)).status_code in (401, 403)


@pytest.fixture
def ear() -> Iterator[str]:
    """The base URL of a server with an ear's metrics."""
    registry, port = CollectorRegistry(), free_port()
    Gauge("asr_streams", "x", registry=registry).set(3)
    Histogram("asr_wait_seconds", "x", ["priority"], registry=registry).labels("final").observe(0.5)
    Counter("asr_eager_ends", "x", registry=registry).inc(4)
    Counter("asr_eager_ends_withdrawn", "x", registry=registry).inc()
    with serving(uvicorn.Config(make_asgi_app(registry), port=port, log_level="warning")):
        yield f"http://127.0.0.1:{port}"


async def test_servers_say_what_they_do(store: SpanStore, ear: str) -> None:
    """A server's own metrics, by what they mean; one that is not there is told as such."""
    nobody = f"http://127.0.0.1:{free_port()}"
    shown = page(store, EngineMetrics(lambda: [("asr", ear), ("llm", nobody)]))
    first, second = (await visit(shown).get("/api/slo/engines")).json()
    values = {row["title"]: row["value"] for row in first["shown"]}
    assert values["open streams"] == 3
    assert values["a decode waits for its turn, mean"] == 0.5
    assert values["ends of turn announced early and taken back"] == 0.25
    assert (first["error"], second["error"], second["shown"]) == ("", "ConnectError", [])


def test_metrics_that_are_none() -> None:
    """What is not in Prometheus's format says nothing."""
    assert sums_of("<html>no</html>") == {}
