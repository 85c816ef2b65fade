"""The server's side of the phonemiser process (:mod:`tts.phonemizer`)."""

import asyncio
import contextlib
import json
import logging
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass
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


class Phonemizer:
    """A phonemiser process, started when first needed and again when it has died.

    One request is in flight at a time; others wait their turn (a request takes about 0.2 ms).

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
        self._process: Process | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the running phonemiser, if one runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

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
                answer = await self._ask({"voice": voice, "texts": texts})
        finally:
            self._waiting -= 1
        if "error" in answer:
            raise PhonemizerError(answer["error"])
        return [[PhonemeClause(*clause) for clause in text] for text in answer["phonemes"]]

    async def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()

    async def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        line = json.dumps(request).encode() + b"\n"
        fresh = self.pid is None
        process = await self._start() if fresh else self._process
        assert process is not None
        try:
            answer = await self._exchange(process, line, self._deadline_seconds)
        except PhonemizerError:
            await self.close()
            raise
        except BaseException:
            await self.close()  # a half-read answer must not meet the next question
            raise
        if answer is None:
            await self.close()
            if fresh:
                raise PhonemizerError("the phonemiser process died")
            logger.warning("the phonemiser process had died; starting another")
            return await self._ask(request)
        return answer

    async def _start(self) -> Process:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tts.phonemizer", stdin=PIPE, stdout=PIPE, limit=MAX_LINE_BYTES
        )
        try:
            hello = await self._exchange(self._process, b"", self._start_seconds)
        except BaseException:
            await self.close()
            raise
        if hello is None or "error" in hello:
            await self.close()
            raise PhonemizerError(hello["error"] if hello else "the phonemiser process did not start")
        return self._process

    async def _exchange(self, process: Process, line: bytes, seconds: float) -> dict[str, Any] | None:
        """Send ``line`` and return the answer, or None where the process is gone."""
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            async with asyncio.timeout(seconds):
                process.stdin.write(line)
                await process.stdin.drain()
                reply = await process.stdout.readline()
        except TimeoutError:
            raise PhonemizerError(f"the phonemiser did not answer within {seconds:g} s") from None
        except (ConnectionError, ValueError):
            return None
        return json.loads(reply) if reply.endswith(b"\n") else None
