"""One request at one replica: an HTTP stream turned into events, its errors into ours."""

from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2
import openai
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletionChunk

from llm.disaggregation import prefilled_elsewhere
from llm.errors import EngineError
from llm.failover import Ask, ToolFragment

#: Statuses that blame the request itself: every other engine would say the same.
REQUEST_FAULTS = frozenset({400, 413, 422})
#: Longest part of an engine's error text that is repeated, characters.
ERROR_TEXT_LENGTH = 200
#: A kept-alive connection that the engine has closed meanwhile breaks like this, before any answer.
_STALE = (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.WriteError)


@dataclass(frozen=True)
class Request:
    """What is asked, whoever answers: the body, a LoRA adapter by name or none, and headers."""

    body: Mapping[str, Any]
    adapter: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Text:
    """Text of ``tokens`` tokens."""

    text: str
    tokens: int


@dataclass(frozen=True)
class End:
    """The stream is over; an empty reason means it was cut off."""

    reason: str


#: Gives the client of an engine, by its URL and its key.
Engines = Callable[[str, str], openai.AsyncOpenAI]
Received = Text | ToolFragment | CompletionUsage | End


async def attempt(engines: Engines, request: Request, ask: Ask) -> AsyncGenerator[Received, None]:
    """Send ``request`` as ``ask`` wants it and yield what comes back, an ``End`` last.

    Raises:
        EngineError: the engine refused, could not be reached, or broke off.

    """
    replica = ask.replica
    reason = ""
    try:
        body = body_of(request, ask)
        if replica.prefill_url:
            prefiller = engines(replica.prefill_url, replica.api_key)
            body = await prefilled_elsewhere(prefiller, body, request.headers)
        stream = await _open(engines(replica.url, replica.api_key), body, request.headers)
        async with stream:
            async for chunk in stream:
                for part in _parts(chunk):
                    if isinstance(part, End):
                        reason = part.reason
                    else:
                        yield part
    except openai.APIStatusError as error:
        text = str(error.message)[:ERROR_TEXT_LENGTH]
        raise EngineError(
            f"{replica.url}: status {error.status_code}: {text}",
            status=error.status_code,
            retryable=error.status_code not in REQUEST_FAULTS,
        ) from None
    except (openai.APIError, httpx2.HTTPError) as error:
        if not reason:
            raise EngineError(f"{replica.url}: {_cause(error)}") from None
    yield End(reason)


def body_of(request: Request, ask: Ask) -> dict[str, Any]:
    """Return the body for ``ask``: where the answer has begun, its beginning is the last message.

    vLLM, SGLang and llama.cpp all take ``continue_final_message``: the last message's end is left open and
    the model writes on. Sampling stays as it is; only the tokens already written are taken off the limit.
    """
    replica = ask.replica
    model = request.adapter if request.adapter and replica.adapters else replica.model
    body = {**request.body, "model": model, "stream": True, "stream_options": {"include_usage": True}}
    if replica.continues and (tools := body.get("tools")):
        # An engine of one's own then holds the arguments to their schema while they are written; OpenAI's takes
        # the word for schemas of its own kind only, and refuses others.
        body["tools"] = [{**tool, "function": {**tool["function"], "strict": True}} for tool in tools]
    if limit := body.pop("max_tokens", None):
        body[replica.limit_key] = max(1, limit - ask.said_tokens)
    if not ask.said:
        return body
    body["messages"] = [*body["messages"], {"role": "assistant", "content": ask.said}]
    extra = {**body.get("extra_body", {}), "continue_final_message": True, "add_generation_prompt": False}
    return {**body, "extra_body": extra}


async def _open(
    client: openai.AsyncOpenAI, body: Mapping[str, Any], headers: Mapping[str, str]
) -> openai.AsyncStream[ChatCompletionChunk]:
    create = client.chat.completions.create
    try:
        return await create(**body, extra_headers=dict(headers))  # type: ignore[no-any-return]
    except openai.APIConnectionError as error:
        if not isinstance(error.__cause__, _STALE):
            raise
    return await create(**body, extra_headers=dict(headers))  # type: ignore[no-any-return]


def _parts(chunk: ChatCompletionChunk) -> list[Received]:
    parts: list[Received] = []
    if chunk.usage and not chunk.choices:
        parts.append(chunk.usage)
    for choice in chunk.choices:
        if choice.delta and choice.delta.content:
            parts.append(Text(choice.delta.content, 1))
        for call in (choice.delta and choice.delta.tool_calls) or ():
            name, arguments = (call.function.name, call.function.arguments) if call.function else ("", "")
            parts.append(ToolFragment(call.index, call.id or "", name or "", arguments or ""))
        if choice.finish_reason:
            parts.append(End(choice.finish_reason))
    return parts


def _cause(error: Exception) -> str:
    cause = error.__cause__ or error
    return f"{type(cause).__name__}: {cause}"[:ERROR_TEXT_LENGTH]
