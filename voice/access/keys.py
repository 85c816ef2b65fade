"""API keys: random, named, with scopes and limits, and kept only as SHA-256 hashes.

A key has 256 random bits, so a fast hash is enough: there is no dictionary to try (unlike with passwords).
"""

import hashlib
import os
import secrets
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from voice.errors import AccessSettingsError

PREFIX = "offhook_"
KEY_BYTES = 32

#: What a key may be used for: ``web`` and ``realtime`` hold calls through that door, ``sessions`` mints
#: session tokens for browsers, ``calls`` places outbound calls and reads conversations.
Scope = Literal["web", "realtime", "sessions", "calls"]


class ApiKey(BaseModel):
    """One key, without its secret."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    scopes: tuple[Scope, ...] = Field(min_length=1)
    requests_per_minute: int = Field(120, ge=1)
    max_calls: int = Field(8, ge=1, description="Calls held at once with this key.")


class KeyRing:
    """The keys of one gateway.

    Args:
        keys: with distinct names.

    """

    def __init__(self, keys: Iterable[ApiKey] = ()) -> None:
        self._by_name = {key.name: key for key in keys}
        self._by_hash = {key.sha256: key for key in self._by_name.values()}

    def __len__(self) -> int:
        return len(self._by_name)

    def find(self, secret: str) -> ApiKey | None:
        """Return the key whose secret this is."""
        return self._by_hash.get(hash_key(secret))

    def named(self, name: str) -> ApiKey | None:
        """Return the key of that name."""
        return self._by_name.get(name)

    def __iter__(self) -> Iterator[ApiKey]:
        return iter(sorted(self._by_name.values(), key=lambda key: key.name))

    def with_key(self, key: ApiKey) -> "KeyRing":
        """Return a ring that has ``key`` too.

        Raises:
            AccessSettingsError: there is one of that name already.

        """
        if key.name in self._by_name:
            raise AccessSettingsError(f"there is a key named {key.name!r}; revoke it or choose another name")
        return KeyRing([*self._by_name.values(), key])

    def without(self, name: str) -> "KeyRing":
        """Return a ring without the key of that name.

        Raises:
            AccessSettingsError: there is none.

        """
        if name not in self._by_name:
            raise AccessSettingsError(
                f"no key named {name!r}; there are: {', '.join(self._by_name) or 'none'}"
            )
        return KeyRing(key for key in self._by_name.values() if key.name != name)


def hash_key(secret: str) -> str:
    """Return the SHA-256 of a key, in hexadecimal."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def new_key(
    name: str, scopes: tuple[Scope, ...], *, requests_per_minute: int, max_calls: int
) -> tuple[str, ApiKey]:
    """Return a new key's secret, which is not kept anywhere, and the key."""
    secret = PREFIX + secrets.token_urlsafe(KEY_BYTES)
    try:
        key = ApiKey(
            name=name,
            sha256=hash_key(secret),
            scopes=scopes,
            requests_per_minute=requests_per_minute,
            max_calls=max_calls,
        )
    except ValidationError as error:
        raise AccessSettingsError(_describe(error)) from None
    return secret, key


def load_keys(path: Path) -> KeyRing:
    """Read a keys file.

    Raises:
        AccessSettingsError: it is missing or wrong; the text names the key and what is allowed.

    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise AccessSettingsError(f"{path}: no such file; make it with `offhook keys create NAME`") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise AccessSettingsError(f"{path}: cannot be read as TOML: {error}") from None
    ring = KeyRing()
    try:
        for entry in table.get("keys", []):
            ring = ring.with_key(ApiKey.model_validate(entry))
    except ValidationError as error:
        raise AccessSettingsError(f"{path}: {_describe(error)}") from None
    return ring


def save_keys(path: Path, ring: KeyRing) -> None:
    """Write a keys file at once or not at all, readable by its owner only."""
    text = tomli_w.dumps({"keys": [key.model_dump(mode="json") for key in ring]})
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


def _describe(error: ValidationError) -> str:
    item = error.errors(include_url=False)[0]
    return f"{'.'.join(str(part) for part in item['loc'])} = {item['input']!r}: {item['msg']}"
