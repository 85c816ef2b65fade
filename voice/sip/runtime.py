"""The SIP stack's thread, and how to run something on it."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from baresip import Runtime, _native

T = TypeVar("T")


class SipRuntime(Runtime):  # type: ignore[misc]
    """baresip's runtime, which also runs our own calls of the C library on its thread.

    The stack's events reach Python there before the runtime hands them to the event loop; the answer to a ping is
    such an event.
    """

    def __init__(self) -> None:
        super().__init__()
        self._jobs: deque[Callable[[], None]] = deque()

    async def on_sip_thread(self, work: Callable[[], T]) -> T:
        """Run ``work`` on the stack's thread and return what it returns.

        Raises:
            BaresipError: the stack does not answer.
            Exception: what ``work`` raises.

        """
        outcome: Future[T] = Future()

        def job() -> None:
            try:
                outcome.set_result(work())
            except BaseException as error:
                outcome.set_exception(error)

        self._jobs.append(job)
        await self.cmd(_native.lib.BP_CMD_PING)
        return outcome.result(timeout=0)

    def _on_native_event(self, event: int, handle: int, payload: bytes | None) -> None:
        if event == _native.lib.BP_EV_PONG:
            while self._jobs:
                self._jobs.popleft()()
        super()._on_native_event(event, handle, payload)
