"""Agent definitions."""

from pathlib import Path

import pytest

from orchestration.agent import agent_names, load_agent
from orchestration.errors import AgentError


def test_every_agent_that_ships_is_valid() -> None:
    """What ships can be used, and says what it is."""
    assert "concierge" in agent_names()
    for name in agent_names():
        assert load_agent(name).name == name


def test_only_name_and_prompt_are_needed(tmp_path: Path) -> None:
    """Everything else has a default."""
    path = tmp_path / "a.toml"
    path.write_text("name = 'shop'\nsystem_prompt = 'You sell shoes.'\n")
    agent = load_agent(str(path))
    assert agent.turns.speculate
    assert agent.greeting == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name = 'Shop!'\nsystem_prompt = 'x'", "name = 'Shop!'"),
        ("name = 'shop'\nsystem_prompt = '  '", "system_prompt"),
        ("name = 'shop'\nsystem_prompt = 'x'\n[limits]\nidle_seconds = -1", "limits.idle_seconds = -1"),
        ("name = 'shop'\nsystem_prompt = 'x'\n[turns]\nspeculat = true", "turns.speculat = True"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, expected: str) -> None:
    """The error names the file, the key and the value."""
    path = tmp_path / "a.toml"
    path.write_text(text)
    with pytest.raises(AgentError, match=r"a\.toml") as error:
        load_agent(str(path))
    assert expected in str(error.value)


def test_no_such_agent() -> None:
    """The error says which there are."""
    with pytest.raises(AgentError, match="concierge"):
        load_agent("nobody")


def test_how_words_are_said_and_what_is_said_often(tmp_path: Path) -> None:
    """A lexicon is a table of the file; phrases that are said word for word are known beforehand."""
    path = tmp_path / "a.toml"
    path.write_text(
        "name = 'shop'\nsystem_prompt = 'x'\ngreeting = 'Hello.'\n[lexicon]\nnginx = 'engine x'\n"
        "[silence]\nreprompt = ''\n"
    )
    agent = load_agent(str(path))
    assert agent.lexicon == {"nginx": "engine x"}
    assert agent.set_phrases[0] == "Hello."
    assert "" not in agent.set_phrases
    path.write_text("name = 'shop'\nsystem_prompt = 'x'\n[lexicon]\n'' = 'nothing'\n")
    with pytest.raises(AgentError, match="lexicon"):
        load_agent(str(path))
