"""Commands of the mind: ``offhook llm`` and ``offhook tune``; those that measure are in :mod:`llm.bench_cli`.

What takes long to import is imported by the command that needs it.
"""

import asyncio
import secrets
import signal
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click
from pydantic import SecretStr

from llm.adapters import load_adapter, unload_adapter
from llm.command import Command
from llm.engine import LaunchSpec, launch_specs
from llm.errors import LLMError
from llm.profile import Adapter, load_profile, profile_names
from llm.settings import LLMSettings
from modelstore import ModelError
from serving.errors import ServingError
from serving.ports import free_port
from serving.settings import load_section

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


P = ParamSpec("P")
R = TypeVar("R")


def plain_errors(command: "Callable[P, R]") -> "Callable[P, R]":
    """Turn our errors into one line and exit status 1."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except (LLMError, ModelError, ServingError) as error:
            raise click.ClickException(str(error)) from None

    return run


@click.group()
def llm() -> None:
    """Engine profiles and what becomes of them."""


@llm.command("command")
@click.argument("profile")
@plain_errors
def show_command(profile: str) -> None:
    """Print the exact command line that PROFILE (a shipped name or a path) becomes."""
    for spec in launch_specs(load_profile(profile), load_section("llm", LLMSettings)):
        click.echo(Command(spec.argv, spec.public_env))


@llm.command("profiles")
@plain_errors
def show_profiles() -> None:
    """List the profiles that ship."""
    for name in profile_names():
        click.echo(f"{name:14} {load_profile(name).description}")


@llm.command("load-adapter")
@click.argument("name")
@click.argument("path")
@plain_errors
def load_lora(name: str, path: str) -> None:
    """Load the LoRA adapter at PATH into the running engine, as model NAME."""
    settings = load_section("llm", LLMSettings)
    key = settings.api_key.get_secret_value()
    asyncio.run(load_adapter(_url_of(settings), Adapter(name=name, path=path), api_key=key))


@llm.command("unload-adapter")
@click.argument("name")
@plain_errors
def unload_lora(name: str) -> None:
    """Take the LoRA adapter NAME out of the running engine."""
    settings = load_section("llm", LLMSettings)
    asyncio.run(unload_adapter(_url_of(settings), name, api_key=settings.api_key.get_secret_value()))


@click.command()
@click.argument("profile")
@click.option(
    "--candidates", type=click.Path(path_type=Path), help="TOML file; default: what needs no more weights."
)
@click.option(
    "--transcripts", type=click.Path(path_type=Path), help="JSON file of calls; default: those that ship."
)
@click.option("--calls", default=2, show_default=True, type=click.IntRange(1), help="Calls at once.")
@click.option(
    "--rounds", default=1, show_default=True, type=click.IntRange(1), help="Times each call is played."
)
@click.option(
    "--busy",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="Processes that compute beside the engine, as ear and mouth do.",
)
@click.option(
    "--folder", default="tune", show_default=True, type=click.Path(path_type=Path), help="Results go here."
)
@click.option("--cost-per-hour", type=float, help="What the machine costs an hour; adds a column.")
@plain_errors
def tune(
    profile: str,
    candidates: Path | None,
    transcripts: Path | None,
    calls: int,
    rounds: int,
    busy: int,
    folder: Path,
    cost_per_hour: float | None,
) -> None:
    """Try engine settings on real calls and rank them by p95 time to first sentence.

    A run that was broken off goes on where it stopped when started again with the same folder.
    """
    from llm import tune_report
    from llm.questions import load, shipped
    from llm.tune import Tuner
    from llm.tune_plan import Load, load_candidates

    tried = load_candidates(load_profile(profile), candidates)
    played = tuple(load(transcripts) if transcripts else shipped())
    plan = Load(played, concurrent=calls, rounds=rounds, busy=busy)
    settings = own_place(secrets.token_urlsafe())
    results = run(Tuner(plan, settings, folder, say=click.echo).run(tried))
    winner = tune_report.write(folder, tried, results, plan, cost_per_hour=cost_per_hour)
    click.echo(tune_report.markdown(tune_report.ranked(results), plan, cost_per_hour))
    if winner is None:
        raise click.ClickException(f"no candidate could be measured; see the logs in {folder}")
    click.echo(f"winner: {winner}; run it with OFFHOOK_LLM__PROFILE={winner} offhook up")


def run(work: "Coroutine[Any, Any, R]") -> R:
    """Run ``work``; on SIGTERM, as on Ctrl-C, the engines it has started are stopped before it ends."""

    async def until_told() -> R:
        task = asyncio.current_task()
        assert task is not None
        # A shell ignores SIGINT for what it starts in the background, so SIGTERM must not come as one.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await work

    try:
        return asyncio.run(until_told())
    except asyncio.CancelledError:
        raise click.Abort from None


def _url_of(settings: LLMSettings) -> str:
    return f"http://{settings.host}:{settings.port}"


def own_place(key: str) -> LLMSettings:
    """Return the settings with a port nobody uses and a key nobody knows, so that nothing is disturbed."""
    settings = load_section("llm", LLMSettings)
    return settings.model_copy(update={"port": free_port(settings.host), "api_key": SecretStr(key)})


def spec_of(profile: str, key: str) -> LaunchSpec:
    """Return the one engine of ``profile``, at a place of its own."""
    specs = launch_specs(load_profile(profile), own_place(key))
    if len(specs) != 1:
        raise click.UsageError(f"profile {profile} is {len(specs)} processes; choose one that is one")
    return specs[0]
