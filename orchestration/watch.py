"""The ``[telemetry]`` section: what the owner pays, and what is promised to callers."""

from pydantic import Field

from serving.settings import Section
from telemetry.cost import Prices


class TelemetrySettings(Section):
    """Section ``[telemetry]``."""

    slos: str = Field("", description="TOML file of objectives; empty: those that ship with Offhook.")
    prices: Prices = Field(Prices(), description="What the owner pays, for the cost of calls.")
