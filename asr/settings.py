"""The ``[asr]`` section of the configuration."""

from itertools import pairwise
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from serving.settings import Section


class TurnSettings(BaseModel):
    """When a turn begins and ends. All times are audio time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    speech_threshold: float = Field(
        default=0.4, gt=0, lt=1, description="VAD probability from which a window is speech"
    )
    quiet_threshold: float = Field(
        default=0.3, gt=0, lt=1, description="VAD probability below which speech is no longer going on"
    )
    falling_threshold: float = Field(
        default=0.9,
        gt=0,
        le=1,
        description="VAD probability below which a turn may be ending: it is decoded ahead, in case it is",
    )
    falling_seconds: float = Field(
        default=0.128,
        ge=0,
        le=1,
        description="longest fall from falling_threshold to quiet_threshold: a voice between them for longer goes on",
    )
    fall_decibels: float = Field(
        default=25.0,
        gt=0,
        le=100,
        description="a voice this far below its loudest may be ending, too, before the VAD sees it; 100: never",
    )
    fallen_seconds: float = Field(
        default=0.3,
        ge=0,
        le=2,
        description="longest that such a voice is not believed to go on while the VAD is sure of it",
    )
    falling_interval_seconds: float = Field(
        default=0.3, ge=0, le=5, description="least time between two such decodes of one stream"
    )
    start_seconds: float = Field(
        default=0.096, gt=0, le=1, description="speech in a row before the ear begins to listen to a turn"
    )
    resume_seconds: float = Field(default=0.064, gt=0, le=1, description="speech in a row that ends a pause")
    preroll_seconds: float = Field(
        default=0.7, ge=0, le=2, description="audio kept from before the first speech"
    )
    eager_quiet_seconds: float = Field(
        default=0.064,
        ge=0.03,
        le=1,
        description="quiet after which the whole turn is decoded, unless it was decoded as the voice fell",
    )
    ask_seconds: tuple[float, ...] = Field(
        default=(0.12, 0.25, 0.45),
        min_length=1,
        description="quiets after which smart-turn is asked, once there is a transcript; it judges better later",
    )
    judging_seconds: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="how long it may take to answer beside an answer being made; what would come too late for the "
        "least quiet is asked for sooner",
    )
    ask_again_gain_seconds: float = Field(
        default=0.1, ge=0, le=1, description="it is not asked again where the turn would end this soon anyway"
    )
    min_quiet_seconds: float = Field(
        default=0.2,
        ge=0.05,
        le=2,
        description="least quiet before a turn is confirmed, however sure the ear is",
    )
    max_quiet_seconds: float = Field(
        default=1.6,
        ge=0.2,
        le=10,
        description="most quiet before a turn is confirmed, however unsure the ear is",
    )
    punctuation_weight: float = Field(
        default=0.9,
        ge=0,
        le=2,
        description="how far Whisper is believed where it would end a sentence after the last word, or go on",
    )
    question_log_odds: float = Field(
        default=2.5,
        ge=0,
        le=10,
        description="how sure Whisper must be of a question mark (at most 3.5) for a question to be whole, whatever "
        "smart-turn would say, which is not asked then",
    )
    max_end_confidence: float = Field(
        default=0.68,
        ge=0.5,
        lt=1,
        description="how sure of an end words and melody alone can make the ear; what eot_threshold wants besides "
        "takes quiet, 0.5 s of it for 0.83",
    )
    end_weight: float = Field(
        default=0.3,
        gt=0,
        le=1,
        description="how far smart-turn is believed: its log odds are multiplied by this (it is overconfident)",
    )
    hesitation_odds: float = Field(
        default=12.0,
        gt=0,
        le=100,
        description="odds that a quiet is a hesitation where neither Whisper nor smart-turn says anything",
    )
    pause_seconds: float = Field(
        default=0.6,
        gt=0,
        le=5,
        description="mean length of a pause inside a turn: quiet this long makes an end e times as likely",
    )
    first_partial_seconds: float = Field(
        default=0.4, ge=0.1, le=5, description="speech before the first partial, whose words start the turn"
    )
    partial_interval_seconds: float = Field(
        default=0.8, ge=0.1, le=10, description="least time between two partials of one stream"
    )
    max_partial_interval_seconds: float = Field(
        default=3.0,
        ge=0.1,
        le=30,
        description="interval to which partials back off while nothing is understood",
    )
    commit_seconds: float = Field(
        default=8.0,
        ge=2,
        le=25,
        description="length of a turn from which its text up to a pause is kept as it is",
    )
    max_window_seconds: float = Field(
        default=15.0,
        ge=5,
        le=28,
        description="most audio decoded at once; earlier words are kept as they are",
    )

    @field_validator("ask_seconds")
    @classmethod
    def _rising(cls, times: tuple[float, ...]) -> tuple[float, ...]:
        if not all(before < after for before, after in pairwise((0.0, *times))):
            raise ValueError("must be above 0, and each above the one before")
        return times


class DecodeSettings(BaseModel):
    """How Whisper decodes, and what of it is believed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    window_seconds: float = Field(default=10.0, ge=2, le=30, description="least encoder window")
    padding_seconds: float = Field(
        default=1.0, ge=0, le=10, description="silence after the audio in its window"
    )
    stop_seconds: float = Field(
        default=0.6,
        ge=0.1,
        le=3,
        description="an end timestamp this close to the audio's end is the end of the text",
    )
    tokens_per_second: float = Field(
        default=6.0, ge=2, le=20, description="tokens allowed for a second of audio"
    )
    extra_tokens: int = Field(default=10, ge=4, le=100, description="tokens allowed on top")
    no_speech_threshold: float = Field(
        default=0.6, gt=0, le=1, description="no-speech probability above which doubtful text is not believed"
    )
    speech_probability_threshold: float = Field(
        default=0.7,
        gt=0,
        lt=1,
        description="mean VAD probability of a turn below which doubtful text is not believed",
    )
    joint_no_speech_threshold: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="no-speech probability above which no text is believed, however probable, "
        "unless the VAD is sure of the voice",
    )
    joint_speech_probability_threshold: float = Field(
        default=0.8,
        gt=0,
        lt=1,
        description="mean VAD probability of a turn from which the VAD is sure of the voice",
    )
    log_probability_threshold: float = Field(
        default=-1.0, ge=-5, lt=0, description="mean log probability below which text is doubtful"
    )
    min_log_probability: float = Field(
        default=-2.0, ge=-5, lt=0, description="mean log probability below which text is never believed"
    )
    compression_ratio_threshold: float = Field(
        default=2.4, gt=1, le=10, description="compression ratio above which text repeats itself"
    )


