"""Command line of the embedded llama.cpp engine."""

import sys

from llm.command import Command, Place
from llm.profile import LlamaCppProfile

#: What of a profile concerns those who ask the engine, or those who start it.
_NOT_FOR_THE_ENGINE = {"name", "description", "sampling", "warm_up", "start_seconds", "environment"}


def build(profile: LlamaCppProfile, place: Place) -> Command:
    """Return the command of the Offhook process that holds llama.cpp; it needs no other interpreter."""
    argv = (
        sys.executable, "-m", "llm.llamacpp",
        "--host", place.host,
        "--port", str(place.port),
        "--profile", profile.model_dump_json(exclude_defaults=True, exclude=_NOT_FOR_THE_ENGINE),
    )  # fmt: skip
    return Command(argv, dict(profile.environment))
