"""Service level objectives: what callers are promised, as one validated TOML file."""

import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, Self

from prometheus_client.utils import floatToGoString
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from telemetry.errors import ObjectivesError
from telemetry.metrics import BUCKETS_SECONDS
from telemetry.names import FIGURES, Figure

SHIPPED = "slos.toml"
HOURS_PER_DAY = 24
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
#: Why a caller was not let in although they might have been: the service had no room or was not ready.
UNANSWERED_CAUSES = ("at_capacity",)


class Part(BaseModel):
    """Base class of the parts of the file: frozen, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Objective(Part):
    """One promise: a share of events that are good, over a window.

    Either ``figure`` and ``under_seconds`` (good: the figure is at most that), or ``events``.
    """

    name: Name
    title: str = Field(min_length=1)
    objective: float = Field(gt=0, lt=1, description="Share of events that are good.")
    window_days: int = Field(30, ge=1, le=90, description="Over how many days.")
    figure: str = Field("", description="A figure's short name.")
    under_seconds: float = Field(0.0, ge=0, description="One of the histogram's bounds.")
    events: Literal["", "calls_answered", "calls_without_fault"] = ""
    min_events: int = Field(10, ge=1, description="Fewer events than this in the long window alert nobody.")

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if bool(self.figure) == bool(self.events):
            raise ValueError("give either figure and under_seconds, or events")
        if self.figure:
            if self.figure not in {figure.key for figure in FIGURES}:
                raise ValueError(f"figure is one of {', '.join(figure.key for figure in FIGURES)}")
            if self.under_seconds not in BUCKETS_SECONDS:
                raise ValueError(f"under_seconds is one of {', '.join(map(str, BUCKETS_SECONDS))}")
        return self

    @property
    def measured(self) -> Figure | None:
        """The figure it is about, if it is about one."""
        return next((figure for figure in FIGURES if figure.key == self.figure), None)

    @property
    def budget(self) -> float:
        """Share of events that may be bad."""
        return 1 - self.objective

    def bad(self, window: str) -> str:
        """Return PromQL for bad events a second over ``window``."""
        if self.measured:
            name, bound = self.measured.metric, str(floatToGoString(self.under_seconds))  # type: ignore[no-untyped-call]
            return f'sum(rate({name}_count[{window}])) - sum(rate({name}_bucket{{le="{bound}"}}[{window}]))'
        if self.events == "calls_answered":
            return f"(sum(rate({_REFUSED}[{window}])) or vector(0))"
        return f'sum(rate(voice_calls_total{{outcome="fault"}}[{window}]))'

    def total(self, window: str) -> str:
        """Return PromQL for all events a second over ``window``."""
        if self.measured:
            return f"sum(rate({self.measured.metric}_count[{window}]))"
        calls = f"sum(rate(voice_calls_total[{window}]))"
        if self.events == "calls_answered":
            return f"(({calls} or vector(0)) + (sum(rate({_REFUSED}[{window}])) or vector(0)))"
        return calls

    def error_ratio(self, window: str) -> str:
        """Return PromQL for the share of bad events over ``window``; no value where there are no events."""
        return f"({self.bad(window)}) / ({self.total(window)} > 0)"


class Alerting(Part):
    """Where alerts go."""

    page_webhook: str = Field("http://127.0.0.1:5001/page", pattern=r"^https?://")
    ticket_webhook: str = Field("http://127.0.0.1:5001/ticket", pattern=r"^https?://")


class Objectives(Part):
    """The whole file."""

    alerting: Alerting = Alerting()
    objectives: dict[Name, Objective] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _name_them(cls, data: object) -> object:
        if isinstance(data, dict) and isinstance(data.get("objectives"), dict):
            named = {
                name: {"name": name, **table} if isinstance(table, dict) else table
                for name, table in data["objectives"].items()
            }
            return {**data, "objectives": named}
        return data

    def all(self) -> list[Objective]:
        """Return the objectives in the file's order."""
        return list(self.objectives.values())


def load_objectives(path: str = "") -> Objectives:
    """Load the file at ``path``; empty: the one that ships with Offhook.

    Raises:
        ObjectivesError: it cannot be read or is wrong; the text names file, key and value.

    """
    shown = path or SHIPPED
    try:
        text = Path(path).read_text("utf-8") if path else _shipped()
        return Objectives.model_validate(tomllib.loads(text))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ObjectivesError(f"{shown}: cannot be read: {error}") from None
    except ValidationError as error:
        problems = [
            f"{'.'.join(str(part) for part in item['loc'])}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors(include_url=False)
        ]
        raise ObjectivesError(f"{shown}: {'; '.join(problems)}") from None


def _shipped() -> str:
    return (resources.files("deploy") / SHIPPED).read_text(encoding="utf-8")


_REFUSED = f'voice_refusals_total{{cause=~"{"|".join(UNANSWERED_CAUSES)}"}}'
