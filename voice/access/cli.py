"""``offhook keys``: make, list and revoke API keys."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast, get_args

import click

from voice.access.keys import KeyRing, Scope, load_keys, new_key, save_keys
from voice.errors import VoiceError

DEFAULT_FILE = Path(".offhook/keys.toml")


def _file(value: Path | None) -> Path:
    """Return the keys file: as given, as configured, or the usual one."""
    from orchestration.doors import AccessSettings
    from serving.errors import ServingError
    from serving.settings import load_section

    if value:
        return value
    try:
        configured = load_section("access", AccessSettings).keys_file
    except ServingError as error:
        raise click.ClickException(str(error)) from None
    return Path(configured) if configured else DEFAULT_FILE


def _load(path: Path) -> KeyRing:
    try:
        return load_keys(path) if path.exists() else KeyRing()
    except VoiceError as error:
        raise click.ClickException(str(error)) from None


file_option = click.option(
    "--file", "file", type=click.Path(path_type=Path), help="Keys file (default: [access] keys_file)."
)


@click.group()
def keys() -> None:
    """API keys of the gateway; a running gateway reads them when it starts."""


@keys.command()
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice(get_args(Scope)))
@click.option("--requests-per-minute", default=120, show_default=True, type=click.IntRange(1))
@click.option("--max-calls", default=8, show_default=True, type=click.IntRange(1), help="Calls held at once.")
@file_option
def create(
    name: str, scopes: Sequence[str], requests_per_minute: int, max_calls: int, file: Path | None
) -> None:
    """Make a key called NAME and show it, once."""
    path = _file(file)
    try:
        secret, key = new_key(
            name,
            cast("tuple[Scope, ...]", tuple(scopes)),
            requests_per_minute=requests_per_minute,
            max_calls=max_calls,
        )
        save_keys(path, _load(path).with_key(key))
    except (VoiceError, OSError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{secret}\nkept as a hash in {path}; this is the only time it is shown")


@keys.command("list")
@file_option
def list_keys(file: Path | None) -> None:
    """List the keys."""
    for key in _load(_file(file)):
        click.echo(
            f"{key.name:20} {','.join(key.scopes):24} {key.requests_per_minute}/min {key.max_calls} calls"
        )


@keys.command()
@click.argument("name")
@file_option
def revoke(name: str, file: Path | None) -> None:
    """Take the key called NAME away."""
    path = _file(file)
    try:
        save_keys(path, _load(path).without(name))
    except (VoiceError, OSError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"revoked; restart the gateway, or it keeps {name!r} until then")
