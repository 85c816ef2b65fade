"""What each carrier's media stream looks like, for tests: as their documentation writes it."""

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
        """Return a media message: 8 kHz mu-law, or silence in Vonage's form."""
        if self.name == "vonage":
            return b"\x00\x00" * len(mulaw)
        return json.dumps({"event": "media", "media": {"payload": base64.b64encode(mulaw).decode()}})

    def digit(self, digit: str) -> str:
        """Return a pressed key."""
        if self.name == "vonage":
            return json.dumps({"event": "websocket:dtmf", "digit": digit, "duration": 260})
        return json.dumps({"event": "dtmf", "dtmf": {"digit": digit}})

    def sounded(self, message: str | bytes) -> bool:
        """Return whether a message of the gateway's is sound."""
        if isinstance(message, bytes):
            return True
        return json.loads(message).get("event") in ("media", "playAudio")


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
