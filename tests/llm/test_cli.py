"""The commands say what they do, and what is wrong, in a line."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from llm import bench_cli, cli
from llm.profile import profile_names


def test_the_command_line_of_a_shipped_profile_is_printed() -> None:
    """What `offhook up` will start, ready to paste."""
    result = CliRunner().invoke(cli.llm, ["command", "gpu"])
    assert result.exit_code == 0
    assert "vllm.entrypoints.openai.api_server --host 127.0.0.1" in result.output


def test_the_profiles_that_ship_are_listed() -> None:
    """Each with what it is for."""
    output = CliRunner().invoke(cli.llm, ["profiles"]).output
    assert [line.split()[0] for line in output.splitlines()] == profile_names()


@pytest.mark.parametrize(
    ("command", "arguments", "says"),
    [
        (cli.llm, ["command", "none"], "no such profile"),
        (cli.llm, ["load-adapter", "shop", "/nowhere"], "load_lora_adapter"),
        (cli.tune, ["remote"], "cannot be tuned from here"),
        (cli.tune, ["embedded", "--candidates", "/nowhere.toml"], "cannot be read"),
        (cli.tune, ["embedded", "--transcripts", "/nowhere.json"], "cannot be read"),
        (bench_cli.failover, ["--profile", "embedded"], "give --profile twice"),
        (bench_cli.failover, ["--profile", "gpu-disaggregated", "--profile", "embedded"], "is 2 processes"),
        (bench_cli.overhead, ["--profile", "none"], "no such profile"),
        (bench_cli.prefix, ["--profile", "none"], "no such profile"),
        (bench_cli.withdrawal, ["--profile", "none"], "no such profile"),
        (cli.tune, ["gpu-disaggregated"], "tune its decode half"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    monkeypatch: pytest.MonkeyPatch, command: object, arguments: list[str], says: str
) -> None:
    """No traceback."""
    monkeypatch.setenv("OFFHOOK_LLM__PORT", "9")
    result = CliRunner().invoke(command, arguments)  # type: ignore[arg-type]
    assert result.exit_code in (1, 2)
    assert says in result.output
    assert "Traceback" not in result.output


def test_a_measurement_in_the_background_ends_when_told(embedded_model: None, tmp_path: Path) -> None:
    """SIGTERM stops its engines too, although a shell has it ignore SIGINT."""
    process = subprocess.Popen(
        [sys.executable, "-m", "voice.cli", "tune", "embedded", "--folder", str(tmp_path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    family = psutil.Process(process.pid)
    while not (engines := family.children(recursive=True)):
        assert process.poll() is None
        time.sleep(0.05)
    process.terminate()
    assert process.wait(60) != 0
    _, alive = psutil.wait_procs(engines, timeout=10)
    assert alive == []
