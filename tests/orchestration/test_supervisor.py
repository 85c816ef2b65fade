"""The supervisor, over small real processes."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from orchestration.errors import StackError
from orchestration.restart import RestartPolicy
from orchestration.supervisor import ServerSpec, Supervisor

QUICK = RestartPolicy(first_delay_seconds=0.01, max_delay_seconds=0.01)


def spec(name: str, code: str, wait_ready=None, **options) -> ServerSpec:
    """Return a server that runs ``code``."""

    async def at_once() -> None:
        return

    return ServerSpec(name, (sys.executable, "-c", code), wait_ready or at_once, **options)


async def run_until_ready(supervisor: Supervisor) -> asyncio.Task:
    """Start a supervisor and wait for its servers."""
    task = asyncio.create_task(supervisor.run())
    await supervisor.wait_ready()
    return task


async def end(task: asyncio.Task) -> None:
    """Cancel a supervisor and see that it ends."""
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_server_that_ends_is_started_again(tmp_path: Path) -> None:
    """Every end is reported and followed by a start."""
    lines: list[str] = []
    counter = tmp_path / "starts"
    again = asyncio.Event()

    def report(line: str) -> None:
        lines.append(line)
        if counter.exists() and counter.read_text().count("x") >= 3:
            again.set()

    code = f"open({str(counter)!r}, 'a').write('x')"
    slow = spec("slow", "import time; time.sleep(60)")

    async def started() -> None:
        while not counter.exists():
            await asyncio.sleep(0.01)

    quick = spec("quick", code + "; import time; time.sleep(0.3)", started)
    task = await run_until_ready(Supervisor([slow, quick], log_dir=tmp_path, report=report, policy=QUICK))
    await asyncio.wait_for(again.wait(), 20)
    await end(task)
    assert any(line.startswith("quick ended (status 0); starting it again") for line in lines)
    assert not any(line.startswith("slow ended") for line in lines)


async def test_a_server_that_gives_way(tmp_path: Path) -> None:
    """It is nicer than the supervisor, and so is its session where the kernel shares by session."""
    log = tmp_path / "meek.log"
    code = """if True:
        import os, pathlib, time
        group = pathlib.Path("/proc/self/autogroup")
        print(os.nice(0), group.read_text().split()[-1] if group.exists() else 3, "told", flush=True)
        time.sleep(60)"""

    async def told() -> None:
        while "told" not in (log.read_text() if log.exists() else ""):
            await asyncio.sleep(0.01)

    server = spec("meek", code, told, niceness=3)
    await end(await run_until_ready(Supervisor([server], log_dir=tmp_path, report=lambda _: None)))
    assert log.read_text().split()[:2] == [str(os.nice(0) + 3), "3"]


async def test_a_server_that_never_comes_up_ends_the_rest(tmp_path: Path) -> None:
    """A first start that fails is an error with the server's last words."""
    never = asyncio.Event().wait
    failing = spec("failing", "import sys; sys.exit('no such device')", never)
    other = spec("other", "import time; time.sleep(60)")
    supervisor = Supervisor([other, failing], log_dir=tmp_path, report=lambda _: None)
    with pytest.raises(StackError, match=r"failing ended at start \(status 1\): no such device"):
        await asyncio.wait_for(supervisor.run(), 10)


async def test_a_server_that_is_never_ready(tmp_path: Path) -> None:
    """A start that takes too long is an error that names the log."""
    never = asyncio.Event().wait
    hanging = spec("hanging", "import time; time.sleep(60)", never, start_seconds=0.5)
    supervisor = Supervisor([hanging], log_dir=tmp_path, report=lambda _: None)
    with pytest.raises(StackError, match=r"not ready within 0.5 s; see .*hanging.log"):
        await asyncio.wait_for(supervisor.run(), 10)


async def test_a_server_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """Whoever does not end when asked is killed, its children too."""
    code = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print('deaf', flush=True)\n"
        "time.sleep(60)"
    )
    log = tmp_path / "deaf.log"

    async def deaf() -> None:
        while "deaf" not in (log.read_text() if log.exists() else ""):
            await asyncio.sleep(0.01)

    task = await run_until_ready(
        Supervisor([spec("deaf", code, deaf)], log_dir=tmp_path, report=lambda _: None)
    )
    await asyncio.wait_for(end(task), 10)
