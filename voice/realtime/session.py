"""One Realtime session: takes the client's events and the call's, and says what is to be done. Sans-I/O.

Whatever a client sends is answered by an event, an error among them, and the session goes on.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

from orchestration.dialogue import Request
from voice.realtime.answers import Answers
from voice.realtime.audio import seconds_of
from voice.realtime.config import SessionConfig, validated
from voice.realtime.conversation import Conversation
from voice.realtime.effects import (
    Configure,
    Effect,
    EndTurn,
    ForgetSound,
    Hear,
    Transcribe,
    Typed,
    send,
)
from voice.realtime.errors import ClientEventError
from voice.realtime.events import (
    AudioAppend,
    AudioClear,
    AudioCommit,
    ClientEvent,
    ItemCreate,
    ItemDelete,
    ItemRetrieve,
    ItemTruncate,
    OutputClear,
    ResponseCancel,
    ResponseCreate,
    ResponseParams,
    SessionUpdate,
    parse,
)
from voice.realtime.ids import random_id
from voice.realtime.items import read_item
from voice.realtime.limits import SessionLimits
from voice.realtime.response import Event, Response
from voice.realtime.turns import CallerTurns, committed, spoken_item, transcription, understood

#: Less sound than this is no turn, seconds (OpenAI's own limit).
MIN_COMMIT_SECONDS = 0.1


class Session:
    """See the module's text.

    Args:
        config: the settings it begins with.
        voices: names of the voices there are.
        limits: its bounds.
        expires_at: when it will have lasted as long as it may, seconds since the epoch.

    """

    def __init__(
        self, config: SessionConfig, *, voices: frozenset[str], limits: SessionLimits, expires_at: int
    ) -> None:
        self.id = random_id("sess")
        self.config = config
        self.conversation = Conversation(max_items=limits.max_items)
        self.answers = Answers(self.conversation, limits)
        self._voices = voices
        self._limits = limits
        self._expires_at = expires_at
        self._turns = CallerTurns(random_id, self.conversation.append)
        self._buffer = bytearray()
        self._typed = ""

    def opened(self) -> list[Effect]:
        """Return what a new session begins with."""
        return send([{"type": "session.created", "session": self._session_json()}])

    # The client.

    def received(self, message: str, now: float) -> list[Effect]:
        """Take a message of the client's that came at ``now``, seconds on any monotonic clock."""
        event_id = None
        try:
            event = parse(message)
            event_id = event.event_id
            return self._take(event, now)
        except ClientEventError as error:
            error.event_id = error.event_id or event_id
            return send([{"type": "error", "error": error.as_json()}])

    def _take(self, event: ClientEvent, now: float) -> list[Effect]:
        match event:
            case AudioAppend():
                return self._append_audio(event)
            case SessionUpdate():
                return self._update(event)
            case AudioCommit():
                return self._commit_audio()
            case AudioClear():
                self._buffer.clear()
                return [ForgetSound(), *send([{"type": "input_audio_buffer.cleared"}])]
            case OutputClear():
                return self._clear_output()
            case ItemCreate():
                return self._create_item(event)
            case ItemRetrieve():
                item = self.conversation.get(event.item_id, purpose="retrieve")
                return send([{"type": "conversation.item.retrieved", "item": item.as_json()}])
            case ItemTruncate():
                return self._truncate_item(event)
            case ItemDelete():
                self.conversation.delete(event.item_id)
                return send([{"type": "conversation.item.deleted", "item_id": event.item_id}])
            case ResponseCreate():
                return self._create_response(event)
            case ResponseCancel():
                return self.answers.cancel(event.response_id, now)
        raise AssertionError(event)

    def _update(self, event: SessionUpdate) -> list[Effect]:
        before = self.config
        after = before.updated(event.session, voices=self._voices)
        if self.answers.heard and after.audio.output.voice != before.audio.output.voice:
            raise ClientEventError(
                "the voice cannot be changed once it has been heard",
                code="cannot_update_voice",
                param="session.audio.output.voice",
            )
        self.config = after
        if (
            after.audio.input.turn_detection is not None
            or after.audio.input.format != before.audio.input.format
        ):
            self._buffer.clear()
        changed: list[Effect] = [Configure(after)] if after.audio != before.audio else []
        return [*send([{"type": "session.updated", "session": self._session_json()}]), *changed]

    def _append_audio(self, event: AudioAppend) -> list[Effect]:
        try:
            audio = base64.b64decode(event.audio, validate=True)
        except (binascii.Error, ValueError):
            raise ClientEventError("audio must be base64", code="invalid_value", param="audio") from None
        encoding = self.config.audio.input.format
        if self.config.audio.input.turn_detection is not None:
            return [Hear(audio, encoding)] if audio else []
        if seconds_of(len(self._buffer) + len(audio), encoding) > self._limits.max_buffer_seconds:
            raise ClientEventError(
                f"the buffer holds {self._limits.max_buffer_seconds:g} seconds; commit or clear it",
                code="input_audio_buffer_full",
                param="audio",
            )
        self._buffer += audio
        return []

    def _commit_audio(self) -> list[Effect]:
        audio = self.config.audio.input
        if audio.turn_detection is not None and self._turns.open:
            return [EndTurn()]
        seconds = seconds_of(len(self._buffer), audio.format)
        if seconds < MIN_COMMIT_SECONDS:
            raise ClientEventError(
                "Error committing input audio buffer: buffer too small. Expected at least "
                f"{MIN_COMMIT_SECONDS * 1000:.0f}ms of audio, but buffer only has {seconds * 1000:.2f}ms of audio.",
                code="input_audio_buffer_commit_empty",
            )
        item = spoken_item(random_id("item"), None)
        events = committed(item, self.conversation.append(item))
        sound = bytes(self._buffer)
        self._buffer.clear()
        return [*send(events), Transcribe(item, sound, audio.format, turn=True)]

    def _create_item(self, event: ItemCreate) -> list[Effect]:
        item, sound = read_item(event.item, random_id("item"))
        audio = b""
        if sound is not None:
            try:
                audio = base64.b64decode(sound, validate=True)
            except (binascii.Error, ValueError):
                raise ClientEventError(
                    "audio must be base64", code="invalid_value", param="item.content.audio"
                ) from None
        previous = self.conversation.insert(item, event.previous_item_id)
        item.awaited = bool(audio)
        if item.role == "user" and not item.awaited:
            self._typed = item.text
        where = {"previous_item_id": previous, "item": item.as_json()}
        told = send([{"type": f"conversation.item.{kind}", **where} for kind in ("added", "done")])
        encoding = self.config.audio.input.format
        return [*told, *([Transcribe(item, audio, encoding, turn=False)] if item.awaited else [])]

    def _truncate_item(self, event: ItemTruncate) -> list[Effect]:
        item = self.conversation.get(event.item_id, purpose="truncate")
        spoken = item.role == "assistant" and item.content and item.content[0]["type"] == "output_audio"
        if not spoken or event.content_index != 0:
            raise ClientEventError(
                "only the spoken content of an assistant message, index 0, can be truncated",
                code="invalid_value",
                param="content_index" if spoken else "item_id",
            )
        active = self.answers.active
        stopped = self.answers.stop() if active and item in active.items else []
        item.truncate(event.audio_end_ms / 1000)
        truncated = {
            "type": "conversation.item.truncated",
            "item_id": item.id,
            "content_index": 0,
            "audio_end_ms": event.audio_end_ms,
        }
        return [*stopped, *send([truncated])]

    def _create_response(self, event: ResponseCreate) -> list[Effect]:
        params = validated(ResponseParams, event.response or {}, at="response")
        begun = self.answers.begin(params, self.config, automatic=False)
        typed, self._typed = self._typed, ""
        return [*([Typed(typed)] if typed else []), *begun]

    def _clear_output(self) -> list[Effect]:
        cleared = {"type": "output_audio_buffer.cleared", "response_id": self.answers.last_id}
        return [*self.answers.stop(), *send([cleared])]

    # The ear.

    @property
    def interruptible(self) -> bool:
        """Whether the caller may interrupt."""
        detection = self.config.audio.input.turn_detection
        return detection is None or detection.interrupt_response

    @property
    def _answers_turns(self) -> bool:
        """Whether the turn that ends is answered without being asked to."""
        detection = self.config.audio.input.turn_detection
        return detection is not None and detection.create_response and self.answers.active is None

    def turn_info(self, message: Mapping[str, Any], now: float) -> tuple[list[Effect], bool]:
        """Take an event of the ear's that takes effect at ``now``; return also whether the call is to act on it."""
        if self.config.audio.input.turn_detection is None:
            return [], message.get("event") != "EagerEndOfTurn"
        transcribe = self.config.audio.input.transcription is not None
        match message.get("event"):
            case "StartOfTurn":
                cut_off = self.answers.interrupted(now) if self.interruptible else []
                return [*send(self._turns.started(message)), *cut_off], True
            case "EagerEndOfTurn":
                return [], self._answers_turns
            case "EndOfTurn":
                events = self._turns.ended(message, transcribe=transcribe)
                if not (self._answers_turns and message.get("transcript")):
                    return send(events), True
                begun = self.answers.begin(ResponseParams(), self.config, automatic=True)
                return [*send(events), *begun], True
            case "Update" if transcribe:
                return send(self._turns.guessed(str(message.get("transcript", "")))), True
        return [], True

    def transcribed(self, wanted: Transcribe, text: str | None) -> list[Effect]:
        """Take what was understood of a recording; None where that failed."""
        item = wanted.item
        item.awaited = False
        part = next(part for part in item.content if part["type"] == "input_audio" and not part["transcript"])
        part["transcript"] = text
        effects: list[Effect] = []
        if self.config.audio.input.transcription is not None:
            effects = send([self._transcription(wanted, text)])
        return [*effects, *self.answers.transcribed()]

    @staticmethod
    def _transcription(wanted: Transcribe, text: str | None) -> Event:
        if text is not None:
            return understood(wanted.item.id, text, seconds_of(len(wanted.audio), wanted.format))
        error = {
            "type": "server_error",
            "code": "transcription_failed",
            "message": "the ear could not be reached, or could not read the sound",
            "param": None,
        }
        return transcription(wanted.item.id, "failed", error=error)

    # The call.

    def request(self, response: Response | None, eager: Sequence[Any] = ()) -> Request | None:
        """Return what the mind is to be asked; None where nobody wants an answer any more.

        Args:
            response: the response it is for; None for one to a turn of the caller's.
            eager: messages of a turn that may not be over.

        """
        if not self._answers_turns:
            # The turn may have ended while its early answer was on the way to the mind: it is the answer to an
            # item of the conversation now, or to nothing.
            eager = ()
        return self.answers.request(response, self.config, eager)

    def overflowed(self) -> list[Effect]:
        """Return what the client is told of sound there was no room for."""
        error = ClientEventError(
            f"more than {self._limits.max_buffer_seconds:g} seconds of sound wait to be heard; "
            "send it as it is spoken",
            code="input_audio_buffer_full",
            param="audio",
        )
        return send([{"type": "error", "error": error.as_json()}])

    def ended(self, reason: str) -> list[Effect]:
        """Return what the client is told when the call ends from this side."""
        error = {
            "type": "invalid_request_error",
            "code": "session_expired",
            "message": f"the session is over: {reason}",
            "param": None,
            "event_id": None,
        }
        return send([{"type": "error", "error": error}])

    def _session_json(self) -> dict[str, Any]:
        return self.config.as_json(self.id, self._expires_at)
