"""What each carrier's media stream looks like, for tests: as their documentation writes it."""

import audioop
import base64
import json
from dataclasses import dataclass
from typing import Any

from orchestration.doors import PlivoSettings, TelnyxSettings, TwilioSettings, VonageSettings
from voice.phone.carriers.base import Carrier
from voice.phone.carriers.plivo import Plivo
from voice.phone.carriers.telnyx import Telnyx
from voice.phone.carriers.twilio import Twilio
from voice.phone.carriers.vonage import Vonage

SILENCE = b"\xff" * 160


@dataclass(frozen=True)
class Stream:
    """One carrier's side of a stream."""

    name: str

    def start(self, call_id: str, *, token: str = "", rate: int = 8000) -> list[str]:
        """Return the messages that begin a stream."""
        match self.name:
            case "twilio":
                start: dict[str, Any] = {
                    "streamSid": "MZ1",
                    "callSid": call_id,
                    "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": rate, "channels": 1},
                    "customParameters": {"token": token} if token else {},
                }
                messages = [{"event": "connected"}, {"event": "start", "start": start, "streamSid": "MZ1"}]
            case "telnyx":
                start = {
                    "call_control_id": call_id,
                    "media_format": {"encoding": "PCMU", "sample_rate": rate, "channels": 1},
                }
                messages = [
                    {"event": "connected", "version": "1.0.0"},
                    {"event": "start", "stream_id": "s1", "start": start},
                ]
            case "plivo":
                start = {
                    "callId": call_id,
                    "streamId": "s1",
                    "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": rate},
                }
                messages = [{"event": "start", "start": start}]
            case _:
                messages = [
                    {
                        "event": "websocket:connected",
                        "content-type": f"audio/l16;rate={rate}",
                        "call": call_id,
                    }
                ]
        return [json.dumps(message) for message in messages]

    def audio(self, mulaw: bytes = SILENCE) -> str | bytes:
        """Return a media message of 8 kHz mu-law, in Vonage's case of what it stands for."""
        if self.name == "vonage":
            return audioop.ulaw2lin(mulaw, 2)
        return json.dumps({"event": "media", "media": {"payload": base64.b64encode(mulaw).decode()}})

    def digit(self, digit: str) -> str:
        """Return a pressed key."""
        if self.name == "vonage":
            return json.dumps({"event": "websocket:dtmf", "digit": digit, "duration": 260})
        return json.dumps({"event": "dtmf", "dtmf": {"digit": digit}})

    def stop(self) -> str | None:
        """Return what the carrier says when the caller hangs up; None: it only closes the stream."""
        return None if self.name == "vonage" else json.dumps({"event": "stop"})

    def sound(self, message: str | bytes) -> bytes:
        """Return the sound in a message of the gateway's: 8 kHz mu-law; empty where there is none."""
        if isinstance(message, bytes):
            return audioop.lin2ulaw(message, 2)
        parsed = json.loads(message)
        if parsed.get("event") not in ("media", "playAudio"):
            return b""
        return base64.b64decode(parsed["media"]["payload"])

    def clears(self, message: str | bytes) -> bool:
        """Return whether a message takes back what was sent and not played yet."""
        if isinstance(message, bytes):
            return False
        parsed = json.loads(message)
        return parsed.get("event") in ("clear", "clearAudio") or parsed.get("action") == "clear"

    def played(self, message: str | bytes) -> str | None:
        """Return what the carrier says once all before this mark is played; None: it is no mark."""
        match {} if isinstance(message, bytes) else json.loads(message):
            case {"event": "mark"}:
                return str(message)
            case {"event": "checkpoint", "name": name}:
                return json.dumps({"event": "playedStream", "name": name})
            case {"action": "notify", "payload": payload}:
                return json.dumps({"event": "websocket:notify", "payload": payload})
            case _:
                return None

    def sounded(self, message: str | bytes) -> bool:
        """Return whether a message of the gateway's is sound."""
        return bool(self.sound(message))


STREAMS = [Stream(name) for name in ("twilio", "telnyx", "plivo", "vonage")]


def carrier(name: str) -> Carrier:
    """Return a carrier without an account."""
    made: dict[str, Carrier] = {
        "twilio": Twilio(TwilioSettings()),
        "telnyx": Telnyx(TelnyxSettings(), tolerance_seconds=300),
        "plivo": Plivo(PlivoSettings()),
        "vonage": Vonage(VonageSettings(), tolerance_seconds=300),
    }
    return made[name]
