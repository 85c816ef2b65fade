"""Thousands of wrong inputs at every door of a real gateway: nothing breaks, nothing stays behind.

OFFHOOK_FUZZ_MESSAGES says how many (a release is tried with 20000), OFFHOOK_FUZZ_SEED which. To add a door, add its
kind of input to :data:`KINDS`.
"""

import asyncio
import json
import os
import random
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import psutil
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from tests.voice.conftest import Gateway, StartGateway
from tests.voice.mutation import dump, mutate_bytes, mutate_json, mutate_lines
from tests.voice.phone.signing import CALL_FIELD, PUBLIC, SIGN, account_settings
from tests.voice.phone.streams import STREAMS
from tests.voice.web.test_signalling import real_offer

MESSAGES = int(os.environ.get("OFFHOOK_FUZZ_MESSAGES", "450"))
SEED = int(os.environ.get("OFFHOOK_FUZZ_SEED", "1"))
#: Inputs under way at once.
AT_ONCE = 16
#: Messages of one media stream.
STREAM_MESSAGES = 25
#: What may stay behind: memory of the process, open files and sockets, tasks.
GROWTH_MB, GROWTH_FILES, GROWTH_TASKS = 80, 10, 10


@dataclass
class Fuzz:
    """One gateway under fire.

    Attributes:
        gateway: the gateway.
        http: a client of it.
        rng: decides everything.
        sdp: a right offer.
        answers: how often each HTTP status, close code or reason came.

    """

    gateway: Gateway
    http: httpx.AsyncClient
    rng: random.Random
    sdp: str
    answers: Counter[str] = field(default_factory=Counter)

    async def post(self, path: str, body: bytes, headers: dict[str, str]) -> None:
        """Post, and note the status."""
        encoded = {name: value.encode("utf-8", "replace") for name, value in headers.items()}
        response = await self.http.post(path, content=body, headers=encoded)
        self.answers[str(response.status_code)] += 1


async def webhook(fuzz: Fuzz) -> int:
    """A carrier's webhook: half of them signed, so that what comes after the signature is reached too."""
    rng = fuzz.rng
    carrier = rng.choice(list(SIGN))
    path = rng.choice(["answer", "answer?wait=x", "answer?dial=%00&agent=x", "status", "connect/x"])
    form = {CALL_FIELD[carrier]: f"c{rng.random()}", "From": "+1", "CallStatus": "completed", "To": "+2"}
    url, mutated = f"{PUBLIC}/phone/{carrier}/{path}", mutate_json(rng, form)
    if rng.random() < 0.5 and isinstance(mutated, dict):
        headers, body = SIGN[carrier](url, _texts(mutated), time.time())
    else:
        headers, body = SIGN[carrier](url, form, time.time())
        body = mutate_bytes(rng, body) if rng.random() < 0.5 else dump(rng, mutated)
        headers = {
            name: mutate_bytes(rng, value.encode()).decode("latin-1") for name, value in headers.items()
        }
        path += rng.choice(["", "?x=%ff", "?wait=%00%0d%0a", "/.."])
    kind = rng.choice(["application/x-www-form-urlencoded", "application/json", "text/plain"])
    await fuzz.post(f"/phone/{carrier}/{path}", body, {"content-type": kind, **_sendable(headers)})
    return 1


async def announcement(fuzz: Fuzz) -> int:
    """A SIP provider's webhook."""
    rng = fuzz.rng
    event = {"type": "realtime.call.incoming", "data": {"call_id": "x", "sip_headers": []}}
    headers: Any = {"webhook-id": "x", "webhook-timestamp": "1", "webhook-signature": "v1,AAAA"}
    changed = mutate_json(rng, headers)
    await fuzz.post(
        "/phone/sip/incoming",
        dump(rng, mutate_json(rng, event)),
        _sendable(_texts(changed if isinstance(changed, dict) else headers)),
    )
    return 1


def _texts(fields: dict[str, Any]) -> dict[str, str]:
    """Return fields of a form, as texts that can be sent."""
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}
    return {name: value.encode("utf-8", "replace").decode() for name, value in texts.items()}


def _sendable(headers: dict[str, str]) -> dict[str, str]:
    """Return the headers that an HTTP client sends at all."""
    clean = {name: "".join(c for c in value if c.isprintable()).strip() for name, value in headers.items()}
    return {
        name: value[:4000] for name, value in clean.items() if re.fullmatch(r"[\w-]{1,80}", name, re.ASCII)
    }


async def owner_request(fuzz: Fuzz) -> int:
    """What the owner asks of the desk."""
    path, body = fuzz.rng.choice(
        [
            ("/calls", {"to": "+14155550123", "agent": "concierge"}),
            ("/calls/x/transfer", {"to": "+14155550123", "announce": "One moment."}),
            ("/calls/x/keys", {"digits": "12#"}),
            ("/calls/x/hangup", {}),
            ("/api/sessions", {}),
        ]
    )
    await fuzz.post(path, dump(fuzz.rng, mutate_json(fuzz.rng, body)), {})
    return 1


