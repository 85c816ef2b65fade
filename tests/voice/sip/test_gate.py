"""Who may send SIP requests."""

import string

from hypothesis import given
from hypothesis import strategies as st

from voice.sip.gate import REMEMBERED_DIALOGS, Credentials, Gate, Request, Verdict

PEER, STRANGER = "203.0.113.7", "198.51.100.1"
METHODS = st.sampled_from(["INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER", "REFER", "INFO"])


def gate(*, has_users: bool) -> Gate:
    """Return a gate with one network of peers."""
    return Gate(["203.0.113.0/24"], has_users=has_users)


def request(method: str, address: str = STRANGER, *, call_id: str = "1", in_dialog: bool = False) -> Request:
    """Return a request."""
    return Request(method, address, call_id, in_dialog)


@given(METHODS, st.booleans(), st.booleans())
def test_a_peer_may_send_anything(method: str, in_dialog: bool, has_users: bool) -> None:
    """Also in IPv4-mapped form."""
    for address in (PEER, f"::ffff:{PEER}"):
        verdict = gate(has_users=has_users).judge(request(method, address, in_dialog=in_dialog))
        assert verdict is Verdict.PASS


@given(METHODS, st.text(string.printable), st.booleans())
def test_a_stranger_never_passes_without_users(method: str, address: str, in_dialog: bool) -> None:
    """Nor does an address that cannot be read; an ACK alone gets no answer."""
    verdict = gate(has_users=False).judge(request(method, f"x{address}", in_dialog=in_dialog))
    assert verdict is (Verdict.IGNORE if method == "ACK" else Verdict.FORBID)


def test_a_stranger_with_credentials_goes_on_with_that_call_alone() -> None:
    """What belongs to the call passes from the same address; another call, and another address, do not."""
    judge = gate(has_users=True)
    invite = request("INVITE")
    assert judge.judge(invite) is Verdict.CHECK
    assert judge.checked(invite, Credentials.MISSING) is Verdict.CHALLENGE
    assert judge.judge(request("BYE", in_dialog=True)) is Verdict.FORBID
    assert judge.checked(invite, Credentials.RIGHT) is Verdict.PASS
    for method in ("ACK", "BYE", "CANCEL", "INVITE"):
        assert judge.judge(request(method, in_dialog=True)) is Verdict.PASS
    assert judge.judge(request("BYE", call_id="2", in_dialog=True)) is Verdict.FORBID
    assert judge.judge(request("BYE", "198.51.100.2", in_dialog=True)) is Verdict.FORBID


def test_wrong_credentials_are_forbidden() -> None:
    """And let nothing in afterwards."""
    judge = gate(has_users=True)
    assert judge.checked(request("INVITE"), Credentials.WRONG) is Verdict.FORBID
    assert judge.judge(request("BYE", in_dialog=True)) is Verdict.FORBID


def test_a_request_inside_a_dialog_begins_nothing() -> None:
    """A tag that somebody made up does not get a challenge."""
    assert gate(has_users=True).judge(request("INVITE", in_dialog=True)) is Verdict.FORBID


def test_memory_is_bounded() -> None:
    """The oldest dialog is forgotten."""
    judge = gate(has_users=True)
    for index in range(REMEMBERED_DIALOGS + 1):
        judge.checked(request("INVITE", call_id=str(index)), Credentials.RIGHT)
    assert judge.judge(request("BYE", call_id="0", in_dialog=True)) is Verdict.FORBID
    assert judge.judge(request("BYE", call_id="1", in_dialog=True)) is Verdict.PASS


def test_the_registrar_becomes_a_peer() -> None:
    """Its calls come in without credentials."""
    judge = gate(has_users=False)
    judge.add_peer(STRANGER)
    assert judge.judge(request("INVITE")) is Verdict.PASS
