"""Who has the floor: joins the ear's events, the sound of the line and the agent's speech.

A thin shell: :class:`~orchestration.bargein.BargeIn` decides, :class:`~orchestration.speaker.Speaker` falls
silent and goes on, :class:`~orchestration.recorder.CallRecorder` writes down.
"""

from collections.abc import Callable, Mapping
from typing import Any

from asr.detectors import SpeechProbability
from orchestration.bargein import BargeIn, Verdict
from orchestration.dialogue import Dialogue
from orchestration.echo import EchoGuard
from orchestration.linevad import LineVad
from orchestration.recorder import CallRecorder
from orchestration.screening import Screening
from orchestration.speaker import Speaker
from orchestration.wager import Wager


class Floor:
    """The floor of one call.

    Args:
        recorder: writes the call down.
        bargein: decides who may take the turn.
        detector: Silero VAD, shared by all calls.
        sample_rate: of the caller's audio, mono 16-bit PCM, Hz.
        wager: decides whether a likely end of turn is answered before it is confirmed.
        dialogue: the client's conversation, where the client keeps it.
        echo: takes the agent's voice out of the caller's line; None where the caller's side does.

    """

    def __init__(
        self,
        recorder: CallRecorder,
        bargein: BargeIn,
        detector: SpeechProbability,
        *,
        sample_rate: int,
        wager: Wager,
        dialogue: Dialogue | None = None,
        echo: EchoGuard | None = None,
    ) -> None:
        self._recorder = recorder
        self._bargein = bargein
        self._vad = LineVad(detector, sample_rate=sample_rate)
        self._sample_rate = sample_rate
        self._wager = wager
        self._dialogue = dialogue
        #: Finds out who has picked up; until a person has, nobody takes turns.
        self.screening: Screening | None = None
        #: Told what the ear hears of turns that count.
        self.on_heard: Callable[[Mapping[str, Any], float], None] = lambda _message, _now: None
        self._echo = echo
        self.speaker = Speaker(
            on_said=self._said,
            on_sound=echo.played if echo else lambda _: None,
            on_speech=recorder.speech_begins,
            playback=recorder.playback,
        )

    def interruptible(self) -> bool:
        """Return whether the caller may take the turn from the agent."""
        return self._dialogue is None or self._dialogue.interruptible()

    def clean(self, audio: bytes) -> bytes:
        """Return the caller's audio as the ear is to have it."""
        return self._echo.clean(audio) if self._echo else audio

    def ear_audio(self, audio: bytes | None, now: float) -> None:
        """Take audio that went to the ear; None: a new stream begins."""
        if audio is None:
            self._recorder.ear_audio(None, self._sample_rate, now)
            return
        self._recorder.ear_audio(audio, self._sample_rate, now)
        if not self._screened and self.interruptible() and self.speaker.speaking():
            self._listen(audio, now)
        else:
            self._vad.forget()
        if self._bargein.false_alarm(now):
            self._recorder.resumed(now)
            self.speaker.go_on()

    def turn_info(self, message: dict[str, Any], now: float) -> list[dict[str, Any]]:
        """Take a TurnInfo message of the ear; return those that take effect."""
        if self._screened:
            self._recorder.last_activity = now
            return [message]
        silenced_at = self._bargein.silenced_at
        speaking = self.interruptible() and self.speaker.speaking()
        verdict = self._bargein.judge(message, speaking=speaking)
        if verdict is Verdict.KEEP:
            return []
        messages = [message] if verdict is Verdict.PASS else [{**message, "event": "StartOfTurn"}, message]
        messages = [passed for passed in messages if self._wager.take(passed, now)]
        self._recorder.record.declined = self._wager.declined
        for passed in messages:
            if passed["event"] == "StartOfTurn" and speaking:
                self._recorder.barged_in(silenced_at or now)
            self._recorder.turn_info(passed, now)
            self.on_heard(passed, now)
        if self._dialogue is None:
            return messages
        return [passed for passed in messages if self._dialogue.turn_info(passed)]

    @property
    def _screened(self) -> bool:
        return self.screening is not None and not self.screening.met_person

    def _said(self, text: str) -> None:
        self._bargein.said([text])
        self._recorder.said(text)

    def _listen(self, audio: bytes, now: float) -> None:
        """Ask the VAD whether somebody speaks while the agent does."""
        for window in self._vad.feed(audio, now):
            if self._bargein.window(window.probability, began=window.began, now=now):
                self.speaker.silence()
        latest = self._vad.latest(now) if self._bargein.silenced_at is None else None
        if latest and self._bargein.glimpse(latest.probability, began=latest.began):
            self.speaker.silence()
