"""The ``[guard]`` section: what may silence the agent, door by door."""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from orchestration.bargein import BargeInSettings
from serving.settings import Section

#: When the agent's echo is cancelled.
CancelEcho = Literal["always", "when heard", "never"]


class DoorGuard(BaseModel):
    """What is different at one door; unset means what ``[guard]`` says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    speech_probability: float | None = Field(None, gt=0, lt=1)
    windows: int | None = Field(None, ge=1, le=20)
    verdict_seconds: float | None = Field(None, gt=0, le=5)
    max_false_alarms: int | None = Field(None, ge=0, le=1000)
    echo_share: float | None = Field(None, gt=0, le=1)
    cancel_echo: CancelEcho | None = None


#: Doors whose callers' side takes the echo out.
CANCELLING_DOORS = {"web": DoorGuard(cancel_echo="never"), "realtime": DoorGuard(cancel_echo="never")}


class GuardSettings(Section):
    """Section ``[guard]``: when a sound on the line silences the agent."""

    speech_probability: float = Field(
        0.8, gt=0, lt=1, description="Probability that a window of 32 ms is speech, from which it counts."
    )
    windows: int = Field(1, ge=1, le=20, description="Such windows in a row before the agent falls silent.")
    verdict_seconds: float = Field(
        0.3,
        gt=0,
        le=5,
        description="How long after a sound words may still be found in it, before the agent goes on.",
    )
    max_false_alarms: int = Field(
        4,
        ge=0,
        le=1000,
        description="After so many in a call only understood words silence the agent; 0: from the start.",
    )
    echo_share: float = Field(
        0.8, gt=0, le=1, description="Share of the agent's own words that makes what was heard its echo."
    )
    cancel_echo: CancelEcho = Field(
        "when heard",
        description="Take the agent's own voice out of the caller's line (WebRTC's AEC3): always, never, or once the"
        " line was heard to echo.",
    )
    doors: Mapping[str, DoorGuard] = Field(
        CANCELLING_DOORS,
        description="Other values for one door: [guard.doors.twilio]. Browsers cancel echoes themselves.",
    )

    def at(self, door: str) -> "GuardSettings":
        """Return the settings as they hold at ``door``."""
        other = self.doors.get(door)
        return self.model_copy(update=other.model_dump(exclude_none=True)) if other else self

    def barge_in(self) -> BargeInSettings:
        """Return the part that decides about interruptions."""
        return BargeInSettings(
            speech_probability=self.speech_probability,
            windows=self.windows,
            verdict_seconds=self.verdict_seconds,
            max_false_alarms=self.max_false_alarms,
            echo_share=self.echo_share,
        )
