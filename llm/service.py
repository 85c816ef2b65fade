"""The mind as a pipecat service: pipecat's OpenAI service, asking through our client."""

import contextlib
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

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
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.utils.types import NOT_GIVEN, is_given

from llm.budget import ModelCallBudget
from llm.client import Answer, Event, LLMClient
from llm.errors import LLMError
from llm.failover import CallTools, Say, ToolCall
from llm.profile import Sampling
from llm.tools import Handler, ToolLimits, bounded
from telemetry.tracing import inject_context

logger = logging.getLogger(__name__)


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
        self._budget = budget
        self._failure_phrase = failure_phrase
        self._trace_headers = trace_headers
        self._on_answer = on_answer
        self.answer: Answer | None = None

    def register_tool(self, name: str, handler: Handler, limits: ToolLimits) -> None:
        """Register a tool within ``limits``; tools called together run at the same time."""
        self.register_function(name, bounded(handler, limits), timeout_secs=limits.seconds)

    async def prefill(self, context: LLMContext) -> None:
        """Have the engine read what ``context`` holds so far: when the phone rings, before anybody speaks.

        Failing costs nothing but the time it would have saved.
        """
        try:
            await self._mind.prefill(await self._request(context), adapter=self._lora, call=self._call)
        except LLMError as error:
            logger.warning("call %s: the prompt could not be read ahead: %s", self._call, error)

    async def cleanup(self) -> None:
        """Forget the call's home replica."""
        await super().cleanup()  # type: ignore[no-untyped-call]
        self._mind.pool.forget(self._call)

    async def get_chat_completions(self, context: LLMContext) -> AsyncGenerator[ChatCompletionChunk, None]:  # type: ignore[override]
        """Return the chunks of the answer to ``context``."""
        request = await self._request(context)
        if self._budget and _caller_spoke_last(request):
            self._budget.begin_turn()
        return self._chunks(request)

    async def _request(self, context: LLMContext) -> dict[str, Any]:
        invocation = await self.get_llm_adapter().get_llm_invocation_params(
            context,
            system_instruction=self._system_prompt,
            convert_developer_to_user=not self.supports_developer_role,
        )
        parameters = self.build_chat_completion_params(invocation)
        return {key: value for key, value in parameters.items() if _given(value)}

    async def _chunks(self, request: Mapping[str, Any]) -> AsyncGenerator[ChatCompletionChunk, None]:
        self.answer = answer = Answer()
        events = self._mind.answer(
            request, adapter=self._lora, call=self._call, headers=self._trace_headers(), report=answer
        )
        try:
            if self._budget:
                self._budget.spend()
            async with contextlib.aclosing(events):
                async for event in events:
                    for delta in _deltas(event):
                        yield _chunk(delta)
            if answer.prompt_tokens:
                yield _usage(answer)
        except LLMError as error:
            if not self._failure_phrase or answer.first_token:
                raise
            logger.error("call %s: %s", self._call, error)
            yield _chunk(ChoiceDelta(content=self._failure_phrase))
        finally:
            self._on_answer(answer)


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
