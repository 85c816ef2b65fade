"""Admits calls, gives each what it needs, and remembers the last ones: the same for every door."""

import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass

from opentelemetry.context import Context
from pipecat.transports.base_transport import BaseTransport

from asr.detectors import SpeechDetector
from llm.client import LLMClient
from llm.profile import Adapter, Sampling
from orchestration.admission import Admission
from orchestration.agent import Agent
from orchestration.call import Call
from orchestration.callrecord import CallRecord
from orchestration.control import CallControl
from orchestration.dialogue import Dialogue
from orchestration.pipeline import build_pipeline
from orchestration.recorder import CallRecorder, EngineIdentity
from orchestration.settings import Configuration, GatewaySettings
from orchestration.toolbox import Toolbox
from telemetry import metrics
from voice.errors import VoiceError


class RefusedError(VoiceError):
    """A call is turned away.

    Args:
        text: why.
        full: there are calls enough; else a server that calls need is not there just now.

    """

    def __init__(self, text: str, *, full: bool) -> None:
        super().__init__(text)
        self.full = full


@dataclass
class Place:
    """A call's place: admitted, not yet begun.

    Attributes:
        reception: of the gateway.
        door: which door the call came through.
        agent: who answers.

    """

    reception: "Reception"
    door: str
    agent: Agent

    def recorder(self, call_id: str, *, parent: Context) -> CallRecorder:
        """Begin the call's record."""
        agent = self.agent
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
        recorder.on_answered = lambda seconds: self.reception.admission.answered(seconds, time.monotonic())
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
        screened: bool = False,
    ) -> Call:
        """Return the call itself, ready to run.

        Args:
            transport: the door's two ends.
            recorder: as :meth:`recorder` gave it.
            sample_rate: of the door's audio, Hz.
            rtvi: whether the other side is told of the conversation by RTVI messages.
            agent: who answers; None for the place's agent as it is.
            dialogue: the client's conversation, where the client keeps it.
            control: what the agent may do with the call; None for what every door can.
            screened: find out first whether a person or a machine has picked up, as for a call Offhook placed.

        """
        reception = self.reception
        control = control or CallControl()
        pipeline = build_pipeline(
            agent or self.agent,
            reception.configuration,
            transport,
            recorder,
            client=reception.client,
            sampling=reception.sampling,
            detector=reception.detector,
            sample_rate=sample_rate,
            dialogue=dialogue,
            tools=reception.toolboxes[self.agent.name].tools(control),
            screened=screened,
            read_ahead=not reception.engine.charges_by_token,
        )
        control.call = call = Call(
            agent or self.agent, pipeline, recorder, sample_rate=sample_rate, rtvi=rtvi
        )
        return call


class Reception:
    """What all doors of one gateway share.

    Args:
        configuration: the whole configuration.
        agents: who may answer, by name; the first does where a call names none.
        client: the language model's client.
        sampling: the engine profile's sampling.
        engine: which language model answers, for traces and metrics.

    Raises:
        AgentError: a tool of the agent cannot be used.

    """

    def __init__(
        self,
        configuration: Configuration,
        agents: Mapping[str, Agent],
        *,
        client: LLMClient,
        sampling: Sampling,
        engine: EngineIdentity,
    ) -> None:
        self.configuration = configuration
        self.agents = agents
        self.client = client
        self.toolboxes = {name: Toolbox(agent) for name, agent in agents.items()}
        for agent in agents.values():
            if agent.models.adapter:
                client.adapters.add(Adapter(name=agent.models.llm, path=agent.models.adapter))
        self.sampling = sampling
        self.engine = engine
        metrics.CALLS_CAPACITY.set(configuration.gateway.max_calls)
        metrics.MACHINE_PRICE.set(configuration.telemetry.prices.hour)
        #: Silero VAD, loaded once and shared by all calls.
        self.detector = SpeechDetector()
        self.admission = Admission(
            max_calls=configuration.gateway.max_calls, strained_seconds=configuration.gateway.strained_seconds
        )
        self._records: OrderedDict[str, CallRecord] = OrderedDict()

    @property
    def settings(self) -> GatewaySettings:
        """The gateway's section."""
        return self.configuration.gateway

    @property
    def impediment(self) -> str:
        """Why no call can be taken for now; empty: nothing hinders."""
        return self.admission.impediment

    @impediment.setter
    def impediment(self, reason: str) -> None:
        self.admission.impediment = reason

    @property
    def agent(self) -> Agent:
        """Who answers where a call names nobody."""
        return next(iter(self.agents.values()))

    def agent_named(self, name: str) -> Agent | None:
        """Return the agent of that name, the gateway's own for an empty one, or None."""
        return self.agents.get(name) if name else self.agent

    @contextmanager
    def admit(self, door: str, *, agent: str = "") -> Iterator[Place]:
        """Hold a place for one call.

        Args:
            door: which door it comes through.
            agent: name of the agent that is to answer; empty, or one there is none of: the gateway's own.

        Raises:
            RefusedError: the gateway is full, or a server it needs is not there.

        """
        self.require_room()
        self.admission.active += 1
        try:
            yield Place(self, door, self.agent_named(agent) or self.agent)
        finally:
            self.admission.active -= 1

    def require_room(self, *, promised: int = 0) -> None:
        """Return if one more call could be taken now, besides those that are ``promised`` a place.

        Raises:
            RefusedError: as :meth:`admit` says.

        """
        if refusal := self.admission.refusal(time.monotonic(), promised=promised):
            raise RefusedError(refusal, full=not self.impediment)

    @asynccontextmanager
    async def tools(self) -> AsyncIterator[None]:
        """Hold the connections of every agent's tools while the block lasts."""
        async with AsyncExitStack() as held:
            for toolbox in self.toolboxes.values():
                await held.enter_async_context(toolbox)
            yield

    def remember(self, record: CallRecord) -> None:
        """Keep ``record`` for :meth:`find`; the oldest goes when there are too many."""
        self._records[record.call_id] = record
        while len(self._records) > self.settings.remembered_calls + self.settings.max_calls:
            self._records.popitem(last=False)

    def find(self, call_id: str) -> CallRecord | None:
        """Return what is known of a current or recent call."""
        return self._records.get(call_id)
