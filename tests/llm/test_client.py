"""The client over real engines: it withdraws at once, survives a death, and says what it measured."""

import asyncio
import os
import re
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import httpx
import pytest

from llm.bench_failover import FailoverBench, summarise
from llm.client import Answer, LLMClient
from llm.engine import LaunchSpec
from llm.errors import EngineError, NoReplicaError
from llm.failover import Finish, Limits, Say
from llm.profile import load_profile, parse_profile
from llm.questions import shipped
from llm.readiness import wait_ready
from llm.replica import Replica
from llm.settings import LLMSettings, ReplicaSettings
from llm.sources import Source, resolve, sources_of
from serving.ports import free_port

from .conftest import EXACT, KEY, replica_of, specs_of

LIMITS = Limits(first_token=10, stall=10)
FRANCE = {"messages": [{"role": "user", "content": "What is the capital of France?"}], "temperature": 0,
          "max_tokens": 30}  # fmt: skip


async def said(client: LLMClient, request: dict[str, Any], **more: Any) -> str:
    """Return the text of a whole answer."""
    return "".join([event.text async for event in client.answer(request, **more) if isinstance(event, Say)])


async def test_an_answer_is_text_and_then_its_end(replica: Replica) -> None:
    """Parts joined are what the engine says without streaming."""
    async with LLMClient([Source(replica)], LIMITS) as client:
        events = [event async for event in client.answer(FRANCE)]
    assert all(isinstance(event, Say) for event in events[:-1])
    assert isinstance(events[-1], Finish)
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {KEY}"}) as http:
        whole = await http.post(f"{replica.url}/v1/chat/completions", json=FRANCE)
    text = "".join(event.text for event in events if isinstance(event, Say))
    assert text == whole.json()["choices"][0]["message"]["content"]


async def test_a_withdrawn_answer_leaves_the_engine(replica: Replica) -> None:
    """The engine's own count of requests falls back to zero, long before the answer would have ended."""
    request = {**FRANCE, "max_tokens": 1500, "extra_body": {"ignore_eos": True}}
    headers = {"authorization": f"Bearer {KEY}"}
    async with (
        LLMClient([Source(replica)], LIMITS) as client,
        httpx.AsyncClient(base_url=replica.url, headers=headers) as http,
    ):

        async def processing() -> str:
            text = (await http.get("/metrics")).text
            return re.findall(r"^llamacpp:requests_processing (\S+)$", text, re.MULTILINE)[0]

        async with aclosing(client.answer(request)) as events:
            async for _ in events:
                assert await processing() == "1"
                break
        began = time.monotonic()
        while await processing() != "0":
            await asyncio.sleep(0.01)
        assert time.monotonic() - began < 5
        assert client.pool.in_flight(replica.url) == 0


async def test_cancelling_the_task_withdraws_the_answer(replica: Replica) -> None:
    """Interruptions come as cancellations."""
    request = {**FRANCE, "max_tokens": 1500, "extra_body": {"ignore_eos": True}}
    async with LLMClient([Source(replica)], LIMITS) as client:
        task = asyncio.create_task(said(client, request))
        while client.pool.home("") is None:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert client.pool.in_flight(replica.url) == 0


async def test_the_prompt_read_when_the_phone_rings_is_not_read_again(replica: Replica) -> None:
    """The first turn finds system prompt and greeting in the cache."""
    call = shipped()[1]
    report = Answer()
    async with LLMClient([Source(replica)], LIMITS) as client:
        ahead = await client.prefill({"messages": call.opening()}, call="c")
        messages = [*call.opening(), {"role": "user", "content": call.turns[0]}]
        await said(client, {**FRANCE, "messages": messages}, call="c", report=report)
    assert report.cached_tokens >= ahead.prompt_tokens - 8
    assert report.first_token
    assert report.sent < report.first_token


async def test_a_dead_replica_costs_a_caller_nothing(replica: Replica) -> None:
    """Where nobody listens, the next one is asked at once."""
    dead = Replica(f"http://127.0.0.1:{free_port()}", "offhook", KEY)
    report = Answer()
    async with LLMClient([Source(dead, health_path=""), Source(replica, health_path="")], LIMITS) as client:
        assert "Paris" in await said(client, FRANCE, report=report)
    assert [trial.url for trial in report.tries] in ([dead.url, replica.url], [replica.url])


