"""Which processes a configuration becomes: the same supervisor runs them all."""

import pytest

from orchestration.settings import load_configuration
from orchestration.stack import stack_specs
from serving.ports import free_ports


@pytest.mark.parametrize(
    ("profile", "engines"),
    [("embedded", ["llm"]), ("gpu-disaggregated", ["llm-prefill", "llm"]), ("remote", [])],
)
def test_an_engine_profile_is_none_one_or_two_supervised_processes(
    monkeypatch: pytest.MonkeyPatch, profile: str, engines: list[str]
) -> None:
    """Prefill and decode apart are two, at ports of their own; a remote engine is nobody's to start."""
    for name, port in zip(("GATEWAY", "ASR", "TTS", "LLM"), free_ports(4), strict=True):
        monkeypatch.setenv(f"OFFHOOK_{name}__PORT", str(port))
    monkeypatch.setenv("OFFHOOK_LLM__PROFILE", profile)
    specs = stack_specs(load_configuration())
    assert [spec.name for spec in specs] == [*engines, "asr", "tts", "gateway"]
    ports = [spec.argv[spec.argv.index("--port") + 1] for spec in specs if "--port" in spec.argv]
    assert len(set(ports)) == len(engines)
