"""Starts the servers of one machine, keeps them up, and takes them all down.

Every server is a process group of its own, dies with its parent, and logs to a file. The first start must
succeed; afterwards a server that ends is started again with backoff.
"""

import asyncio
import contextlib
import ctypes
import functools
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestration.errors import StackError
from orchestration.restart import RestartBackoff, RestartPolicy

#: How long a server may take to end after SIGTERM before it is killed, seconds. `offhook up` ends within 3 s.
STOP_SECONDS = 1.5
#: Lines of a failed server's log that are shown.
LOG_TAIL_LINES = 3
#: numpy's BLAS otherwise spins on every core for the smallest product, at the very moment that counts.
SERVER_ENVIRONMENT = {"PYTHONUNBUFFERED": "1", "OPENBLAS_NUM_THREADS": "1"}
_PR_SET_PDEATHSIG = 1
_AUTOGROUP = Path("/proc/self/autogroup")


@dataclass(frozen=True)
class ServerSpec:
    """One server process.

    Attributes:
        name: what it is called in messages and of its log file.
        argv: its command line.
        env: what is added to its environment.
        wait_ready: returns once the server has done a real inference.
        start_seconds: how long that may take.
        niceness: how far it gives way to the others where processors are short, 0 to 19.

    """

    name: str
    argv: Sequence[str]
    wait_ready: Callable[[], Awaitable[object]]
    env: Mapping[str, str] = field(default_factory=dict)
    start_seconds: float = 120.0
    niceness: int = 0


class Supervisor:
    """Runs servers until cancelled.

    Args:
        specs: the servers.
        log_dir: where their output goes, one file a server.
        report: told one line whenever something changes.
        policy: when a server that ended is started again.

    """

    def __init__(
        self,
        specs: Sequence[ServerSpec],
        *,
        log_dir: Path,
        report: Callable[[str], None],
        policy: RestartPolicy | None = None,
    ) -> None:
        self._specs = specs
        self._log_dir = log_dir
        self._report = report
        self._policy = policy or RestartPolicy()
        self._waiting = {spec.name for spec in specs}
        self._ready = asyncio.Event()

    async def run(self) -> None:
        """Run every server until cancelled, then end them all.

        Raises:
            StackError: a server did not come up the first time.

        """
        self._log_dir.mkdir(parents=True, exist_ok=True)
        try:
            async with asyncio.TaskGroup() as group:
                for spec in self._specs:
                    group.create_task(self._keep(spec), name=f"keep-{spec.name}")
        except* StackError as errors:
            raise _first(errors) from None

    async def wait_ready(self) -> None:
        """Return once every server has been ready for the first time."""
        await self._ready.wait()

    async def _keep(self, spec: ServerSpec) -> None:
        backoff = RestartBackoff(self._policy)
        while True:
            began = time.monotonic()
            async with self._process(spec) as process:
                try:
                    await self._wait_ready(spec, process)
                except StackError:
                    if spec.name in self._waiting:
                        raise
                else:
                    self._note_ready(spec, time.monotonic() - began)
                    await process.wait()
                status = process.returncode
            delay = backoff.ended(uptime_seconds=time.monotonic() - began)
            self._report(f"{spec.name} ended ({_status(status)}); starting it again in {delay:g} s")
            await asyncio.sleep(delay)

    def _note_ready(self, spec: ServerSpec, took: float) -> None:
        self._report(f"{spec.name} ready in {took:.1f} s")
        self._waiting.discard(spec.name)
        if not self._waiting:
            self._ready.set()

    async def _wait_ready(self, spec: ServerSpec, process: asyncio.subprocess.Process) -> None:
        """Wait for readiness, or raise as soon as the process ends or its time is up."""
        ready = asyncio.ensure_future(spec.wait_ready())
        ended = asyncio.ensure_future(process.wait())
        try:
            done, _ = await asyncio.wait(
                {ready, ended}, timeout=spec.start_seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if ended in done:
                raise StackError(
                    f"{spec.name} ended at start ({_status(process.returncode)}): {self._log_tail(spec)}"
                )
            if not done:
                raise StackError(
                    f"{spec.name} was not ready within {spec.start_seconds:g} s; see {self._log_path(spec)}"
                )
            if error := ready.exception():
                raise StackError(f"{spec.name}: {error}")
        finally:
            for waiter in (ready, ended):
                waiter.cancel()
            await asyncio.gather(ready, ended, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def _process(self, spec: ServerSpec):  # type: ignore[no-untyped-def]
        with self._log_path(spec).open("ab", buffering=0) as log:
            process = await asyncio.create_subprocess_exec(
                *spec.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **SERVER_ENVIRONMENT, **spec.env},
                start_new_session=True,
                preexec_fn=functools.partial(_begin, spec.niceness),
            )
        try:
            yield process
        finally:
            await asyncio.shield(_end(process))

    def _log_path(self, spec: ServerSpec) -> Path:
        return self._log_dir / f"{spec.name}.log"

    def _log_tail(self, spec: ServerSpec) -> str:
        lines = self._log_path(spec).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return " | ".join(lines[-LOG_TAIL_LINES:]) or "it said nothing"


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a process group: SIGTERM, then SIGKILL for whatever is left."""
    for sig, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sig)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), seconds)
            if sig is signal.SIGTERM:
                continue  # its children may be left: kill the group
            return


def _begin(niceness: int) -> None:
    """Prepare a server's process, in that process: it gives way to the others, and ends with the supervisor."""
    os.nice(niceness)
    if sys.platform == "linux":
        # However the supervisor dies.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        # Where the kernel groups tasks by session (sched(7), autogroup), the niceness above counts inside it alone.
        with contextlib.suppress(OSError):
            _AUTOGROUP.write_text(str(niceness), encoding="ascii")


def _status(returncode: int | None) -> str:
    if returncode is None:
        return "not running"
    if returncode < 0:
        return f"killed by {signal.Signals(-returncode).name}"
    return f"status {returncode}"


def _first(errors: BaseExceptionGroup[StackError]) -> StackError:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, StackError)
    return error
