"""``offhook``: the command that runs everything.

Servers are started as ``python -m asr``, ``-m tts``, ``-m llm`` and ``-m voice``; everything else is here.
What takes long to import is imported by the command that needs it.
"""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click
from loguru import logger as pipecat_logger
from rich.console import Console

from asr.cli import bench as bench_asr
from llm.bench_cli import failover, overhead, prefix, withdrawal
from llm.cli import llm, tune
from modelstore.cli import models
from modelstore.errors import ModelError
from serving.errors import ServingError
from serving.settings import CONFIG_VARIABLE, PROFILE_VARIABLE, profile_names
from telemetry.cli import cost, slo
from telemetry.errors import TelemetryError
from tts.cli import bench as bench_tts
from voice.access.cli import keys
from voice.bench.cli import bench as bench_call
from voice.bench.watching_cli import watching as bench_watching
from voice.errors import VoiceError
from voice.phone.cli import dial

# pipecat greets whoever imports it; a command's output is its own.
pipecat_logger.disable("pipecat")

#: Width of tables in a file or a pipe, characters.
PLAIN_COLUMNS = 160

P = ParamSpec("P")
R = TypeVar("R")


def plain_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Turn what our packages raise into one line and exit status 1."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        from llm.errors import LLMError
        from orchestration.errors import OrchestrationError

        try:
            return command(*args, **kwargs)
        except (VoiceError, ServingError, ModelError, OrchestrationError, LLMError, TelemetryError) as error:
            raise click.ClickException(str(error)) from None

    return run


def wide_console(*, stderr: bool = False) -> Console:
    """Return a console whose tables are not squeezed where the output is no terminal."""
    console = Console(stderr=stderr, highlight=False)
    return console if console.is_terminal else Console(stderr=stderr, highlight=False, width=PLAIN_COLUMNS)


@click.group()
@click.option(
    "--config", "config_file", type=click.Path(), help="Configuration file (default: ./offhook.toml)."
)
@click.version_option(package_name="offhook")
def main(config_file: str | None) -> None:
    """A self-hosted voice agent: a caller speaks, and hears the answer before the silence is noticed."""
    if config_file:
        os.environ[CONFIG_VARIABLE] = config_file


main.add_command(models)
main.add_command(keys)
main.add_command(dial)
main.add_command(slo)
main.add_command(cost)
main.add_command(llm)
main.add_command(tune)


@main.group()
def bench() -> None:
    """Measure: whole calls, what watching costs, the ear, the mouth, the mind."""


for measure in (bench_call, bench_asr, bench_tts, bench_watching, failover, overhead, prefix, withdrawal):
    bench.add_command(measure)


def profile_option(command: Callable[P, R]) -> Callable[P, R]:
    """Add ``--profile``."""

    def choose(_: click.Context, __: click.Parameter, value: str | None) -> None:
        if value:
            os.environ[PROFILE_VARIABLE] = value

    option = click.option(
        "--profile",
        type=click.Choice(profile_names()),
        callback=choose,
        expose_value=False,
        is_eager=True,
        help="Deployment profile, below your own settings.",
    )
    return option(command)


@main.command()
@profile_option
@plain_errors
def up() -> None:
    """Start the whole stack here and keep it up until Ctrl-C."""
    from orchestration.settings import load_configuration
    from voice.up import run_until_signal

    asyncio.run(run_until_signal(load_configuration(), click.echo))


@main.command()
@click.argument("files", nargs=-1, type=click.Path())
@click.option("--say", "texts", multiple=True, help="A question for the mouth to speak; may be given again.")
@click.option(
    "--url", help="HTTP base URL of a running gateway (default: start a stack, or use the one here)."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@click.option("--answer", type=click.Path(path_type=Path), default=Path("answer.wav"), show_default=True)
@profile_option
@plain_errors
def call(files: Sequence[str], texts: Sequence[str], url: str | None, as_json: bool, answer: Path) -> None:
    """Call the agent as a telephone would: ask FILES and --say questions, and hear the answers."""
    from voice.caller.report import show

    if not files and not texts:
        raise click.UsageError('give an audio file, or --say "What is the capital of France?"')
    console = wide_console(stderr=as_json)
    report = asyncio.run(_call(files, texts, url, answer, console))
    if as_json:
        click.echo(json.dumps(report, indent=2))
    else:
        show(report, console)


async def _call(
    files: Sequence[str], texts: Sequence[str], url: str | None, answer: Path, console: Console
) -> dict[str, Any]:
    from orchestration.settings import load_configuration
    from voice.caller.call import ask, is_up
    from voice.up import running_stack

    configuration = load_configuration()

    async def place(gateway_url: str) -> dict[str, Any]:
        return await ask(configuration, gateway_url=gateway_url, texts=texts, files=files, answer_wav=answer)

    if url:
        return await place(url.rstrip("/"))
    if await is_up(configuration.gateway_url):
        console.print(f"calling the stack that runs at {configuration.gateway_url}", style="dim")
        return await place(configuration.gateway_url)
    async with running_stack(configuration, lambda line: console.print(line, style="dim")):
        return await place(configuration.gateway_url)


@main.command()
@click.argument("trace_id")
@plain_errors
def trace(trace_id: str) -> None:
    """Show the trace of a call, by its id or the beginning of it, as a waterfall."""
    from telemetry.tracing import local_store
    from telemetry.waterfall import render, trace_bars

    spans = local_store().trace(trace_id)
    found = sorted({span.trace_id for span in spans})
    if not found:
        raise click.ClickException(
            f"no trace {trace_id!r} in {local_store().path}; `offhook calls` lists what there is"
        )
    if len(found) > 1:
        raise click.ClickException(f"{trace_id!r} begins several traces: {', '.join(found)}")
    wide_console().print(render(trace_bars(spans), title=f"trace {found[0]}"))


@main.command()
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000))
@plain_errors
def calls(limit: int) -> None:
    """List the last calls."""
    from telemetry.calls import table
    from telemetry.tracing import local_store

    wide_console().print(table(local_store().calls(limit)))


@main.command()
@profile_option
@plain_errors
def config() -> None:
    """Print the configuration in force, as TOML."""
    import tomli_w

    from orchestration.settings import SECTIONS, load_configuration

    configuration = load_configuration()
    sections = {
        name: getattr(configuration, name).model_dump(mode="json", exclude_none=True) for name in SECTIONS
    }
    sys.stdout.write(tomli_w.dumps(sections))


if __name__ == "__main__":
    main()
