"""Each carrier's media stream from the caller's side: what a telephone network would send and take. Sans-I/O."""

import audioop
import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from voice.caller.playout import BYTES_PER_SAMPLE
from voice.phone.media import SAMPLE_RATE

MULAW = "audio/x-mulaw"
PACKET_MILLISECONDS = 20
Message = str | bytes


@dataclass(frozen=True)
class Sound:
    """Sound of the agent: 8 kHz mu-law."""

    mulaw: bytes


@dataclass(frozen=True)
class Clear:
    """What was sent and not played yet is taken back."""


@dataclass(frozen=True)
class Mark:
    """Something to send back once all sound before it was played."""

    answer: str


@dataclass
class Wire:
    """One stream of Twilio's.

    Attributes:
        call_sid: the call's name.
        parameters: custom parameters of the stream.

    """

    call_sid: str
    parameters: Mapping[str, str]
    _stream: str = field(default_factory=lambda: f"MZ{secrets.token_hex(16)}")
    _sent: int = 0

    def start(self) -> list[Message]:
        """Return the messages that begin the stream."""
        start = {
            "accountSid": "AC" + "0" * 32,
            "streamSid": self._stream,
            "callSid": self.call_sid,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": MULAW, "sampleRate": SAMPLE_RATE, "channels": 1},
            "customParameters": dict(self.parameters),
        }
        connected = {"event": "connected", "protocol": "Call", "version": "1.0.0"}
        begin = {"event": "start", "sequenceNumber": "1", "start": start, "streamSid": self._stream}
        return [json.dumps(connected), json.dumps(begin)]

    def packet(self, mulaw: bytes) -> Message:
        """Return the caller's next 20 ms."""
        self._sent += 1
        media = {
            "track": "inbound",
            "chunk": str(self._sent),
            "timestamp": str(self._sent * PACKET_MILLISECONDS),
            "payload": base64.b64encode(mulaw).decode(),
        }
        number = str(self._sent + 1)
        return json.dumps(
            {"event": "media", "sequenceNumber": number, "media": media, "streamSid": self._stream}
        )

    def stop(self) -> Message | None:
        """Return what says that the caller has hung up; None: only the stream is closed."""
        return json.dumps({"event": "stop", "streamSid": self._stream})

    def take(self, message: Message) -> Sound | Clear | Mark | None:
        """Return what a message of the gateway's means; None where it means nothing to a caller."""
        told: dict[str, Any] = json.loads(message)
        match told.get("event"):
            case "media" | "playAudio":
                return Sound(base64.b64decode(told["media"]["payload"]))
            case "clear" | "clearAudio":
                return Clear()
            case "mark":
                return Mark(str(message))
        return None


class TelnyxWire(Wire):
    """One stream of Telnyx's."""

    def start(self) -> list[Message]:
        """Return the messages that begin the stream."""
        start = {
            "call_control_id": self.call_sid,
            "custom_parameters": dict(self.parameters),
            "media_format": {"encoding": "PCMU", "sample_rate": SAMPLE_RATE, "channels": 1},
        }
        return [
            json.dumps({"event": "connected", "version": "1.0.0"}),
            json.dumps({"event": "start", "stream_id": self._stream, "start": start}),
        ]


class PlivoWire(Wire):
    """One stream of Plivo's."""

    def start(self) -> list[Message]:
        """Return the message that begins the stream."""
        start = {
            "callId": self.call_sid,
            "streamId": self._stream,
            "mediaFormat": {"encoding": MULAW, "sampleRate": SAMPLE_RATE},
        }
        return [json.dumps({"event": "start", "start": start})]

    def take(self, message: Message) -> Sound | Clear | Mark | None:
        """Return what a message of the gateway's means."""
        told = json.loads(message)
        if told.get("event") == "checkpoint":
            return Mark(json.dumps({"event": "playedStream", "name": told["name"]}))
        return super().take(message)


class VonageWire(Wire):
    """One stream of Vonage's: linear 16-bit PCM as binary messages."""

    def start(self) -> list[Message]:
        """Return the message that begins the stream."""
        content = f"audio/l16;rate={SAMPLE_RATE}"
        return [json.dumps({"event": "websocket:connected", "content-type": content, "call": self.call_sid})]

    def packet(self, mulaw: bytes) -> Message:
        """Return the caller's next 20 ms."""
        return audioop.ulaw2lin(mulaw, BYTES_PER_SAMPLE)

    def stop(self) -> Message | None:
        """Return None: Vonage only closes the stream."""
        return None

    def take(self, message: Message) -> Sound | Clear | Mark | None:
        """Return what a message of the gateway's means."""
        if isinstance(message, bytes):
            return Sound(audioop.lin2ulaw(message, BYTES_PER_SAMPLE))
        told = json.loads(message)
        match told.get("action"):
            case "clear":
                return Clear()
            case "notify":
                return Mark(json.dumps({"event": "websocket:notify", "payload": told["payload"]}))
        return None


WIRES: Mapping[str, type[Wire]] = {
    "twilio": Wire,
    "telnyx": TelnyxWire,
    "plivo": PlivoWire,
    "vonage": VonageWire,
}
