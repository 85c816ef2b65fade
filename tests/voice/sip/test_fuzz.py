"""Nonsense of every kind, as a SIP peer that is let in could send it, crashes nothing and leaks nothing.

``OFFHOOK_FUZZ_PACKETS=20000 pytest tests/voice/sip/test_fuzz.py`` runs the long form.
"""

import asyncio
import os
import random
import socket
from pathlib import Path

import psutil
from websockets.asyncio.server import serve

from tests.voice.sip.conftest import Sip, hold_open, run_sip
from tests.voice.sip.test_process import alone
from voice.sip.stack import SPARE_CALLS

PACKETS = int(os.environ.get("OFFHOOK_FUZZ_PACKETS", "4000"))
#: After so many packets the SIP process is asked whether it still answers.
BATCH = 50
MAX_CALLS = 8
#: What the calls that stay half open until their timers end may hold, and what the allocator keeps.
MAX_GROWTH_BYTES = 40 << 20
FDS_A_CALL = 8

METHODS = "INVITE ACK BYE CANCEL OPTIONS REGISTER REFER INFO UPDATE NOTIFY PRACK MESSAGE SUBSCRIBE".split()  # noqa: SIM905
SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 49170 RTP/AVP 0 8 96 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:96 opus/48000/2\r\n"
    "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\na=ptime:20\r\n"
)
NASTY = [
    "", " ", ":", ";", "<", ">", '"', "%s%n%x", "\x00", "\xff" * 40, "-1", "4294967296", "9" * 400, "a" * 9000,
    "sip:", "sip:@:;?", "<sip:x@[::1]:99999;lr>", "SIP/2.0/UDP 0.0.0.0:0;branch=;rport=;received=",
    "z9hG4bK" + "b" * 300, "Digest realm=\"offhook\", nonce=\"\", response=", "multipart/mixed;boundary=",
]  # fmt: skip


class Nonsense:
    """Makes packets: well-formed messages, and what has gone wrong with them.

    Args:
        seed: the same packets each time.
        target: where they go.

    """

    def __init__(self, seed: int, target: tuple[str, int]) -> None:
        self._random = random.Random(seed)
        self._target = target
        self._call_ids = [f"fuzz-{number}" for number in range(12)]

    def packet(self) -> bytes:
        """Return the next one."""
        kind = self._random.random()
        if kind < 0.05:
            return self._random.randbytes(self._random.randrange(1500))
        message = self._response() if kind < 0.15 else self._request()
        for _ in range(self._random.randrange(4)):
            message = self._spoil(message)
        return message[:60_000]

    def _request(self) -> bytes:
        pick = self._random
        method = pick.choice(METHODS)
        uri = f"sip:offhook@{self._target[0]}:{self._target[1]}"
        tag = pick.choice(["", f";tag={pick.randrange(9)}"])
        body = SDP if method in ("INVITE", "UPDATE", "ACK") and pick.random() < 0.8 else ""
        extra = pick.choice(
            ["", "Refer-To: <sip:x@127.0.0.1>\r\n", "Replaces: a;to-tag=b;from-tag=c\r\n", "Require: 100rel\r\n",
             "Supported: timer,100rel,replaces\r\nSession-Expires: 90\r\n", "Event: refer\r\n", "Expires: 0\r\n"]
        )  # fmt: skip
        return (
            f"{method} {uri} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK{pick.randrange(10**9)};rport\r\n"
            f"From: <sip:fuzz@127.0.0.1>;tag={pick.randrange(9)}\r\nTo: <{uri}>{tag}\r\n"
            f"Call-ID: {pick.choice(self._call_ids)}{pick.randrange(40)}\r\nCSeq: {pick.randrange(99)} {method}\r\n"
            f"Contact: <sip:fuzz@127.0.0.1:9>\r\nMax-Forwards: 70\r\n{extra}"
            f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        ).encode()

    def _response(self) -> bytes:
        pick = self._random
        return (
            f"SIP/2.0 {pick.choice([100, 180, 200, 302, 401, 481, 500, 999])} x\r\n"
            f"Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK{pick.randrange(99)}\r\nFrom: <sip:a@b>;tag=1\r\n"
            f"To: <sip:c@d>;tag=2\r\nCall-ID: {pick.choice(self._call_ids)}\r\nCSeq: 1 INVITE\r\n\r\n"
        ).encode()

    def _spoil(self, message: bytes) -> bytes:
        pick = self._random
        lines = message.split(b"\r\n")
        place = pick.randrange(len(lines))
        match pick.randrange(7):
            case 0:  # a bit
                data = bytearray(message)
                data[pick.randrange(len(data))] ^= 1 << pick.randrange(8)
                return bytes(data)
            case 1:  # cut short
                return message[: pick.randrange(1, len(message) + 1)]
            case 2:  # a line twice
                lines.insert(place, lines[place])
            case 3:  # a line missing
                del lines[place]
            case 4:  # a value that is none
                name = lines[place].partition(b":")[0]
                lines[place] = name + b": " + pick.choice(NASTY).encode()
            case 5:  # the middle of a line
                at = pick.randrange(len(lines[place]) + 1)
                lines[place] = lines[place][:at] + pick.choice(NASTY).encode() + lines[place][at:]
            case _:  # a length that lies
                length = pick.choice([-1, 0, 3, 9999, 2**40])
                lines = [
                    f"Content-Length: {length}".encode() if b"-Length" in line else line for line in lines
                ]
        return b"\r\n".join(lines) or b"x"


async def test_nonsense(tmp_path: Path) -> None:
    """The process that took it still answers, and has not grown by more than the calls it holds."""
    async with serve(hold_open, "127.0.0.1", 0, compression=None) as gateway:
        environment = alone(
            OFFHOOK_GATEWAY__PORT=str(gateway.sockets[0].getsockname()[1]),
            OFFHOOK_GATEWAY__MAX_CALLS=str(MAX_CALLS),
        )
        with run_sip(None, tmp_path, environment) as sip:
            await asyncio.to_thread(send_nonsense, sip)
            assert sip.process.poll() is None, sip.log()[-3000:]
    assert "Traceback" not in sip.log(), sip.log()[-5000:]


def send_nonsense(sip: Sip) -> None:
    """Send all of it, and see what it did to the process."""
    nonsense = Nonsense(20_261_124, ("127.0.0.1", sip.port))
    process = psutil.Process(sip.process.pid)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.connect(("127.0.0.1", sip.port))
        line.settimeout(20)
        for number in range(PACKETS):
            line.send(nonsense.packet())
            if number % BATCH == 0:
                assert_answers(line, number)
            if number == PACKETS // 4:
                memory, files = process.memory_info().rss, process.num_fds()
        assert_answers(line, PACKETS)
        grown, opened = process.memory_info().rss - memory, process.num_fds() - files
    assert grown < MAX_GROWTH_BYTES
    assert opened <= FDS_A_CALL * (MAX_CALLS + SPARE_CALLS)


def assert_answers(line: socket.socket, number: int) -> None:
    """Ask whether it is there, and wait for that answer among all others."""
    name = f"alive-{number}".encode()
    line.send(
        b"OPTIONS sip:offhook@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;rport;branch=z9hG4bK" + name
        + b"\r\nFrom: <sip:a@127.0.0.1>;tag=1\r\nTo: <sip:offhook@127.0.0.1>\r\nCall-ID: " + name
        + b"\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )  # fmt: skip
    while name not in (answer := line.recv(65_536)):
        pass
    assert answer.startswith(b"SIP/2.0 200"), answer[:200]
