"""What the SIP stack can do and its Python binding does not offer, called in the C library itself.

The binding (baresip-python) declines calls with 486 alone, does not tell an application where a request came
from, and negotiates a second time when the video of a call is declined. libre and libbaresip, which are inside its
extension module and export their whole interface, do what is needed. The layouts below are those of the one
version that is pinned; another is refused. All of it runs on the stack's own thread
(:meth:`SipRuntime.on_sip_thread`): libre is not made to be called from another.

Sources: libre ``re_sip.h``, ``re_uri.h``, ``re_msg.h``; libbaresip ``baresip.h``.
"""

import ctypes
import hashlib
import logging
from collections.abc import Callable, Mapping
from ctypes import (
    POINTER,
    Structure,
    c_bool,
    c_char_p,
    c_int,
    c_size_t,
    c_ubyte,
    c_uint16,
    c_uint32,
    c_void_p,
)

from baresip import _native

from voice.errors import SipError
from voice.sip.gate import Credentials, Request, Verdict

logger = logging.getLogger(__name__)

#: libbaresip's version in the pinned release of the binding.
LIBBARESIP = "4.10.0"
#: Digest realm; the stack keeps the pointer.
REALM = b"offhook"
MD5_SIZE = 16
ADDRESS_SIZE = 64

#: enum sdp_dir.
SDP_INACTIVE, SDP_SENDRECV = 0, 3
#: errno values of ``sip_uas_auth_check``.
EAUTH = 217
#: A refusal without a body ends so.
END_OF_HEADERS = b"Content-Length: 0\r\n\r\n"


class _Pl(Structure):
    _fields_ = (("p", c_void_p), ("l", c_size_t))

    def text(self) -> str:
        return ctypes.string_at(self.p, self.l).decode("utf-8", "replace") if self.p else ""


class _Sa(Structure):
    # The largest member of the union is a sockaddr_un of 110 bytes.
    _fields_ = (("sockaddr", c_ubyte * 112), ("len", c_uint32))


class _List(Structure):
    _fields_ = (("head", c_void_p), ("tail", c_void_p), ("cnt", c_size_t))


class _Element(Structure):
    _fields_ = (("prev", c_void_p), ("next", c_void_p), ("list", c_void_p), ("data", c_void_p))


class _Uri(Structure):
    _fields_ = (
        ("scheme", _Pl), ("user", _Pl), ("host", _Pl), ("af", c_int), ("port", c_uint16),
        ("path", _Pl), ("params", _Pl), ("headers", _Pl),
    )  # fmt: skip


class _Via(Structure):
    _fields_ = (
        ("sentby", _Pl), ("addr", _Sa), ("params", _Pl), ("branch", _Pl), ("val", _Pl), ("tp", c_int),
    )  # fmt: skip


class _Taddr(Structure):
    _fields_ = (("dname", _Pl), ("auri", _Pl), ("uri", _Uri), ("params", _Pl), ("tag", _Pl), ("val", _Pl))


class _Cseq(Structure):
    _fields_ = (("met", _Pl), ("num", c_uint32))


class _Rack(Structure):
    _fields_ = (("met", _Pl), ("rel_seq", c_uint32), ("cseq", c_uint32))


class _Ctype(Structure):
    _fields_ = (("type", _Pl), ("subtype", _Pl), ("params", _Pl))


class _Message(Structure):
    """``struct sip_msg``, as far as it is read."""

    _fields_ = (
        ("src", _Sa), ("dst", _Sa), ("ver", _Pl), ("met", _Pl), ("ruri", _Pl), ("uri", _Uri), ("scode", c_uint16),
        ("reason", _Pl), ("hdrl", _List), ("via", _Via), ("to", _Taddr), ("from_", _Taddr), ("cseq", _Cseq),
        ("rack", _Rack), ("rel_seq", c_uint32), ("ctyp", _Ctype), ("callid", _Pl),
    )  # fmt: skip


class _UasAuth(Structure):
    _fields_ = (("realm", c_char_p), ("nonce", c_void_p), ("stale", c_bool))


_MESSAGE_HANDLER = ctypes.CFUNCTYPE(c_bool, c_void_p, c_void_p)
_AUTH_HANDLER = ctypes.CFUNCTYPE(c_int, POINTER(c_ubyte), POINTER(_Pl), c_char_p, c_void_p)

Judge = Callable[[Request, Callable[[], Credentials]], Verdict]


