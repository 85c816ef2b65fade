"""The mind as a pipecat service: pipecat's OpenAI service, asking through our client."""

import asyncio
import contextlib
import json
import logging
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from openai.types import CompletionUsage
from openai.types.chat import ChatCompletionChunk
from openai.types.chat.chat_completion_chunk import (
    Choice,
    ChoiceDelta,
    ChoiceDeltaToolCall,
    ChoiceDeltaToolCallFunction,
)
from openai.types.completion_usage import PromptTokensDetails
from opentelemetry import context as otel_context
from pipecat.adapters.llm.services.open_ai_adapter import openai_is_given
from pipecat.frames.frames import FunctionCallResultProperties, LLMMessagesAppendFrame, TTSSpeakFrame
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.utils.types import NOT_GIVEN, is_given

from llm.budget import ModelCallBudget
from llm.client import Answer, Event, LLMClient
from llm.errors import LLMError
from llm.failover import CallTools, Say, ToolCall
from llm.profile import Sampling
from llm.tools import Outcome, Tool, ToolRunner, parsed
from telemetry.tracing import inject_context

logger = logging.getLogger(__name__)

#: Key under which arguments that are no JSON object are kept, so that they can be refused and the model told.
MALFORMED = "malformed_arguments"
#: Longest answer to a question beside the conversation, tokens.
ASIDE_TOKENS = 200
#: Whether the model decides if a turn begins with a tool, or must begin it with one.
ToolChoice = Literal["auto", "required"]


def current_trace_headers() -> Mapping[str, str]:
    """Return the headers that carry this task's trace context."""
    return inject_context(otel_context.get_current())


