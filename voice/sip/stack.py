"""The SIP stack behind an adapter: baresip, set up for one phone line that answers.

Nothing outside this module, `accounts.py`, `call.py`, `native.py` and `runtime.py` knows which stack it is.
"""

import logging
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from baresip import (
    Account,
    BaresipError,
    Call,
    Config,
    Event,
    RegistrationError,
    StackEvent,
    UserAgent,
)

from orchestration.trunk import SipSettings
from voice.errors import SipError
from voice.sip.accounts import addresses, configuration, direct_account, hindrance, trunk_account
from voice.sip.call import SipCall
from voice.sip.gate import Credentials, Gate, Request, Verdict
from voice.sip.native import NativeStack
from voice.sip.runtime import SipRuntime

logger = logging.getLogger(__name__)

#: Calls that the stack itself holds beyond those the gateway takes: being refused, or just over.
SPARE_CALLS = 16
#: Whom a caller may ask for.
CALLED_USER = re.compile(r"[A-Za-z0-9._+-]{1,64}")
#: Addresses whose refusal is not logged again, and callers whose call the stack has not told of yet.
REMEMBERED = 1000
#: A registrar may take this long to answer, seconds.
REGISTER_SECONDS = 10.0


@dataclass
class Handlers:
    """Whom the stack tells.

    Attributes:
        incoming: of a call that rings.
        refused: of the cause a request was turned away for.
        registered: whether the registrar knows us.
        dead: that the stack has died; its process must end.

    """

    incoming: Callable[[SipCall], None]
    refused: Callable[[str], None]
    registered: Callable[[bool], None]
    dead: Callable[[], None]


