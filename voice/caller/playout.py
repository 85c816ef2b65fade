"""What a telephone does with the audio it receives: plays it, one packet after the other, as it arrives.

Sans-I/O. The caller's figures come from here: a sample is heard when it is played, not when it was sent.
"""

import audioop
from collections import deque
from dataclasses import dataclass

from telemetry.loudness import first_audible, last_audible
from voice.phone.media import SAMPLE_RATE

BYTES_PER_SAMPLE = 2
#: A moment between two packets is stepped over by so much, seconds.
PACKET_END_SECONDS = 1 / SAMPLE_RATE


@dataclass(frozen=True)
class _Packet:
    start: float
    pcm: bytes

    @property
    def end(self) -> float:
        return self.start + len(self.pcm) / BYTES_PER_SAMPLE / SAMPLE_RATE


class Playout:
    """The agent's side of the call, on the caller's audio clock (seconds).

    Args:
        began: moment that becomes second 0 of the recording.

    """

    def __init__(self, began: float) -> None:
        self._began = began
        self._packets: list[_Packet] = []
        self._end = began
        self._marks: deque[tuple[float, str]] = deque()

    def receive(self, mulaw: bytes, now: float) -> None:
        """Queue 8 kHz ``mulaw`` that arrived at ``now`` behind what is still playing."""
        packet = _Packet(max(now, self._end), audioop.ulaw2lin(mulaw, BYTES_PER_SAMPLE))
        self._packets.append(packet)
        self._end = packet.end

    def mark(self, message: str, now: float) -> None:
        """Take a mark that came at ``now``: it goes back once what came before it is played."""
        self._marks.append((max(now, self._end), message))

    def marks_due(self, now: float) -> list[str]:
        """Return the marks that go back at ``now``."""
        due = []
        while self._marks and self._marks[0][0] <= now:
            due.append(self._marks.popleft()[1])
        return due

    def clear(self, now: float) -> None:
        """Drop what has not been played by ``now``: the agent was interrupted."""
        kept = []
        for packet in self._packets:
            if packet.end <= now:
                kept.append(packet)
            elif packet.start < now:
                samples = round((now - packet.start) * SAMPLE_RATE)
                kept.append(_Packet(packet.start, packet.pcm[: samples * BYTES_PER_SAMPLE]))
        self._packets = kept
        self._end = now
        # As Twilio does: the marks of what was dropped go back at once.
        self._marks = deque((min(at, now), message) for at, message in self._marks)

    def first_audible_after(self, moment: float) -> float | None:
        """Return when the first audible sample was played at or after ``moment``."""
        for packet in self._packets:
            if packet.end <= moment:
                continue
            skipped = max(0, round((moment - packet.start) * SAMPLE_RATE))
            index = first_audible(packet.pcm[skipped * BYTES_PER_SAMPLE :])
            if index is not None:
                return packet.start + (skipped + index) / SAMPLE_RATE
        return None

    def last_audible(self) -> float | None:
        """Return when the last audible sample received so far is played."""
        for packet in reversed(self._packets):
            index = last_audible(packet.pcm)
            if index is not None:
                return packet.start + index / SAMPLE_RATE
        return None

    def last_audible_before(self, moment: float) -> float | None:
        """Return when the last audible sample up to ``moment`` was played."""
        for packet in reversed(self._packets):
            if packet.start >= moment:
                continue
            played = packet.pcm[: round((moment - packet.start) * SAMPLE_RATE) * BYTES_PER_SAMPLE]
            index = last_audible(played)
            if index is not None:
                return packet.start + index / SAMPLE_RATE
        return None

    def silent_since(self, moment: float, seconds: float, now: float) -> float | None:
        """Return when the agent fell silent after ``moment``, for ``seconds`` at least; None if it has not by now."""
        stopped = moment
        while (sound := self.first_audible_after(stopped)) is not None and sound - stopped < seconds:
            stopped = self._end_of_sound(sound)
        return stopped if now - stopped >= seconds else None

    def _end_of_sound(self, moment: float) -> float:
        """Return the end of the packet that is played at ``moment``, or of its last audible sample."""
        for packet in self._packets:
            if packet.start <= moment < packet.end:
                index = last_audible(packet.pcm)
                assert index is not None
                return packet.start + (index + 1) / SAMPLE_RATE
        return moment + PACKET_END_SECONDS

    def recording(self, start: float, end: float) -> bytes:
        """Return what was played from ``start`` to ``end``, gaps as silence: 8 kHz mono 16-bit PCM."""
        length = max(0, round((end - start) * SAMPLE_RATE))
        pcm = bytearray(length * BYTES_PER_SAMPLE)
        for packet in self._packets:
            at = round((packet.start - start) * SAMPLE_RATE)
            skipped = max(0, -at)
            samples = min(len(packet.pcm) // BYTES_PER_SAMPLE - skipped, length - at - skipped)
            if samples > 0:
                offset = (at + skipped) * BYTES_PER_SAMPLE
                source = packet.pcm[skipped * BYTES_PER_SAMPLE : (skipped + samples) * BYTES_PER_SAMPLE]
                pcm[offset : offset + len(source)] = source
        return bytes(pcm)
