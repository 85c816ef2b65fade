"""`offhook up`: errors at start, crashed servers, and a clean end."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import Stack, run_offhook, stack_environment, start_stack

SERVERS = {"asr": "asr", "tts": "tts", "llm": "llm", "gateway": "voice"}


def children(process_id: int) -> dict[int, str]:
    """Return the command lines of a process's children, by process id."""
    found = {}
    for task in Path(f"/proc/{process_id}/task").glob("*/children"):
        for child in task.read_text().split():
            found[int(child)] = Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ")
    return found


def server_process(stack: Stack, module: str) -> int:
    """Return the process id of one server of the stack."""
    (pid,) = [pid for pid, line in children(stack.process.pid).items() if f"-m {module}" in line]
    return pid


def is_alive(pid: int) -> bool:
    """Return whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture(scope="module")
def own_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose servers may be killed."""
    with start_stack(tmp_path_factory.mktemp("up")) as running:
        yield running


@pytest.mark.parametrize("server", SERVERS)
def test_a_killed_server_comes_back(own_stack: Stack, server: str) -> None:
    """After kill -9 of a server, /readyz says so, it is started again, and the next call is answered."""
    own_stack.wait_ready()
    os.kill(server_process(own_stack, SERVERS[server]), signal.SIGKILL)
    if server != "gateway":
        deadline = time.monotonic() + 10
        while (response := httpx.get(f"{own_stack.gateway_url}/readyz")).status_code == 200:
            assert time.monotonic() < deadline, "readyz never noticed"
            time.sleep(0.02)
        assert server in response.json()["reason"]
    own_stack.wait_ready(20)
    assert f"{server} ended (killed by SIGKILL); starting it again" in own_stack.output()
    result = own_stack.offhook("call", "--say", "What is the capital of France?", "--json")
    assert result.returncode == 0, result.stderr
    assert "Paris" in json.loads(result.stdout)["turns"][0]["answered"]


def test_a_call_is_refused_while_a_server_is_missing(own_stack: Stack) -> None:
    """A caller is told at once, and why."""
    own_stack.wait_ready()
    mouth = server_process(own_stack, "tts")
    os.kill(mouth, signal.SIGSTOP)
    try:
        deadline = time.monotonic() + 15
        while httpx.get(f"{own_stack.gateway_url}/readyz").status_code == 200:
            assert time.monotonic() < deadline, "readyz never noticed"
            time.sleep(0.05)
        recording = own_stack.folder / "question.wav"
        recording.write_bytes((own_stack.folder / "answer.wav").read_bytes())
        result = own_stack.offhook("call", str(recording), "--url", own_stack.gateway_url)
        assert result.returncode == 1
        assert "refused the call with status 503" in result.stderr
        assert "waiting for tts" in result.stderr
    finally:
        os.kill(mouth, signal.SIGCONT)
    own_stack.wait_ready(20)


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_cleanly_though_a_server_hangs(tmp_path: Path, sig: int) -> None:
    """A signal ends `offhook up` within three seconds with status 0, and no process is left."""
    with start_stack(tmp_path) as stack:
        servers = list(children(stack.process.pid))
        assert len(servers) == len(SERVERS)
        os.kill(server_process(stack, "asr"), signal.SIGSTOP)
        assert stack.stop(sig, seconds=3.5) == 0
        assert not [pid for pid in servers if is_alive(pid)]


def test_its_servers_die_with_it(tmp_path: Path) -> None:
    """A supervisor that is killed outright leaves no server behind."""
    with start_stack(tmp_path) as stack:
        servers = list(children(stack.process.pid))
        stack.stop(signal.SIGKILL)
        deadline = time.monotonic() + 5
        while (left := [pid for pid in servers if is_alive(pid)]) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not left


def refused(folder: Path, **settings: str) -> str:
    """Run `offhook up` where it cannot start; return the one line it says."""
    began = time.monotonic()
    result = run_offhook("up", environment=stack_environment(folder, **settings), folder=folder, timeout=60)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert time.monotonic() - began < 30
    (line,) = result.stderr.strip().splitlines()
    return line


def test_a_port_in_use(tmp_path: Path) -> None:
    """A taken port is named, with its section."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = refused(tmp_path, OFFHOOK_TTS__PORT=str(port))
    assert f"[tts] cannot listen on 127.0.0.1:{port}" in line
    assert "Address already in use" in line


def test_missing_models(tmp_path: Path) -> None:
    """A model that was not pulled is named, with the command that pulls it."""
    (tmp_path / "empty").mkdir()
    line = refused(tmp_path, OFFHOOK_MODELS_DIR=str(tmp_path / "empty"))
    assert "offhook models pull" in line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name = 'x'", "system_prompt: missing"),
        ("name = 'x'\nsystem_prompt = 'p'\ncolour = 'red'", "colour = 'red'"),
        ("name = 'x'\nsystem_prompt = 'p'\n[turns]\neot_threshold = 2.0", "turns.eot_threshold = 2.0"),
        ("name = ", "not valid TOML"),
    ],
)
def test_a_bad_agent(tmp_path: Path, text: str, expected: str) -> None:
    """An agent file that cannot be used is named, with key and value."""
    (tmp_path / "agent.toml").write_text(text)
    line = refused(tmp_path, OFFHOOK_GATEWAY__AGENT="./agent.toml")
    assert "agent.toml" in line
    assert expected in line


def test_a_bad_configuration(tmp_path: Path) -> None:
    """A setting that cannot be used is named: file, section, key, value and what is allowed."""
    (tmp_path / "offhook.toml").write_text("[gateway]\nmax_calls = 0\n")
    line = refused(tmp_path)
    assert "offhook.toml [gateway] max_calls = 0" in line
    assert "greater than or equal to 1" in line
    (tmp_path / "offhook.toml").write_text("[gatway]\nmax_calls = 1\n")
    assert "[gatway]: no such section; there are: gateway" in refused(tmp_path)


def test_an_engine_that_dies_at_start(tmp_path: Path) -> None:
    """An engine that ends at once is reported with the last it said, and the others are taken down."""
    engine = tmp_path / "python"
    engine.write_text("#!/bin/sh\necho 'no GPU found' >&2\nexit 3\n")
    engine.chmod(0o755)
    line = refused(tmp_path, OFFHOOK_LLM__PROFILE="gpu", OFFHOOK_LLM__ENGINE_PYTHON=str(engine))
    assert "llm ended at start (status 3): no GPU found" in line


def test_config_prints_what_is_in_force(tmp_path: Path) -> None:
    """`offhook config` merges profile, file and environment, and hides secrets."""
    (tmp_path / "offhook.toml").write_text('profile = "gpu"\n[gateway]\nmax_calls = 7\n')
    environment = stack_environment(tmp_path, OFFHOOK_LLM__API_KEY="hush", OFFHOOK_GATEWAY__AGENT="concierge")
    result = run_offhook("config", environment=environment, folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "max_calls = 7" in result.stdout
    assert 'device = "cuda"' in result.stdout
    assert "hush" not in result.stdout


def test_call_takes_its_own_stack_down(tmp_path: Path) -> None:
    """`offhook call` without a stack starts one, and leaves no process and no listener."""
    environment = stack_environment(tmp_path)
    command = [sys.executable, "-m", "voice.cli", "call", "--say", "What is the capital of France?", "--json"]
    result = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "Paris" in json.loads(result.stdout)["turns"][0]["answered"]
    for name in ("GATEWAY", "ASR", "TTS", "LLM"):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", int(environment[f"OFFHOOK_{name}__PORT"]))) != 0
