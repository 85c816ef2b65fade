"""The models and the threads they run in, shared by every stream of the process."""

import asyncio
import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from asr import metrics
from asr.audio import Samples
from asr.detectors import EndDetector, SpeechDetector
from asr.errors import OverloadError
from asr.scheduler import DecodeScheduler, Priority, Ticket
from asr.transcript import Transcript
from asr.whisper import DecodeJob, Whisper

logger = logging.getLogger(__name__)


#: Niceness of threads that work while an answer is already being thought up: on few cores that goes first.
NICENESS = 5


def _give_way() -> None:
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), os.nice(0) + NICENESS)


class _Lane:
    """One place where batches are decoded, and the least urgent that it takes."""

    def __init__(self, least: Priority) -> None:
        self.least = least
        self.work = asyncio.Event()
        self.busy = False


class Engine:
    """Runs decodes and end-of-turn judgements off the event loop, one batch a lane at a time.

    The first of several lanes is kept free for finals and eager decodes, so that none of them waits for a partial
    or a file that is already being decoded. The last lane takes whatever comes next.

    Args:
        models: loaded models, by the name that requests use.
        alone: the same, using more threads: for the first of several lanes while only one stream is open and no
            other lane is at work. Threads that wait for one another lose more than they win where another
            decode has one of their cores.
        speech: the VAD.
        end: smart-turn.
        scheduler: what decides the order.
        lanes: batches that may run side by side.
        max_waiting_files: file windows that may wait before :exc:`OverloadError`.

    """

    def __init__(
        self,
        models: Mapping[str, Whisper],
        speech: SpeechDetector,
        end: EndDetector,
        scheduler: DecodeScheduler,
        *,
        lanes: int,
        max_waiting_files: int,
        alone: Mapping[str, Whisper] | None = None,
    ) -> None:
        self.models = models
        self._alone = alone or {}
        self.speech = speech
        self._end = end
        self._scheduler = scheduler
        self._max_waiting_files = max_waiting_files
        self._files = 0
        self._futures: dict[Ticket, asyncio.Future[Transcript | None]] = {}
        self._streams: set[Hashable] = set()
        self._lanes = [
            _Lane(Priority.FILE if number == lanes - 1 else Priority.EAGER) for number in range(lanes)
        ]
        self._decoder = ThreadPoolExecutor(lanes, thread_name_prefix="asr-decode")
        self._aligner = ThreadPoolExecutor(1, thread_name_prefix="asr-align", initializer=_give_way)
        # smart-turn decides when the turn ends, and must not wait for the times of its words.
        self._judge = ThreadPoolExecutor(1, thread_name_prefix="asr-turn", initializer=_give_way)

    def open(self, stream: Hashable) -> None:
        """Note that a stream has opened."""
        self._streams.add(stream)
        metrics.STREAMS.set(len(self._streams))

    def close(self, stream: Hashable) -> None:
        """Forget a stream and everything that waits for it."""
        self._streams.discard(stream)
        metrics.STREAMS.set(len(self._streams))
        self._scheduler.withdraw(stream)
        for ticket in [ticket for ticket in self._futures if ticket.stream == stream]:
            self._futures.pop(ticket).cancel()

    @property
    def streams(self) -> int:
        """Number of open streams."""
        return len(self._streams)

    def decode(
        self, stream: Hashable, model: str, priority: Priority, job: DecodeJob
    ) -> asyncio.Future[Transcript | None]:
        """Queue ``job``; the result is None where a partial was dropped.

        Raises:
            OverloadError: too many file windows wait already.

        """
        if priority is Priority.FILE:
            waiting = sum(ticket.priority is Priority.FILE for ticket in self._futures)
            if waiting >= self._max_waiting_files:
                raise OverloadError("too many files are waiting to be transcribed; try again later")
        ticket = Ticket(stream, model, priority, job)
        future: asyncio.Future[Transcript | None] = asyncio.get_running_loop().create_future()
        self._futures[ticket] = future
        for dropped in self._scheduler.submit(ticket, time.monotonic()):
            metrics.DROPPED.inc()
            self._resolve(dropped, None)
        for lane in self._lanes:
            lane.work.set()
        return future

    def align(self, align: Callable[[], Transcript]) -> asyncio.Future[Transcript]:
        """Find the times of a transcript's words (:attr:`asr.transcript.Transcript.align`)."""
        return asyncio.get_running_loop().run_in_executor(self._aligner, align)

    def judge(self, audio: Samples) -> asyncio.Future[float]:
        """Ask smart-turn about ``audio``."""
        return asyncio.get_running_loop().run_in_executor(self._judge, self._end, audio)

    async def run(self) -> None:
        """Decode what is queued until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for lane in self._lanes:
                    group.create_task(self._run(lane), name="asr-lane")
        finally:
            self._decoder.shutdown(wait=False, cancel_futures=True)
            self._aligner.shutdown(wait=False, cancel_futures=True)
            self._judge.shutdown(wait=False, cancel_futures=True)
            for future in self._futures.values():
                future.cancel()

    async def _run(self, lane: _Lane) -> None:
        while True:
            wait = self._scheduler.wait_seconds(time.monotonic(), len(self._streams), lane.least)
            if wait == 0:
                lane.busy = True
                await self._decode(self._scheduler.next_batch(lane.least), self._models_for(lane))
                lane.busy = False
                continue
            lane.work.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await lane.work.wait()

    def _models_for(self, lane: _Lane) -> Mapping[str, Whisper]:
        first, *others = self._lanes
        idle = bool(others) and not any(other.busy for other in others)
        alone = lane is first and idle and len(self._streams) <= 1
        return {**self.models, **self._alone} if alone else self.models

    async def _decode(self, batch: list[Ticket], models: Mapping[str, Whisper]) -> None:
        model = models[batch[0].model]
        loop = asyncio.get_running_loop()
        started = time.monotonic()
        priority = batch[0].priority.name.lower()
        for ticket in batch:
            metrics.WAIT_SECONDS.labels(priority).observe(started - ticket.submitted)
        try:
            transcripts = await loop.run_in_executor(
                self._decoder, partial(model.decode, [ticket.payload for ticket in batch])
            )
        except Exception as error:
            logger.exception("a decode of %d streams failed", len(batch))
            for ticket in batch:
                if (future := self._futures.pop(ticket, None)) and not future.done():
                    future.set_exception(error)
            return
        metrics.BATCH_SIZE.observe(len(batch))
        metrics.DECODE_SECONDS.labels(priority).observe(time.monotonic() - started)
        for ticket, transcript in zip(batch, transcripts, strict=True):
            self._resolve(ticket, transcript)

    def _resolve(self, ticket: Ticket, transcript: Transcript | None) -> None:
        future = self._futures.pop(ticket, None)
        if future and not future.done():
            future.set_result(transcript)
