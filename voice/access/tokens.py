"""Tokens a gateway hands out: short-lived ones for browsers, and one-time ones for media sockets."""

import secrets
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import jwt

ALGORITHM = "HS256"
SECRET_BYTES = 32
ONE_TIME_BYTES = 24


class SessionTokens:
    """Signed tokens that let a browser in for a while (JSON Web Tokens, RFC 7519).

    They name the API key they were minted with, whose limits go on to hold.

    Args:
        secret: signs them; empty: a random one, so that they end with this process.
        seconds: how long one is good for.

    """

    def __init__(self, secret: str, *, seconds: float) -> None:
        self._secret = secret or secrets.token_hex(SECRET_BYTES)
        self.seconds = seconds

    def mint(self, key_name: str, scope: str, now: float, *, seconds: float | None = None) -> tuple[str, int]:
        """Return a token and when it ends, in seconds since the epoch; ``seconds`` is how long it is good for."""
        expires = int(now + (self.seconds if seconds is None else seconds))
        claims = {"sub": key_name, "scope": scope, "exp": expires, "jti": secrets.token_hex(8)}
        return jwt.encode(claims, self._secret, algorithm=ALGORITHM), expires

    def read(self, token: str, now: float) -> tuple[str, str] | None:
        """Return the key's name and the scope of a token that is good at ``now``, or None."""
        try:
            claims: Mapping[str, Any] = jwt.decode(
                token,
                self._secret,
                algorithms=[ALGORITHM],
                options={"require": ["sub", "exp", "jti"], "verify_exp": False},
            )
        except (jwt.InvalidTokenError, ValueError):
            return None
        if claims["exp"] <= now or not isinstance(claims.get("scope"), str):
            return None
        return str(claims["sub"]), str(claims["scope"])


class OneTimeTokens:
    """Tokens that each open one thing once, within a time.

    Args:
        seconds: how long one is good for.
        limit: how many may be outstanding; the oldest goes when there are more.

    """

    def __init__(self, *, seconds: float, limit: int = 10_000) -> None:
        self._seconds = seconds
        self._limit = limit
        self._open: OrderedDict[str, tuple[float, dict[str, str]]] = OrderedDict()

    def mint(self, facts: Mapping[str, str], now: float) -> str:
        """Return a new token that stands for ``facts``."""
        token = secrets.token_urlsafe(ONE_TIME_BYTES)
        self._open[token] = (now + self._seconds, dict(facts))
        while len(self._open) > self._limit:
            self._open.popitem(last=False)
        return token

    def outstanding(self, now: float) -> int:
        """Return how many tokens are still good."""
        while self._open and next(iter(self._open.values()))[0] <= now:
            self._open.popitem(last=False)
        return len(self._open)

    def revoke(self, name: str, value: str) -> None:
        """Take back every token whose facts have ``value`` under ``name``."""
        for token in [token for token, (_, facts) in self._open.items() if facts.get(name) == value]:
            del self._open[token]

    def spend(self, token: str, now: float) -> dict[str, str] | None:
        """Return what a token stands for, once; None where it is unknown, spent or too old."""
        expires, facts = self._open.pop(token, (now, {}))
        return facts if expires > now else None


class ReplayMemory:
    """Remembers what was seen for a while, to know it again.

    Args:
        seconds: how long.
        limit: how many at most; the oldest is forgotten first.

    """

    def __init__(self, *, seconds: float, limit: int = 100_000) -> None:
        self._seconds = seconds
        self._limit = limit
        self._seen: OrderedDict[str, float] = OrderedDict()

    def is_new(self, item: str, now: float) -> bool:
        """Return whether ``item`` was not seen within the time, and remember it."""
        while self._seen and (next(iter(self._seen.values())) <= now or len(self._seen) >= self._limit):
            self._seen.popitem(last=False)
        if item in self._seen:
            return False
        self._seen[item] = now + self._seconds
        return True