class AsrSettings(Section):
    """The ear."""

    host: str = Field(default="127.0.0.1", description="address to bind")
    port: int = Field(default=8081, ge=0, le=65535, description="TCP port to bind")
    drain_seconds: float = Field(
        default=30.0, ge=0, le=3600, description="how long streams may go on after SIGTERM"
    )
    model: str = Field(
        default="whisper-tiny.en", description="model of the store, hf:OWNER/NAME@REVISION, or a path"
    )
    models: dict[str, str] = Field(
        default_factory=dict, description="further models to serve, by the name that requests use"
    )
    model_aliases: tuple[str, ...] = Field(
        default=("", "flux", "nova", "general", "whisper-1", "gpt-4o"),
        description="beginnings of other vendors' model names, for which the default model answers",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="auto: cuda where there is a GPU"
    )
    compute_type: str = Field(
        default="auto", description="auto: int8 on a CPU, float16 on a GPU; or one of CTranslate2's"
    )
    lanes: int = Field(
        default=2,
        ge=1,
        le=16,
        description="decodes that run side by side; the first of several is kept free for what a caller waits for",
    )
    cpu_threads: int = Field(default=1, ge=1, le=64, description="threads of one decode on a CPU")
    cpu_threads_alone: int = Field(
        default=2,
        ge=1,
        le=64,
        description="threads of what a caller waits for while only one stream is open and nothing else is decoded, "
        "as far as there are cores; more than cpu_threads loads the default model a second time",
    )
    language: str = Field(
        default="en", pattern="^([a-z]{2,3}|auto)$", description="ISO 639-1 code, or auto to detect"
    )
    max_batch: int = Field(default=8, ge=1, le=256, description="most decodes in one batch")
    batch_wait_seconds: float = Field(
        default=0.0,
        ge=0,
        le=0.1,
        description="how long a decode waits for company when several streams are open",
    )
    max_waiting_partials: int = Field(
        default=4, ge=1, le=1000, description="partials that may wait; older ones are dropped"
    )
    max_waiting_files: int = Field(
        default=32, ge=1, le=1000, description="file windows that may wait; more is refused"
    )
    max_streams: int = Field(default=64, ge=1, le=10000, description="open streams; more are refused")
    idle_timeout_seconds: float = Field(
        default=60.0, ge=1, le=3600, description="a stream that sends nothing for this long is closed"
    )
    send_timeout_seconds: float = Field(
        default=10.0, ge=0.1, le=300, description="a client that does not read for this long is closed"
    )
    max_queued_messages: int = Field(
        default=256, ge=8, le=10000, description="messages that may wait for a client that reads slowly"
    )
    turn: TurnSettings = TurnSettings()
    decode: DecodeSettings = DecodeSettings()
