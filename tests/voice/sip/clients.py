"""The two real SIP clients of the tests, from Debian: baresip speaks and records, sipp keeps to a script."""

import contextlib
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np

from serving.ports import free_port
from tests.voice.conftest import wav_bytes

#: One for all that is asked again and again: reading the certificates for another takes tens of milliseconds.
HTTP = httpx.Client()
SIPP_SECONDS = 40.0
HIGH_RATE = 48_000
#: Modules of Debian's baresip 1.0; accounts are read when `account` loads, so the codecs come first.
MODULES = ("g711", "opus", "aufile", "sndfile", "menu", "ctrl_tcp", "account")


def wait_for(condition: Callable[[], object], *, what: str, seconds: float = 60.0) -> None:
    """Return once ``condition`` holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"never came: {what}"
        time.sleep(0.05)


@dataclass
class Baresip:
    """A running baresip 1.0."""

    process: subprocess.Popen[bytes]
    folder: Path
    port: int
    control: int
    _sent: int = field(default=0)

    @property
    def output(self) -> str:
        """What it has printed."""
        return (self.folder / "log").read_text(errors="replace")

    def command(self, name: str, parameters: str = "") -> None:
        """Give it a command, by a netstring over TCP."""
        text = f'{{"command":"{name}","params":"{parameters}","token":"t{self._sent}"}}'
        self._sent += 1
        with socket.create_connection(("127.0.0.1", self.control), timeout=5) as control:
            control.sendall(f"{len(text)}:{text},".encode())
            control.recv(4096)

    def saw(self, pattern: str) -> bool:
        """Return whether it has printed something."""
        return re.search(pattern, self.output) is not None

    def wait_printed(self, pattern: str, *, seconds: float = 60.0) -> None:
        """Return once it has printed something."""
        wait_for(lambda: self.saw(pattern), what=f"{pattern} in {self.output[-2000:]}", seconds=seconds)

    @property
    def call_id(self) -> str:
        """Call-ID of its first call."""
        found = re.search(r"^Call-ID: (\S+)", self.output, re.MULTILINE)
        assert found, self.output[-2000:]
        return found[1]

    def heard(self) -> bytes:
        """Return what it has heard, as a WAV file; complete once the call has ended."""
        (dump,) = self.folder.glob("dump-*-dec.wav")
        return dump.read_bytes()


def _ready(folder: Path, address: str, port: int, control: int) -> Baresip:
    """Start a baresip; now and then Debian's hangs at its start without a word, and another is started."""
    for seconds in (6, 6, 20):
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                # Line by line: what it prints first is less than a block.
                ["stdbuf", "-oL", "baresip", "-f", str(folder), "-n", address, "-v", "-s"],
                stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=folder,
            )  # fmt: skip
        client = Baresip(process, folder, port, control)
        with contextlib.suppress(AssertionError):
            client.wait_printed("baresip is ready", seconds=seconds)
            return client
        process.kill()
        process.wait()
    raise AssertionError(f"no baresip was ready: {client.output[-2000:]}")


@contextlib.contextmanager
def run_baresip(
    folder: Path, *, speech: Path, codecs: str = "pcmu", account: str = "", address: str = "127.0.0.1"
) -> Iterator[Baresip]:
    """Run a baresip that speaks ``speech`` once a call begins."""
    folder.mkdir(parents=True, exist_ok=True)
    port, control = free_port(), free_port()
    rate = "audio_srate 8000\naudio_channels 1\n" if codecs == "pcmu" else ""
    modules = "".join(f"module {name}.so\n" for name in MODULES)
    (folder / "config").write_text(
        f"module_path /usr/lib/baresip/modules\n{modules}{rate}"
        f"ctrl_tcp_listen 127.0.0.1:{control}\n"
        f"audio_source aufile,{speech}\naudio_alert aufile,{speech}\nsnd_path {folder}\n"
        f"sip_listen {address}:{port}\nrtp_ports 40000-49999\ncall_max_calls 4\nstatmode_default off\n"
    )
    account = account or f"<sip:caller@{address}:{port}>;regint=0"
    (folder / "accounts").write_text(f"{account};audio_codecs={codecs}\n")
    client = _ready(folder, address, port, control)
    try:
        yield client
    finally:
        client.process.kill()
        client.process.wait()


def sipp(
    scenario: str, target: str, folder: Path, *arguments: str, address: str = "127.0.0.1"
) -> subprocess.CompletedProcess[str]:
    """Run one call of a scenario (XML) against ``target``; return code 0: every message was as expected."""
    file = folder / "scenario.xml"
    file.write_text(
        f'<?xml version="1.0" encoding="ISO-8859-1" ?>\n<scenario name="test">{scenario}</scenario>'
    )
    return subprocess.run(
        [
            "sipp", "-sf", str(file), target, "-m", "1", "-i", address, "-nostdin", "-trace_err",
            "-error_file", str(folder / "errors.txt"), "-timeout", f"{SIPP_SECONDS:g}", *arguments,
        ],
        cwd=folder, capture_output=True, text=True, timeout=SIPP_SECONDS + 10, check=False,
    )  # fmt: skip


#: A word counts as said when the most of it has left; its end, and what a telephone holds back, come within this.
LAST_WORD_SECONDS = 1.5


def wait_paris(gateway_url: str, call: str) -> None:
    """Return once the agent has said so in a call, as its gateway tells, and the caller has heard it out."""
    wait_for(lambda: _says_paris(gateway_url, call), what="an answer")
    time.sleep(LAST_WORD_SECONDS)


def _says_paris(gateway_url: str, call: str) -> bool:
    response = HTTP.get(f"{gateway_url}/api/calls/{call}")
    turns = response.json()["turns"] if response.status_code == 200 else []
    return any("paris" in turn["spoken"].lower() for turn in turns)


def speech(path: Path, *parts: np.ndarray, rate: int = 8000) -> Path:
    """Write 48 kHz samples as what baresip can play: 8 kHz mono, or 48 kHz stereo."""
    samples = np.concatenate(parts)
    if rate == HIGH_RATE:
        stereo = np.repeat(samples.astype("<i2"), 2)
        header = wav_bytes(stereo, rate)
        # Two channels: bytes 22 (channels), 28 (byte rate) and 32 (block size) of the header.
        fixed = bytearray(header)
        fixed[22:24] = (2).to_bytes(2, "little")
        fixed[28:32] = (rate * 4).to_bytes(4, "little")
        fixed[32:34] = (4).to_bytes(2, "little")
        path.write_bytes(bytes(fixed))
        return path
    step = HIGH_RATE // rate
    kept = len(samples) // step * step
    narrow = samples[:kept].astype(np.float64).reshape(-1, step).mean(axis=1)
    path.write_bytes(wav_bytes(narrow, rate))
    return path
