"""The ``[llm]`` section: which engine, where, and how long a caller waits for it."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from llm.failover import Limits
from serving.settings import Section


class Deadlines(BaseModel):
    """How long a request may take, as the caller feels it. Without another replica to go to, none cuts it off
    but the last."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    connect_milliseconds: int = Field(default=500, ge=10, description="TCP connection to a replica.")
    first_token_milliseconds: int = Field(
        default=1000, ge=50, description="Request sent to first token; past it the request moves on."
    )
    stall_milliseconds: int = Field(
        default=250,
        ge=20,
        description="Between two tokens; past it another replica takes the sentence over.",
    )
    hedge_milliseconds: int = Field(
        default=0,
        ge=0,
        description="After this long without a first token a second replica is asked too; 0: never.",
    )
    total_seconds: float = Field(default=60.0, gt=0, description="The whole answer, however it moved.")
    patience_seconds: float = Field(
        default=10.0,
        ge=0,
        description="How long engines that have all failed are asked again before giving up.",
    )

    def limits(self) -> Limits:
        """Return them in seconds."""
        return Limits(
            first_token=self.first_token_milliseconds / 1000,
            stall=self.stall_milliseconds / 1000,
            hedge=self.hedge_milliseconds / 1000 if self.hedge_milliseconds else None,
            total=self.total_seconds,
            patience=self.patience_seconds,
        )


class ReplicaSettings(BaseModel):
    """One engine, or all those a DNS name stands for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(pattern=r"^https?://", description="Base URL without /v1.")
    dns: bool = Field(default=False, description="Ask every address the host name resolves to.")
    model: str = Field(default="", description="Model name there; empty: the profile's served_name.")
    api_key_variable: str = Field(default="", description="Environment variable with the key for this URL.")
    health_path: str = Field(
        default="/health", description="Asked for 200; empty: never asked, and taken to live."
    )
    continues: bool = Field(
        default=True, description="It takes continue_final_message; without, it cannot take a sentence over."
    )
    limit_key: Literal["max_tokens", "max_completion_tokens"] = Field(
        default="max_tokens",
        description="What it calls the longest answer; newer OpenAI models want the second.",
    )
    prefill_url: str = Field(default="", description="Engine that reads the prompt first (disaggregated).")
    tier: int = Field(
        default=0, ge=0, description="Higher tiers are asked only when every lower one has failed."
    )


class LLMSettings(Section):
    """Section ``[llm]``."""

    profile: str = Field(default="embedded", description="Engine profile: a shipped name or a path.")
    host: str = Field(default="127.0.0.1", description="Address the engine binds.")
    port: int = Field(default=8083, ge=0, le=65535, description="Port the engine binds.")
    api_key: SecretStr = Field(
        default=SecretStr(""),
        description="Key the engine asks for; keep it in OFFHOOK_LLM__API_KEY. Empty: none.",
    )
    engine_python: str = Field(
        default="", description="Python that has the engine installed; empty: Offhook's own."
    )
    replicas: tuple[ReplicaSettings, ...] = Field(
        default=(), description="Engines to ask; empty: the one at host and port."
    )
    deadlines: Deadlines = Deadlines()
    health_seconds: float = Field(default=1.0, gt=0, description="Pause between two looks at every replica.")
    calls_per_turn: int = Field(
        default=8, ge=1, description="Model calls one turn may make (tools ask again)."
    )
    calls_per_call: int = Field(default=400, ge=1, description="Model calls one call may make.")

    @model_validator(mode="after")
    def _hedge_before_deadline(self) -> Self:
        deadlines = self.deadlines
        if deadlines.hedge_milliseconds >= deadlines.first_token_milliseconds:
            raise ValueError(
                f"deadlines.hedge_milliseconds = {deadlines.hedge_milliseconds} must be below "
                f"first_token_milliseconds = {deadlines.first_token_milliseconds}"
            )
        return self
