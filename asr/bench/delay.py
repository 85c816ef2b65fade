"""Delay after the last speech sample, in real time, beside pipecat's own Whisper service in the same run."""

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import EndFrame, Frame, InputAudioRawFrame, TranscriptionFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.audio.vad_processor import VADProcessor
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.whisper.stt import WhisperSTTService
from pipecat.workers.runner import WorkerRunner

from asr.audio import SAMPLE_RATE
from asr.bench import whisperlive
from asr.bench.corpus import Clip, linear16, silence
from asr.bench.live import CHUNK_SECONDS, TAIL_SECONDS, caller, percentiles, server

KINDS = ("short_command", "read_sentence")
MAX_CLIP_SECONDS = 10.0


def measure(
    clips: list[Clip],
    model: Path,
    whisper_live: Path | None,
    progress: Callable[[Iterable[Any]], Iterable[Any]],
) -> dict[str, Any]:
    """Return the ear's and its peers' delays over the same clips, turn about.

    Args:
        clips: what to play; single commands and sentences are taken.
        model: directory of the Whisper model that the peers load.
        whisper_live: interpreter of an environment with WhisperLive; None to leave it out.
        progress: shows how far it is.

    """
    chosen = [
        clip for clip in clips if clip.kind in KINDS and clip.single_turn and clip.seconds <= MAX_CLIP_SECONDS
    ]
    with server() as served, ExitStack() as peers:
        live = peers.enter_context(whisperlive.server(whisper_live, model)) if whisper_live else None
        return asyncio.run(_measure(chosen, served.url, model, live, progress))


async def _measure(
    clips: list[Clip],
    url: str,
    model: Path,
    live: str | None,
    progress: Callable[[Iterable[Any]], Iterable[Any]],
) -> dict[str, Any]:
    peer = PipecatWhisper(model)
    transcripts: list[float] = []
    ends: list[float] = []
    confirmations: list[float] = []
    peers: list[float] = []
    told: list[whisperlive.Told] = []
    async with caller(url) as client, asyncio.TaskGroup() as group:
        group.create_task(peer.run())
        for clip in progress(clips):
            heard = await client.say(clip)
            other = await peer.say(clip)
            if live and (answer := await whisperlive.say(live, clip)):
                told.append(answer)
            if heard.transcript is not None and heard.end is not None and other is not None:
                transcripts.append(heard.transcript)
                ends.append(heard.end)
                confirmations += [] if heard.confirmation is None else [heard.confirmation]
                peers.append(other)
        await peer.stop()
    ours, theirs = percentiles(transcripts), percentiles(peers)
    rows = [
        {"what": "ear: eager transcript", **ours},
        {"what": "ear: end of turn", **percentiles(ends)},
        {"what": "pipecat WhisperSTTService: final", **theirs},
    ]
    if live:
        completed = [item.completed for item in told if item.completed is not None]
        rows.append(
            {"what": "WhisperLive: last change of its text", **percentiles([item.text for item in told])}
        )
        if completed:
            what = f"WhisperLive: completed ({len(completed)} of {len(told)})"
            rows.append({"what": what, **percentiles(completed)})
    confirming = percentiles(confirmations)
    return {
        "clips": len(peers),
        "seconds_from_the_deciding_audio_to_the_end_of_turn": {"turns": len(confirmations), **confirming},
        "seconds_after_last_speech": rows,
        "ratio_p50": round(ours["p50"] / theirs["p50"], 3) if peers else 0.0,
        "ratio_p95": round(ours["p95"] / theirs["p95"], 3) if peers else 0.0,
    }


class Catcher(FrameProcessor):
    """Notes when transcriptions arrive."""

    def __init__(self) -> None:
        super().__init__()
        self.arrivals: list[float] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Take one frame."""
        await super().process_frame(frame, direction)
        if isinstance(frame, TranscriptionFrame):
            self.arrivals.append(time.monotonic())
        await self.push_frame(frame, direction)


class PipecatWhisper:
    """pipecat's VAD and WhisperSTTService with its defaults, on the same model."""

    def __init__(self, model: Path) -> None:
        self._catcher = Catcher()
        service = WhisperSTTService(
            device="auto", compute_type="int8", settings=WhisperSTTService.Settings(model=str(model))
        )
        vad = VADProcessor(vad_analyzer=SileroVADAnalyzer(sample_rate=SAMPLE_RATE))
        self._worker = PipelineWorker(
            Pipeline([vad, service, self._catcher]),
            params=PipelineParams(audio_in_sample_rate=SAMPLE_RATE),
            enable_rtvi=False,
            cancel_on_idle_timeout=False,
        )

    async def run(self) -> None:
        """Run the pipeline until stopped."""
        await WorkerRunner(handle_sigint=False).run(self._worker)

    async def stop(self) -> None:
        """End the pipeline."""
        await self._worker.queue_frame(EndFrame())

    async def say(self, clip: Clip) -> float | None:
        """Play ``clip`` in real time; return when its last transcription came, seconds after its speech."""
        first = len(self._catcher.arrivals)
        started = time.monotonic()
        data = linear16(np.concatenate([clip.audio, silence(TAIL_SECONDS)]))
        size = int(CHUNK_SECONDS * SAMPLE_RATE) * 2
        for offset in range(0, len(data), size):
            due = started + (offset + size) / (2 * SAMPLE_RATE)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await self._worker.queue_frame(InputAudioRawFrame(data[offset : offset + size], SAMPLE_RATE, 1))
        arrivals = self._catcher.arrivals[first:]
        return arrivals[-1] - started - clip.last_speech if arrivals else None
