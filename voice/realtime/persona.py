"""The gateway's agent as a session wants it: instructions, voice, when a turn is over, how long it may last."""

from orchestration.agent import Agent, Limits, Silence, Turns
from voice.realtime.config import OPENAI_VOICES, SemanticVad, ServerVad, SessionConfig

#: Quiet that always ends a turn, by eagerness, milliseconds: OpenAI's own.
EAGERNESS_TIMEOUT_MS = {"low": 8000, "medium": 4000, "auto": 4000, "high": 2000}
#: Confidence that ends a turn sooner, by eagerness; what is missing is as the agent has it.
EAGERNESS_THRESHOLD = {"low": 0.9, "high": 0.5}
#: The ear's bounds of that quiet, milliseconds.
MIN_TIMEOUT_MS = 500
MAX_TIMEOUT_MS = 10_000
#: The client speaks for itself where nobody speaks: no set phrase is said. Seconds nobody waits.
NEVER_SECONDS = 3600.0
#: Instructions of the prompt that is read ahead, where a session has none.
NO_INSTRUCTIONS = "-"


def voice_of(agent: Agent, config: SessionConfig) -> str:
    """Return the voice that speaks; OpenAI's own names stand for the agent's."""
    wanted = config.audio.output.voice
    return agent.voice if not wanted or wanted in OPENAI_VOICES else wanted


def turns_of(agent: Agent, config: SessionConfig) -> Turns:
    """Return when a turn is over."""
    turns = agent.turns
    match config.audio.input.turn_detection:
        case ServerVad(silence_duration_ms=quiet):
            return turns.model_copy(
                update={"eot_timeout_ms": min(MAX_TIMEOUT_MS, max(MIN_TIMEOUT_MS, quiet))}
            )
        case SemanticVad(eagerness=eagerness):
            threshold = EAGERNESS_THRESHOLD.get(eagerness, turns.eot_threshold)
            return turns.model_copy(
                update={
                    "eot_threshold": threshold,
                    "eager_eot_threshold": min(threshold, turns.eager_eot_threshold),
                    "eot_timeout_ms": EAGERNESS_TIMEOUT_MS[eagerness],
                }
            )
    return turns


def persona(agent: Agent, config: SessionConfig, *, max_seconds: float, idle_seconds: float) -> Agent:
    """Return who answers in a session.

    Args:
        agent: the gateway's.
        config: the session's settings.
        max_seconds: how long it may last.
        idle_seconds: how long nobody may say or write anything.

    """
    silence = Silence(
        reprompt_seconds=NEVER_SECONDS, filler="", apology="", reprompt=agent.silence.reprompt, goodbye=""
    )
    return agent.model_copy(
        update={
            "system_prompt": config.instructions or NO_INSTRUCTIONS,
            "greeting": "",
            "voice": voice_of(agent, config),
            "turns": turns_of(agent, config),
            "silence": silence,
            "limits": Limits(max_call_seconds=max_seconds, idle_seconds=idle_seconds),
        }
    )
