"""Agent definitions: who answers the phone, as one validated TOML file."""

import hashlib
import tomllib
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, ValidationError, model_validator
from pydantic_core import ErrorDetails

from orchestration.errors import AgentError
from orchestration.part import Part
from orchestration.tools import ToolDefinition
from tts.lexicon import MAX_DICTIONARY_ENTRIES, SaidForm, WrittenForm

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]

#: What answering machines and carriers' announcements say, in English.
MACHINE_PHRASES = (
    "you have reached",
    "youve reached",
    "leave a message",
    "leave your message",
    "leave your name",
    "leave us a message",
    "after the tone",
    "after the beep",
    "at the tone",
    "voicemail",
    "voice mail",
    "mailbox",
    "answering machine",
    "not available",
    "unavailable",
    "cannot take your call",
    "cant take your call",
    "cant come to the phone",
    "unable to take your call",
    "get back to you",
    "call you back",
    "please hang up",
    "no longer in service",
    "not in service",
    "has been disconnected",
    "currently closed",
    "our office hours",
    "press one",
    "press 1",
)


class Models(Part):
    """Which models serve this agent; empty means what the stack serves by default."""

    asr: str = Field("", description="Model name of the ear.")
    llm: str = Field(
        "", pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]*)?$", description="Name of a LoRA adapter of the mind."
    )
    adapter: str = Field(
        "",
        description="Where the LoRA adapter named by `llm` lies, as the engine sees it; loaded when it is needed.",
    )

    @model_validator(mode="after")
    def _adapter_has_a_name(self) -> Self:
        if self.adapter and not self.llm:
            raise ValueError("adapter needs a name of its own: set llm to it")
        return self


class Sampling(Part):
    """How the mind chooses words; unset means what the engine's profile says."""

    temperature: float | None = Field(None, ge=0, le=2)
    max_tokens: int | None = Field(None, ge=1, le=4096, description="Longest answer, tokens.")


class Turns(Part):
    """When the caller's turn is over, as the ear's Flux protocol words it."""

    speculate: bool = Field(True, description="Answer on the likely end of a turn, before it is confirmed.")
    speculation_price: float = Field(
        0.2,
        ge=0,
        le=10,
        description="Seconds of the caller's wait that a second of thrown-away work is worth; 0: always begin.",
    )
    read_ahead: bool = Field(
        True,
        description="Have an engine of one's own read what the caller says while they speak; engines that charge "
        "by the token never do.",
    )
    eot_threshold: float = Field(
        0.83, ge=0.5, le=0.9, description="Confidence that confirms the end of a turn."
    )
    eager_eot_threshold: float = Field(
        0.3, ge=0.3, le=0.9, description="Confidence that starts an answer early."
    )
    eot_timeout_ms: int = Field(
        3000, ge=500, le=10000, description="Quiet that always ends a turn, milliseconds."
    )


class Limits(Part):
    """Bounds of one call."""

    max_call_seconds: float = Field(1800.0, gt=0, le=86400, description="A call is ended after this long.")
    idle_seconds: float = Field(60.0, gt=0, le=3600, description="A call in which nobody speaks is ended.")


class Silence(Part):
    """What is said when nobody else speaks. An empty phrase is not said."""

    reprompt: str = Field("Are you still there?", max_length=200, description="To a caller who says nothing.")
    reprompt_seconds: float = Field(15.0, gt=0, le=3600, description="Silence of the caller before it.")
    reprompts: int = Field(
        2, ge=0, le=10, description="How often, before the agent says goodbye and hangs up."
    )
    goodbye: str = Field("Goodbye.", max_length=200, description="Before hanging up on a silent caller.")
    filler: str = Field("One moment, please.", max_length=200, description="Once, while an answer is late.")
    filler_seconds: float = Field(2.5, gt=0, le=60, description="How late an answer is before the filler.")
    apology: str = Field(
        "I am sorry, I could not find an answer. Could you say that again?",
        max_length=200,
        description="When no answer comes.",
    )
    apology_seconds: float = Field(
        15.0, gt=0, le=120, description="How late an answer is before the apology."
    )


