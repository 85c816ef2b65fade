"""One SIP call, as the rest of Offhook sees it: the only module, beside `stack.py`, that knows baresip's calls."""

import asyncio
import enum
import hashlib
import logging
import re
from collections.abc import Callable

import numpy as np
import soxr
from baresip import (
    AudioNotActive,
    AudioRestarted,
    BaresipError,
    Call,
    CallState,
    Event,
    StackEvent,
    StaleHandleError,
    TransferFailed,
)

from voice.errors import SipError
from voice.sip.native import NativeStack
from voice.sip.runtime import SipRuntime

logger = logging.getLogger(__name__)

#: Most that is taken from the stack's buffer at once, bytes: what it keeps is less.
READ_BYTES = 1 << 16
BYTES_PER_SAMPLE = 2
#: Call-IDs that can stand in a URL as they are.
PLAIN_CALL_ID = re.compile(r"[A-Za-z0-9._@+-]{1,128}")
#: How the stack words the end of a call whose sound stopped.
NO_SOUND = "rtp stream error"


class Ending(enum.IntEnum):
    """How a call ended: the close code of its socket (RFC 6455, 7.4; those from 4000 on are private)."""

    CALLER = 1000
    #: Its sound stopped, and nobody said goodbye.
    LOST = 4000
    NOT_ANSWERED = 4001
    BY_REQUEST = 4002
    TRANSFERRED = 4003


