"""The ``[telemetry]`` section: what the owner pays, what is promised to callers, what is recorded."""

from pydantic import Field

from serving.settings import Section
from telemetry.cost import Prices


class TelemetrySettings(Section):
    """Section ``[telemetry]``."""

    slos: str = Field("", description="TOML file of objectives; empty: those that ship with Offhook.")
    record_content: bool = Field(
        False,
        description="Put what is said, prompts and tools' arguments into traces, with personal data redacted.",
    )
    prices: Prices = Field(Prices(), description="What the owner pays, for the cost of calls.")
