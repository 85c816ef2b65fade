"""The wire of a call: a carrier's media stream, in real time."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from voice.access.tls import verification
from voice.caller.script import PACKET_SECONDS, CallerScript, EchoPath, Patience, Question
from voice.caller.wires import WIRES, Clear, Mark, Sound, Wire
from voice.errors import CallerError

#: How long the gateway may take to answer, seconds.
CONNECT_SECONDS = 5.0


async def place_call(
    url: str,
    questions: Sequence[Question],
    *,
    call_sid: str,
    parameters: Mapping[str, str],
    patience: Patience | None = None,
    echo: EchoPath | None = None,
) -> CallerScript:
    """Call ``url`` (ws://…/phone/CARRIER/media) as that carrier would, ask ``questions`` and return what happened.

    ``echo``: how the caller's line echoes; None for one that does not.

    Raises:
        CallerError: nobody answered, the call was refused, or the agent hung up.

    """
    wire = _wire(url, call_sid, parameters)
    try:
        async with connect(
            url,
            open_timeout=CONNECT_SECONDS,
            max_size=None,
            compression=None,
            ssl=verification(url) if url.startswith("wss:") else None,
        ) as socket:
            for message in wire.start():
                await socket.send(message)
            script = CallerScript(questions, time.monotonic(), patience or Patience(), echo)
            async with asyncio.TaskGroup() as group:
                listener = group.create_task(_listen(socket, wire, script), name="caller-listen")
                await _speak(socket, wire, script)
                listener.cancel()
            if (stop := wire.stop()) is not None:
                await socket.send(stop)
            return script
    except* InvalidStatus as group_error:
        refusal = group_error.exceptions[0]
        assert isinstance(refusal, InvalidStatus)
        said = bytes(refusal.response.body or b"").decode(errors="replace")
        raise CallerError(
            f"{url} refused the call with status {refusal.response.status_code}: {said}"
        ) from None
    except* ConnectionClosed as group_error:
        raise CallerError(f"the agent hung up: {group_error.exceptions[0]}") from None
    except* (OSError, TimeoutError, WebSocketException) as group_error:
        raise CallerError(f"nobody answers at {url}: {group_error.exceptions[0]}") from None


async def _speak(socket: ClientConnection, wire: Wire, script: CallerScript) -> None:
    """Send a packet every 20 ms until the script is done, and the marks that are due."""
    number = 0
    while not script.done:
        number += 1
        due = script.began + number * PACKET_SECONDS
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        await socket.send(wire.packet(script.next_packet(due)))
        for mark in script.playout.marks_due(time.monotonic()):
            await socket.send(mark)


async def _listen(socket: ClientConnection, wire: Wire, script: CallerScript) -> None:
    async for message in socket:
        now = time.monotonic()
        match wire.take(message):
            case Sound(mulaw):
                script.playout.receive(mulaw, now)
            case Clear():
                script.playout.clear(now)
            case Mark(answer):
                script.playout.mark(answer, now)


def _wire(url: str, call_sid: str, parameters: Mapping[str, str]) -> Wire:
    """Return the carrier's side of a stream to ``url``, which names the carrier."""
    parts = urlsplit(url).path.split("/")
    carrier = parts[-2] if len(parts) > 1 else ""
    if carrier not in WIRES:
        raise CallerError(f"{url}: no carrier of that name; there are {', '.join(WIRES)}")
    return WIRES[carrier](call_sid, parameters)
