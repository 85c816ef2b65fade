"""An engine is ready after a real completion, not before; a dead one says why."""

from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from llm.engine import LaunchSpec
from llm.errors import EngineNotReadyError
from llm.process import EngineProcess, running
from llm.readiness import wait_ready

from .conftest import EXACT, KEY, specs_of


async def test_ready_means_that_the_warm_up_has_run(embedded: LaunchSpec) -> None:
    """The engine has read at least the warm-up's prompts."""
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {KEY}"}) as http:
        text = (await http.get(embedded.metrics_url)).text
    (line,) = [line for line in text.splitlines() if line.startswith("llamacpp:prompt_tokens_total")]
    assert float(line.split()[1]) >= sum(embedded.warm_up.prompt_tokens)


async def test_an_engine_that_refuses_the_warm_up_is_not_ready(embedded: LaunchSpec) -> None:
    """A wrong key is found at start, with the engine's own words."""
    with pytest.raises(EngineNotReadyError, match=r"refused the warm-up with status 401"):
        await wait_ready(embedded, api_key="wrong")


async def test_an_engine_that_never_answers_is_given_up(embedded: LaunchSpec) -> None:
    """After its start time, in one line."""
    nobody = replace(embedded, health_url="http://127.0.0.1:9/health", start_seconds=0.2)
    with pytest.raises(EngineNotReadyError, match=r"was not ready within 0.2 s"):
        await wait_ready(nobody, api_key=KEY)


async def test_an_engine_that_dies_at_start_says_why_at_once(tmp_path: Path) -> None:
    """The end of its log is in the error; nobody waits for the start time to pass."""
    (spec,) = specs_of({**EXACT, "model": "/nowhere/model.gguf", "start_seconds": 3600})
    with pytest.raises(EngineNotReadyError, match=r"status 1: .*no such path"):
        await EngineProcess(spec, log=tmp_path / "engine.log", api_key=KEY).start()


async def test_a_stopped_engine_is_gone(embedded_model: None, tmp_path: Path) -> None:
    """No process of it is left."""
    (spec,) = specs_of(EXACT)
    async with running(spec, log=tmp_path / "engine.log", api_key=KEY) as engine:
        assert engine.pid
    async with httpx.AsyncClient() as http:
        with pytest.raises(httpx.ConnectError):
            await http.get(spec.health_url)
