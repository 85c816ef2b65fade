"""Judges every request and socket before a door sees it.

Without keys a gateway is for its own machine: whoever connects over loopback, under a loopback name and not
through a proxy, may do everything; nobody else may do anything that needs a key. With keys everybody needs one.
"""

import ipaddress
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import JSONResponse

from orchestration.doors import AccessSettings
from telemetry import metrics
from voice.access.keys import ApiKey, KeyRing, Scope, load_keys
from voice.access.limits import Occupancy, RateLimiter
from voice.access.tokens import SessionTokens
from voice.errors import AccessDeniedError, AccessSettingsError

#: Headers that a proxy adds: a request that has one does not come from this machine itself.
PROXY_HEADERS = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


@dataclass(frozen=True)
class Visitor:
    """Who is at the door: what limits count them by."""

    address: str
    key: ApiKey | None = None
    local: bool = False


class Gatekeeper:
    """The one place that says who may come in.

    Args:
        settings: section ``[access]``.
        keys: the API keys.

    """

    def __init__(self, settings: AccessSettings, keys: KeyRing) -> None:
        self.settings = settings
        self._keys = keys
        self.sessions = SessionTokens(
            settings.session_secret.get_secret_value(), seconds=settings.session_seconds
        )
        self._rates = RateLimiter()
        self._calls = Occupancy()

    @classmethod
    def from_settings(cls, settings: AccessSettings, *, host: str) -> "Gatekeeper":
        """Return the gatekeeper of a gateway that binds ``host``.

        Raises:
            AccessSettingsError: the keys file is wrong, or ``host`` is not loopback and there are no keys.

        """
        keys = load_keys(Path(settings.keys_file)) if settings.keys_file else KeyRing()
        if not len(keys) and not is_loopback(host):
            raise AccessSettingsError(
                f"[gateway] host = {host!r} is reached from other machines, and there are no API keys; "
                "make one with `offhook keys create NAME` and set [access] keys_file, or bind 127.0.0.1"
            )
        return cls(settings, keys)

    def admit(
        self, connection: HTTPConnection, scope: Scope, *, door: str, credential: str | None = None
    ) -> Visitor:
        """Return who this is, if they may use ``scope`` now.

        Args:
            connection: the request or socket.
            scope: what they want to do.
            door: for the count of refusals.
            credential: key or token they show; None: look for it in the Authorization header.

        Raises:
            AccessDeniedError: they may not; it has the HTTP status and the counted cause.

        """
        try:
            visitor = self._visitor(connection)
            if not visitor.local:
                shown = bearer(connection) if credential is None else credential
                visitor = self._identify(visitor.address, scope, shown)
        except AccessDeniedError as denial:
            metrics.REFUSALS.labels(door, denial.cause).inc()
            raise
        return visitor

    def admit_unkeyed(self, connection: HTTPConnection, *, door: str) -> Visitor:
        """Return who this is, where no key is asked for (carriers sign instead); rates hold all the same.

        Raises:
            AccessDeniedError: too many requests, or a page of another site makes them.

        """
        try:
            return self._visitor(connection)
        except AccessDeniedError as denial:
            metrics.REFUSALS.labels(door, denial.cause).inc()
            raise

    async def read(self, request: Request, *, door: str) -> bytes:
        """Return the body of a request, of ``[access] max_body_bytes`` at most.

        Raises:
            AccessDeniedError: it is larger, or was cut off.

        """
        try:
            return await read_body(request, self.settings.max_body_bytes)
        except AccessDeniedError as denial:
            metrics.REFUSALS.labels(door, denial.cause).inc()
            raise

    @contextmanager
    def hold(self, visitor: Visitor, *, door: str) -> Iterator[None]:
        """Count a call against its visitor's limits while it lasts.

        Raises:
            AccessDeniedError: they hold as many as they may.

        """
        if visitor.local:
            yield
            return
        key = visitor.key
        name, limit = (
            (f"key {key.name}", key.max_calls)
            if key
            else (f"address {visitor.address}", self.settings.max_calls_per_address)
        )
        if not self._calls.enter(name, limit):
            metrics.REFUSALS.labels(door, "too_many_calls").inc()
            raise AccessDeniedError(
                429, "too_many_calls", f"{limit} calls at once are as many as you may hold"
            )
        try:
            yield
        finally:
            self._calls.leave(name)

    def is_local(self, connection: HTTPConnection) -> bool:
        """Return whether this is the machine's own user at a gateway without keys."""
        if len(self._keys) or any(header in connection.headers for header in PROXY_HEADERS):
            return False
        return is_loopback(address_of(connection)) and is_loopback(host_of(connection))

    def _visitor(self, connection: HTTPConnection) -> Visitor:
        host_of(connection)
        self._check_origin(connection)
        address = address_of(connection)
        if self.is_local(connection):
            return Visitor(address, local=True)
        self._check_rate(f"address {address}", self.settings.requests_per_minute)
        return Visitor(address)

    def _identify(self, address: str, scope: Scope, credential: str) -> Visitor:
        if not len(self._keys):
            raise AccessDeniedError(
                401, "no_keys", "this gateway has no API keys, so only its own machine may call it"
            )
        if not credential:
            raise AccessDeniedError(401, "no_credentials", "send an API key: Authorization: Bearer offhook_…")
        key, scopes = self._resolve(credential)
        if key is None:
            raise AccessDeniedError(401, "bad_credentials", "the API key or session token is not valid")
        if scope not in scopes:
            raise AccessDeniedError(403, "wrong_scope", f"this API key lacks the scope {scope!r}")
        self._check_rate(f"key {key.name}", key.requests_per_minute)
        return Visitor(address, key)

    def _resolve(self, credential: str) -> tuple[ApiKey | None, tuple[str, ...]]:
        if key := self._keys.find(credential):
            return key, key.scopes
        if session := self.sessions.read(credential, time.time()):
            name, scope = session
            return self._keys.named(name), (scope,)
        return None, ()

    def _check_origin(self, connection: HTTPConnection) -> None:
        """Refuse a page of another site: its visitor's browser would call with the visitor's access."""
        origin = connection.headers.get("origin")
        if origin is None or origin in self.settings.allowed_origins:
            return
        if urlsplit_host(origin) != connection.headers.get("host", ""):
            raise AccessDeniedError(
                403, "foreign_origin", "pages of this origin may not call; see [access] allowed_origins"
            )

    def _check_rate(self, name: str, per_minute: int) -> None:
        if wait := self._rates.take(name, per_minute, time.monotonic()):
            raise AccessDeniedError(429, "rate_limited", "too many requests; wait a little", retry_after=wait)