async def test_a_request_every_engine_would_refuse_is_refused_once(replica: Replica) -> None:
    """The engine's words come back in one line."""
    async with LLMClient([Source(replica)], LIMITS) as client:
        with pytest.raises(EngineError, match="status 400"):
            await said(client, {"messages": "nonsense"})
        assert client.pool.shut_out() == []


async def test_a_wrong_key_is_an_error_and_not_an_endless_attempt(embedded: LaunchSpec) -> None:
    """With no other replica the engine's refusal comes back."""
    stranger = Replica(embedded.base_url, embedded.model, "wrong")
    async with LLMClient([Source(stranger)], Limits(retry=0.01, patience=0.02)) as client:
        with pytest.raises(EngineError, match="status 401"):
            await said(client, FRANCE)


async def test_a_half_told_answer_is_told_to_its_end_by_another_engine(
    embedded_model: None, tmp_path: Any
) -> None:
    """Killed and frozen in the middle of a sentence: every answer is completed, word by word the same."""
    specs = [specs_of(EXACT)[0] for _ in range(2)]
    async with FailoverBench(specs, folder=tmp_path, api_key=KEY, limits=Limits(stall=1.0)) as bench:
        results = [result async for result in bench.run(shipped(), answers=6)]
    assert {result.fault for result in results} == {"kill", "freeze"}
    summary = summarise(results)
    assert summary.complete == summary.same == summary.seamless == 6, results


@pytest.fixture
async def restarting(embedded_model: None) -> AsyncIterator[tuple[LaunchSpec, "subprocess.Popen[bytes]"]]:
    """One engine of its own that the test may kill."""
    (spec,) = specs_of(EXACT)
    process = subprocess.Popen(spec.argv, env={**os.environ, **spec.env})
    await wait_ready(spec, api_key=KEY)
    yield spec, process
    process.kill()
    process.wait()


async def test_the_only_engine_is_waited_for_while_it_is_started_again(
    restarting: tuple[LaunchSpec, "subprocess.Popen[bytes]"],
) -> None:
    """A supervisor restarts it; the sentence goes on where it was."""
    spec, process = restarting
    async with LLMClient([Source(replica_of(spec))], Limits(patience=30)) as client:
        expected = await said(client, FRANCE)
        heard, again = "", None
        async for event in client.answer(FRANCE):
            if isinstance(event, Say):
                heard += event.text
                if again is None:
                    process.send_signal(signal.SIGKILL)
                    process.wait()
                    again = subprocess.Popen(spec.argv, env={**os.environ, **spec.env})
        assert again
        again.kill()
        again.wait()
    assert heard == expected


async def test_a_name_stands_for_all_its_addresses() -> None:
    """DNS gives the replicas; a name that does not resolve gives none."""
    named = Source(Replica("http://localhost:1234", "m"), dns=True)
    unknown = Source(Replica("http://nowhere.invalid:1", "m"), dns=True)
    found = await resolve([named, unknown])
    assert "http://127.0.0.1:1234" in {replica.url for replica in found}
    assert all("1234" in replica.url for replica in found)


def test_a_remote_key_comes_from_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it nothing starts; with it the remote gets its key and ours stays here."""
    remote = ReplicaSettings(
        url="https://api.example.com", model="big", api_key_variable="REMOTE_KEY", tier=1
    )
    settings = LLMSettings(api_key="own", replicas=(ReplicaSettings(url="http://a:1"), remote))
    with pytest.raises(NoReplicaError, match="REMOTE_KEY is not set"):
        sources_of(settings, load_profile("embedded"))
    monkeypatch.setenv("REMOTE_KEY", "theirs")
    own, theirs = (source.replica for source in sources_of(settings, load_profile("embedded")))
    assert (own.api_key, own.model) == ("own", "offhook")
    assert (theirs.api_key, theirs.model, theirs.adapters) == ("theirs", "big", False)
    assert "theirs" not in repr(theirs)


def test_a_remote_profile_is_asked_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """It starts nothing, gets its own key, and is not trusted to continue half a sentence."""
    table = {
        "engine": "openai",
        "model": "big",
        "base_url": "https://api.example.com/v1",
        "api_key_variable": "K",
    }
    monkeypatch.setenv("K", "theirs")
    (source,) = sources_of(LLMSettings(api_key="own"), parse_profile(table, shown="x"))
    assert (source.replica.url, source.replica.model) == ("https://api.example.com", "big")
    assert (source.replica.api_key, source.replica.continues, source.health_path) == ("theirs", False, "")
