"""One engine process from start to end, for benchmarks, tuning and tests.

``offhook up`` has a supervisor of its own, which restarts what dies; this only starts, waits and stops.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from llm.engine import LaunchSpec
from llm.errors import EngineNotReadyError
from llm.readiness import wait_ready

#: How long an engine may take to stop before it is killed, seconds.
STOP_SECONDS = 10.0
#: Last lines of its log that the error of a dead engine repeats.
LOG_LINES = 5


class EngineProcess:
    """The process of one launch spec.

    Args:
        spec: what to start.
        log: file that takes its output.
        api_key: key its warm-up is sent with.

    """

    def __init__(self, spec: LaunchSpec, *, log: Path, api_key: str = "") -> None:
        self.spec = spec
        self._log = log
        self._api_key = api_key
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """Process id; the engine leads a process group of its own."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> float:
        """Start it and wait until it is ready; return the seconds that took.

        Raises:
            EngineNotReadyError: it died or was too slow; its last log lines are in the text.

        """
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.spec.argv,
                env={**os.environ, **self.spec.env},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        ready = asyncio.ensure_future(wait_ready(self.spec, api_key=self._api_key))
        died = asyncio.ensure_future(self._process.wait())
        try:
            await asyncio.wait({ready, died}, return_when=asyncio.FIRST_COMPLETED)
            if ready.done():
                return ready.result()
            raise EngineNotReadyError(
                f"{self.spec.name} ended with status {died.result()}: {self._last_lines()}"
            )
        except BaseException:
            await self.stop()
            raise
        finally:
            ready.cancel()
            died.cancel()
            await asyncio.gather(ready, died, return_exceptions=True)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the engine and all its processes."""
        os.killpg(self.pid, number)

    async def stop(self) -> None:
        """Ask it to end; kill it when it does not."""
        if self._process is None:
            return
        if self._process.returncode is None:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(self._process.wait(), STOP_SECONDS)
            except TimeoutError:
                self.signal(signal.SIGKILL)
                await self._process.wait()
        self._reap_group()

    def kill(self) -> None:
        """Kill it and all its processes, without ceremony."""
        self.signal(signal.SIGKILL)

    async def wait(self) -> int:
        """Return its exit status once it has ended."""
        assert self._process is not None
        return await self._process.wait()

    def _reap_group(self) -> None:
        with suppress(ProcessLookupError):
            self.signal(signal.SIGKILL)

    def _last_lines(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()
        return " | ".join(line.strip() for line in lines[-LOG_LINES:])


@asynccontextmanager
async def running(spec: LaunchSpec, *, log: Path, api_key: str = "") -> AsyncIterator[EngineProcess]:
    """Run the engine of ``spec``, ready, for the length of the block.

    Raises:
        EngineNotReadyError: it did not become ready.

    """
    process = EngineProcess(spec, log=log, api_key=api_key)
    await process.start()
    try:
        yield process
    finally:
        await process.stop()