async def read_body(request: Request, limit_bytes: int) -> bytes:
    """Return the body of a request.

    Raises:
        AccessDeniedError: it is larger than ``limit_bytes``, or was cut off.

    """
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit_bytes:
                raise AccessDeniedError(413, "too_large", f"a request body may have {limit_bytes} bytes")
    except ClientDisconnect:
        raise AccessDeniedError(400, "cut_off", "the request was cut off") from None
    return bytes(body)


def bearer(connection: HTTPConnection) -> str:
    """Return the bearer token of the Authorization header, or an empty string."""
    scheme, _, credential = connection.headers.get("authorization", "").partition(" ")
    return credential.strip() if scheme.lower() == "bearer" else ""


def address_of(connection: HTTPConnection) -> str:
    """Return the address the connection comes from."""
    return connection.client.host if connection.client else ""


def host_of(connection: HTTPConnection) -> str:
    """Return the host name the connection asked for, without its port.

    Raises:
        AccessDeniedError: it asked for something that is none.

    """
    asked = _parts_of(f"//{connection.headers.get('host', '')}")
    if asked is None:
        raise AccessDeniedError(400, "bad_host", "the Host header names no host")
    return asked.hostname or ""


def _parts_of(url: str) -> SplitResult | None:
    """Return the parts of ``url``; None where it has no such parts."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises for a port that is none
    except ValueError:
        return None
    return parts


def urlsplit_host(origin: str) -> str:
    """Return host and port of an origin."""
    return origin.partition("://")[2]


def is_loopback(host: str) -> bool:
    """Return whether ``host`` is an address or name of this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def denial_response(denial: AccessDeniedError) -> JSONResponse:
    """Return a refusal as an HTTP response."""
    headers = {"retry-after": str(math.ceil(denial.retry_after))} if denial.retry_after else {}
    if denial.status == 401:
        headers["www-authenticate"] = "Bearer"
    return JSONResponse({"error": str(denial)}, status_code=denial.status, headers=headers)
