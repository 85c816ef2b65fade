"""An agent's tools: what the model is told of them, and one call of one, within its bounds.

A tool never breaks a call: whatever goes wrong with it becomes a result that tells the model what did.
"""

import asyncio
import json
import logging
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jsonschema import Draft202012Validator
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema

from llm.errors import ToolError

logger = logging.getLogger(__name__)

#: How long the result of an interrupted tool is kept for a model that asks again, seconds.
REPEAT_SECONDS = 60.0
#: Class of what happens to a tool whose result nobody waits for any more.
CANCELLED = "cancelled"
#: Runs a tool: takes the model's arguments, and headers that carry the trace; returns what JSON can hold.
Run = Callable[[Mapping[str, Any], Mapping[str, str]], Awaitable[Any]]
#: What the model says it calls a tool with, and what it says is no JSON object: None.
Arguments = Mapping[str, Any] | None
#: Told of a call of a tool: its name, the call's id, when it began and ended (monotonic seconds), a short class of
#: what went wrong, empty where nothing did, and its arguments and result as JSON texts.
Listener = Callable[[str, str, float, float, str, str, str], None]


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


@dataclass(frozen=True)
class Tool:
    """One tool of an agent.

    Attributes:
        name: what the model calls it.
        description: when to call it, for the model.
        parameters: JSON schema of its arguments, an object's.
        run: does it; raises :class:`~llm.errors.ToolError` with what the model may know of a failure.
        limits: its bounds.
        read_only: it changes nothing, so that an answer to a turn that is not over yet may run it, and running
            it once more than needed does no harm.
        ends_turn: nothing is left for the model to say once it has succeeded.

    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    run: Run
    limits: ToolLimits = ToolLimits()
    read_only: bool = False
    ends_turn: bool = False


@dataclass(frozen=True)
class Outcome:
    """What one call of a tool came to: the result for the model, and a short class of what went wrong."""

    result: Any
    error: str = ""


@dataclass(frozen=True)
class _Unheard:
    """A call of a tool whose result the model has not heard of, and when that was interrupted."""

    task: "asyncio.Task[Outcome]"
    since: float


def schema_of(tools: Sequence[Tool]) -> ToolsSchema:
    """Return ``tools`` as pipecat tells a model of them."""
    return ToolsSchema(
        [
            FunctionSchema(
                tool.name,
                tool.description,
                dict(tool.parameters.get("properties", {})),
                list(tool.parameters.get("required", [])),
            )
            for tool in tools
        ]
    )


def parsed(arguments: str) -> Arguments:
    """Return what a model wrote as arguments; None where that is no JSON object."""
    try:
        value = json.loads(arguments or "{}")
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


@dataclass
class ToolRunner:
    """Runs the tools of one phone call.

    A tool with side effects that has begun is not broken off when the caller interrupts, and not begun a second
    time: the model that soon asks again, with the same arguments, gets the result it did not hear of.

    Attributes:
        tools: by name.
        headers: give the trace context a tool is called with.
        on_begun: told of a tool that begins.
        on_ended: told of every call that has ended.

    """

    tools: Mapping[str, Tool]
    headers: Callable[[], Mapping[str, str]] = dict
    on_begun: Callable[[], None] = lambda: None
    on_ended: Listener = lambda *_: None
    _unheard: dict[str, _Unheard] = field(default_factory=dict)

    async def run(self, name: str, call_id: str, arguments: Arguments) -> Outcome:
        """Return what the call came to; it never raises but when it is cancelled."""
        tool = self.tools[name]
        if tool.read_only:
            return await self._run(tool, call_id, arguments)
        key = f"{name} {json.dumps(arguments, sort_keys=True)}"
        task = self._begun_before(key) or asyncio.create_task(
            self._run(tool, call_id, arguments), name=f"tool-{name}"
        )
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._unheard[key] = _Unheard(task, time.monotonic())
            raise

    async def close(self) -> None:
        """Wait for what was interrupted and still runs: each ends within its own time limit."""
        await asyncio.gather(*(unheard.task for unheard in self._unheard.values()))

    def _begun_before(self, key: str) -> "asyncio.Task[Outcome] | None":
        unheard = self._unheard.pop(key, None)
        if unheard is None or time.monotonic() - unheard.since > REPEAT_SECONDS:
            return None
        return unheard.task

    async def _run(self, tool: Tool, call_id: str, arguments: Arguments) -> Outcome:
        began = time.monotonic()
        self.on_begun()
        outcome = Outcome({"error": f"{tool.name} was broken off"}, CANCELLED)
        try:
            outcome = await self._bounded(tool, arguments)
        finally:
            said = (json.dumps(arguments), json.dumps(outcome.result, default=str))
            self.on_ended(tool.name, call_id, began, time.monotonic(), outcome.error, *said)
        return outcome

    async def _bounded(self, tool: Tool, arguments: Arguments) -> Outcome:
        if arguments is None:
            return Outcome({"error": "the arguments are not a JSON object"}, "invalid_arguments")
        if error := next(Draft202012Validator(dict(tool.parameters)).iter_errors(arguments), None):
            where = f"{error.json_path.removeprefix('$.')}: " if error.path else ""
            return Outcome({"error": f"{where}{error.message}"}, "invalid_arguments")
        seconds = tool.limits.seconds
        try:
            async with asyncio.timeout(seconds):
                result = await tool.run(arguments, self.headers())
        except ToolError as error:
            return Outcome({"error": str(error)}, error.kind)
        except TimeoutError:
            return Outcome({"error": f"{tool.name} took longer than {seconds:g} s"}, "timeout")
        except Exception as error:  # It is the owner's code: what it raises must not end a call.
            # Where it was raised, without its text, which may hold what a caller has said.
            logger.error(
                "tool %s raised %s:\n%s",
                tool.name, type(error).__name__, "".join(traceback.format_tb(error.__traceback__)),
            )  # fmt: skip
            return Outcome({"error": f"{tool.name} failed"}, type(error).__name__)
        return _checked(tool, result)


def _checked(tool: Tool, result: Any) -> Outcome:
    try:
        size = len(json.dumps(result).encode())
    except (TypeError, ValueError) as error:
        logger.error("tool %s: its result is not JSON: %s", tool.name, error)
        return Outcome({"error": f"{tool.name} failed"}, "invalid_result")
    most = tool.limits.result_bytes
    if size > most:
        return Outcome(
            {"error": f"the result of {tool.name} has {size} bytes; ask for less than {most}"}, "too_large"
        )
    return Outcome(result)