class OffhookLLMService(OpenAILLMService):
    """One call's language model.

    Args:
        client: the process's client, shared by all calls.
        call: identity of the call; its requests stay where its prefix is cached.
        sampling: the profile's sampling, the defaults of every request.
        system_prompt: first message of every request; it never changes during a call.
        adapter: name of the LoRA adapter this agent answers with; empty for the base model.
        tools: what the model may call; None for nothing. What has side effects runs once the turn is confirmed.
        tool_choice: ``required`` makes the first answer of every turn a tool's call.
        budget: how many model calls the caller's turn and the call may make; None counts nothing.
        failure_phrase: said in place of an answer no engine could give; empty leaves pipecat's error frame.
        trace_headers: gives the ``traceparent`` a request is sent with.
        on_answer: called when an answer has ended, was cut off, or has failed.

    """

    supports_developer_role = False

    def __init__(
        self,
        client: LLMClient,
        *,
        call: str,
        sampling: Sampling,
        system_prompt: str | None = None,
        adapter: str = "",
        tools: ToolRunner | None = None,
        tool_choice: ToolChoice = "auto",
        budget: ModelCallBudget | None = None,
        failure_phrase: str = "",
        trace_headers: Callable[[], Mapping[str, str]] = current_trace_headers,
        on_answer: Callable[[Answer], None] = lambda _: None,
        **kwargs: Any,
    ) -> None:
        settings = self.Settings(
            model="offhook",
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_tokens,
            seed=NOT_GIVEN if sampling.seed is None else sampling.seed,
        )
        # The prompt is kept here: pipecat's settings would write it to the log.
        super().__init__(settings=settings, api_key="unused", **kwargs)
        self._mind = client
        self._call = call
        self._system_prompt = system_prompt
        self._lora = adapter
        self._runner = tools or ToolRunner({})
        self._tool_choice = tool_choice
        self._budget = budget
        self._failure_phrase = failure_phrase
        self._trace_headers = trace_headers
        self._on_answer = on_answer
        self.answer: Answer | None = None
        for name in self._runner.tools:
            self.register_function(name, self._tool_called)

    async def prefill(self, context: LLMContext) -> None:
        """Have the engine read what ``context`` holds so far: when the phone rings, before anybody speaks.

        Failing costs nothing but the time it would have saved.
        """
        try:
            await self._mind.prefill(await self._request(context), adapter=self._lora, call=self._call)
        except LLMError as error:
            logger.warning("call %s: the prompt could not be read ahead: %s", self._call, error)

    async def cleanup(self) -> None:
        """Forget the call's home replica; what tools have begun is ended first."""
        await super().cleanup()  # type: ignore[no-untyped-call]
        await self._runner.close()
        self._mind.pool.forget(self._call)

    async def get_chat_completions(self, context: LLMContext) -> AsyncGenerator[ChatCompletionChunk, None]:  # type: ignore[override]
        """Return the chunks of the answer to ``context``."""
        request = await self._request(context)
        begins_turn = _caller_spoke_last(request)
        if self._budget and begins_turn:
            self._budget.begin_turn()
        return self._chunks(request, begins_turn=begins_turn)

    async def run_inference(
        self,
        context: LLMContext,
        max_tokens: int | None = None,
        system_instruction: str | None = None,
        response_schema: dict[str, Any] | None = None,
    ) -> str | None:
        """Return the answer to a question beside the conversation, which is neither recorded nor heard.

        Args:
            context: the question.
            max_tokens: of the answer.
            system_instruction: stands in for the agent's prompt.
            response_schema: JSON schema that the engine is to hold the answer to.

        Raises:
            LLMError: the engines did not answer.

        """
        request = await OffhookLLMService._request(self, context)
        if system_instruction:
            rest = [message for message in request["messages"] if message.get("role") != "system"]
            request["messages"] = [{"role": "system", "content": system_instruction}, *rest]
        if response_schema:
            schema = {"name": "answer", "schema": response_schema, "strict": True}
            request["response_format"] = {"type": "json_schema", "json_schema": schema}
        request["max_tokens"] = max_tokens or ASIDE_TOKENS
        events = self._mind.answer(request, headers=self._trace_headers())
        async with contextlib.aclosing(events):
            return "".join([event.text async for event in events if isinstance(event, Say)])

    async def _request(self, context: LLMContext) -> dict[str, Any]:
        invocation = await self.get_llm_adapter().get_llm_invocation_params(
            context,
            system_instruction=self._system_prompt,
            convert_developer_to_user=not self.supports_developer_role,
        )
        parameters = self.build_chat_completion_params(invocation)
        return {key: value for key, value in parameters.items() if _given(value)}

    async def _chunks(
        self, request: dict[str, Any], *, begins_turn: bool
    ) -> AsyncGenerator[ChatCompletionChunk, None]:
        """Yield an answer; where an answer to a turn that is still open calls tools that only read, they are
        run here, and it goes on with what they found."""
        while True:
            calls: tuple[ToolCall, ...] = ()
            async with contextlib.aclosing(self._events(self._with_choice(request, begins_turn))) as events:
                async for event in events:
                    if isinstance(event, CallTools):
                        event = CallTools(tuple(_identified(call) for call in event.calls))
                        if self._may_run_early(event.calls):
                            calls = event.calls
                            continue
                    for delta in _deltas(event):
                        yield _chunk(delta)
            if self.answer and self.answer.prompt_tokens:
                yield _usage(self.answer)
            if not calls:
                return
            found = await self._run_early(calls)
            await self.push_frame(LLMMessagesAppendFrame(found, run_llm=False))
            request, begins_turn = {**request, "messages": [*request["messages"], *found]}, False

    async def _events(self, request: Mapping[str, Any]) -> AsyncGenerator[Event, None]:
        """Yield the events of one model call; what no engine could answer becomes the failure phrase."""
        self.answer = answer = Answer(sent=time.monotonic())
        events = self._mind.answer(
            request, adapter=self._lora, call=self._call, headers=self._trace_headers(), report=answer
        )
        try:
            if self._budget:
                self._budget.spend()
            async with contextlib.aclosing(events):
                async for event in events:
                    yield event
        except LLMError as error:
            if not self._failure_phrase or answer.first_token:
                raise
            logger.error("call %s: %s", self._call, error)
            yield Say(self._failure_phrase)
        finally:
            self._on_answer(answer)

    # Tools.

    def _with_choice(self, request: dict[str, Any], begins_turn: bool) -> dict[str, Any]:
        """Return ``request`` with whether it may, must or must not call a tool.

        The last model call the budget allows must not: it has to say something.
        """
        if not request.get("tools"):
            return request
        if self._budget and self._budget.last:
            return {**request, "tool_choice": "none"}
        if begins_turn and self._tool_choice == "required":
            return {**request, "tool_choice": "required"}
        return request

    def _may_run_early(self, calls: Sequence[ToolCall]) -> bool:
        tools = [self._runner.tools.get(call.name) for call in calls]
        return self._speculation_gate.is_speculating and all(tool and tool.read_only for tool in tools)

    async def _run_early(self, calls: Sequence[ToolCall]) -> list[Any]:
        """Run tools called together, and return the messages that tell the model of it."""
        outcomes = await asyncio.gather(
            *(self._run_tool(call.name, call.id, json.loads(call.arguments)) for call in calls)
        )
        asked = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in calls
        ]
        answered = [
            {
                "role": "tool",
                "tool_call_id": call.id,
                "content": json.dumps(outcome.result, ensure_ascii=False),
            }
            for call, outcome in zip(calls, outcomes, strict=True)
        ]
        return [{"role": "assistant", "content": "", "tool_calls": asked}, *answered]

    async def _tool_called(self, params: FunctionCallParams) -> None:
        """Run a tool for pipecat, which puts the result into the context and asks the model again."""
        outcome = await self._run_tool(params.function_name, params.tool_call_id, params.arguments)
        over = self._runner.tools[params.function_name].ends_turn and not outcome.error
        properties = FunctionCallResultProperties(run_llm=False) if over else None
        await params.result_callback(outcome.result, properties=properties)

    async def _run_tool(self, name: str, call_id: str, arguments: Mapping[str, Any]) -> Outcome:
        filler = asyncio.create_task(self._fill(self._runner.tools[name]), name=f"filler-{name}")
        try:
            return await self._runner.run(name, call_id, None if MALFORMED in arguments else arguments)
        finally:
            filler.cancel()
            await asyncio.gather(filler, return_exceptions=True)

    async def _fill(self, tool: Tool) -> None:
        """Cover a slow tool with a phrase; nobody waits for an answer to a turn that is still open."""
        if tool.limits.filler:
            await asyncio.sleep(tool.limits.filler_seconds)
            if not self._speculation_gate.is_speculating:
                await self.say(tool.limits.filler)

    async def say(self, phrase: str) -> None:
        """Have the mouth speak ``phrase`` at once; the conversation does not keep it."""
        await self.push_frame(TTSSpeakFrame(phrase, append_to_context=False))


