"""Names of spans, attributes and figures. Everything that is measured is spelt here and nowhere else.

Figures are seconds, measured where the caller would measure them. As a span attribute a figure has its bare
name; as a Prometheus histogram, dots become underscores and ``_seconds`` is added.
"""

from dataclasses import dataclass

# Spans: one trace a call; ``call`` > ``turn`` > ``asr``, ``llm``, ``tts``, ``speculation``, ``execute_tool``.
SPAN_CALL = "call"
SPAN_TURN = "turn"
SPAN_ASR = "asr"
SPAN_LLM = "llm"
SPAN_TTS = "tts"
#: An answer begun early and thrown away; the ``llm`` span of the turn links to it.
SPAN_SPECULATION = "speculation"
SPAN_TOOL = "execute_tool"
#: What the servers themselves say, under the trace context they were given.
SPAN_ASR_SERVER = "asr.server"
SPAN_TTS_SERVER = "tts.server"

# Attributes of the call span.
CALL_ID = "voice.call.id"
CALL_DOOR = "voice.call.door"
CALL_AGENT = "voice.call.agent"
CALL_VERSION = "voice.call.version"
CALL_END_REASON = "voice.call.end_reason"
CALL_OUTCOME = "voice.call.outcome"
CALL_SECONDS = "voice.call.seconds"
CALL_TURNS = "voice.call.turns"
CALL_UNANSWERED = "voice.call.unanswered_turns"
CALL_SPECULATIONS = "voice.call.speculations"
CALL_SPECULATIONS_WITHDRAWN = "voice.call.speculations_withdrawn"
CALL_SPECULATIONS_DECLINED = "voice.call.speculations_declined"
CALL_INPUT_TOKENS = "voice.call.input_tokens"
CALL_OUTPUT_TOKENS = "voice.call.output_tokens"
CALL_CACHED_TOKENS = "voice.call.cached_tokens"
CALL_MODEL_CALLS = "voice.call.model_calls"
CALL_TOOL_CALLS = "voice.call.tool_calls"
CALL_WASTED_TOKENS = "voice.call.wasted_tokens"
#: Cost of the call and of its parts (``voice.call.cost.llm``), in the currency of the prices.
CALL_COST = "voice.call.cost"
#: What the call used (``voice.call.use.llm_seconds``); the names are those of `telemetry.cost.Use`.
CALL_USE = "voice.call.use"
CALL_COST_CURRENCY = "voice.call.cost.currency"

# Attributes of the turn span.
TURN_INDEX = "voice.turn.index"
TURN_SPECULATED = "voice.turn.speculated"
TURN_INTERRUPTED = "voice.turn.interrupted"
TURN_UNCONFIRMED = "voice.turn.unconfirmed"
TURN_OUTCOME = "voice.turn.outcome"
TURN_MODEL_CALLS = "voice.turn.model_calls"
TURN_TOOL_CALLS = "voice.turn.tool_calls"

# Events, on the turn span; on the call span where there is no turn.
EVENT_BARGE_IN = "voice.barge_in"
EVENT_RESUME = "voice.resume"
EVENT_SPECULATION_WITHDRAWN = "voice.speculation_withdrawn"
EVENT_FAILOVER = "voice.failover"
EVENT_HEDGE = "voice.hedge"

# Attributes of the llm span: OpenTelemetry's conventions for generative AI (semantic-conventions-genai 0.1).
GEN_AI_OPERATION = "gen_ai.operation.name"
GEN_AI_PROVIDER = "gen_ai.provider.name"
GEN_AI_CONVERSATION = "gen_ai.conversation.id"
GEN_AI_AGENT = "gen_ai.agent.name"
GEN_AI_MODEL = "gen_ai.request.model"
GEN_AI_STREAM = "gen_ai.request.stream"
GEN_AI_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
GEN_AI_INPUT_TOKENS = "gen_ai.usage.input_tokens"
GEN_AI_OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
GEN_AI_CACHED_TOKENS = "gen_ai.usage.cache_read.input_tokens"
GEN_AI_TOOL_NAME = "gen_ai.tool.name"
GEN_AI_TOOL_CALL = "gen_ai.tool.call.id"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
ERROR_TYPE = "error.type"
LLM_ATTEMPTS = "voice.llm.attempts"
LLM_MOVES = "voice.llm.moves"
LLM_HEDGES = "voice.llm.hedges"
#: Mean seconds between two tokens of the answer.
LLM_INTER_TOKEN = "voice.llm.inter_token"  # noqa: S105 - not a password
SPECULATION_TOKENS = "voice.speculation.wasted_tokens"

