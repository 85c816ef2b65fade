"""Changes to well-formed input, for fuzzing: each keeps most of it, so that it gets far."""

import json
import random
from typing import Any

ODD: list[Any] = [
    None, True, False, 0, -1, 2**31, 2**63, 1e308, float("nan"), "", " ", "\x00", "\ud800", "%s%n", "'\"<>&",
    "../../etc/passwd", "A" * 5000, "\u202e", "0" * 400, [], {}, [[]], [None] * 50, {"a": {"a": {"a": {}}}},
]  # fmt: skip


def mutate_json(rng: random.Random, value: Any) -> Any:
    """Return ``value`` (JSON) with one to three of its parts replaced, dropped, doubled or moved."""
    for _ in range(rng.randint(1, 3)):
        value = _change(rng, value)
    return value


def _change(rng: random.Random, value: Any) -> Any:
    if isinstance(value, dict) and value and rng.random() < 0.85:
        changed, name = dict(value), rng.choice(list(value))
        match rng.randrange(5):
            case 0:
                del changed[name]
            case 1:
                changed[rng.choice(["event", "media", "start", "x" * rng.randint(0, 300)])] = changed[name]
            case _:
                changed[name] = _change(rng, changed[name])
        return changed
    if isinstance(value, list) and value and rng.random() < 0.7:
        at = rng.randrange(len(value))
        return [*value[:at], _change(rng, value[at]), *value[at : at + rng.randint(0, 2)]]
    if isinstance(value, str) and value and rng.random() < 0.5:
        return mutate_bytes(rng, value.encode("utf-8", "replace")).decode("utf-8", "replace")
    return rng.choice(ODD)


def mutate_bytes(rng: random.Random, data: bytes) -> bytes:
    """Return ``data`` with a few bytes changed, cut out, put in or repeated."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(changed) + 1)
        match rng.randrange(5):
            case 0:
                changed[at : at + rng.randint(1, 20)] = b""
            case 1:
                changed[at:at] = rng.randbytes(rng.randint(1, 20))
            case 2:
                changed[at:at] = changed[max(0, at - 40) : at] * rng.randint(1, 5)
            case 3:
                del changed[at:]
            case _:
                changed[at : at + 1] = rng.choice([b"\x00", b"\xff", b"&", b"=", b"%", b'"', b"{", b"\r\n"])
    return bytes(changed)


def mutate_lines(rng: random.Random, text: str) -> str:
    """Return a text of lines with some dropped, doubled, swapped, cut or changed."""
    lines = text.splitlines()
    for _ in range(rng.randint(1, 5)):
        at = rng.randrange(len(lines)) if lines else 0
        match rng.randrange(6):
            case 0 if lines:
                del lines[at]
            case 1 if lines:
                lines.insert(rng.randrange(len(lines)), lines[at])
            case 2 if lines:
                lines[at] = lines[at][: rng.randint(0, 20)]
            case 3 if lines:
                lines[at] = mutate_bytes(rng, lines[at].encode()).decode("utf-8", "replace")
            case 4 if lines:
                words = lines[at].split(" ")
                words[rng.randrange(len(words))] = rng.choice(["-1", "0", "99999999999", "", "x" * 300])
                lines[at] = " ".join(words)
            case _:
                lines.insert(
                    at, rng.choice(["a=", "m=audio 0 RTP/AVP 999", "c=IN IP6 ::::", "a=ice-ufrag:", "="])
                )
    return "\r\n".join(lines) + "\r\n"


def dump(rng: random.Random, value: Any) -> bytes:
    """Return ``value`` as JSON bytes, now and then not quite JSON."""
    data = json.dumps(value).encode("utf-8", "surrogatepass")
    return mutate_bytes(rng, data) if rng.random() < 0.2 else data
