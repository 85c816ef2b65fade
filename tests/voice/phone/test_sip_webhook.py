"""A SIP provider's announcements, signed as Standard Webhooks says, and what the provider is told."""

import json
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import openai
import pytest
from standardwebhooks import Webhook

from orchestration.doors import SipWebhookSettings
from tests.conftest import Stack
from tests.voice.conftest import Gateway, StartGateway
from tests.voice.phone.fake_carrier import FAILING, FakeCarrier
from tests.voice.phone.line import carrier_line
from tests.voice.phone.signing import SIP_SECRET
from tests.voice.phone.streams import STREAMS

TARGET = "sip:agent@voice.example.org"


def announce(gateway_url: str, *, call_id: str = "rtc_1", age: float = 0.0, **changed: str) -> httpx.Response:
    """Announce a call as the provider does; OpenAI's own SDK reads what is sent."""
    event = {
        "id": "evt_1",
        "object": "event",
        "created_at": 1,
        "type": "realtime.call.incoming",
        "data": {"call_id": call_id, "sip_headers": [{"name": "From", "value": "<sip:+14155550100@x>"}]},
    }
    body, sent, name = json.dumps(event), datetime.now(UTC) - timedelta(seconds=age), secrets.token_hex(8)
    headers = {
        "webhook-id": name,
        "webhook-timestamp": str(int(sent.timestamp())),
        "webhook-signature": Webhook(SIP_SECRET).sign(name, sent, body),
    }
    if not age:
        read = openai.OpenAI(api_key="x", webhook_secret=SIP_SECRET).webhooks.unwrap(body, headers)
        assert read.type == "realtime.call.incoming"
    return httpx.post(f"{gateway_url}/phone/sip/incoming", content=body, headers=headers | changed)


@pytest.fixture(scope="module")
def gateway(start_gateway: StartGateway, fake_carrier: FakeCarrier) -> Iterator[Gateway]:
    """A gateway of one line, which a provider knows."""
    provider = {
        "secret": SIP_SECRET,
        "base_url": f"{fake_carrier.url}/openai",
        "api_key": "sk-provider",
        "target_uri": TARGET,
    }
    settings = {"OFFHOOK_PHONE__SIP_WEBHOOK": json.dumps(provider), "OFFHOOK_GATEWAY__MAX_CALLS": "1"}
    with start_gateway(**settings) as running:
        yield running


def test_a_call_is_referred_to_our_own_door(gateway: Gateway, fake_carrier: FakeCarrier) -> None:
    """It is accepted, with a model that is to say nothing, and at once sent to where Offhook answers."""
    fake_carrier.asked.clear()
    assert announce(gateway.url).status_code == 200
    accepted, referred = fake_carrier.asked
    assert accepted.path == "/openai/realtime/calls/rtc_1/accept"
    assert accepted.authorization == "Bearer sk-provider"
    assert accepted.fields == {"type": "realtime", "model": "gpt-realtime", "output_modalities": ["text"]}
    assert (referred.path, referred.fields) == (
        "/openai/realtime/calls/rtc_1/refer",
        {"target_uri": TARGET},
    )


async def test_at_capacity(gateway: Gateway, fake_carrier: FakeCarrier) -> None:
    """With all lines busy the provider is told to say so: 486."""
    fake_carrier.asked.clear()
    async with carrier_line(f"{gateway.ws_url}/phone/twilio/media", STREAMS[0], "only-line") as line:
        await line.until_heard(0.1)
        assert announce(gateway.url, call_id="rtc_2").status_code == 200
    (rejected,) = fake_carrier.asked
    assert rejected.path == "/openai/realtime/calls/rtc_2/reject"
    assert rejected.fields == {"status_code": 486}
    assert gateway.counted("voice_refusals_total", door="sip_webhook", cause="at_capacity") == 1


def test_what_the_provider_did_not_send(gateway: Gateway, fake_carrier: FakeCarrier) -> None:
    """Forged, old, repeated: 403, counted by its cause, and nothing is done."""
    fake_carrier.asked.clear()
    assert announce(gateway.url, **{"webhook-signature": "v1,AAAA"}).status_code == 403
    assert announce(gateway.url, **{"webhook-signature": ""}).status_code == 403
    assert announce(gateway.url, age=600).status_code == 403
    assert fake_carrier.asked == []
    for cause in ("bad_signature", "unsigned", "stale"):
        assert gateway.counted("voice_refusals_total", door="sip_webhook", cause=cause) == 1


def test_a_provider_that_fails(gateway: Gateway) -> None:
    """A provider that fails costs its own call and nothing else; that is counted, and logged without the key."""
    assert announce(gateway.url, call_id=FAILING).status_code == 200
    assert gateway.counted("voice_refusals_total", door="sip_webhook", cause="provider_failed") == 1
    assert "the provider answered 500" in gateway.log()
    assert "sk-provider" not in gateway.log()


def test_closed_without_a_secret(stack: Stack) -> None:
    """The refusal names the setting that is missing."""
    refused = announce(stack.gateway_url)
    assert refused.status_code == 403
    assert "sip_webhook.secret" in refused.json()["error"]


def test_half_a_provider() -> None:
    """An API without a key, or without where to send calls, is no provider."""
    with pytest.raises(ValueError, match="needs target_uri and api_key"):
        SipWebhookSettings(base_url="https://api.example/v1")
