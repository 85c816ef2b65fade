"""Admits calls, gives each what it needs, and remembers the last ones: the same for every door."""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from opentelemetry.context import Context
from pipecat.transports.base_transport import BaseTransport

from asr.detectors import SpeechDetector
from llm.client import LLMClient
from llm.profile import Sampling
from orchestration.agent import Agent
from orchestration.call import Call
from orchestration.control import CallControl
from orchestration.dialogue import Dialogue
from orchestration.pipeline import build_pipeline
from orchestration.recorder import CallRecord, CallRecorder, EngineIdentity
from orchestration.settings import Configuration, GatewaySettings
from orchestration.toolbox import Toolbox
from telemetry import metrics
from voice.errors import VoiceError


class RefusedError(VoiceError):
    """A call is turned away; the text says why."""


@dataclass
class Place:
    """A call's place: admitted, not yet begun."""

    reception: "Reception"
    door: str

    def recorder(self, call_id: str, *, parent: Context) -> CallRecorder:
        """Begin the call's record."""
        agent = self.reception.agent
        recorder = CallRecorder(
            call_id=call_id,
            door=self.door,
            agent=agent.name,
            language=agent.language,
            parent=parent,
            version=agent.version,
            engine=self.reception.engine,
            prices=self.reception.configuration.telemetry.prices,
            record_content=self.reception.configuration.telemetry.record_content,
        )
        self.reception.remember(recorder.record)
        return recorder

    def call(
        self,
        transport: BaseTransport,
        recorder: CallRecorder,
        *,
        sample_rate: int,
        rtvi: bool = False,
        agent: Agent | None = None,
        dialogue: Dialogue | None = None,
        control: CallControl | None = None,
    ) -> Call:
        """Return the call itself, ready to run.

        Args:
            transport: the door's two ends.
            recorder: as :meth:`recorder` gave it.
            sample_rate: of the door's audio, Hz.
            rtvi: whether the other side is told of the conversation by RTVI messages.
            agent: who answers; None for the gateway's agent as it is.
            dialogue: the client's conversation, where the client keeps it.
            control: what the agent may do with the call; None for what every door can.

        """
        reception = self.reception
        agent = agent or reception.agent
        control = control or CallControl()
        pipeline = build_pipeline(
            agent,
            reception.configuration,
            transport,
            recorder,
            client=reception.client,
            sampling=reception.sampling,
            detector=reception.detector,
            sample_rate=sample_rate,
            dialogue=dialogue,
            tools=reception.toolbox.tools(control),
        )
        control.call = call = Call(agent, pipeline, recorder, sample_rate=sample_rate, rtvi=rtvi)
        return call


class Reception:
    """What all doors of one gateway share.

    Args:
        configuration: the whole configuration.
        agent: who answers.
        client: the language model's client.
        sampling: the engine profile's sampling.
        engine: which language model answers, for traces and metrics.

    Raises:
        AgentError: a tool of the agent cannot be used.

    """

    def __init__(
        self,
        configuration: Configuration,
        agent: Agent,
        *,
        client: LLMClient,
        sampling: Sampling,
        engine: EngineIdentity,
    ) -> None:
        self.configuration = configuration
        self.agent = agent
        self.client = client
        self.toolbox = Toolbox(agent)
        self.sampling = sampling
        self.engine = engine
        metrics.CALLS_CAPACITY.set(configuration.gateway.max_calls)
        metrics.MACHINE_PRICE.set(configuration.telemetry.prices.hour)
        #: Silero VAD, loaded once and shared by all calls.
        self.detector = SpeechDetector()
        #: Why no call can be taken for now; empty: calls are welcome.
        self.impediment = "not warmed up yet"
        self._active = 0
        self._records: OrderedDict[str, CallRecord] = OrderedDict()

    @property
    def settings(self) -> GatewaySettings:
        """The gateway's section."""
        return self.configuration.gateway

    @contextmanager
    def admit(self, door: str) -> Iterator[Place]:
        """Hold a place for one call.

        Raises:
            RefusedError: the gateway is full, or a server it needs is not there.

        """
        self.require_room()
        self._active += 1
        try:
            yield Place(self, door)
        finally:
            self._active -= 1

    def require_room(self) -> None:
        """Return if one more call could be taken now.

        Raises:
            RefusedError: as :meth:`admit` says.

        """
        if self.impediment:
            raise RefusedError(f"not taking calls: {self.impediment}")
        if self._active >= self.settings.max_calls:
            raise RefusedError(f"all max_calls = {self.settings.max_calls} lines are busy")

    def remember(self, record: CallRecord) -> None:
        """Keep ``record`` for :meth:`find`; the oldest goes when there are too many."""
        self._records[record.call_id] = record
        while len(self._records) > self.settings.remembered_calls + self.settings.max_calls:
            self._records.popitem(last=False)

    def find(self, call_id: str) -> CallRecord | None:
        """Return what is known of a current or recent call."""
        return self._records.get(call_id)
