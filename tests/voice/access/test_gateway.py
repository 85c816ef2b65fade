"""Who gets into a real gateway process, door by door."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from tests.conftest import REPOSITORY, Stack
from tests.voice.conftest import Gateway, StartGateway
from tests.voice.web.test_signalling import real_offer
from voice.access.keys import KeyRing, Scope, new_key, save_keys

OFFER = {"sdp": "v=0", "type": "offer"}
TURN = {"urls": "turn:turn.example.org:3478", "username": "offhook", "credential": "turn-secret"}


@dataclass
class Keyed:
    """A gateway with keys."""

    gateway: Gateway
    secrets: dict[str, str]

    def post(self, path: str, key: str = "", **extra: str) -> httpx.Response:
        """Post an offer that is none: whoever is let in is told so (400)."""
        headers = {"authorization": f"Bearer {self.secrets.get(key, key)}"} if key else {}
        return httpx.post(f"{self.gateway.url}{path}", json=OFFER, headers=headers | extra)


@pytest.fixture(scope="module")
def keyed(start_gateway: StartGateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    """A gateway with three keys."""
    ring, secrets = KeyRing(), {}
    scopes: dict[str, tuple[Scope, ...]] = {
        "site": ("sessions", "web"),
        "owner": ("calls",),
        "slow": ("web",),
    }
    for name, allowed in scopes.items():
        secrets[name], key = new_key(
            name, allowed, requests_per_minute=5 if name == "slow" else 1000, max_calls=2
        )
        ring = ring.with_key(key)
    path = tmp_path_factory.mktemp("keys") / "keys.toml"
    save_keys(path, ring)
    with start_gateway(
        OFFHOOK_ACCESS__KEYS_FILE=str(path),
        OFFHOOK_ACCESS__REQUESTS_PER_MINUTE="1000",
        OFFHOOK_WEB__ICE_SERVERS=json.dumps([TURN]),
        OFFHOOK_ACCESS__ALLOWED_ORIGINS='["https://shop.example"]',
    ) as gateway:
        yield Keyed(gateway, secrets)


@pytest.mark.parametrize(
    ("key", "status", "cause"),
    [
        ("", 401, "no_credentials"),
        ("offhook_wrong", 401, "bad_credentials"),
        ("owner", 403, "wrong_scope"),
        ("site", 400, "bad_signalling"),
    ],
)
def test_the_browsers_door(keyed: Keyed, key: str, status: int, cause: str) -> None:
    """It opens to a key of its scope; every refusal is counted by its cause."""
    before = keyed.gateway.counted("voice_refusals_total", door="web", cause=cause)
    assert keyed.post("/api/offer", key).status_code == status
    assert keyed.gateway.counted("voice_refusals_total", door="web", cause=cause) == before + 1


def test_a_session_token_opens_what_it_was_made_for(keyed: Keyed) -> None:
    """A site's server mints a token; a browser gets in with it, and mints none itself."""
    minted = keyed.post("/api/sessions", "site")
    assert minted.status_code == 200
    token = minted.json()["token"]
    assert keyed.post("/api/offer", token).status_code == 400
    assert keyed.post("/api/sessions", token).status_code == 403
    assert keyed.post("/api/offer", token + "x").status_code == 401


def test_ice_servers_are_for_who_may_call(keyed: Keyed) -> None:
    """A page that may call is told of the TURN server and its password; nobody else is."""
    url = f"{keyed.gateway.url}/api/ice"
    assert httpx.get(url).status_code == 401
    told = httpx.get(url, headers={"authorization": f"Bearer {keyed.secrets['site']}"})
    assert told.json() == {"iceServers": [TURN]}
    assert told.headers["cache-control"] == "no-store"


def test_conversations_and_calls_are_the_owners(keyed: Keyed) -> None:
    """Reading a conversation and placing a call need the scope `calls`."""
    url = keyed.gateway.url
    owner = {"authorization": f"Bearer {keyed.secrets['owner']}"}
    assert httpx.get(f"{url}/api/calls/x").status_code == 401
    assert httpx.get(f"{url}/api/calls/x", headers=owner).status_code == 404
    assert httpx.post(f"{url}/calls", json={"to": "+14155550123"}).status_code == 401
    refused = httpx.post(f"{url}/calls", json={"to": "+14155550123"}, headers=owner)
    assert refused.status_code == 409
    assert "names no carrier" in refused.json()["error"]


def test_pages_of_other_sites(keyed: Keyed, stack: Stack) -> None:
    """A page of another origin may not use its visitor's access; the gateway's own may."""
    assert keyed.post("/api/offer", "site", origin="https://evil.example").status_code == 403
    assert keyed.post("/api/offer", "site", origin=keyed.gateway.url).status_code == 400
    open_gateway = f"{stack.gateway_url}/api/offer"
    assert httpx.post(open_gateway, json=OFFER, headers={"origin": "https://evil.example"}).status_code == 403


def test_pages_of_allowed_sites(keyed: Keyed) -> None:
    """Their browser is told that they may, before and with the answer; others are not."""
    for origin, allowed in (("https://shop.example", "https://shop.example"), ("https://evil.example", None)):
        asked = httpx.options(
            f"{keyed.gateway.url}/api/offer",
            headers={"origin": origin, "access-control-request-method": "POST"},
        )
        assert asked.headers.get("access-control-allow-origin") == allowed
    answer = keyed.post("/api/offer", "site", origin="https://shop.example")
    assert answer.status_code == 400
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"


