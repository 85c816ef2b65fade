"""Makes an agent's tool definitions into tools that can be run: HTTP endpoints, Python functions, the call itself."""

import asyncio
import importlib
import inspect
import os
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

import httpx

from llm.tools import Run, Tool
from orchestration.agent import Agent
from orchestration.control import CallControl
from orchestration.errors import AgentError
from orchestration.httptool import HttpTool
from orchestration.tools import ToolDefinition
from serving.tls import trusted


class Toolbox:
    """The tools of one agent, shared by all its calls. Use it as an async context manager.

    Args:
        agent: whose tools.

    Raises:
        AgentError: a Python function cannot be imported, or an environment variable is not set.

    """

    def __init__(self, agent: Agent) -> None:
        self._definitions = agent.tools
        # A tool's own limit holds.
        self._http = httpx.AsyncClient(follow_redirects=False, timeout=None, verify=trusted())  # noqa: S113
        self._stack = AsyncExitStack()
        try:
            self._shared = {
                definition.name: self._runner(definition)
                for definition in agent.tools
                if not definition.builtin
            }
        except AgentError as error:
            raise AgentError(f"agent {agent.name}: {error}") from None

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._http)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def tools(self, control: CallControl) -> tuple[Tool, ...]:
        """Return the tools for one call, in the order of their definition."""
        return tuple(self._tool(definition, control) for definition in self._definitions)

    def _tool(self, definition: ToolDefinition, control: CallControl) -> Tool:
        run = self._shared.get(definition.name) or _builtin(definition, control)
        return Tool(
            definition.name,
            definition.told,
            definition.schema_of_arguments,
            run,
            definition.limits,
            read_only=definition.read_only,
            ends_turn=definition.builtin in ("hang_up", "transfer"),
        )

    def _runner(self, definition: ToolDefinition) -> Run:
        if definition.http:
            return HttpTool(definition.http, self._http, os.environ, definition.result_bytes).run
        return _python(definition)


def _python(definition: ToolDefinition) -> Run:
    """Return what calls a Python function; one that is not async runs in a thread."""
    module, _, path = definition.python.partition(":")
    try:
        function: Any = importlib.import_module(module)
        for part in path.split("."):
            function = getattr(function, part)
    except (ImportError, AttributeError) as error:
        raise AgentError(f"tool {definition.name}: python = {definition.python!r}: {error}") from None
    if not callable(function):
        raise AgentError(f"tool {definition.name}: python = {definition.python!r}: not a function")
    _check_signature(definition, function)

    async def run(arguments: Mapping[str, Any], _: Mapping[str, str]) -> Any:
        if inspect.iscoroutinefunction(function):
            return await function(**arguments)
        return await asyncio.to_thread(function, **arguments)

    return run


def _check_signature(definition: ToolDefinition, function: Callable[..., Any]) -> None:
    names = dict.fromkeys(definition.schema_of_arguments["properties"])
    try:
        inspect.signature(function).bind(**names)
    except TypeError as error:
        raise AgentError(
            f"tool {definition.name}: {definition.python} does not take its parameters: {error}"
        ) from None


def _builtin(definition: ToolDefinition, control: CallControl) -> Run:
    async def run(arguments: Mapping[str, Any], _: Mapping[str, str]) -> Any:
        if definition.say:
            await control.say(definition.say)
        match definition.builtin:
            case "hang_up":
                await control.hang_up()
            case "transfer":
                await control.transfer(definition.destinations[arguments["destination"]])
            case "send_keys":
                await control.press(arguments["keys"])
        return {"status": "done"}

    return run
