"""Ephemeral client secrets: a site's server mints one, its page opens sessions with it for a while.

Each is a session token (:mod:`voice.access.tokens`) with OpenAI's ``ek_`` before it; the settings it stands for stay
here, so that a page cannot read them.
"""

import time
from collections import OrderedDict
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from voice.access.tokens import SessionTokens
from voice.realtime.config import SessionConfig, validated

PREFIX = "ek_"
SCOPE = "realtime"
#: How many secrets are remembered; the settings of the oldest are forgotten first.
MAX_SECRETS = 10_000


class ExpiresAfter(BaseModel):
    """When a secret stops to open sessions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    anchor: str = Field("created_at", pattern="^created_at$")
    seconds: int = Field(600, ge=10, le=7200)


class SecretRequest(BaseModel):
    """The body of ``POST /v1/realtime/client_secrets``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    expires_after: ExpiresAfter = ExpiresAfter()
    session: dict[str, Any] = Field(default_factory=dict)


class ClientSecrets:
    """The secrets of one gateway.

    Args:
        tokens: signs them.

    """

    def __init__(self, tokens: SessionTokens) -> None:
        self._tokens = tokens
        self._settings: OrderedDict[str, SessionConfig] = OrderedDict()

    def mint(self, key_name: str, wanted: ExpiresAfter, config: SessionConfig) -> tuple[str, int]:
        """Return a secret and when it ends, in seconds since the epoch; it is held to the limits of its key."""
        token, expires = self._tokens.mint(key_name, SCOPE, time.time(), seconds=wanted.seconds)
        self._settings[token] = config
        while len(self._settings) > MAX_SECRETS:
            self._settings.popitem(last=False)
        return PREFIX + token, expires

    def settings_of(self, credential: str) -> SessionConfig | None:
        """Return the settings a secret stands for, while it is good; None for any other credential."""
        token = credential.removeprefix(PREFIX)
        if self._tokens.read(token, time.time()) is None:
            self._settings.pop(token, None)
        return self._settings.get(token)


def read_request(body: Any) -> SecretRequest:
    """Return the body of a request for a secret.

    Raises:
        ClientEventError: it is none.

    """
    return validated(SecretRequest, body, at="")
