"""Running the stack in the foreground, or around something."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Sequence

from orchestration.settings import Configuration
from orchestration.stack import LOG_DIR, rotate_logs, stack_specs
from orchestration.supervisor import ServerSpec, Supervisor


@contextlib.asynccontextmanager
async def running_stack(configuration: Configuration, report: Callable[[str], None]) -> AsyncIterator[None]:
    """Start the stack, yield once every server is ready, and take it down.

    Raises:
        StackError: a server did not start; the text says which and why.

    """
    async with running_servers(stack_specs(configuration), report):
        yield


@contextlib.asynccontextmanager
async def running_servers(specs: Sequence[ServerSpec], report: Callable[[str], None]) -> AsyncIterator[None]:
    """Start ``specs``, yield once each is ready, and take them down.

    Raises:
        StackError: a server did not start; the text says which and why.

    """
    rotate_logs()
    supervisor = Supervisor(specs, log_dir=LOG_DIR, report=report)
    run = asyncio.ensure_future(supervisor.run())
    ready = asyncio.ensure_future(supervisor.wait_ready())
    try:
        await asyncio.wait({run, ready}, return_when=asyncio.FIRST_COMPLETED)
        if run.done():
            run.result()
        yield
    finally:
        for task in (ready, run):
            task.cancel()
        await asyncio.gather(ready, run, return_exceptions=True)


async def run_until_signal(configuration: Configuration, report: Callable[[str], None]) -> None:
    """Run the stack until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sig in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sig, stop.set)
    stopped = asyncio.ensure_future(stop.wait())
    entered = asyncio.ensure_future(_enter(configuration, report, stop))
    await asyncio.wait({stopped, entered}, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    stopped.cancel()
    if not entered.done():
        entered.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await entered


async def _enter(configuration: Configuration, report: Callable[[str], None], stop: asyncio.Event) -> None:
    async with running_stack(configuration, report):
        report(f"taking calls at {configuration.gateway_url}; Ctrl-C ends it")
        await stop.wait()
