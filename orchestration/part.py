"""What every part of an agent's definition is."""

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """Base class of the parts of a definition: frozen, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")