class Voicemail(Part):
    """What is done when a machine picks up a call that Offhook placed."""

    action: Literal["hang_up", "message", "talk"] = Field(
        "hang_up", description="`talk`: nobody asks who has picked up; the agent begins at once."
    )
    message: str = Field("", max_length=500, description="Said after the machine's greeting.")
    judge: Literal["phrases", "model"] = Field(
        "phrases", description="Who tells persons from machines: set phrases, or the agent's language model."
    )
    phrases: tuple[Text, ...] = Field(
        MACHINE_PHRASES, description="What machines say, in the call's language."
    )
    person_words: int = Field(
        20, ge=1, description="Whoever says more than this before an answer is a machine to `phrases`."
    )
    decide_seconds: float = Field(1.0, gt=0, le=10, description="Quiet before it is decided who it is.")
    quiet_seconds: float = Field(2.0, ge=0, le=30, description="Quiet of a machine before the message.")

    @model_validator(mode="after")
    def _something_to_say(self) -> Self:
        if self.action == "message" and not self.message:
            raise ValueError('action = "message" needs a message')
        return self


class Agent(Part):
    """One agent."""

    name: Name
    system_prompt: Text
    greeting: str = Field(
        "", max_length=500, description="What the agent says first; empty lets the caller begin."
    )
    voice: str = Field("", description="Name of a voice of the mouth; empty: the mouth's default.")
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}$")] = "en"
    vocabulary: tuple[Annotated[str, StringConstraints(min_length=1, max_length=80)], ...] = Field(
        (), max_length=100, description="Names and terms the ear should expect."
    )
    lexicon: dict[WrittenForm, SaidForm] = Field(
        {},
        max_length=MAX_DICTIONARY_ENTRIES,
        description="How words are said: written form to other text, or to phonemes in << >>.",
    )
    models: Models = Models()
    sampling: Sampling = Sampling()
    turns: Turns = Turns()
    limits: Limits = Limits()
    silence: Silence = Silence()
    tools: tuple[ToolDefinition, ...] = Field(
        (), max_length=64, description="What it can do besides talking."
    )
    tool_choice: Literal["auto", "required"] = Field(
        "auto", description="`required`: every turn begins with a tool; the model then answers as it likes."
    )
    voicemail: Voicemail = Voicemail()

    @model_validator(mode="after")
    def _tools_fit(self) -> Self:
        names = [tool.name for tool in self.tools]
        if len(set(names)) != len(names):
            raise ValueError("tools: two have the same name")
        if self.tool_choice == "required" and not names:
            raise ValueError("tool_choice = 'required': there are no tools")
        return self

    @property
    def set_phrases(self) -> tuple[str, ...]:
        """What the agent says word for word in many calls."""
        silence = self.silence
        phrases = (self.greeting, silence.filler, silence.reprompt, silence.apology, silence.goodbye)
        return tuple(phrase for phrase in phrases if phrase)

    @property
    def version(self) -> str:
        """Short digest of the definition: it changes with every change of it."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:8]


def load_agent(name_or_path: str) -> Agent:
    """Load an agent by the name of one that ships with Offhook, or from a path.

    Raises:
        AgentError: there is no such agent, or its definition is wrong; the text names file, key and value.

    """
    shown, text = _read(name_or_path)
    try:
        return Agent.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise AgentError(f"agent {shown}: not valid TOML: {error}") from None
    except ValidationError as error:
        problems = [_problem(item) for item in error.errors(include_url=False)]
        raise AgentError(f"agent {shown}: {'; '.join(problems)}") from None


def _problem(item: ErrorDetails) -> str:
    where = ".".join(str(part) for part in item["loc"]) or "agent"
    if item["type"] == "missing":
        return f"{where}: missing"
    if item["type"] == "value_error":  # Its text says all; the value may hold a secret.
        return f"{where}: {item['msg'].removeprefix('Value error, ')}"
    return f"{where} = {item['input']!r}: {item['msg']}"


def load_agents(names_or_paths: Iterable[str]) -> dict[str, Agent]:
    """Load several agents, by the names they give themselves.

    Raises:
        AgentError: one cannot be loaded, or two have the same name.

    """
    agents: dict[str, Agent] = {}
    for name_or_path in dict.fromkeys(names_or_paths):
        agent = load_agent(name_or_path)
        if agent.name in agents:
            raise AgentError(f"agent {name_or_path!r}: another one is named {agent.name!r} too; rename one")
        agents[agent.name] = agent
    return agents


def agent_names() -> list[str]:
    """Return the names of the agents that ship with Offhook."""
    folder = resources.files("deploy") / "agents"
    return sorted(
        entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")
    )


def _read(name_or_path: str) -> tuple[str, str]:
    if name_or_path in agent_names():
        file = resources.files("deploy") / "agents" / f"{name_or_path}.toml"
        return name_or_path, file.read_text(encoding="utf-8")
    try:
        return name_or_path, Path(name_or_path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise AgentError(
            f"agent {name_or_path!r}: no such file, nor one of {', '.join(agent_names())}"
        ) from None
