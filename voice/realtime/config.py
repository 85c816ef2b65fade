"""The session object: what a client may set, with OpenAI's defaults, and how an update changes it. Sans-I/O.

https://platform.openai.com/docs/api-reference/realtime-client-events/session/update
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from voice.realtime.errors import ClientEventError

#: OpenAI's built-in voices: clients name one by default. Each is the agent's own voice here.
OPENAI_VOICES = frozenset(
    {"alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar"}
)
#: Values that are replaced as a whole by an update, never merged.
_WHOLE = frozenset(
    {"format", "turn_detection", "transcription", "noise_reduction", "tools", "tool_choice"}
    | {"output_modalities", "tracing", "truncation", "reasoning", "include"}
)
#: Names of parameters; pydantic puts the members of unions into the path of an error as well.
_PARAMETER = re.compile(r"(?!(int|str|server_vad|semantic_vad)$)([a-z][a-z_]*|\d+)$")
_M = TypeVar("_M", bound=BaseModel)


class Part(BaseModel):
    """Base class: frozen, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Pcm(Part):
    """16-bit little-endian PCM, mono, 24 kHz."""

    type: Literal["audio/pcm"] = "audio/pcm"
    rate: Literal[24000] = 24000


class Pcmu(Part):
    """G.711 mu-law, mono, 8 kHz."""

    type: Literal["audio/pcmu"]


class Pcma(Part):
    """G.711 A-law, mono, 8 kHz."""

    type: Literal["audio/pcma"]


Format = Annotated[Pcm | Pcmu | Pcma, Field(discriminator="type")]


class Detection(Part):
    """What both ways of finding the end of a turn share."""

    create_response: bool = True
    interrupt_response: bool = True

    @model_validator(mode="before")
    @classmethod
    def _default_nulls(cls, values: Any) -> Any:
        """Let a null stand for the default, as OpenAI does."""
        return {k: v for k, v in values.items() if v is not None} if isinstance(values, dict) else values


class ServerVad(Detection):
    """A turn ends after a fixed quiet."""

    type: Literal["server_vad"] = "server_vad"
    threshold: float = Field(0.5, ge=0, le=1)
    prefix_padding_ms: int = Field(300, ge=0, le=10_000)
    silence_duration_ms: int = Field(500, ge=0, le=10_000)
    idle_timeout_ms: int | None = Field(None, ge=5_000, le=30_000)


class SemanticVad(Detection):
    """A turn ends when it sounds and reads complete."""

    type: Literal["semantic_vad"]
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"


TurnDetection = Annotated[ServerVad | SemanticVad, Field(discriminator="type")]