class SipStack:
    """The running stack.

    Args:
        settings: section ``[sip]``.
        handlers: whom it tells.
        max_calls: calls the gateway takes at once.
        media_timeout_seconds: a call without sound for this long has died.

    Raises:
        SipError: the installed stack is not the pinned one.

    """

    def __init__(
        self, settings: SipSettings, handlers: Handlers, *, max_calls: int, media_timeout_seconds: float
    ) -> None:
        self._settings = settings
        self._handlers = handlers
        self._max_calls = max_calls
        self._media_timeout_seconds = media_timeout_seconds
        self._gate = Gate(settings.peers, has_users=bool(settings.users))
        self._native = NativeStack({name: word.get_secret_value() for name, word in settings.users.items()})
        self._runtime = SipRuntime()
        self._runtime.on_dead = handlers.dead
        self._direct: UserAgent | None = None
        self._trunk: UserAgent | None = None
        self._call_ids: dict[int, str] = {}
        #: Calls that ended while one was being placed: their Call-ID, and why.
        self._over_early: dict[int, tuple[str, str]] = {}
        self._dialling = 0
        self._called: OrderedDict[str, str] = OrderedDict()
        self._complained: OrderedDict[str, None] = OrderedDict()

    async def start(self) -> None:
        """Listen.

        Raises:
            SipError: the port is taken, or the settings cannot be used.

        """
        settings = self._settings
        config = Config(
            net_interface=settings.host,
            max_concurrent_calls=self._max_calls + SPARE_CALLS,
            rtp_timeout=max(1, round(self._media_timeout_seconds)),
            # Its warnings are one line for every packet that cannot be read, whoever sent it.
            native_log_level="error",
            extra_config_text=configuration(settings),
        )
        # The stack itself starts without a word where it can listen nowhere.
        if reason := hindrance(settings.host, settings.port):
            raise SipError(
                f"cannot listen on {settings.host}:{settings.port}: {reason}; see [sip] host and port"
            )
        try:
            await self._runtime.start(config)
            if not hindrance(settings.host, settings.port):
                raise BaresipError("no interface has that address")
            await self._runtime.on_sip_thread(lambda: self._native.watch_requests(self._judge))
            self._runtime.subscribe(self._take)
            self._direct = await self._user_agent(direct_account(settings))
            if settings.domain:
                for address in addresses(settings.domain):
                    self._gate.add_peer(address)
                self._trunk = await self._user_agent(trunk_account(settings))
        except (BaresipError, ValueError) as error:
            raise SipError(
                f"the SIP stack cannot listen on {settings.host}:{settings.port}: {error}"
            ) from None

    async def close(self) -> None:
        """Stop; calls that go on are cut."""
        try:
            if self._trunk and self._settings.registers:
                await self._trunk.unregister(timeout=1.0)
        except BaresipError as error:
            logger.info("not unregistered: %s", error)
        try:
            await self._runtime.close()
        except BaresipError as error:
            logger.warning("the SIP stack did not stop in order: %s", error)

    async def register(self) -> None:
        """Register at the registrar; it is renewed without being asked for.

        Raises:
            SipError: it was not, with the status that the registrar answered.

        """
        assert self._trunk
        try:
            await self._trunk.register(timeout=REGISTER_SECONDS)
        except RegistrationError as error:
            raise SipError(str(error), status=error.status or 0) from None
        except BaresipError as error:
            raise SipError(str(error)) from None

    async def dial(self, to: str) -> SipCall:
        """Call a ``sip:`` URI, or a number through the trunk.

        Raises:
            SipError: there is no trunk for a number, or the stack refuses.

        """
        uri, agent = self._route(to)
        self._dialling += 1
        try:
            call = await agent.dial(uri)
        except (BaresipError, ValueError) as error:
            raise SipError(f"{to!r} cannot be called: {error}") from None
        finally:
            self._dialling -= 1
        # The stack has told of the offer it sent, Call-ID and all, before it tells that the call is placed; a
        # callee who is quick to refuse may even have ended it by now.
        call_id, refusal = self._over_early.pop(call.handle, (self._call_ids.get(call.handle, ""), None))
        if not self._dialling:
            self._over_early.clear()
        placed = SipCall(call, self._runtime, self._native, call_id=call_id)
        if refusal is not None:
            placed.over(refusal)
        return placed

    def target(self, to: str) -> str:
        """Return the URI of a ``sip:`` URI or a number.

        Raises:
            SipError: there is no trunk for a number.

        """
        return self._route(to)[0]

    def _route(self, to: str) -> tuple[str, UserAgent]:
        assert self._direct
        if not to.startswith(("sip:", "sips:")):
            if self._trunk is None:
                raise SipError("a number is called through a trunk; set [sip] domain, or give a sip: URI")
            return f"sip:{to}@{self._settings.domain}", self._trunk
        host = re.sub(r"[;?>].*", "", to.partition(":")[2]).rpartition("@")[2]
        return to, self._trunk if self._trunk and host == self._settings.domain else self._direct

    async def _user_agent(self, account: Account | str) -> UserAgent:
        agent = await UserAgent.create(self._runtime, account, transfer_policy="reject")
        agent.on_incoming(self._incoming)
        return agent

    def _incoming(self, call: Call) -> None:
        incoming = SipCall(call, self._runtime, self._native, call_id=call.call_id or "")
        incoming.called = self._called.pop(call.call_id or "", "")
        self._handlers.incoming(incoming)

    def _take(self, event: StackEvent) -> None:
        if event.event is Event.CALL_LOCAL_SDP and event.call_id:
            self._call_ids[event.call] = event.call_id
        elif event.event is Event.CALL_CLOSED:
            call_id = self._call_ids.pop(event.call, "")
            if self._dialling:
                self._over_early[event.call] = (call_id, event.text or "")
        elif event.event is Event.SIPSESS_FAILED:
            self._handlers.refused("at_capacity" if (event.text or "").startswith("486") else "bad_request")
        elif self._trunk and event.ua == self._trunk.handle:
            if event.event is Event.REGISTER_OK:
                self._handlers.registered(True)
            elif event.event is Event.REGISTER_FAIL:
                logger.warning("the registrar does not register us: %s", event.text)
                self._handlers.registered(False)

    def _judge(self, request: Request, check: Callable[[], Credentials]) -> Verdict:
        """Judge a request. On the SIP thread."""
        verdict = self._gate.judge(request)
        credentials = None
        if verdict is Verdict.CHECK:
            credentials = check()
            verdict = self._gate.checked(request, credentials)
        if verdict is Verdict.FORBID:
            cause = "bad_credentials" if credentials else "peer_not_allowed"
            self._handlers.refused(cause)
            self._complain(request, cause)
        elif verdict is Verdict.PASS and request.method == "INVITE" and not request.in_dialog:
            self._note_called(request)
        return verdict

    def _note_called(self, request: Request) -> None:
        """Keep whom a call is for until the stack tells of it."""
        if CALLED_USER.fullmatch(request.user):
            self._called[request.call_id] = request.user
            while len(self._called) > REMEMBERED:
                self._called.popitem(last=False)

    def _complain(self, request: Request, cause: str) -> None:
        """Log the first refusal of an address: scanners knock all day."""
        if request.address in self._complained:
            return
        self._complained[request.address] = None
        while len(self._complained) > REMEMBERED:
            self._complained.popitem(last=False)
        logger.warning(
            "SIP %.16r from %s refused: %s; [sip] peers says who may call without credentials",
            request.method, request.address, cause,
        )  # fmt: skip
