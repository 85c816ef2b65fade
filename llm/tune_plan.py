"""What ``offhook tune`` tries: a profile, and for each candidate the keys that differ from it.

A candidates file is TOML::

    [[candidate]]
    name = "without"

    [[candidate]]
    name = "ngram 3"
    speculation = { method = "ngram", tokens = 3 }
"""

import hashlib
import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm.errors import ProfileError
from llm.profile import LlamaCppProfile, OpenAIProfile, Profile, VllmProfile, parse_profile
from llm.questions import Transcript


@dataclass(frozen=True)
class Candidate:
    """One profile to try, and what it is called in the report."""

    name: str
    profile: Profile


@dataclass(frozen=True)
class Load:
    """How each candidate is asked.

    Attributes:
        transcripts: the calls, in order; each is played to its end.
        concurrent: calls in progress at any moment.
        rounds: how often all transcripts are played.
        busy: processes that compute beside the engine all the while.

    """

    transcripts: tuple[Transcript, ...]
    concurrent: int
    rounds: int = 1
    busy: int = 0


def load_candidates(profile: Profile, path: Path | None) -> list[Candidate]:
    """Return the candidates of the file at ``path``, or the ones that need no further weights.

    Raises:
        ProfileError: the file cannot be read, or one of them is no valid profile; nothing has started then.

    """
    if isinstance(profile, OpenAIProfile):
        raise ProfileError(
            f"engine profile {profile.name}: a server that runs elsewhere cannot be tuned from here"
        )
    if isinstance(profile, VllmProfile) and profile.disaggregation:
        raise ProfileError(
            f"engine profile {profile.name}: two engines cannot be tuned as one; tune its decode half"
        )
    tables = _read(path) if path else _usual(profile)
    base = table_of(profile)
    candidates = []
    for table in tables:
        name = str(table.get("name", ""))
        changes = {key: value for key, value in table.items() if key != "name"}
        merged = {key: value for key, value in {**base, **changes}.items() if value != {}}
        candidates.append(Candidate(name, parse_profile(merged, shown=f"candidate {name!r}")))
    names = [candidate.name for candidate in candidates]
    if not all(names) or len(set(names)) != len(names):
        raise ProfileError("candidates: every one needs a name of its own")
    return candidates


def table_of(profile: Profile) -> dict[str, Any]:
    """Return ``profile`` as the table it could have been read from."""
    table = profile.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
    return {"engine": profile.engine, **table}


def fingerprint(candidate: Candidate, load: Load) -> str:
    """Return what identifies a measurement: results with the same fingerprint need not be taken again."""
    calls = [[call.system, call.greeting, *call.turns] for call in load.transcripts]
    told = [table_of(candidate.profile), calls, load.concurrent, load.rounds, load.busy]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def _read(path: Path) -> Sequence[dict[str, Any]]:
    try:
        file = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ProfileError(f"candidates {path}: cannot be read as TOML: {error}") from None
    tables = file.get("candidate")
    if set(file) != {"candidate"} or not isinstance(tables, list) or not tables:
        raise ProfileError(f"candidates {path}: expected one or more [[candidate]] and nothing else")
    return tables


def _usual(profile: Profile) -> Sequence[dict[str, Any]]:
    """Return the candidates that can be tried without further weights."""
    without: list[dict[str, Any]] = [{"name": "no speculation", "speculation": {}}]
    lookups = [
        {"name": f"ngram {tokens}", "speculation": {"method": "ngram", "tokens": tokens}} for tokens in (2, 4)
    ]
    match profile:
        case VllmProfile():
            suffix = {"name": "suffix 8", "speculation": {"method": "suffix", "tokens": 8}}
            return [*without, *lookups, suffix]
        case LlamaCppProfile():
            return [*without, *lookups]
    return without
