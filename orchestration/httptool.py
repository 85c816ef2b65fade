"""A tool that is an HTTP endpoint of the owner's."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx

from llm.errors import ToolError
from orchestration.errors import AgentError
from orchestration.tools import VARIABLE, HttpCall

#: Methods whose arguments are the query, not the body.
_IN_QUERY = frozenset({"GET", "DELETE"})
#: Longest part of an error's body that the model is told, characters.
ERROR_TEXT_LENGTH = 200


class HttpTool:
    """Calls one endpoint.

    Args:
        call: its definition.
        http: shared by all tools; it follows no redirects, so that secrets go where they were meant to.
        environment: holds the secrets the headers name.
        most_bytes: a longer reply is not read to its end.

    Raises:
        AgentError: an environment variable is not set.

    """

    def __init__(
        self, call: HttpCall, http: httpx.AsyncClient, environment: Mapping[str, str], most_bytes: int
    ) -> None:
        if missing := sorted(name for name in call.variables if not environment.get(name)):
            raise AgentError(f"{call.url}: set {', '.join(missing)} in the environment")
        self._call = call
        self._http = http
        self._most_bytes = most_bytes
        self._headers = {
            name: VARIABLE.sub(lambda match: environment[match[1]], value)
            for name, value in call.headers.items()
        }

    async def run(self, arguments: Mapping[str, Any], trace: Mapping[str, str]) -> Any:
        """Call it with ``arguments``; ``trace`` is sent along. Return its JSON, or its text.

        Raises:
            ToolError: it cannot be reached, answers with an error, or with more than the tool may return.

        """
        url, rest = self._filled(arguments)
        where: dict[str, Any] = {"params": _flat(rest)} if self._call.method in _IN_QUERY else {"json": rest}
        request = self._http.build_request(
            self._call.method, url, headers={**trace, **self._headers}, **where
        )
        try:
            response = await self._http.send(request, stream=True)
            try:
                body = await self._read(response)
            finally:
                await response.aclose()
        except httpx.HTTPError as error:
            raise ToolError(
                f"the service cannot be reached ({type(error).__name__})", kind="unreachable"
            ) from None
        if not response.is_success:
            said = body[:ERROR_TEXT_LENGTH].decode(errors="replace")
            raise ToolError(
                f"the service answered {response.status_code}: {said}", kind=f"http_{response.status_code}"
            )
        return _value(body)

    def _filled(self, arguments: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Return the URL with its placeholders filled in, and the arguments that are left."""
        placed = self._call.placeholders
        if wrong := [name for name in placed if str(arguments[name]) in ("", ".", "..")]:
            raise ToolError(f"{wrong[0]}: {arguments[wrong[0]]!r} will not do", kind="invalid_arguments")
        url = self._call.url.format_map({name: quote(str(arguments[name]), safe="") for name in placed})
        return url, {name: value for name, value in arguments.items() if name not in placed}

    async def _read(self, response: httpx.Response) -> bytes:
        body = b""
        async for part in response.aiter_bytes():
            body += part
            if len(body) > self._most_bytes:
                raise ToolError(
                    f"the service answered with more than {self._most_bytes} bytes; ask for less",
                    kind="too_large",
                )
        return body


def _flat(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments as a query holds them: what is no plain value as JSON."""
    return {
        name: json.dumps(value) if isinstance(value, list | dict) else value
        for name, value in arguments.items()
    }


def _value(body: bytes) -> Any:
    try:
        return json.loads(body) if body else {"status": "done"}
    except ValueError:
        return body.decode(errors="replace")
