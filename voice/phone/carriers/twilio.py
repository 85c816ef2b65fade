"""Twilio. https://www.twilio.com/docs/voice/media-streams/websocket-messages"""

import hashlib
from collections.abc import Mapping
from typing import Any

from pipecat.serializers.twilio import TwilioFrameSerializer
from twilio.request_validator import RequestValidator
from twilio.twiml.voice_response import Connect, Dial, Stream, VoiceResponse

from orchestration.doors import TwilioSettings
from voice.phone.carriers import stream
from voice.phone.carriers.base import Document, RestRequest, SignatureError, Webhook
from voice.phone.media import SAMPLE_RATE, Event, StreamStart, identifier, part, require_format

ENCODING = "audio/x-mulaw"
XML = "application/xml"


class Twilio:
    """Twilio's documents, stream, signatures and REST API.

    Args:
        settings: the account.

    """

    name = "twilio"
    api_base = "https://api.twilio.com"

    def __init__(self, settings: TwilioSettings) -> None:
        self._settings = settings

    def verify(self, webhook: Webhook, now: float) -> str:
        """Check ``X-Twilio-Signature``, which covers URL and form but no time."""
        secret = self._settings.auth_token.get_secret_value()
        if not secret:
            raise SignatureError("unconfigured", "[phone] twilio.auth_token is not set")
        signature = webhook.headers.get("x-twilio-signature", "")
        if not signature:
            raise SignatureError("unsigned", "no X-Twilio-Signature")
        if not RequestValidator(secret).validate(webhook.url, dict(webhook.form), signature):
            raise SignatureError("bad_signature", "X-Twilio-Signature does not match")
        return hashlib.sha256(signature.encode() + webhook.body).hexdigest()

    def call_id(self, webhook: Webhook) -> str:
        """Return the CallSid."""
        return webhook.field("CallSid")

    def answer(self, media_url: str, token: str, call_id: str) -> Document:
        """Return TwiML with a bidirectional stream."""
        media = Stream(url=media_url)
        media.parameter(name="token", value=token)
        connect = Connect()
        connect.append(media)
        response = VoiceResponse()
        response.append(connect)
        return Document(str(response), XML)

    def busy(self) -> Document:
        """Return TwiML that rejects the call: the caller hears the busy tone and nothing is billed."""
        response = VoiceResponse()
        response.reject(reason="busy")
        return Document(str(response), XML)

    def hold(self, text: str, seconds: int, again_url: str) -> Document:
        """Return TwiML that says ``text`` and comes back."""
        response = VoiceResponse()
        response.say(text)
        response.pause(length=seconds)
        response.redirect(again_url, method="POST")
        return Document(str(response), XML)

    def connect(self, to: str) -> Document:
        """Return TwiML that dials ``to``."""
        response = VoiceResponse()
        dial = Dial()
        dial.number(to)
        response.append(dial)
        return Document(str(response), XML)

    def parse_start(self, message: str | bytes, query: Mapping[str, str]) -> StreamStart | None:
        """Read ``connected`` and ``start``."""
        parsed = stream.opening("Twilio", message)
        if parsed is None:
            return None
        start = part(parsed, "start")
        promised = part(start, "mediaFormat")
        require_format(
            self.name,
            (promised.get("encoding"), promised.get("sampleRate"), promised.get("channels")),
            (ENCODING, SAMPLE_RATE, 1),
        )
        parameters = stream.parameters(start, "customParameters")
        return StreamStart(identifier(start, "streamSid"), identifier(start, "callSid"), parameters)

    def parse(self, message: str | bytes) -> Event:
        """Read a message of the stream."""
        return stream.event_in(message, ignored={"connected"})

    def serializer(self, start: StreamStart) -> TwilioFrameSerializer:
        """Return pipecat's serializer; hanging up is the door's business."""
        return TwilioFrameSerializer(
            start.stream_id, start.call_id, params=TwilioFrameSerializer.InputParams(auto_hang_up=False)
        )

    def mark(self, start: StreamStart, name: str) -> dict[str, Any]:
        """Return a ``mark`` message."""
        return {"event": "mark", "streamSid": start.stream_id, "mark": {"name": name}}

    def dial(self, base: str, to: str, answer_url: str, status_url: str) -> RestRequest:
        """Create a call."""
        form = {
            "To": to,
            "From": self._settings.from_number,
            "Url": answer_url,
            "StatusCallback": status_url,
            "StatusCallbackEvent": "completed",
        }
        return self._request(base, "Calls.json", form)

    def dialled(self, reply: Mapping[str, Any]) -> str:
        """Return the CallSid."""
        return str(reply.get("sid", ""))

    def hang_up(self, base: str, call_id: str) -> RestRequest:
        """Complete the call."""
        return self._request(base, f"Calls/{call_id}.json", {"Status": "completed"})

    def transfer(self, base: str, call_id: str, to: str, url: str) -> RestRequest:
        """Give the call other TwiML."""
        return self._request(base, f"Calls/{call_id}.json", {"Twiml": self.connect(to).content})

    def _request(self, base: str, path: str, form: dict[str, str]) -> RestRequest:
        account = self._settings.account_sid
        return RestRequest(
            "POST",
            f"{base}/2010-04-01/Accounts/{account}/{path}",
            auth=(account, self._settings.auth_token.get_secret_value()),
            form=form,
        )
