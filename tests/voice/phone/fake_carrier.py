"""A stand-in of the carriers' REST APIs, and the carriers' own SDKs to say what it must be asked."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import plivo
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from requests.adapters import HTTPAdapter
from telnyx import Telnyx
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client as Twilio
from vonage_http_client.auth import Auth
from vonage_http_client.http_client import HttpClient
from vonage_voice import Voice
from vonage_voice.models import Connect, CreateCallRequest, PhoneEndpoint, ToPhone

NUMBER = "+14155550100"
#: A number the owner's own check does not let be called.
UNWANTED = "+14155550177"
#: A call whose provider fails.
FAILING = "rtc_failing"
VONAGE_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
VONAGE_PEM = VONAGE_KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)


@dataclass(frozen=True)
class Asked:
    """One request, as the carrier understands it."""

    method: str
    path: str
    fields: dict[str, Any]
    authorization: str

    @property
    def text(self) -> str:
        """All of its fields."""
        return json.dumps(self.fields)


@dataclass
class FakeCarrier:
    """Answers every carrier's REST API, and remembers what it was asked."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)

    def take(self, method: str, path: str, headers: Any, body: bytes) -> tuple[int, dict[str, Any]]:
        """Answer one request as that API would; ``/check`` is the owner's, who lets one number not be called."""
        if "json" in headers.get("content-type", ""):
            fields = json.loads(body or b"{}") or {}
        else:
            fields = {key: values[0] for key, values in parse_qs(body.decode()).items()}
        self.asked.append(Asked(method, path, fields, headers.get("authorization", "")))
        if path == "/check" and fields["to"] == UNWANTED:
            return 403, {"reason": "asked us not to"}
        if FAILING in path:
            return 500, {}
        if method == "DELETE":
            return 204, {}
        replies = {
            "/2010": {"sid": "CA1"},
            "/v2/te": {"call_sid": "v3:1"},
            "/v1/A": {"request_uuid": "p1", "api_id": "1", "message": "call fired"},
            "/v1/c": {"uuid": "v1", "status": "started", "direction": "outbound", "conversation_uuid": "c1"},
        }
        return 201, next((reply for start, reply in replies.items() if path.startswith(start)), {})


@contextmanager
def run_fake_carrier() -> Iterator[FakeCarrier]:
    """Run a stand-in until the block ends."""
    fake = FakeCarrier()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            status, reply = fake.take(self.command, self.path, self.headers, body)
            content = b"" if status == 204 else json.dumps(reply).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - the names the base class looks for

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield fake
    finally:
        server.shutdown()


def accounts(folder: Path, base: str) -> dict[str, str]:
    """Return settings with an account at every carrier, whose API is the stand-in."""
    key_file = folder / "vonage.pem"
    key_file.write_bytes(VONAGE_PEM)
    do_not_call = folder / "do-not-call.txt"
    do_not_call.write_text("# never\n+1 415 555 0199\n")
    number = {"from_number": NUMBER}
    return {
        "OFFHOOK_PHONE__API_BASE": base,
        "OFFHOOK_PHONE__CHECK_URL": f"{base}/check",
        "OFFHOOK_PHONE__DO_NOT_CALL_FILE": str(do_not_call),
        "OFFHOOK_PHONE__HOURS": json.dumps({"first_hour": 0, "last_hour": 24}),
        "OFFHOOK_PHONE__TWILIO": json.dumps({"account_sid": "AC1", "auth_token": "twilio-token", **number}),
        "OFFHOOK_PHONE__TELNYX": json.dumps({"api_key": "KEY1", "connection_id": "7", **number}),
        "OFFHOOK_PHONE__PLIVO": json.dumps({"auth_id": "MA" + "X" * 18, "auth_token": "p" * 40, **number}),
        "OFFHOOK_PHONE__VONAGE": json.dumps(
            {"application_id": "app", "private_key_file": str(key_file), **number}
        ),
    }


