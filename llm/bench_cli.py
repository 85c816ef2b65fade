"""Commands that measure the mind: ``offhook bench failover``, ``overhead``, ``prefix`` and ``withdrawal``.

What takes long to import is imported by the command that needs it.
"""

import json
import secrets
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from llm.cli import plain_errors, run, spec_of
from llm.engine import LaunchSpec
from llm.failover import Limits
from llm.settings import LLMSettings
from serving.settings import load_section

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from _typeshed import DataclassInstance

    from llm.bench_failover import ResultFile, Summary

R = TypeVar("R")

#: Bound of the gap a failure adds to the survivor's own first token, seconds.
ADDED_GAP_BOUND = 0.3


@click.command()
@click.option(
    "--profile", "profiles", multiple=True, help="Engine profile; give two or more (default: twice embedded)."
)
@click.option("--answers", default=100, show_default=True, type=click.IntRange(1), help="Answers to disturb.")
@click.option(
    "--fault", "faults", multiple=True, type=click.Choice(["kill", "freeze"]), help="Default: both in turn."
)
@click.option(
    "--folder",
    default="failover",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Results and the engines' logs go here.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@plain_errors
def failover(
    profiles: Sequence[str], answers: int, faults: Sequence[str], folder: Path, as_json: bool
) -> None:
    """Kill or freeze the engine that is speaking, and measure the silence.

    The engines are started here and speak with their profiles' weights. A run that was broken off goes on where
    it stopped when started again with the same folder. Exit status 1 when an answer was not completed, or when
    the median added gap is out of bounds.
    """
    from llm.bench_failover import ResultFile

    key = secrets.token_urlsafe()
    names = tuple(profiles) or ("embedded", "embedded")
    specs = [spec_of(name, key) for name in names]
    if len(specs) < 2:
        raise click.UsageError("an answer can only move where there are two engines; give --profile twice")
    struck = tuple(faults) or ("kill", "freeze")
    deadlines = load_section("llm", LLMSettings).deadlines
    setup = {"profiles": names, "faults": struck, "deadlines": deadlines.model_dump()}
    file = ResultFile(folder / "results.jsonl", setup)
    limits = deadlines.limits()
    summary = run(_disturb(specs, key, answers, struck, file, limits, quiet=as_json))
    click.echo(json.dumps(asdict(summary)) if as_json else _table(summary))
    if summary.complete < summary.answers or summary.added_p50 > ADDED_GAP_BOUND:
        raise SystemExit(1)


@click.command()
@click.option("--profile", default="embedded", show_default=True, help="Engine profile to start and ask.")
@click.option("--answers", default=100, show_default=True, type=click.IntRange(1), help="Answers each way.")
@plain_errors
def overhead(profile: str, answers: int) -> None:
    """Compare first tokens through our client with those of bare HTTP streaming."""
    from llm.bench_overhead import measure

    key = secrets.token_urlsafe()
    spec = spec_of(profile, key)
    result = _with_engine(spec, key, lambda: measure(spec, api_key=key, answers=answers))
    _print(result)
    click.echo(f"added p50      {(result.client_p50 - result.bare_p50) * 1000:.2f} ms")


@click.command()
@click.option("--profile", default="embedded", show_default=True, help="Engine profile to start and ask.")
@click.option(
    "--prompts", default=20, show_default=True, type=click.IntRange(1), help="Prompts, each asked twice."
)
@click.option(
    "--tokens", default=280, show_default=True, type=click.IntRange(8), help="Length of a prompt, about."
)
@plain_errors
def prefix(profile: str, prompts: int, tokens: int) -> None:
    """Measure what a cached prefix saves: first tokens of new prompts, and of the same ones again."""
    from llm.bench_prefix import measure

    key = secrets.token_urlsafe()
    spec = spec_of(profile, key)
    _print(_with_engine(spec, key, lambda: measure(spec, api_key=key, prompts=prompts, words=tokens)))


@click.command()
@click.option("--profile", required=True, help="Engine profile of a vLLM or an SGLang, to start and ask.")
@click.option("--answers", default=50, show_default=True, type=click.IntRange(1), help="Answers to withdraw.")
@plain_errors
def withdrawal(profile: str, answers: int) -> None:
    """Withdraw answers after their first words, and measure when the engine has let go of them."""
    from llm.bench_withdrawal import measure

    key = secrets.token_urlsafe()
    spec = spec_of(profile, key)
    _print(_with_engine(spec, key, lambda: measure(spec, api_key=key, answers=answers)))


async def _disturb(
    specs: Sequence[LaunchSpec],
    key: str,
    answers: int,
    faults: Sequence[str],
    file: "ResultFile",
    limits: Limits,
    *,
    quiet: bool,
) -> "Summary":
    from llm.bench_failover import FailoverBench, summarise
    from llm.questions import shipped

    done = len(file.results)
    if done and not quiet:
        click.echo(f"{min(done, answers)} of {answers} answers were disturbed before")
    if done < answers:
        async with FailoverBench(specs, folder=file.folder, api_key=key, limits=limits) as bench:
            async for result in bench.run(shipped(), answers=answers, faults=faults, done=done):
                file.add(result)
                if not quiet:
                    click.echo(f"{len(file.results):4}/{answers} {result}")
    return summarise(file.results[:answers])


def _with_engine(spec: LaunchSpec, key: str, measure: "Callable[[], Coroutine[Any, Any, R]]") -> R:
    """Start the engine of ``spec``, and return what ``measure`` finds."""
    from llm.process import running

    async def measured() -> R:
        with tempfile.TemporaryDirectory() as folder:
            async with running(spec, log=Path(folder) / "engine.log", api_key=key):
                return await measure()

    return run(measured())


def _print(figures: "DataclassInstance") -> None:
    """Print figures, times in milliseconds."""
    for name, value in asdict(figures).items():
        click.echo(f"{name:14} {f'{value * 1000:.2f} ms' if isinstance(value, float) else value}")


def _table(summary: "Summary") -> str:
    lines = [
        f"answers      {summary.answers}",
        f"complete     {summary.complete}",
        f"same text    {summary.same}",
        f"seamless     {summary.seamless}",
    ]
    figures = {name: value for name, value in asdict(summary).items() if isinstance(value, float)}
    lines += [f"{name.replace('_', ' '):12} {value * 1000:.0f} ms" for name, value in figures.items()]
    return "\n".join(lines)
