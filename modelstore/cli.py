"""``offhook models``: pull and list models."""

import time
from collections.abc import Callable
from functools import partial

import click

from modelstore.catalog import load_catalog, select
from modelstore.errors import ModelError
from modelstore.pull import Report, pull, pull_from_hub
from modelstore.store import HUB_PREFIX, models_dir


@click.group()
def models() -> None:
    """Pull and list model weights."""


@models.command("pull")
@click.argument("names", nargs=-1)
def pull_command(names: tuple[str, ...]) -> None:
    """Pull the named models, or those the CPU default needs.

    NAMES are of the catalog (see `offhook models list`) or hf:OWNER/NAME@REVISION.
    """
    hub = [name for name in names if name.startswith(HUB_PREFIX)]
    named = tuple(name for name in names if not name.startswith(HUB_PREFIX))
    try:
        for model in select(named) if named or not hub else []:
            _report_pull(model.title, partial(pull, model))
        for name in hub:
            _report_pull(name, partial(pull_from_hub, name))
    except ModelError as error:
        raise click.ClickException(str(error)) from None


@models.command("list")
def list_command() -> None:
    """List the models of the catalog and whether they are here."""
    for model in load_catalog().values():
        state = "here" if (models_dir() / model.name).is_dir() else "not pulled"
        size = f"{model.download_bytes / 1e6:.0f} MB"
        click.echo(f"{model.name:28} {state:10} {size:>7}  {model.licence:12} {model.title}")


def _report_pull(title: str, action: Callable[[Report], bool]) -> None:
    started = time.monotonic()
    fetched = action(lambda text: click.echo(f"  {title}: {text}"))
    took = time.monotonic() - started
    click.echo(f"  {title}: {f'ready in {took:.0f} s' if fetched else 'already here'}")
