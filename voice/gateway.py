"""The gateway process: every door behind one port, and the watch over the servers it needs."""

import asyncio
import logging
from collections.abc import Callable, Sequence

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from llm.client import LLMClient
from llm.engine import launch_specs
from llm.profile import load_profile
from orchestration.agent import load_agents
from orchestration.recorder import EngineIdentity
from orchestration.settings import Configuration
from telemetry import metrics
from telemetry.slo import load_objectives
from telemetry.tracing import local_store
from tts.errors import TtsError
from tts.prerender import prerender
from voice.access.gatekeeper import Gatekeeper, denial_response
from voice.engine_metrics import EngineMetrics
from voice.errors import AccessDeniedError
from voice.phone.door import PhoneDoor
from voice.realtime.door import RealtimeDoor
from voice.reception import Reception
from voice.slo_page import SloPage
from voice.web.door import WebDoor

logger = logging.getLogger(__name__)

#: How often the servers a call needs are asked whether they are ready, seconds.
POLL_SECONDS = 1.0
#: The same while one of them is not.
IMPEDED_POLL_SECONDS = 0.2
#: How long one of them may take to say so, seconds. A busy server answers between two decodes.
POLL_TIMEOUT_SECONDS = 5.0
#: Name of the mouth among the servers a call needs.
MOUTH = "tts"


class GatewayService:
    """The gateway as a :class:`serving.app.Service`.

    Raises:
        AgentError: the agent that should answer is missing or wrong.
        ProfileError: so is the engine profile.
        ObjectivesError: so is the file of objectives.
        AccessSettingsError: the address to bind needs API keys, and there are none.

    """

    name = "gateway"

    def __init__(self, configuration: Configuration) -> None:
        profile = load_profile(configuration.llm.profile)
        client = LLMClient.from_settings(configuration.llm, profile=profile)
        self._reception = Reception(
            configuration,
            load_agents([configuration.gateway.agent, *configuration.gateway.agents]),
            client=client,
            sampling=profile.sampling,
            engine=EngineIdentity(profile.engine, profile.model),
        )
        self._gatekeeper = Gatekeeper.from_settings(configuration.access, host=configuration.gateway.host)
        self._web = WebDoor(self._reception, self._gatekeeper, configuration.web)
        self._phone = PhoneDoor(self._reception, self._gatekeeper, configuration.phone, configuration.sip)
        self._realtime = RealtimeDoor(self._reception, self._gatekeeper, configuration.realtime)
        self._client = client
        self._configuration = configuration
        self._slo = SloPage(
            local_store(),
            load_objectives(configuration.telemetry.slos),
            self._gatekeeper,
            engines=EngineMetrics(self._servers),
            prices=configuration.telemetry.prices,
            records_content=configuration.telemetry.record_content,
        )
        self._needed = _ready_urls(configuration) | {
            spec.name: spec.health_url for spec in launch_specs(profile, configuration.llm)
        }

    def impediment(self) -> str:
        """Return why no call can be taken for now; empty: calls are welcome."""
        return self._reception.impediment

    def routes(self) -> Sequence[BaseRoute]:
        """Return the doors."""
        return [
            *self._phone.routes(),
            *self._realtime.routes(),
            Route("/api/calls/{call_id}", self._call),
            *self._slo.routes(),
            *self._web.routes(),
        ]

    def _servers(self) -> list[tuple[str, str]]:
        """Return kind and HTTP base URL of every server that has metrics now."""
        bases = [("asr", self._configuration.asr_url), ("tts", self._configuration.tts_url)]
        return [
            *((kind, f"http{url.removeprefix('ws')}") for kind, url in bases),
            *(("llm", replica.url) for replica in self._client.pool.replicas),
        ]

    async def run(self, ready: Callable[[], None]) -> None:
        """Hold calls and watch the servers they need, until cancelled."""
        async with (
            self._reception.client,
            self._reception.tools(),
            self._realtime,
            httpx.AsyncClient(timeout=POLL_TIMEOUT_SECONDS) as http,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(self._web.run(), name="web-door")
            await self._watch_servers(http, ready)

    async def _watch_servers(self, http: httpx.AsyncClient, ready: Callable[[], None]) -> None:
        mouth_is_new = True
        while True:
            metrics.TASKS.set(len(asyncio.all_tasks()))
            missing = [name for name, url in self._needed.items() if not await _is_ready(http, url)]
            if mouth_is_new and MOUTH not in missing:
                await self._prerender()
            mouth_is_new = MOUTH in missing
            impediment = f"waiting for {', '.join(missing)}" if missing else ""
            if impediment != self._reception.impediment:
                logger.info("calls: %s", impediment or "welcome")
            self._reception.impediment = impediment
            if not missing:
                ready()
            await asyncio.sleep(IMPEDED_POLL_SECONDS if missing else POLL_SECONDS)

    async def _prerender(self) -> None:
        for agent in self._reception.agents.values():
            try:
                await prerender(
                    self._configuration.tts_url,
                    agent.set_phrases,
                    voice=agent.voice,
                    language=agent.language,
                    lexicon=agent.lexicon,
                )
            except TtsError as error:
                logger.warning("agent %s: its set phrases are not rendered ahead: %s", agent.name, error)

    async def _call(self, request: Request) -> Response:
        """Return what is known of a call, its conversation included."""
        try:
            self._gatekeeper.admit(request, "calls", door="gateway")
        except AccessDeniedError as denial:
            return denial_response(denial)
        record = self._reception.find(request.path_params["call_id"])
        if record is None:
            return JSONResponse({"error": "no such call, or too long ago"}, status_code=404)
        return JSONResponse(record.as_json())


def _ready_urls(configuration: Configuration) -> dict[str, str]:
    bases = {"asr": configuration.asr_url, MOUTH: configuration.tts_url}
    return {name: f"http{url.removeprefix('ws')}/readyz" for name, url in bases.items()}


async def _is_ready(http: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await http.get(url)).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
