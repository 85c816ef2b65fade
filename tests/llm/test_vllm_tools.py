"""A real engine calls a tool: its arguments follow the schema, and its answer goes on from the result."""

from collections.abc import Mapping
from typing import Any

import pytest
from pipecat.frames.frames import LLMContextFrame
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.tests.utils import run_test

from llm.client import Answer, LLMClient
from llm.engine import LaunchSpec
from llm.failover import Limits
from llm.profile import Sampling
from llm.questions import SYSTEM_PROMPT
from llm.service import OffhookLLMService
from llm.sources import Source
from llm.tools import Tool, ToolRunner, schema_of

from .conftest import replica_of

pytestmark = pytest.mark.vllm

DAYS = ["friday", "saturday", "sunday"]


async def test_a_tool_runs_with_arguments_the_model_wrote(vllm_serving: LaunchSpec) -> None:
    """Two model calls: one that must call the tool, and one that reads only what is new since."""
    called: list[Mapping[str, Any]] = []
    answers: list[Answer] = []

    async def hours(arguments: Mapping[str, Any], _: Mapping[str, str]) -> Any:
        called.append(arguments)
        return "On Sunday we are open from nine to noon."

    day = {"type": "string", "enum": DAYS}
    parameters = {"type": "object", "properties": {"day": day}, "required": ["day"]}
    tool = Tool("opening_hours", "When the bakery is open on a day.", parameters, hours, read_only=True)
    limits = Limits(first_token=60, stall=60, total=180)
    async with LLMClient([Source(replica_of(vllm_serving))], limits) as client:
        service = OffhookLLMService(
            client,
            call="c",
            sampling=Sampling(temperature=0, max_tokens=120),
            # Long enough for whole blocks of the prefix cache.
            system_prompt=f"You answer the telephone of a bakery. {SYSTEM_PROMPT} {SYSTEM_PROMPT}",
            tools=ToolRunner({tool.name: tool}),
            tool_choice="required",
            on_answer=answers.append,
        )
        question = {"role": "user", "content": "When are you open on Sunday?"}
        context = LLMContext([question], schema_of([tool]))
        await run_test(service, frames_to_send=[LLMContextFrame(context, speculation=True)])
    assert len(called) >= 1
    assert all(arguments["day"] in DAYS for arguments in called)
    first, second, *_ = answers
    assert first.complete
    assert second.complete
    assert second.prompt_tokens > first.prompt_tokens
    assert second.cached_tokens > 0