class _ToStandIn(HTTPAdapter):
    """Sends what an SDK means for its carrier to the stand-in."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self._base = base

    def send(self, request: Any, *arguments: Any, **options: Any) -> Any:
        parts = urlsplit(request.url)
        request.url = f"{self._base}{parts.path}" + (f"?{parts.query}" if parts.query else "")
        return super().send(request, *arguments, **options)


class Sdk:
    """A carrier's own SDK, doing what the gateway is expected to do.

    Args:
        carrier: its name.
        fake: where its requests go.

    """

    def __init__(self, carrier: str, fake: FakeCarrier) -> None:
        self._carrier = carrier
        self._fake = fake
        match carrier:
            case "twilio":
                transport = TwilioHttpClient()
                assert transport.session is not None
                transport.session.mount("https://", _ToStandIn(fake.url))
                self._client: Any = Twilio("AC1", "twilio-token", http_client=transport)
            case "telnyx":
                self._client = Telnyx(api_key="KEY1", base_url=f"{fake.url}/v2")
            case "plivo":
                self._client = plivo.RestClient("MA" + "X" * 18, "p" * 40)
                self._client.session.mount("https://", _ToStandIn(fake.url))
            case _:
                http = HttpClient(Auth(application_id="app", private_key=VONAGE_PEM.decode()))
                http._session.mount("https://", _ToStandIn(fake.url))
                self._client = Voice(http)

    def dial(self, to: str, answer_url: str, status_url: str) -> Asked:
        """Return the request that places a call."""
        match self._carrier:
            case "twilio":
                self._client.calls.create(
                    to=to, from_=NUMBER, url=answer_url, status_callback=status_url,
                    status_callback_event=["completed"],
                )  # fmt: skip
            case "telnyx":
                self._client.texml.calls.create("7", to=to, from_=NUMBER, url=answer_url, method="POST")
            case "plivo":
                self._client.calls.create(
                    from_=NUMBER, to_=to, answer_url=answer_url, answer_method="POST", hangup_url=status_url
                )
            case _:
                self._client.create_call(
                    CreateCallRequest(
                        to=[ToPhone(number=to.lstrip("+"))],
                        from_={"type": "phone", "number": NUMBER.lstrip("+")},
                        answer_url=[answer_url], answer_method="POST", event_url=[status_url],
                    )
                )  # fmt: skip
        return self._fake.asked.pop()

    def hang_up(self, call_id: str) -> Asked:
        """Return the request that ends a call."""
        match self._carrier:
            case "twilio":
                self._client.calls(call_id).update(status="completed")
            case "telnyx":
                self._client.calls.actions.hangup(call_id)
            case "plivo":
                self._client.calls.hangup(call_id)
            case _:
                self._client.hangup(call_id)
        return self._fake.asked.pop()

    def transfer(self, call_id: str, to: str, asked: Asked) -> Asked:
        """Return the request that connects a caller to ``to``; documents are taken from what was ``asked``."""
        match self._carrier:
            case "twilio":
                self._client.calls(call_id).update(twiml=asked.fields["Twiml"])
            case "telnyx":
                self._client.calls.actions.transfer(call_id, to=to)
            case "plivo":
                self._client.calls.update(call_id, legs="aleg", aleg_url=asked.fields["aleg_url"])
            case _:
                connect = Connect(endpoint=[PhoneEndpoint(number=to.lstrip("+"))], from_=NUMBER.lstrip("+"))
                self._client.transfer_call_ncco(call_id, [connect])
        return self._fake.asked.pop()

    def same(self, asked: Asked, expected: Asked) -> None:
        """Assert that two requests are one and the same to the carrier; Plivo's SDK spells defaults out."""
        assert (asked.method, asked.path) == (expected.method, expected.path)
        if self._carrier == "plivo":
            assert asked.fields.items() <= expected.fields.items()
        else:
            assert asked.fields == expected.fields
        if self._carrier == "vonage":
            for one in (asked, expected):
                token = one.authorization.split()[1]
                claims = jwt.decode(token, VONAGE_KEY.public_key(), algorithms=["RS256"])
                assert claims["application_id"] == "app"
        else:
            assert asked.authorization == expected.authorization
