"""Closing a websocket with a word of why."""

import contextlib

from starlette.websockets import WebSocket, WebSocketDisconnect

#: What a close frame has room for, bytes of UTF-8 (RFC 6455, 5.5: 125 less the code).
MAX_REASON_BYTES = 123


def close_reason(text: str) -> str:
    """Return as much of ``text`` as a close frame takes, whatever of a caller's stands in it."""
    return text.encode("utf-8", "replace")[:MAX_REASON_BYTES].decode("utf-8", "ignore")


async def close(socket: WebSocket, code: int, reason: str) -> None:
    """Close an accepted ``socket``; whoever is on the other side may have gone already."""
    with contextlib.suppress(WebSocketDisconnect, RuntimeError, OSError):
        await socket.close(code, close_reason(reason))
