"""Encodings, resampling of mixed sessions, and the real time in which the ear is given sound."""

import asyncio
import audioop
import time

import numpy as np
import pytest
from pipecat.frames.frames import InputAudioRawFrame
from pipecat.tests.utils import SleepFrame, run_test
from pipecat.transports.base_transport import TransportParams

from voice.realtime.audio import Decoder, Encoder, pipeline_rate, seconds_of
from voice.realtime.config import Format, Pcm, Pcma, Pcmu
from voice.realtime.transport import LEAD_SECONDS, Inlet

ENCODINGS: list[Format] = [Pcm(), Pcmu(type="audio/pcmu"), Pcma(type="audio/pcma")]
TONE = (np.sin(np.arange(2400) / 8) * 9000).astype("<i2").tobytes()


@pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda encoding: encoding.type)
def test_sound_survives_its_encoding(encoding: Format) -> None:
    """At its own rate nothing is resampled; G.711 costs what G.711 costs."""
    rate = pipeline_rate(encoding)
    assert rate == (24_000 if encoding.type == "audio/pcm" else 8_000)
    encoded = Encoder(rate).feed(TONE, encoding)
    assert seconds_of(len(encoded), encoding) == len(TONE) / 2 / rate
    back = np.frombuffer(Decoder(rate).feed(encoded, encoding), "<i2").astype(float)
    sent = np.frombuffer(TONE, "<i2").astype(float)
    assert np.abs(back - sent).max() < 600


def test_pieces_of_any_size() -> None:
    """Half a sample waits for its other half."""
    decoder = Decoder(24_000)
    assert b"".join(decoder.feed(TONE[n : n + 7], Pcm()) for n in range(0, len(TONE), 7)) == TONE


def test_mixed_encodings() -> None:
    """A session that hears mu-law and speaks PCM runs at the higher rate."""
    mulaw = Pcmu(type="audio/pcmu")
    rate = pipeline_rate(mulaw, Pcm())
    assert rate == 24_000
    decoder = Decoder(rate)
    heard = b"".join(decoder.feed(audioop.lin2ulaw(TONE, 2), mulaw) for _ in range(10))
    assert len(heard) == pytest.approx(3 * 10 * len(TONE), rel=0.05)


async def test_sound_sent_at_once_is_heard_in_real_time() -> None:
    """What a client sends faster than it was spoken waits; there is an end to what may wait."""
    inlet = Inlet(TransportParams(audio_in_enabled=True), max_seconds=2.0)
    assert inlet.hear(bytes(2 * 16_000), 16_000)
    assert not inlet.hear(bytes(2 * 2 * 16_000), 16_000)
    began = time.monotonic()
    down, _ = await run_test(inlet, frames_to_send=[SleepFrame(1.2)])
    assert asyncio.get_running_loop()
    given = [frame for frame in down if isinstance(frame, InputAudioRawFrame)]
    assert sum(len(frame.audio) for frame in given) == 2 * 16_000
    assert time.monotonic() - began > 1.0 - LEAD_SECONDS