class Transcription(Part):
    """Whether the client is told what was understood. The ear is always the gateway's own."""

    model: str | None = None
    language: str | None = None
    prompt: str | None = Field(None, max_length=4_000)
    delay: str | None = None
    keywords: tuple[str, ...] | None = None
    languages: tuple[str, ...] | None = None

    @model_serializer(mode="wrap")
    def _shown(self, show: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Show what was there from the beginning, and of the rest what is set: pipecat takes no more."""
        first = {"model", "language", "prompt"}
        return {key: value for key, value in show(self).items() if key in first or value is not None}


class NoiseReduction(Part):
    """Taken, and without effect: the ear copes with noise by itself."""

    type: Literal["near_field", "far_field"] | None = None
    strength: float | None = None


class AudioInput(Part):
    """What comes from the client."""

    format: Format = Pcm()
    noise_reduction: NoiseReduction | None = None
    transcription: Transcription | None = None
    turn_detection: TurnDetection | None = ServerVad()


class AudioOutput(Part):
    """What goes to the client. The mouth speaks at 0.6 to 1.5 times its pace."""

    format: Format = Pcm()
    voice: str = Field("", max_length=80)
    speed: float = Field(1.0, ge=0.6, le=1.5)

    @field_validator("voice", mode="before")
    @classmethod
    def _by_id(cls, value: Any) -> Any:
        return value.get("id") if isinstance(value, dict) else value


class Audio(Part):
    """Both directions."""

    input: AudioInput = AudioInput()
    output: AudioOutput = AudioOutput()


class FunctionTool(Part):
    """A function that the client runs."""

    type: Literal["function"] = "function"
    name: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")
    description: str | None = Field(None, max_length=10_000)
    parameters: dict[str, Any] | None = None

    def as_chat(self) -> dict[str, Any]:
        """Return the tool as the chat completions API wants it."""
        parameters = self.parameters or {"type": "object", "properties": {}}
        function = {"name": self.name, "description": self.description or "", "parameters": parameters}
        return {"type": "function", "function": function}


class ChosenFunction(Part):
    """The one function that must be called."""

    type: Literal["function"]
    name: str


Modalities = tuple[Literal["text", "audio"], ...]
ToolChoice = Literal["auto", "none", "required"] | ChosenFunction
Tools = tuple[FunctionTool, ...]
MaxTokens = Annotated[int, Field(ge=1, le=4096)] | Literal["inf"]


def one_modality(value: Modalities) -> Modalities:
    """Return ``value`` if it is one modality: OpenAI's GA protocol has either, never both."""
    if len(value) != 1:
        raise ValueError('must be ["audio"] or ["text"]')
    return value


class SessionConfig(Part):
    """A session's settings."""

    type: Literal["realtime"] = "realtime"
    model: str = Field("offhook", max_length=200)
    output_modalities: Modalities = ("audio",)
    instructions: str = Field("", max_length=100_000)
    audio: Audio = Audio()
    tools: Tools = Field((), max_length=128)
    tool_choice: ToolChoice = "auto"
    max_output_tokens: MaxTokens = "inf"
    tracing: Any = None
    truncation: Any = "auto"
    include: tuple[str, ...] | None = None
    reasoning: dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    prompt: None = None

    _one_modality = field_validator("output_modalities")(one_modality)

    @property
    def spoken(self) -> bool:
        """Whether answers are spoken."""
        return self.output_modalities == ("audio",)

    def updated(self, update: Mapping[str, Any], *, voices: frozenset[str], at: str = "session") -> Self:
        """Return the settings after ``update``; a null takes a setting back to its default.

        Args:
            update: what the client sent.
            voices: names of the voices there are.
            at: where ``update`` stood in the event, for errors.

        Raises:
            ClientEventError: something in it is unknown or not allowed; nothing of it takes effect.

        """
        if update.get("type", "realtime") != "realtime":
            raise ClientEventError(
                "only sessions of type 'realtime' are served here", code="invalid_value", param=f"{at}.type"
            )
        changed = validated(type(self), _merged(self.model_dump(exclude_unset=True), update), at=at)
        voice = changed.audio.output.voice
        if voice and voice not in voices and voice not in OPENAI_VOICES:
            raise ClientEventError(
                f"there is no voice {voice[:40]!r}; there are: {', '.join(sorted(voices))}",
                code="invalid_value",
                param=f"{at}.audio.output.voice",
            )
        return changed

    def as_json(self, session_id: str, expires_at: int) -> dict[str, Any]:
        """Return the session object."""
        head = {"object": "realtime.session", "id": session_id, "expires_at": expires_at}
        return {**head, **self.model_dump(mode="json")}


def _merged(current: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(current)
    for key, value in update.items():
        if value is None and key != "turn_detection":
            merged.pop(key, None)
        elif isinstance(value, Mapping) and key not in _WHOLE:
            below = merged.get(key)
            merged[key] = _merged(below if isinstance(below, Mapping) else {}, value)
        else:
            merged[key] = value
    return merged


def validated(model: type[_M], values: Any, *, at: str) -> _M:
    """Return ``values`` as a ``model``.

    Raises:
        ClientEventError: they are not; it names the first offending parameter, below ``at``.

    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False)[0]
        steps = [at, *(str(step) for step in problem["loc"] if _PARAMETER.match(str(step)))]
        param = re.sub(r"\.(\d+)", r"[\1]", ".".join(step for step in steps if step))
        raise ClientEventError(
            f"{param}: {problem['msg']}" if param else problem["msg"],
            code=_CODES.get(problem["type"], _code_of(problem["type"])),
            param=param or None,
        ) from None


_CODES = {"extra_forbidden": "unknown_parameter", "missing": "missing_required_parameter"}


def _code_of(kind: str) -> str:
    return "invalid_type" if kind.endswith(("_type", "_parsing")) else "invalid_value"
