"""Ends a call whose caller's media has stopped: the side that dies says no goodbye."""

import asyncio
import time

from orchestration.call import Call


class MediaWatch:
    """Knows when media last came.

    Args:
        timeout_seconds: a caller who sends nothing for this long has gone.

    """

    def __init__(self, *, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        self._last = time.monotonic()

    def seen(self) -> None:
        """Note that media came."""
        self._last = time.monotonic()

    async def hold(self, call: Call) -> None:
        """Hold ``call`` to its end, which comes at the latest when media has stopped for too long."""
        self.seen()
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(self._watch(call), name="media-watch")
            await call.run()
            watch.cancel()

    async def _watch(self, call: Call) -> None:
        limit = self._timeout_seconds
        while True:
            quiet = time.monotonic() - self._last
            if quiet > limit:
                call.end(f"no audio from the caller for media_timeout_seconds = {limit:g}")
            await asyncio.sleep(min(1.0, max(0.05, limit - quiet)))