class NativeStack:
    """The C library of the running stack.

    Args:
        users: names and passwords of those who may call with digest credentials.

    Raises:
        SipError: the installed binding is not the pinned one.

    """

    def __init__(self, users: Mapping[str, str]) -> None:
        version = _native.ffi.string(_native.lib.bp_version()).decode()
        if version != LIBBARESIP:
            raise SipError(
                f"baresip-python carries libbaresip {version}, this release is made for {LIBBARESIP}; "
                "install the version that Offhook pins"
            )
        self._users = dict(users)
        self._library = _declare(ctypes.CDLL(_native.__file__))
        # The library keeps pointers to these.
        self._listener = c_void_p()
        self._on_request: object = None
        self._on_credentials = _AUTH_HANDLER(self._password_hash)

    def watch_requests(self, judge: Judge) -> None:
        """Let ``judge`` see every request before the stack does. On the SIP thread."""

        def on_request(message: int, _: object) -> bool:
            # Whatever goes wrong here must not let a request through.
            try:
                return self._handle(message, judge)
            except Exception:
                logger.exception("a SIP request could not be judged")
                return True

        self._on_request = _MESSAGE_HANDLER(on_request)
        sip = self._library.uag_sip()
        listener = self._listener
        if self._library.sip_listen(ctypes.byref(listener), sip, True, self._on_request, None):
            raise SipError("the SIP stack takes no listener")
        # The stack asks its listeners in turn, its own first. A listener begins with its place in their list.
        listeners = _Element.from_address(listener.value or 0).list
        self._library.list_unlink(listener)
        self._library.list_prepend(listeners, listener, listener)

    def refuse(self, call_id: str, status: int, reason: str, headers: Mapping[str, str]) -> bool:
        """Decline a call that rings; False where it has gone. On the SIP thread."""
        call = self._library.uag_call_find(call_id.encode())
        if not call:
            return False
        lines = b"".join(f"{name}: {value}\r\n".encode() for name, value in headers.items())
        # The text is a format of the library's own printf.
        text = (lines + END_OF_HEADERS).replace(b"%", b"%%")
        self._library.ua_hangupf(self._library.call_get_ua(call), call, status, reason.encode(), text)
        return True

    def sound_only(self, call_id: str) -> None:
        """Negotiate a call that rings once, for sound alone. On the SIP thread."""
        if call := self._library.uag_call_find(call_id.encode()):
            self._library.call_set_media_estdir(call, SDP_SENDRECV, SDP_INACTIVE)

    def _handle(self, message: int, judge: Judge) -> bool:
        """Return whether the request has been dealt with."""
        verdict = judge(self._request(message), lambda: self._check(message))
        if verdict is Verdict.PASS:
            return False
        if verdict is Verdict.CHALLENGE:
            self._challenge(message)
        elif verdict is Verdict.FORBID:
            self._library.sip_reply(self._library.uag_sip(), message, 403, b"Forbidden")
        return True

    def _request(self, message: int) -> Request:
        fields = _Message.from_address(message)
        address = ctypes.create_string_buffer(ADDRESS_SIZE)
        self._library.sa_ntop(message, address, ADDRESS_SIZE)
        return Request(
            method=fields.met.text(),
            address=address.value.decode("ascii", "replace"),
            call_id=fields.callid.text(),
            in_dialog=bool(fields.to.tag.l),
            user=fields.uri.user.text(),
        )

    def _check(self, message: int) -> Credentials:
        auth = _UasAuth(realm=REALM)
        error = self._library.sip_uas_auth_check(ctypes.byref(auth), message, self._on_credentials, None)
        if error == 0:
            return Credentials.RIGHT
        return Credentials.MISSING if error == EAUTH else Credentials.WRONG

    def _challenge(self, message: int) -> None:
        auth = c_void_p()
        if self._library.sip_uas_auth_gen(ctypes.byref(auth), message, REALM):
            return
        printer = ctypes.cast(self._library.sip_uas_auth_print, c_void_p)
        self._library.sip_replyf(
            self._library.uag_sip(), message, 401, b"Unauthorized", b"%H" + END_OF_HEADERS, printer, auth
        )
        self._library.mem_deref(auth)

    def _password_hash(
        self, ha1: "ctypes._Pointer[c_ubyte]", user: "ctypes._Pointer[_Pl]", _: bytes, __: object
    ) -> int:
        name = user.contents.text()
        password = self._users.get(name)
        if password is None:
            return EAUTH
        digest = hashlib.md5(f"{name}:{REALM.decode()}:{password}".encode(), usedforsecurity=False).digest()
        ctypes.memmove(ha1, digest, MD5_SIZE)
        return 0


def _declare(library: ctypes.CDLL) -> ctypes.CDLL:
    """Declare what is called."""
    signatures: dict[str, tuple[object, tuple[object, ...]]] = {
        "uag_sip": (c_void_p, ()),
        "uag_call_find": (c_void_p, (c_char_p,)),
        "call_get_ua": (c_void_p, (c_void_p,)),
        "call_set_media_estdir": (None, (c_void_p, c_int, c_int)),
        "ua_hangupf": (None, (c_void_p, c_void_p, c_uint16, c_char_p, c_char_p)),
        "sip_listen": (c_int, (POINTER(c_void_p), c_void_p, c_bool, _MESSAGE_HANDLER, c_void_p)),
        "sip_reply": (c_int, (c_void_p, c_void_p, c_uint16, c_char_p)),
        "sip_replyf": (c_int, (c_void_p, c_void_p, c_uint16, c_char_p, c_char_p, c_void_p, c_void_p)),
        "sip_uas_auth_check": (c_int, (POINTER(_UasAuth), c_void_p, _AUTH_HANDLER, c_void_p)),
        "sip_uas_auth_gen": (c_int, (POINTER(c_void_p), c_void_p, c_char_p)),
        "sip_uas_auth_print": (c_int, (c_void_p, c_void_p)),
        "list_unlink": (None, (c_void_p,)),
        "list_prepend": (None, (c_void_p, c_void_p, c_void_p)),
        "mem_deref": (c_void_p, (c_void_p,)),
        "sa_ntop": (c_int, (c_void_p, c_char_p, c_int)),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
