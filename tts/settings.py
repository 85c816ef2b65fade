# ruff: noqa: RUF001 - phonemes in an example
"""The ``[tts]`` section of the settings."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from serving.settings import Section


class PiperSettings(BaseModel):
    """A Piper voice."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: Literal["piper"] = "piper"
    model: str = Field(
        "piper-en_US-joe-medium", description="Name in the model store, or a path with a slash."
    )
    threads: int = Field(2, ge=1, le=64, description="Compute threads of one rendering step.")


class KokoroSettings(BaseModel):
    """A Kokoro voice."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: Literal["kokoro"]
    model: str = Field("kokoro-82m", description="Name in the model store, or a path with a slash.")
    voice: str = Field(description="Name of the voice in the model, such as af_heart.")
    language: str = Field("en", description="BCP 47 tag of text whose language a request does not say.")
    device: Literal["cpu", "cuda"] = Field("cpu", description="Where it computes.")
    threads: int = Field(1, ge=1, le=64, description="Compute threads of one rendering step, on a processor.")


class RemoteSettings(BaseModel):
    """A voice behind an OpenAI-compatible speech endpoint, such as an LLM-style engine on a GPU."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: Literal["openai"]
    base_url: str = Field(description="URL up to and without /audio/speech.")
    model: str = Field(description="Name of the model there.")
    voice: str = Field(description="Name of the voice there.")
    language: str = Field("en", description="BCP 47 tag of text whose language a request does not say.")
    api_key_variable: str = Field("", description="Environment variable that holds the key; empty for none.")
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="Further fields of its requests, such as instructions."
    )
    sample_rate: int = Field(24000, ge=8000, le=48000, description="Rate of its pcm, samples a second.")
    timeout_seconds: float = Field(10.0, gt=0, description="Longest silence on the line.")
    characters_per_second: float = Field(
        15.0, gt=0, description="Pace to begin with, from which word times are estimated."
    )


def _engine_of(voice: Any) -> str:
    named = voice.get("engine", "piper") if isinstance(voice, dict) else voice.engine
    return str(named)


VoiceSettings = Annotated[
    Annotated[PiperSettings, Tag("piper")]
    | Annotated[KokoroSettings, Tag("kokoro")]
    | Annotated[RemoteSettings, Tag("openai")],
    Discriminator(_engine_of),
]


def _default_voices() -> dict[str, VoiceSettings]:
    return {"joe": PiperSettings.model_validate({})}


class TtsSettings(Section):
    """Settings of the mouth."""

    host: str = Field("127.0.0.1", description="Address to bind.")
    port: int = Field(8082, ge=0, le=65535, description="TCP port.")
    drain_seconds: float = Field(30.0, ge=0, description="How long calls may go on after SIGTERM.")
    voices: dict[str, VoiceSettings] = Field(
        default_factory=_default_voices,
        min_length=1,
        description="Voices by the name clients ask for.",
    )
    default_voice: str = Field("joe", description="Voice of a request that names none.")
    compute_slots: int = Field(
        1, ge=1, le=256, description="Rendering steps that run at once; cores are slots times threads."
    )
    lexicons: dict[str, dict[str, str]] = Field(
        default_factory=dict,
        description="Pronunciation dictionaries by the id that requests name (pronunciation_dict_id): written form"
        ' to other text ("nginx" = "engine x") or phonemes ("Metformin" = "<<m|ɛ|t|f|ˈ|ɔ|ɹ|m|ɪ|n>>").',
    )
    clause_pause_seconds: float = Field(
        0.12, ge=0, le=2, description="Silence after a clause, beside the 50 ms left of the voice's own."
    )
    sentence_pause_seconds: float = Field(
        0.22, ge=0, le=2, description="Silence after a sentence, beside the 50 ms left of the voice's own."
    )
    cache_megabytes: float = Field(
        32.0, ge=0, description="Memory for short phrases that were said before; 0 keeps none."
    )
    cache_characters: int = Field(80, ge=0, description="Longest text that is kept, characters.")
    outbox_messages: int = Field(
        64, ge=1, description="Messages of one connection that may wait for its client to read."
    )
    max_requests: int = Field(64, ge=1, description="Requests to /v1/audio/speech that may be in progress.")
    fair_contexts: int = Field(
        8, ge=1, description="Contexts of one connection that are served like everybody's; more come after."
    )
    max_contexts: int = Field(32, ge=1, description="Contexts that one connection may have open.")
    max_pending_characters: int = Field(
        20000, ge=100, description="Text of one context that may wait to be spoken, characters."
    )
    context_idle_seconds: float = Field(
        60.0, gt=0, description="A context with nothing to say and no new text for this long is ended."
    )
    send_timeout_seconds: float = Field(
        10.0, gt=0, description="A client that takes nothing for this long is disconnected."
    )

    @model_validator(mode="after")
    def _default_exists(self) -> "TtsSettings":
        if self.default_voice not in self.voices:
            raise ValueError(
                f"default_voice {self.default_voice!r} is not among the voices: {', '.join(sorted(self.voices))}"
            )
        return self
