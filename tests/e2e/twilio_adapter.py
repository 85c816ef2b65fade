"""Lets voicebench, a judge of other people's, call as Twilio does (``tests.e2e.twilio_adapter:Twilio``)."""

import base64
import itertools
import json
import secrets
from typing import Any, ClassVar

import numpy as np
from voicebench import audio
from voicebench.adapters.base import AgentAudio, AgentClear
from voicebench.adapters.websocket import WebSocketAdapter

from asr.audio import MULAW

RATE = 8000
_ORDER = np.argsort(MULAW)
_LEVELS = MULAW[_ORDER]


def to_mulaw(pcm: np.ndarray) -> bytes:
    """Return floats from -1 to 1 as mu-law: each sample's nearest level."""
    samples = np.clip(pcm * 32767, _LEVELS[0], _LEVELS[-1])
    above = np.searchsorted(_LEVELS, samples).clip(1, len(_LEVELS) - 1)
    nearer = above - (samples - _LEVELS[above - 1] < _LEVELS[above] - samples)
    return _ORDER[nearer].astype(np.uint8).tobytes()


class Twilio(WebSocketAdapter):
    """Twilio's media stream, from the carrier's side."""

    name: ClassVar[str] = "twilio"

    async def connect(self) -> None:
        """Open the stream as Twilio does."""
        await super().connect()
        assert self._ws is not None
        self._number = itertools.count(1)
        stream = f"MZ{secrets.token_hex(16)}"
        self._stream = stream
        start = {
            "streamSid": stream,
            "callSid": f"CA{secrets.token_hex(16)}",
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": RATE, "channels": 1},
            "customParameters": {},
        }
        await self._ws.send(json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
        await self._ws.send(json.dumps({"event": "start", "streamSid": stream, "start": start}))

    def encode_audio(self, pcm: np.ndarray) -> str:  # type: ignore[override]
        """Return one media message."""
        number = next(self._number)
        media = {
            "track": "inbound",
            "chunk": str(number),
            "payload": base64.b64encode(to_mulaw(pcm)).decode(),
        }
        return json.dumps({"event": "media", "streamSid": self._stream, "media": media})

    def handle_text(self, message: str, now: float) -> None:
        """Take what the agent sends."""
        told: dict[str, Any] = json.loads(message)
        if told.get("event") == "media":
            samples = MULAW[np.frombuffer(base64.b64decode(told["media"]["payload"]), np.uint8)]
            pcm = samples.astype(np.float32) / 32768
            self.emit(AgentAudio(audio.resample(pcm, RATE, self.session.sample_rate), now))
        elif told.get("event") == "clear":
            self.emit(AgentClear(now))
