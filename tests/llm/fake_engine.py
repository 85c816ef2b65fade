"""A fake engine, only to inject faults: it answers as scripted and breaks as scripted."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

Writer = asyncio.StreamWriter


class FakeEngine:
    """Speaks just enough of the protocol to break it.

    Args:
        script: what to stream, in order: text, a tool call fragment as a dict, or one of the faults
            ``BREAK`` (close the connection), ``HANG`` (say nothing more), ``GARBAGE`` (not JSON), ``END``.
            ``NEXT`` parts what is said to one request from what is said to the next; the last part repeats.
        status: HTTP status of every answer; other than 200 it says so and nothing else.

    """

    BREAK, HANG, GARBAGE, END, NEXT = object(), object(), object(), object(), object()

    def __init__(self, *script: Any, status: int = 200) -> None:
        self._scripts: list[list[Any]] = [[]]
        for step in script:
            if step is self.NEXT:
                self._scripts.append([])
            else:
                self._scripts[-1].append(step)
        self._status = status
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.url = ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["FakeEngine"]:
        """Serve on a free port for the length of the block."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])
        }
        self.headers.append(headers)
        self.requests.append(json.loads(await reader.readexactly(int(headers["content-length"]))))
        if self._status != 200:
            body = b'{"error": {"message": "as scripted"}}'
            writer.write(f"HTTP/1.1 {self._status} X\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
        else:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
            await self._play(writer)
        writer.close()

    async def _play(self, writer: Writer) -> None:
        for step in self._scripts[min(len(self.requests), len(self._scripts)) - 1]:
            if step is self.BREAK:
                writer.transport.abort()
                return
            if step is self.HANG:
                await asyncio.sleep(3600)
            elif step is self.GARBAGE:
                writer.write(b"data: {{{\n\n")
            elif step is self.END:
                _send(writer, {}, "stop")
                writer.write(b"data: [DONE]\n\n")
            else:
                _send(writer, {"content": step} if isinstance(step, str) else {"tool_calls": [step]}, None)
            await writer.drain()


def tool(
    index: int = 0, *, id: str | None = None, name: str | None = None, arguments: str = ""
) -> dict[str, Any]:
    """Return a tool call fragment."""
    return {"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def _send(writer: Writer, delta: dict[str, Any], finish: str | None) -> None:
    chunk = {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": "m",
             "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}  # fmt: skip
    writer.write(f"data: {json.dumps(chunk)}\n\n".encode())
