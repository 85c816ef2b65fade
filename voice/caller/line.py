"""The wire of a call: a media stream in Twilio's protocol, in real time."""

import asyncio
import base64
import json
import secrets
import time
from collections.abc import Mapping, Sequence

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from voice.access.tls import verification
from voice.caller.script import PACKET_SECONDS, CallerScript, EchoPath, Patience, Question
from voice.errors import CallerError
from voice.phone.carriers.twilio import ENCODING
from voice.phone.media import SAMPLE_RATE

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
    """Call ``url`` (ws://…/phone/twilio/media), ask ``questions`` and return what happened.

    ``echo``: how the caller's line echoes; None for one that does not.

    Raises:
        CallerError: nobody answered, the call was refused, or the agent hung up.

    """
    try:
        async with connect(
            url,
            open_timeout=CONNECT_SECONDS,
            max_size=None,
            compression=None,
            ssl=verification(url) if url.startswith("wss:") else None,
        ) as socket:
            stream_sid = f"MZ{secrets.token_hex(16)}"
            await _start(socket, stream_sid, call_sid, parameters)
            script = CallerScript(questions, time.monotonic(), patience or Patience(), echo)
            async with asyncio.TaskGroup() as group:
                listener = group.create_task(_listen(socket, script), name="caller-listen")
                await _speak(socket, stream_sid, script)
                listener.cancel()
            await socket.send(json.dumps({"event": "stop", "streamSid": stream_sid}))
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


async def _start(
    socket: ClientConnection, stream_sid: str, call_sid: str, parameters: Mapping[str, str]
) -> None:
    await socket.send(json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
    start = {
        "accountSid": "AC" + "0" * 32,
        "streamSid": stream_sid,
        "callSid": call_sid,
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": ENCODING, "sampleRate": SAMPLE_RATE, "channels": 1},
        "customParameters": dict(parameters),
    }
    await socket.send(
        json.dumps({"event": "start", "sequenceNumber": "1", "start": start, "streamSid": stream_sid})
    )


async def _speak(socket: ClientConnection, stream_sid: str, script: CallerScript) -> None:
    """Send a packet every 20 ms until the script is done."""
    number = 0
    while not script.done:
        number += 1
        due = script.began + number * PACKET_SECONDS
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        payload = base64.b64encode(script.next_packet(due)).decode()
        media = {"track": "inbound", "chunk": str(number), "timestamp": str(number * 20), "payload": payload}
        message = {
            "event": "media",
            "sequenceNumber": str(number + 1),
            "media": media,
            "streamSid": stream_sid,
        }
        await socket.send(json.dumps(message))
        for mark in script.playout.marks_due(time.monotonic()):
            await socket.send(mark)


async def _listen(socket: ClientConnection, script: CallerScript) -> None:
    async for text in socket:
        message = json.loads(text)
        now = time.monotonic()
        match message.get("event"):
            case "media":
                script.playout.receive(base64.b64decode(message["media"]["payload"]), now)
            case "clear":
                script.playout.clear(now)
            case "mark":
                script.playout.mark(str(text), now)
