"""Sections of the one TOML configuration file, each validated on its own.

Values come, weakest first, from: the defaults of the section's class, the deployment profile
(``deploy/profiles/NAME.toml``), the user's file (``$OFFHOOK_CONFIG`` or ``./offhook.toml``), and the
environment (``OFFHOOK_<SECTION>__<KEY>``, nested keys joined by ``__``).
"""

import json
import os
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError as UnparsableVariableError

from serving.errors import SettingsError

CONFIG_VARIABLE = "OFFHOOK_CONFIG"
PROFILE_VARIABLE = "OFFHOOK_PROFILE"
DEFAULT_FILE = "offhook.toml"
ENV_PREFIX = "OFFHOOK_"

#: Top-level keys of the file that are not sections.
TOP_LEVEL_KEYS = frozenset({"profile"})


class Section(BaseSettings):
    """Base class of one section: frozen, no unknown keys, environment above file."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_nested_delimiter="__", nested_model_default_partial_update=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment override what the file says."""
        return env_settings, init_settings


S = TypeVar("S", bound=Section)


def load_section(name: str, cls: type[S]) -> S:
    """Load section ``name`` as ``cls``.

    Raises:
        SettingsError: the file cannot be read, or a key is unknown or its value not allowed.

    """
    prefix = f"{ENV_PREFIX}{name.upper()}__"
    _refuse_unknown_variables(prefix, cls)
    table = read_tables().get(name, {})
    try:
        return cls(_env_prefix=prefix, **table)
    except ValidationError as error:
        raise SettingsError(_describe(name, prefix, cls, error)) from None
    except UnparsableVariableError:
        raise SettingsError(_describe_unparsable(prefix, cls)) from None


def read_tables() -> dict[str, dict[str, Any]]:
    """Return every section of the profile and the file, merged; the file wins.

    Raises:
        SettingsError: a file is named but missing, is not TOML, or has a value outside any section.

    """
    file = _read(path, str(path)) if (path := config_path()) else {}
    profile = os.environ.get(PROFILE_VARIABLE) or file.get("profile")
    merged = _read_profile(str(profile)) if profile else {}
    for name, table in file.items():
        if name in TOP_LEVEL_KEYS:
            continue
        if not isinstance(table, dict):
            raise SettingsError(
                f"{path}: {name} = {table!r} stands outside any section; write it under [section]"
            )
        merged[name] = _merge(merged.get(name, {}), table)
    return merged


def config_path() -> Path | None:
    """Return the user's configuration file, or None where there is none.

    Raises:
        SettingsError: ``$OFFHOOK_CONFIG`` names a file that does not exist.

    """
    if named := os.environ.get(CONFIG_VARIABLE):
        if not Path(named).is_file():
            raise SettingsError(f"{CONFIG_VARIABLE}={named}: no such file; unset it or create the file")
        return Path(named)
    default = Path(DEFAULT_FILE)
    return default if default.is_file() else None


def profile_names() -> list[str]:
    """Return the deployment profiles that ship with Offhook."""
    folder = resources.files("deploy") / "profiles"
    return sorted(
        entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")
    )


def _read_profile(name: str) -> dict[str, Any]:
    if name not in profile_names():
        raise SettingsError(f"profile = {name!r}: no such profile; there are: {', '.join(profile_names())}")
    path = resources.files("deploy") / "profiles" / f"{name}.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _read(path: Path, shown: str) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{shown}: cannot be read as TOML: {error}") from None


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _refuse_unknown_variables(prefix: str, cls: type[Section]) -> None:
    for variable in os.environ:
        if variable.startswith(prefix):
            key = variable.removeprefix(prefix).split("__")[0].lower()
            if key not in cls.model_fields:
                raise SettingsError(
                    f"{variable}: no such setting; allowed: {', '.join(sorted(cls.model_fields))}"
                )


def _describe(name: str, prefix: str, cls: type[BaseModel], error: ValidationError) -> str:
    lines = []
    for item in error.errors(include_url=False):
        path = [str(part) for part in item["loc"]]
        variable = prefix + "__".join(path).upper()
        in_file = f"{config_path() or 'settings'} [{name}] {'.'.join(path)}"
        source = variable if variable in os.environ else in_file
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            lines.append(f"{source}: no such setting; allowed: {_allowed(cls, path[:-1])}")
        else:
            shown = "" if _may_be_secret(cls, path) else f" = {item['input']!r}"
            lines.append(f"{source}{shown}: {message[0].lower()}{message[1:]}")
    return "; ".join(lines)


def _may_be_secret(cls: type[BaseModel], path: Sequence[str]) -> bool:
    """Return whether what lies at ``path`` is a secret or has one in it, so that no error shows it."""
    field: Any = cls
    for key in path:
        if not (isinstance(field, type) and issubclass(field, BaseModel) and key in field.model_fields):
            break
        field = field.model_fields[key].annotation
    return _holds_secret(field)


def _holds_secret(annotation: Any) -> bool:
    if annotation is SecretStr:
        return True
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return any(_holds_secret(field.annotation) for field in annotation.model_fields.values())
    return any(_holds_secret(argument) for argument in get_args(annotation))


def _describe_unparsable(prefix: str, cls: type[Section]) -> str:
    """Name the variables of lists and tables whose values are not JSON."""
    wrong = []
    for variable, value in os.environ.items():
        if not variable.startswith(prefix):
            continue
        *path, key = variable.removeprefix(prefix).lower().split("__")
        table = _table(cls, path)
        if table and key in table.model_fields and not _is_scalar(table.model_fields[key].annotation):
            try:
                json.loads(value)
            except json.JSONDecodeError:
                shown = "" if _holds_secret(table.model_fields[key].annotation) else f" = {value!r}"
                wrong.append(f"{variable}{shown}: a list or table is written as JSON")
    return "; ".join(wrong)


def _is_scalar(annotation: Any) -> bool:
    return annotation in (str, int, float, bool, Path, SecretStr)


def _allowed(cls: type[BaseModel], path: Sequence[str]) -> str:
    table = _table(cls, path)
    return ", ".join(sorted(table.model_fields)) if table else "see `offhook config`"


def _table(cls: type[BaseModel], path: Sequence[str]) -> type[BaseModel] | None:
    """Return the model of the table that ``path`` leads to; None where it is none."""
    for key in path:
        annotation = cls.model_fields[key].annotation if key in cls.model_fields else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return None
        cls = annotation
    return cls
