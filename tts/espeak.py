"""The server's side of the phonemiser process (:mod:`tts.phonemizer`)."""

import asyncio
import json
import logging
import socket
import subprocess
import sys
from dataclasses import dataclass
from itertools import count
from typing import Any

from tts.errors import PhonemizerError

logger = logging.getLogger(__name__)

#: Longest line the process may answer with, bytes.
MAX_LINE_BYTES = 1 << 20


@dataclass(frozen=True)
class PhonemeClause:
    """One clause as espeak hears it: IPA with spaces between words, and its final punctuation."""

    phonemes: str
    punctuation: str
    ends_sentence: bool


@dataclass(frozen=True)
class _Process:
    child: subprocess.Popen[bytes]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class Phonemizer:
    """A phonemiser process, started when first needed and again when it has died.

    One request is in flight at a time; others wait their turn (a request takes about 0.2 ms). A caller who goes
    away leaves the process alone: its answer is skipped by number when the next one reads.

    The process is started by :mod:`subprocess`, not by the loop: uvloop forks, and the fork handlers of
    libraries (OpenTelemetry's) then run Python in the child, where a lock that one of FFmpeg's threads held is
    never released, and the loop waits for that child for ever. :mod:`subprocess` uses vfork and runs no Python.

    Args:
        deadline_seconds: a request not answered in this time kills the process and fails.
        start_seconds: how long the process may take to start.
        max_waiting: requests that may wait; one more is refused at once.
        max_characters: longest text taken in one request.

    """

    def __init__(
        self,
        *,
        deadline_seconds: float = 2.0,
        start_seconds: float = 15.0,
        max_waiting: int = 64,
        max_characters: int = 4000,
    ) -> None:
        self._deadline_seconds = deadline_seconds
        self._start_seconds = start_seconds
        self._max_waiting = max_waiting
        self._max_characters = max_characters
        self._lock = asyncio.Lock()
        self._waiting = 0
        self._numbers = count(1)
        self._process: _Process | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the running phonemiser, if one runs."""
        return self._process.child.pid if self._process and self._process.child.poll() is None else None

    async def phonemize(self, voice: str, *texts: str) -> list[list[PhonemeClause]]:
        """Return the clauses of each of ``texts``, spoken by espeak voice ``voice``.

        A process that died since the last request is replaced and asked once more.

        Raises:
            PhonemizerError: too much text, too many waiting, no answer in time, or espeak refused.

        """
        if sum(map(len, texts)) > self._max_characters:
            raise PhonemizerError(f"text is longer than {self._max_characters} characters; send it in parts")
        if self._waiting >= self._max_waiting:
            raise PhonemizerError(f"{self._max_waiting} texts are waiting already; try again")
        self._waiting += 1
        try:
            async with self._lock:
                answer = await self._ask({"number": next(self._numbers), "voice": voice, "texts": texts})
        finally:
            self._waiting -= 1
        if "error" in answer:
            raise PhonemizerError(answer["error"])
        return [[PhonemeClause(*clause) for clause in text] for text in answer["phonemes"]]

    async def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            process.writer.close()
            process.child.kill()
            await asyncio.to_thread(process.child.wait)

    async def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        fresh = self.pid is None
        if fresh:
            await self._start()
        try:
            answer = await self._exchange(request, self._deadline_seconds)
        except PhonemizerError:
            await self.close()
            raise
        if answer is not None:
            return answer
        await self.close()
        if fresh:
            raise PhonemizerError("the phonemiser process died")
        logger.warning("the phonemiser process had died; starting another")
        return await self._ask(request)

    async def _start(self) -> None:
        await self.close()
        ours, theirs = socket.socketpair()
        with theirs:
            child = _launch(theirs.fileno())
        try:
            reader, writer = await asyncio.open_unix_connection(sock=ours, limit=MAX_LINE_BYTES)
        except BaseException:
            ours.close()
            child.kill()
            child.wait()
            raise
        self._process = _Process(child, reader, writer)
        try:
            hello = await self._exchange({"number": 0}, self._start_seconds)
        except BaseException:
            await self.close()
            raise
        if hello is None or "error" in hello:
            await self.close()
            raise PhonemizerError(hello["error"] if hello else "the phonemiser process did not start")

    async def _exchange(self, request: dict[str, Any], seconds: float) -> dict[str, Any] | None:
        """Send ``request`` and return its answer, or None where the process is gone."""
        assert self._process is not None
        try:
            async with asyncio.timeout(seconds):
                self._process.writer.write(json.dumps(request).encode() + b"\n")
                await self._process.writer.drain()
                while (reply := await self._process.reader.readline()).endswith(b"\n"):
                    answer: dict[str, Any] = json.loads(reply)
                    if answer["number"] == request["number"]:
                        return answer
        except TimeoutError:
            raise PhonemizerError(f"the phonemiser did not answer within {seconds:g} s") from None
        except (ConnectionError, ValueError):
            pass
        return None


def _launch(connection: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "tts.phonemizer"], stdin=connection, stdout=connection)