async def media(fuzz: Fuzz) -> int:
    """A media stream: begun rightly or not, with wrong messages among right ones, and ended anyhow."""
    rng, stream = fuzz.rng, fuzz.rng.choice(STREAMS)
    url = f"{fuzz.gateway.ws_url}/phone/{stream.name}/media"
    sent = 1
    try:
        async with connect(url, compression=None) as socket:
            for message in stream.start(f"fuzz-{rng.random()}"):
                await socket.send(_wrong(rng, message) if rng.random() < 0.3 else message)
            for _ in range(STREAM_MESSAGES):
                right = rng.choice([stream.audio(), stream.digit("5"), stream.audio(rng.randbytes(160))])
                await socket.send(_wrong(rng, right) if rng.random() < 0.2 else right)
                sent += 1
            if rng.random() < 0.5:
                socket.transport.abort()
    except ConnectionClosed as closed:
        fuzz.answers[f"closed {closed.rcvd.code if closed.rcvd else 'without a word'}"] += 1
    except WebSocketException as error:
        fuzz.answers[type(error).__name__] += 1
    return sent


def _wrong(rng: random.Random, message: str | bytes) -> str | bytes:
    if isinstance(message, bytes):
        return rng.choice([mutate_bytes(rng, message), b"", "{}", "text"])
    data = dump(rng, mutate_json(rng, json.loads(message)))
    return rng.choice([data, data.decode("utf-8", "replace")])


async def offer(fuzz: Fuzz) -> int:
    """A browser's offer, or what it finds since."""
    rng = fuzz.rng
    if rng.random() < 0.3:
        candidate = {"candidate": CANDIDATE, "sdp_mid": "0", "sdp_mline_index": 0}
        patch = {"pc_id": "x", "candidates": [candidate]}
        response = await fuzz.http.patch("/api/offer", content=dump(rng, mutate_json(rng, patch)))
        fuzz.answers[str(response.status_code)] += 1
        return 1
    body = {"sdp": mutate_lines(rng, fuzz.sdp), "type": "offer"}
    if rng.random() < 0.2:
        body = mutate_json(rng, body)
    await fuzz.post("/api/offer", dump(rng, body), {"content-type": "application/json"})
    return 1


CANDIDATE = "candidate:1 1 udp 1 192.0.2.1 5 typ host"
#: Every kind of input, and its share.
KINDS: dict[Callable[[Fuzz], Awaitable[int]], float] = {
    webhook: 0.35,
    announcement: 0.05,
    owner_request: 0.05,
    media: 0.45,
    offer: 0.1,
}


async def fire(fuzz: Fuzz, kind: Callable[[Fuzz], Awaitable[int]], messages: int) -> None:
    """Send so many inputs of one kind, several at once."""
    left = messages

    async def work() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            further = await kind(fuzz) - 1
            left -= further

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(work())


@dataclass(frozen=True)
class Footprint:
    """What a process holds."""

    megabytes: float
    files: int
    tasks: float

    @classmethod
    async def of(cls, gateway: Gateway) -> "Footprint":
        """Return it once no call is in progress."""
        process = psutil.Process(gateway.process.pid)
        async with asyncio.timeout(60):
            while sum(gateway.counted("voice_calls_active", door=door) for door in DOORS):
                await asyncio.sleep(0.2)
        await asyncio.sleep(2.5)  # connections that were given an answer and never came: connect_seconds
        tasks = next(
            float(row.split()[-1])
            for row in httpx.get(f"{gateway.url}/metrics").text.splitlines()
            if row.startswith("voice_gateway_tasks ")
        )
        return cls(process.memory_info().rss / 2**20, process.num_fds(), tasks)


DOORS = ("web", *(stream.name for stream in STREAMS))


@pytest.fixture(scope="module")
def gateway(start_gateway: StartGateway) -> Iterator[Gateway]:
    """A gateway whose doors are all configured, and which gives up soon on who does not come."""
    settings = account_settings() | {
        "OFFHOOK_WEB__CONNECT_SECONDS": "1",
        "OFFHOOK_GATEWAY__HANDSHAKE_SECONDS": "1",
        "OFFHOOK_GATEWAY__MEDIA_TIMEOUT_SECONDS": "2",
        # An offer that nobody follows holds its line for connect_seconds.
        "OFFHOOK_GATEWAY__MAX_CALLS": str(4 * AT_ONCE),
        "OFFHOOK_ACCESS__REQUESTS_PER_MINUTE": "10000000",
    }
    with start_gateway(**settings) as running:
        yield running


async def test_whatever_comes(gateway: Gateway) -> None:
    """No crash, no traceback, no 5xx whose cause is not counted, and nothing left behind."""
    async with httpx.AsyncClient(base_url=gateway.url, timeout=60) as http:
        fuzz = Fuzz(gateway, http, random.Random(SEED), await real_offer())
        # What is remembered of signatures, tokens and calls is bounded: it fills here, a leak grows on.
        for kind, share in KINDS.items():
            await fire(fuzz, kind, max(2 * STREAM_MESSAGES, round(MESSAGES * share)))
        before = await Footprint.of(gateway)
        for kind, share in KINDS.items():
            await fire(fuzz, kind, round(MESSAGES * share))
        after = await Footprint.of(gateway)
    print(dict(fuzz.answers), before, after)
    assert gateway.process.poll() is None
    assert "Traceback" not in gateway.log()
    refused = sum(gateway.counted("voice_refusals_total", door=door, cause="at_capacity") for door in DOORS)
    unavailable = sum(count for answer, count in fuzz.answers.items() if answer.startswith("5"))
    assert {answer for answer in fuzz.answers if answer.startswith("5")} <= {"503"}
    assert unavailable <= refused
    assert after.megabytes - before.megabytes < GROWTH_MB
    assert after.files - before.files < GROWTH_FILES
    assert after.tasks - before.tasks < GROWTH_TASKS
    assert httpx.get(f"{gateway.url}/readyz").status_code == 200
