"""A scripted engine: it stands in for a model that calls tools, which the embedded one is too small for.

It speaks the OpenAI protocol, and what it says follows from the last message alone. Whatever it is asked is kept.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

#: What is said to the last message: text, or tools to call, by name and arguments.
Script = Callable[[dict[str, Any]], str | list[tuple[str, dict[str, Any]]]]


class ScriptedEngine(ThreadingHTTPServer):
    """Answers as ``script`` says."""

    daemon_threads = True

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[dict[str, Any]] = []
        super().__init__(("127.0.0.1", 0), _Answer)

    @property
    def profile(self) -> str:
        """An engine profile that asks it."""
        return f'engine = "openai"\nmodel = "scripted"\nbase_url = "http://127.0.0.1:{self.server_port}/v1"\n'


class _Answer(BaseHTTPRequestHandler):
    server: ScriptedEngine

    def do_POST(self) -> None:
        """Stream an answer."""
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.requests.append(request)
        said = self.server.script(request["messages"][-1])
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for delta in _deltas(said):
            self._send(delta, None)
        self._send({}, "stop" if isinstance(said, str) else "tool_calls")
        self.wfile.write(b"data: [DONE]\n\n")

    def _send(self, delta: dict[str, Any], finish: str | None) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        chunk = {
            "id": "1",
            "object": "chat.completion.chunk",
            "created": 0,
            "model": "m",
            "choices": [choice],
        }
        self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _deltas(said: str | list[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    if isinstance(said, str):
        return [{"content": f"{word} "} for word in said.split()]
    return [
        {"tool_calls": [{"index": n, "id": f"{name}-{n}", "type": "function",
                         "function": {"name": name, "arguments": json.dumps(arguments)}}]}
        for n, (name, arguments) in enumerate(said)
    ]  # fmt: skip


@contextmanager
def scripted_engine(script: Script) -> Iterator[ScriptedEngine]:
    """Run a scripted engine."""
    with ScriptedEngine(script) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