async def test_sockets_of_other_sites(stack: Stack) -> None:
    """A page of another origin cannot hold a call over a media socket of its visitor's machine either."""
    with pytest.raises(InvalidStatus) as refused:
        await connect(stack.media_url, origin=Origin("https://evil.example"))
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize(
    "headers", [{"host": "rebound.example"}, {"x-forwarded-for": "192.0.2.1"}, {"forwarded": "for=192.0.2.1"}]
)
def test_without_keys_only_this_machine(stack: Stack, headers: dict[str, str]) -> None:
    """A gateway without keys takes nobody who came through a proxy or under another name."""
    assert httpx.post(f"{stack.gateway_url}/api/offer", json=OFFER).status_code == 400
    refused = httpx.post(f"{stack.gateway_url}/api/offer", json=OFFER, headers=headers)
    assert refused.status_code == 401
    assert "no API keys" in refused.json()["error"]


@pytest.mark.parametrize("host", ["[", "x:99999", "a:b:c"])
@pytest.mark.parametrize("path", ["/api/offer", "/phone/twilio/answer", "/calls"])
def test_a_host_that_is_none(stack: Stack, host: str, path: str) -> None:
    """A Host header that names no host is refused, not tripped over."""
    refused = httpx.post(f"{stack.gateway_url}{path}", json=OFFER, headers={"host": host})
    assert refused.status_code == 400
    assert "names no host" in refused.json()["error"]


def test_rate_limit(keyed: Keyed) -> None:
    """A key's requests are limited, and the answer says when to come again."""
    answers = [keyed.post("/api/offer", "slow") for _ in range(8)]
    assert [answer.status_code for answer in answers].count(429) >= 2
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60


async def test_calls_at_once_of_one_key(keyed: Keyed) -> None:
    """A key holds as many calls as it may, whoever of its visitors makes them; one more is refused and counted."""
    token = keyed.post("/api/sessions", "site").json()["token"]
    sdp = await real_offer()
    statuses = []
    async with httpx.AsyncClient(base_url=keyed.gateway.url, timeout=20) as http:
        for credential in (keyed.secrets["site"], token, token):
            headers = {"authorization": f"Bearer {credential}"}
            offer = {"sdp": sdp, "type": "offer"}
            statuses.append((await http.post("/api/offer", json=offer, headers=headers)).status_code)
    assert statuses == [200, 200, 429]
    assert keyed.gateway.counted("voice_refusals_total", door="web", cause="too_many_calls") == 1


def test_a_body_over_the_limit(keyed: Keyed) -> None:
    """Too large a body is refused while it comes."""
    headers = {"authorization": f"Bearer {keyed.secrets['site']}"}
    response = httpx.post(f"{keyed.gateway.url}/api/offer", content=b"x" * 300_000, headers=headers)
    assert response.status_code == 413


def test_secrets_are_nowhere(keyed: Keyed, stack: Stack) -> None:
    """Keys and tokens, good and wrong, are in no log, no metric, no trace and no error text."""
    token = keyed.post("/api/sessions", "site").json()["token"]
    offered = [*keyed.secrets.values(), token, "offhook_wrong", token + "x", TURN["credential"]]
    answers = [keyed.post("/api/offer", secret).text for secret in offered]
    answers += [keyed.post(f"/phone/twilio/media?token={secret}").text for secret in offered]
    answers += [httpx.get(f"{keyed.gateway.url}/api/calls/{secret}").text for secret in offered]
    metrics = httpx.get(f"{keyed.gateway.url}/metrics").text
    store = stack.folder / "calls.sqlite"
    traces = store.read_bytes().decode("latin-1") if store.exists() else ""
    for secret in offered:
        assert all(secret not in text for text in (*answers, metrics, traces, keyed.gateway.log()))


def test_no_start_without_keys_where_others_reach(stack: Stack, tmp_path: Path) -> None:
    """Binding beyond loopback without keys is one clear line."""
    environment = {**stack.environment, "OFFHOOK_GATEWAY__HOST": "0.0.0.0", "PYTHONPATH": str(REPOSITORY)}
    result = subprocess.run(
        [sys.executable, "-m", "voice"], env=environment, cwd=tmp_path, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert result.returncode == 1
    assert "offhook keys create" in result.stderr
    assert "Traceback" not in result.stderr


def test_keys_command(stack: Stack, tmp_path: Path) -> None:
    """`offhook keys` makes a key, shows it once, lists it without its secret, and revokes it."""

    def keys(*arguments: str) -> str:
        result = subprocess.run(
            [sys.executable, "-m", "voice.cli", "keys", *arguments, "--file", "keys.toml"],
            cwd=tmp_path, env={**stack.environment, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        return result.stdout

    secret = next(
        word for word in keys("create", "site", "--scope", "web").split() if word.startswith("offhook_")
    )
    assert secret not in (tmp_path / "keys.toml").read_text()
    assert "site" in keys("list")
    assert secret not in keys("list")
    keys("revoke", "site")
    assert "site" not in keys("list")
