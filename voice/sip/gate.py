"""Who may send SIP requests here. Sans-I/O: judged before the SIP stack acts on a request.

Addresses on the list may send anything. Everybody else may only call with a user's digest credentials, and then
only go on with the calls that they were let in with.
"""

import enum
import ipaddress
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: Dialogs of callers with credentials that are remembered; the oldest goes when there are more.
REMEMBERED_DIALOGS = 10_000
#: Methods that may begin something; the rest belongs to a dialog or gets no answer at all.
BEGINNING = frozenset({"INVITE", "OPTIONS"})


class Verdict(enum.Enum):
    """What to do with a request."""

    PASS = "pass"  # noqa: S105 - not a password
    #: Check its credentials, and tell :meth:`Gate.checked`.
    CHECK = "check"
    #: 401 with a challenge.
    CHALLENGE = "challenge"
    #: 403.
    FORBID = "forbid"
    #: No answer: nobody waits for one.
    IGNORE = "ignore"


class Credentials(enum.Enum):
    """What a check of digest credentials says."""

    RIGHT = "right"
    #: None, or a nonce that is too old.
    MISSING = "missing"
    WRONG = "wrong"


@dataclass(frozen=True)
class Request:
    """What of a SIP request is judged."""

    method: str
    address: str
    call_id: str
    in_dialog: bool
    #: User of the request's URI: whom it is for.
    user: str = ""


class Gate:
    """Judges requests.

    Args:
        peers: networks that may send anything.
        has_users: whether anybody else may come in with credentials.

    """

    def __init__(self, peers: Iterable[str], *, has_users: bool) -> None:
        self._peers: list[Network] = [ipaddress.ip_network(peer) for peer in peers]
        self._has_users = has_users
        self._dialogs: OrderedDict[str, str] = OrderedDict()

    def add_peer(self, address: str) -> None:
        """Let an address send anything from now on."""
        self._peers.append(ipaddress.ip_network(address))

    def judge(self, request: Request) -> Verdict:
        """Return what to do with a request."""
        if self._is_peer(request.address) or self._dialogs.get(request.call_id) == request.address:
            return Verdict.PASS
        if request.method == "ACK":
            return Verdict.IGNORE
        if self._has_users and request.method in BEGINNING and not request.in_dialog:
            return Verdict.CHECK
        return Verdict.FORBID

    def checked(self, request: Request, credentials: Credentials) -> Verdict:
        """Return what to do with a request whose credentials were checked."""
        if credentials is Credentials.MISSING:
            return Verdict.CHALLENGE
        if credentials is Credentials.WRONG:
            return Verdict.FORBID
        self._dialogs[request.call_id] = request.address
        while len(self._dialogs) > REMEMBERED_DIALOGS:
            self._dialogs.popitem(last=False)
        return Verdict.PASS

    def _is_peer(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
            parsed = parsed.ipv4_mapped
        return any(parsed in network for network in self._peers)
