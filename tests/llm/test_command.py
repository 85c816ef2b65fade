"""Profiles become exactly the command lines they became last time."""

from pathlib import Path

import pytest

from llm.command import Command
from llm.engine import launch_specs, prefill_url
from llm.errors import ProfileError
from llm.profile import VllmProfile, load_profile, parse_profile, profile_names
from llm.settings import LLMSettings

from .commands import PROFILES

GOLDEN = Path(__file__).parent / "golden"
SETTINGS = LLMSettings(engine_python="/venv/bin/python", api_key="secret")


def lines(name: str) -> str:
    """Return the command lines of a profile, its own interpreter's path aside."""
    profile = parse_profile({"name": name, **PROFILES[name]}, shown=name)
    specs = launch_specs(profile, SETTINGS)
    own = {spec.argv[0] for spec in specs if profile.engine == "llamacpp"}
    text = "\n".join(str(Command(spec.argv, spec.public_env)) for spec in specs) + "\n"
    for path in own:
        text = text.replace(path, "python")
    return text


@pytest.mark.parametrize("name", PROFILES)
def test_the_command_line_is_the_golden_one(name: str) -> None:
    """Every engine and every speculative method; write a new file only after reading the difference."""
    assert lines(name) == (GOLDEN / f"{name}.txt").read_text()


def test_there_is_no_golden_file_too_many() -> None:
    """A profile that goes takes its file with it."""
    assert {path.stem for path in GOLDEN.iterdir()} == set(PROFILES)


@pytest.mark.parametrize("name", profile_names())
def test_every_shipped_profile_loads_and_explains_itself(name: str) -> None:
    """What ships is valid and says what it is for."""
    profile = load_profile(name)
    assert profile.name == name
    assert profile.description


def test_the_key_is_in_the_environment_and_never_on_the_command_line() -> None:
    """`ps` shows arguments to everybody."""
    (spec,) = launch_specs(parse_profile(PROFILES["vllm"], shown="x"), SETTINGS)
    assert spec.env["VLLM_API_KEY"] == "secret"
    assert not any("secret" in word for word in spec.argv)
    assert "secret" not in str(Command(spec.argv, spec.public_env))


def test_the_engine_is_told_where_spans_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """The standard variables reach the engine, so that its spans join the call's trace."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")
    (spec,) = launch_specs(parse_profile(PROFILES["vllm"], shown="x"), SETTINGS)
    assert spec.argv[-2:] == ("--otlp-traces-endpoint", "http://collector:4318/v1/traces")
    assert spec.env["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] == "http/protobuf"


def test_a_disaggregated_profile_is_two_engines() -> None:
    """Clients ask the second, and have the first read their prompts."""
    profile = parse_profile(PROFILES["vllm-disaggregated"], shown="x")
    prefill, decode = launch_specs(profile, SETTINGS)
    assert prefill_url(profile, SETTINGS) == prefill.base_url
    assert decode.base_url.endswith(":8083")


def test_a_remote_server_has_nothing_to_start() -> None:
    """Closed models are asked, not run."""
    profile = parse_profile(
        {"engine": "openai", "model": "m", "base_url": "https://api.example.com/v1"}, shown="x"
    )
    assert launch_specs(profile, SETTINGS) == ()


def test_graphs_are_captured_for_the_batches_in_use() -> None:
    """A step of n calls with k guesses each has n * (k + 1) tokens."""
    profile = parse_profile(
        {
            "engine": "vllm",
            "model": "m",
            "concurrent_calls": 2,
            "speculation": {"method": "mtp", "tokens": 2},
        },
        shown="x",
    )
    assert isinstance(profile, VllmProfile)
    (spec,) = launch_specs(profile, SETTINGS)
    at = spec.argv.index("--cudagraph-capture-sizes")
    assert spec.argv[at + 1 : at + 3] == ("3", "6")


def test_an_unknown_profile_is_named_with_those_there_are() -> None:
    """One line says what to write instead."""
    with pytest.raises(ProfileError, match=r"'none': no such profile; there are: .*embedded"):
        load_profile("none")
