"""What a definition of a tool may say, and what becomes of it: a request, a function call, a hand on the call."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from pipecat.frames.frames import Frame, OutputDTMFFrame, TTSSpeakFrame

from llm.errors import ToolError
from llm.tools import Outcome, ToolRunner
from orchestration.agent import Agent, load_agent
from orchestration.control import CallControl, HeardFrame
from orchestration.errors import AgentError
from orchestration.toolbox import Toolbox

AGENT = 'name = "baker"\nsystem_prompt = "You answer a bakery\'s telephone."\n'
HOURS = """
[[tools]]
name = "hours"
description = "When the bakery is open."
parameters = { type = "object", properties = { day = { type = "string" } }, required = ["day"] }
"""


def agent_of(tmp_path: Path, tools: str) -> Agent:
    """Load an agent with these tools."""
    path = tmp_path / "baker.toml"
    path.write_text(AGENT + tools)
    return load_agent(str(path))


class Service(ThreadingHTTPServer):
    """The owner's HTTP service: keeps what it is asked, and replies as it is told."""

    def __init__(self, status: int, body: bytes) -> None:
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.status, self.body = status, body
        super().__init__(("127.0.0.1", 0), _Reply)

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self.server_port}"


class _Reply(BaseHTTPRequestHandler):
    server: Service

    def _reply(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append((self.command, self.path, headers, body))
        self.send_response(self.server.status)
        if self.server.status == 302:
            self.send_header("location", "http://127.0.0.1:1/elsewhere")
        self.end_headers()
        self.wfile.write(self.server.body)

    do_GET = do_POST = _reply  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def service(status: int = 200, body: bytes = b'{"open": "nine to noon"}') -> Iterator[Service]:
    """Run the owner's service."""
    with Service(status, body) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


class RecordedCall:
    """A call that keeps what is done to it, and hears everything at once."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.ended = ""

    def end(self, reason: str) -> None:
        """Keep the reason."""
        self.ended = reason

    async def queue(self, frame: Frame) -> None:
        """Keep a frame."""
        if isinstance(frame, HeardFrame):
            frame.heard.set()
        else:
            self.frames.append(frame)


async def call(
    agent: Agent, name: str, arguments: Mapping[str, Any], control: CallControl | None = None
) -> Outcome:
    """Run one tool of an agent once."""
    async with Toolbox(agent) as toolbox:
        tools = {tool.name: tool for tool in toolbox.tools(control or CallControl())}
        return await ToolRunner(tools, headers=lambda: {"traceparent": "00-1-2-01"}).run(name, "1", arguments)


async def test_get_sends_the_arguments_as_query_and_secrets_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trace goes with it; what the service answers is the result."""
    monkeypatch.setenv("BAKERY_TOKEN", "s3cret")
    with service() as server:
        http = f"""http = {{ method = "GET", url = "{server.url}/hours",
            headers = {{ Authorization = "Bearer ${{BAKERY_TOKEN}}" }} }}""".replace("\n", "")
        outcome = await call(agent_of(tmp_path, HOURS + http), "hours", {"day": "sunday & monday"})
        ((method, path, headers, _),) = server.asked
    assert (method, path) == ("GET", "/hours?day=sunday+%26+monday")
    assert headers["authorization"] == "Bearer s3cret"
    assert headers["traceparent"] == "00-1-2-01"
    assert outcome == Outcome({"open": "nine to noon"})


async def test_post_sends_a_json_body_and_fills_the_url(tmp_path: Path) -> None:
    """What stands in the URL is encoded, so that it cannot lead anywhere else, and is not sent twice."""
    tools = """
[[tools]]
name = "book"
description = "Books."
parameters = { type = "object", properties = { day = { type = "string" }, people = { type = "integer" } }, required = ["day", "people"] }
http = { url = "URL/days/{day}" }
"""  # noqa: E501
    with service(body=b"") as server:
        agent = agent_of(tmp_path, tools.replace("URL", server.url))
        outcome = await call(agent, "book", {"day": "../x?y#z", "people": 2})
        ((method, path, _, body),) = server.asked
        dots = await call(agent, "book", {"day": "..", "people": 2})
        assert len(server.asked) == 1
    assert (method, path) == ("POST", "/days/..%2Fx%3Fy%23z")
    assert json.loads(body) == {"people": 2}
    assert outcome.result == {"status": "done"}
    assert dots.error == "invalid_arguments"


@pytest.mark.parametrize(
    ("status", "body", "error", "told"),
    [
        (404, b"no such day", "http_404", "the service answered 404: no such day"),
        (302, b"", "http_302", "the service answered 302"),
        (200, b"x" * 20_000, "too_large", "more than 16384 bytes"),
    ],
)
async def test_what_a_service_does_wrong_is_told(
    tmp_path: Path, status: int, body: bytes, error: str, told: str
) -> None:
    """A refusal, a redirect (never followed: it would take the secrets along), and a flood."""
    with service(status, body) as server:
        outcome = await call(
            agent_of(tmp_path, HOURS + f'http = {{ url = "{server.url}" }}'), "hours", {"day": "x"}
        )
    assert outcome.error == error
    assert told in outcome.result["error"]


async def test_a_service_that_is_not_there_is_told(tmp_path: Path) -> None:
    """In a word, without addresses."""
    outcome = await call(
        agent_of(tmp_path, HOURS + 'http = { url = "http://127.0.0.1:1" }'), "hours", {"day": "x"}
    )
    assert outcome.error == "unreachable"
    assert "127.0.0.1" not in outcome.result["error"]


def hours(day: str) -> str:
    """A tool's function that blocks."""
    return f"On {day} from nine to noon."


async def hours_async(day: str) -> str:
    """A tool's function that does not."""
    await asyncio.sleep(0)
    return hours(day)


@pytest.mark.parametrize("function", ["hours", "hours_async"])
async def test_a_python_function_is_called_by_name(tmp_path: Path, function: str) -> None:
    """Async or in a thread: the call's loop is never blocked."""
    agent = agent_of(tmp_path, HOURS + f'python = "{__name__}:{function}"')
    assert (await call(agent, "hours", {"day": "sunday"})).result == "On sunday from nine to noon."


async def test_hanging_up_waits_until_the_goodbye_is_heard(tmp_path: Path) -> None:
    """Then the call ends, with a reason of its own, and the model is not asked again."""
    agent = agent_of(tmp_path, '[[tools]]\nname = "bye"\nbuiltin = "hang_up"\nsay = "Goodbye!"')
    control = CallControl()
    control.call = call_ = RecordedCall()
    assert (await call(agent, "bye", {}, control)).error == ""
    assert [frame.text for frame in call_.frames if isinstance(frame, TTSSpeakFrame)] == ["Goodbye!"]
    assert call_.ended == "the agent hung up"
    async with Toolbox(agent) as toolbox:
        (tool,) = toolbox.tools(control)
    assert tool.ends_turn
    assert not tool.read_only


async def test_the_model_chooses_whom_to_transfer_to_by_name_alone(tmp_path: Path) -> None:
    """The numbers are the owner's; a door that cannot transfer says so."""
    agent = agent_of(
        tmp_path,
        '[[tools]]\nname = "connect"\nbuiltin = "transfer"\ndestinations = { orders = "+4930123456" }',
    )
    numbers: list[str] = []

    class Telephone(CallControl):
        async def transfer(self, number: str) -> None:
            numbers.append(number)

    assert (await call(agent, "connect", {"destination": "+19005550100"})).error == "invalid_arguments"
    assert (await call(agent, "connect", {"destination": "orders"}, Telephone())).error == ""
    assert numbers == ["+4930123456"]
    refused = await call(agent, "connect", {"destination": "orders"})
    assert refused == Outcome({"error": "this call cannot be transferred"}, "unsupported")


async def test_keys_are_pressed_as_tones(tmp_path: Path) -> None:
    """Nothing but keys a telephone has."""
    agent = agent_of(tmp_path, '[[tools]]\nname = "press"\nbuiltin = "send_keys"')
    control = CallControl()
    control.call = call_ = RecordedCall()
    assert (await call(agent, "press", {"keys": "12#"}, control)).error == ""
    assert isinstance(call_.frames[0], OutputDTMFFrame)
    assert (await call(agent, "press", {"keys": "abc"}, control)).error == "invalid_arguments"


@pytest.mark.parametrize(
    ("tools", "says"),
    [
        (HOURS, "needs exactly one of http, python and builtin"),
        (HOURS + 'python = "a:b"\nbuiltin = "hang_up"', "needs exactly one of http, python and builtin"),
        ('[[tools]]\nname = "x"\npython = "a:b"', "needs a description"),
        (HOURS + 'http = { url = "http://{day}.example" }', "the host is yours to choose"),
        (
            HOURS + 'http = { url = "http://a.example/{week}" }',
            "{week} in the url must be a required parameter",
        ),
        (HOURS + 'http = { url = "http://a", headers = { X-Api-Key = "abc" } }', "X-Api-Key is a secret"),
        (HOURS.replace('"string"', '"strings"') + 'python = "a:b"', "not a JSON schema"),
        (HOURS.replace('"object"', '"array"') + 'python = "a:b"', "must be an object's schema"),
        ('[[tools]]\nname = "x"\nbuiltin = "transfer"', "transfer needs destinations"),
        ('[[tools]]\nname = "x"\nbuiltin = "hang_up"\nread_only = true', "hang_up is not read_only"),
        ('[[tools]]\nname = "x"\nbuiltin = "hang_up"\n' * 2, "two have the same name"),
        ('[[tools]]\nname = "x"\nbuiltin = "send_keys"\nsay = "Hi"', "say to hang_up and transfer"),
    ],
)
def test_a_wrong_definition_is_refused(tmp_path: Path, tools: str, says: str) -> None:
    """Saying which, and what to do; a secret is never repeated."""
    with pytest.raises(AgentError) as caught:
        agent_of(tmp_path, tools)
    assert says in str(caught.value)
    assert "abc" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (
            'http = { url = "http://a", headers = { Authorization = "${NOT_SET_HERE}" } }',
            "set NOT_SET_HERE in the environment",
        ),
        ('python = "nowhere:function"', "No module named 'nowhere'"),
        ('python = "json:nothing"', "has no attribute 'nothing'"),
        ('python = "json:dumps"', "does not take its parameters"),
    ],
)
def test_a_tool_that_cannot_run_is_refused_when_the_gateway_starts(
    tmp_path: Path, kind: str, says: str
) -> None:
    """Not when the first caller needs it."""
    with pytest.raises(AgentError, match=r"^agent baker: ") as caught:
        Toolbox(agent_of(tmp_path, HOURS + kind))
    assert says in str(caught.value)


async def test_a_door_that_cannot_says_so() -> None:
    """As a result the model is told of."""
    with pytest.raises(ToolError, match="cannot be transferred"):
        await CallControl().transfer("+4930123456")