# What was said. Only where the owner turns it on, and never but redacted: see `telemetry.redaction`.
CALL_GREETING = "voice.call.greeting"
TURN_HEARD = "voice.turn.heard"
TURN_SPOKEN = "voice.turn.spoken"
GEN_AI_INSTRUCTIONS = "gen_ai.system_instructions"
GEN_AI_INPUT = "gen_ai.input.messages"
GEN_AI_OUTPUT = "gen_ai.output.messages"
GEN_AI_TOOL_ARGUMENTS = "gen_ai.tool.call.arguments"
GEN_AI_TOOL_RESULT = "gen_ai.tool.call.result"
CONTENT = frozenset(
    {
        CALL_GREETING, TURN_HEARD, TURN_SPOKEN, GEN_AI_INSTRUCTIONS, GEN_AI_INPUT, GEN_AI_OUTPUT,
        GEN_AI_TOOL_ARGUMENTS, GEN_AI_TOOL_RESULT,
    }
)  # fmt: skip
#: Longer texts are cut off here, characters.
MAX_CONTENT_CHARACTERS = 4096


@dataclass(frozen=True)
class Stage:
    """One piece of what a caller waits for; the stages of a turn follow one another and add up to voice to voice."""

    key: str
    meaning: str

    @property
    def name(self) -> str:
        """Name of the span attribute."""
        return f"voice.stage.{self.key}"


#: The stages of a turn, in order. What a speculation does while the caller is still waited for shows as ``hold``.
STAGES = (
    Stage("listen", "last speech sample to the transcript that was answered"),
    Stage("ask", "transcript to LLM request"),
    Stage("think", "LLM request to first token"),
    Stage("phrase", "first token to first speakable clause"),
    Stage("voice", "first clause to first audio received"),
    Stage("hold", "first audio to turn confirmed, if that comes later"),
    Stage("send", "from there to first audible sample leaving the gateway"),
)
#: Histogram of the stages, with the stage as a label.
STAGE_METRIC = "voice_stage_seconds"


@dataclass(frozen=True)
class Figure:
    """One measured duration: its attribute name and what it runs from and to."""

    name: str
    meaning: str

    @property
    def key(self) -> str:
        """Short name, as used in JSON (``time_to_first_token``)."""
        return self.name.removeprefix("voice.")

    @property
    def metric(self) -> str:
        """Name of the Prometheus histogram."""
        return self.name.replace(".", "_") + "_seconds"


END_OF_TURN_DELAY = Figure("voice.end_of_turn_delay", "last speech sample to turn confirmed")
TRANSCRIPTION_DELAY = Figure("voice.transcription_delay", "last speech sample to final transcript")
TIME_TO_FIRST_TOKEN = Figure("voice.time_to_first_token", "LLM request to first token")
TIME_TO_FIRST_SENTENCE = Figure(
    "voice.time_to_first_sentence", "LLM request to first speakable sentence or clause complete"
)
TTS_TIME_TO_FIRST_AUDIO = Figure("voice.tts_time_to_first_audio", "text sent to first audio received")
VOICE_TO_VOICE = Figure(
    "voice.voice_to_voice", "last speech sample to first audible sample leaving the gateway"
)
BARGE_IN_STOP = Figure("voice.barge_in_stop", "caller's first speech sample to last agent sample leaving")

#: Every figure, in the order in which a turn passes them.
FIGURES = (
    END_OF_TURN_DELAY,
    TRANSCRIPTION_DELAY,
    TIME_TO_FIRST_TOKEN,
    TIME_TO_FIRST_SENTENCE,
    TTS_TIME_TO_FIRST_AUDIO,
    VOICE_TO_VOICE,
    BARGE_IN_STOP,
)