class SipCall:
    """A call that rings, or goes on.

    Args:
        call: baresip's.
        runtime: its stack.
        native: what baresip's binding lacks.
        call_id: its Call-ID.

    Attributes:
        name: what the gateway calls it: the Call-ID, or what stands for one that would need quoting in a URL.
        called: user name that an incoming call was for; empty: none that can be read.
        ending: why we end it, as the gateway will be told.
        closed: set once the call is over, however it ended.
        on_key: told each key that the other side pressed.

    """

    def __init__(self, call: Call, runtime: SipRuntime, native: NativeStack, *, call_id: str) -> None:
        self._call = call
        self._runtime = runtime
        self._native = native
        self._call_id = call_id
        self.name = _name(call_id)
        self.called = ""
        self.ending = Ending.CALLER
        self.closed = asyncio.Event()
        self.close_reason = ""
        self.on_key: Callable[[str], None] = lambda _: None
        self._rate = 0
        self._in: soxr.ResampleStream | None = None
        self._out: soxr.ResampleStream | None = None
        call.on(self._take)
        call.on_dtmf(lambda event: self.on_key(event.digit))
        if call.state is CallState.CLOSED:
            self.closed.set()

    # Signalling.

    @property
    def held(self) -> bool:
        """Whether the other side has put us on hold."""
        return bool(self._call.remote_on_hold)

    async def answer(self, seconds: float) -> None:
        """Answer an incoming call.

        Raises:
            SipError: it was not established within ``seconds``.

        """
        try:
            await self._runtime.on_sip_thread(lambda: self._native.sound_only(self._call_id))
            await self._call.answer()
            await self._call.wait_established(seconds)
        except BaresipError as error:
            raise SipError(f"the call was not established: {error}") from None

    async def refuse(self, status: int, reason: str, *, retry_after: int = 0) -> None:
        """Decline an incoming call; one that has gone already is fine."""
        headers = {"Retry-After": str(retry_after)} if retry_after else {}
        try:
            await self._runtime.on_sip_thread(
                lambda: self._native.refuse(self._call_id, status, reason, headers)
            )
        except BaresipError as error:
            logger.warning("a call could not be refused: %s", error)

    async def wait_answered(self, seconds: float) -> None:
        """Return once a call that was placed is answered.

        Raises:
            SipError: it was not, with the status that the other side answered.

        """
        if self.closed.is_set():
            raise SipError(self.close_reason, status=_status_of(self.close_reason))
        try:
            await self._call.wait_established(seconds)
        except BaresipError as error:
            status = getattr(error, "status", None) or 0
            raise SipError(str(error), status=status) from None

    async def hang_up(self) -> None:
        """End the call (BYE; CANCEL while it rings); one that has ended already is fine."""
        try:
            await self._call.hangup()
        except StaleHandleError:
            pass
        except BaresipError as error:
            logger.warning("a call could not be hung up: %s", error)

    async def press(self, digits: str) -> None:
        """Press keys towards the other side (RFC 4733).

        Raises:
            SipError: the call has ended.

        """
        try:
            await self._call.send_dtmf(digits)
        except BaresipError as error:
            raise SipError(f"no keys were pressed: {error}") from None

    async def transfer(self, uri: str, seconds: float) -> None:
        """Ask the other side to call ``uri`` instead (REFER); return once it has.

        Raises:
            SipError: it refused, failed, or did not say within ``seconds``; the call goes on.

        """
        try:
            await self._call.transfer(uri, timeout=seconds)
        except TransferFailed as error:
            raise SipError(str(error), status=error.status or 0) from None
        except (BaresipError, ValueError) as error:
            raise SipError(f"not transferred: {error}") from None

    def _take(self, event: StackEvent) -> None:
        if event.event is Event.CALL_CLOSED:
            self.over(event.text or "")

    def over(self, reason: str) -> None:
        """Note that the call is over, and why, as the stack says it."""
        self.close_reason = reason
        if reason.startswith(NO_SOUND):
            self.ending = Ending.LOST
        self.closed.set()

    # Sound: mono 16-bit PCM at `sample_rate`, which stays what it was when the call began.

    @property
    def sample_rate(self) -> int:
        """Rate of the call's sound, Hz; 0 while there is none."""
        if not self._rate:
            try:
                self._rate = self._call.audio.info().rx_sample_rate
            except AudioNotActive:
                return 0
        return self._rate

    def read(self) -> bytes:
        """Return what has come in since the last time."""
        try:
            audio: bytes = self._call.audio.read(READ_BYTES)
        except AudioRestarted:
            self._follow_rate()
            return b""
        except AudioNotActive:
            return b""
        return _resampled(self._in, audio) if self._in else audio

    def write(self, audio: bytes) -> int:
        """Queue sound to be sent; return how many bytes of it were taken."""
        try:
            if self._out is None:
                return int(self._call.audio.write(audio))
            self._call.audio.write(_resampled(self._out, audio))
        except AudioRestarted:
            self._follow_rate()
        except AudioNotActive:
            pass
        return len(audio)

    def buffered(self) -> int:
        """Return how many bytes of written sound have not left yet."""
        try:
            return int(self._call.audio.info().tx_buffered)
        except AudioNotActive:
            return 0

    def flush(self) -> None:
        """Throw away sound that has not left yet."""
        try:
            self._call.audio.flush_tx()
        except AudioRestarted:
            self._follow_rate()
        except AudioNotActive:
            pass

    def _follow_rate(self) -> None:
        """A re-negotiation may have changed the codec: keep the rate the call began with."""
        try:
            rate = self._call.audio.info().rx_sample_rate
        except AudioNotActive:
            return
        if not rate or rate == self._rate:
            self._in = self._out = None
            return
        logger.info("the codec of a call changed: %d Hz", rate)
        self._in = soxr.ResampleStream(rate, self._rate, 1, dtype="int16", quality="LQ")
        self._out = soxr.ResampleStream(self._rate, rate, 1, dtype="int16", quality="LQ")


def _name(call_id: str) -> str:
    if PLAIN_CALL_ID.fullmatch(call_id):
        return call_id
    return f"sip-{hashlib.sha256(call_id.encode()).hexdigest()[:24]}"


def _resampled(stream: soxr.ResampleStream, audio: bytes) -> bytes:
    return bytes(stream.resample_chunk(np.frombuffer(audio, np.int16)).tobytes())


def _status_of(reason: str) -> int:
    """Return the status that a stack's reason begins with; 0 where there is none."""
    first = reason.split(" ", 1)[0]
    return int(first) if first.isdigit() else 0
