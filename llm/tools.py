"""Bounds around an agent's tools: how long, how much, and what the caller hears meanwhile."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from pipecat.frames.frames import FunctionCallResultProperties, TTSSpeakFrame
from pipecat.services.llm_service import FunctionCallParams

Handler = Callable[[FunctionCallParams], Awaitable[None]]


@dataclass(frozen=True)
class ToolLimits:
    """Bounds of one tool.

    Attributes:
        seconds: the tool is cancelled after this long, and the model told so.
        result_bytes: a larger result (as JSON) is refused, and the model told so; it would otherwise be read
            again with every later turn.
        filler: said when the tool takes longer than ``filler_seconds``; empty for nothing.
        filler_seconds: how long a silence may be before the filler.

    """

    seconds: float = 10.0
    result_bytes: int = 16_384
    filler: str = ""
    filler_seconds: float = 0.7


def bounded(handler: Handler, limits: ToolLimits) -> Handler:
    """Return ``handler`` within ``limits``; its time limit is pipecat's to keep."""

    async def run(params: FunctionCallParams) -> None:
        checked = replace(params, result_callback=_checked(params, limits.result_bytes))
        filler = asyncio.create_task(_fill(params, limits), name=f"filler-{params.function_name}")
        try:
            await handler(checked)
        finally:
            filler.cancel()
            await asyncio.gather(filler, return_exceptions=True)

    return run


async def _fill(params: FunctionCallParams, limits: ToolLimits) -> None:
    if limits.filler:
        await asyncio.sleep(limits.filler_seconds)
        await params.llm.push_frame(TTSSpeakFrame(limits.filler, append_to_context=False))


def _checked(params: FunctionCallParams, most: int) -> Any:
    async def deliver(result: Any, *, properties: FunctionCallResultProperties | None = None) -> None:
        size = len(json.dumps(result, default=str).encode())
        if size > most:
            result = {
                "error": f"the result of {params.function_name} has {size} bytes; ask for less than {most}"
            }
        await params.result_callback(result, properties=properties)

    return deliver