def _caller_spoke_last(request: Mapping[str, Any]) -> bool:
    messages = request["messages"]
    return bool(messages) and messages[-1].get("role") == "user"


def _deltas(event: Event) -> list[ChoiceDelta]:
    """Return what pipecat's OpenAI service understands; each tool call is one complete delta."""
    match event:
        case Say(text):
            return [ChoiceDelta(content=text)]
        case CallTools(calls):
            return [ChoiceDelta(tool_calls=[_tool_call(n, call)]) for n, call in enumerate(calls)]
    return []


def _identified(call: ToolCall) -> ToolCall:
    """Return ``call`` with an id, and arguments that pipecat can read, whatever the model wrote."""
    readable = (
        call.arguments if parsed(call.arguments) is not None else json.dumps({MALFORMED: call.arguments})
    )
    return replace(call, id=call.id or f"call_{secrets.token_hex(8)}", arguments=readable)


def _tool_call(index: int, call: ToolCall) -> ChoiceDeltaToolCall:
    function = ChoiceDeltaToolCallFunction(name=call.name, arguments=call.arguments)
    return ChoiceDeltaToolCall(index=index, id=call.id, function=function, type="function")


def _chunk(delta: ChoiceDelta) -> ChatCompletionChunk:
    choice = Choice(index=0, delta=delta)
    return ChatCompletionChunk(id="", choices=[choice], created=0, model="", object="chat.completion.chunk")


def _usage(answer: Answer) -> ChatCompletionChunk:
    """Return the chunk from which pipecat takes its usage metrics."""
    usage = CompletionUsage(
        prompt_tokens=answer.prompt_tokens,
        completion_tokens=answer.completion_tokens,
        total_tokens=answer.prompt_tokens + answer.completion_tokens,
        prompt_tokens_details=PromptTokensDetails(cached_tokens=answer.cached_tokens),
    )
    return ChatCompletionChunk(
        id="", choices=[], created=0, model="", object="chat.completion.chunk", usage=usage
    )


def _given(value: Any) -> bool:
    return value is not None and is_given(value) and openai_is_given(value)
