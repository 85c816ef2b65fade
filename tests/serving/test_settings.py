"""Sections of the configuration: where values come from, and what is said of wrong ones."""

from pathlib import Path

import pytest
from pydantic import BaseModel, Field

from serving.errors import SettingsError
from serving.settings import Section, load_section, profile_names, read_tables


class Engine(BaseModel):
    threads: int = Field(1, ge=1)
    device: str = "cpu"


class Sample(Section):
    port: int = Field(8080, ge=0, le=65535)
    profile: str = "embedded"
    words: list[str] = Field(default_factory=list)
    engine: Engine = Engine()


@pytest.fixture(autouse=True)
def _clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("OFFHOOK_CONFIG", "OFFHOOK_PROFILE", "OFFHOOK_SAMPLE__PORT"):
        monkeypatch.delenv(name, raising=False)


def write(text: str, path: str = "offhook.toml") -> None:
    """Write a configuration file."""
    Path(path).write_text(text)


def test_without_any_source_defaults_hold() -> None:
    """No file and no variable: the class's own defaults."""
    assert load_section("sample", Sample) == Sample()


def test_the_file_overrides_defaults_and_the_environment_overrides_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Weakest first: default, file, environment."""
    write('[sample]\nport = 1\nprofile = "mine"\n')
    monkeypatch.setenv("OFFHOOK_SAMPLE__PORT", "2")
    section = load_section("sample", Sample)
    assert (section.port, section.profile) == (2, "mine")


def test_a_nested_variable_changes_one_key_and_leaves_its_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    """OFFHOOK_SAMPLE__ENGINE__THREADS sets one key below a table of the file."""
    write('[sample.engine]\ndevice = "cuda"\nthreads = 2\n')
    monkeypatch.setenv("OFFHOOK_SAMPLE__ENGINE__THREADS", "4")
    assert load_section("sample", Sample).engine == Engine(threads=4, device="cuda")


def test_lists_come_from_the_environment_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list in a variable is written as JSON."""
    monkeypatch.setenv("OFFHOOK_SAMPLE__WORDS", '["a", "b"]')
    assert load_section("sample", Sample).words == ["a", "b"]


def test_a_list_that_is_not_json_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that cannot be parsed names its variable."""
    monkeypatch.setenv("OFFHOOK_SAMPLE__WORDS", "a, b")
    monkeypatch.setenv("OFFHOOK_SAMPLE__PROFILE", "mine")
    with pytest.raises(
        SettingsError, match=r"^OFFHOOK_SAMPLE__WORDS = 'a, b': a list or table is written as JSON$"
    ):
        load_section("sample", Sample)


def test_the_file_wins_over_the_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile lies below the user's file, key by key."""
    assert "gpu" in profile_names()
    monkeypatch.setenv("OFFHOOK_PROFILE", "gpu")
    below = read_tables()
    section, key = next((name, next(iter(table))) for name, table in below.items())
    write(f"[{section}]\n{key} = 'mine'\nother = 1\n")
    merged = read_tables()
    assert merged[section] == {**below[section], key: "mine", "other": 1}


def test_the_profile_may_be_named_in_the_file() -> None:
    """`profile = "gpu"` at the top of the file is the same as --profile gpu."""
    write('profile = "gpu"\n')
    assert set(read_tables()) >= {"llm"}


def test_a_value_out_of_bounds_names_key_value_and_bound() -> None:
    """The error says where, what, and what is allowed."""
    write("[sample]\nport = 70000\n")
    with pytest.raises(SettingsError) as error:
        load_section("sample", Sample)
    assert str(error.value) == (
        "offhook.toml [sample] port = 70000: input should be less than or equal to 65535"
    )


def test_a_wrong_variable_is_blamed_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """What came from the environment is not blamed on the file."""
    monkeypatch.setenv("OFFHOOK_SAMPLE__PORT", "many")
    with pytest.raises(SettingsError, match=r"^OFFHOOK_SAMPLE__PORT = 'many': "):
        load_section("sample", Sample)


def test_an_unknown_key_lists_what_there_is() -> None:
    """A typing error in the file is told with the keys that exist."""
    write("[sample]\nprot = 1\n")
    with pytest.raises(SettingsError, match=r"\[sample\] prot: no such setting; allowed: engine, port"):
        load_section("sample", Sample)


def test_an_unknown_variable_lists_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """So is one in the environment."""
    monkeypatch.setenv("OFFHOOK_SAMPLE__PROT", "1")
    with pytest.raises(SettingsError, match="OFFHOOK_SAMPLE__PROT: no such setting; allowed: engine, port"):
        load_section("sample", Sample)


def test_every_wrong_value_is_told_at_once() -> None:
    """Two mistakes are two parts of one line."""
    write("[sample]\nport = -1\n[sample.engine]\nthreads = 0\n")
    with pytest.raises(SettingsError) as error:
        load_section("sample", Sample)
    assert "[sample] port = -1" in str(error.value)
    assert "[sample] engine.threads = 0" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[sample\n", "offhook.toml: cannot be read as TOML"),
        ("port = 1\n", "port = 1 stands outside any section"),
        ('profile = "none"\n', "profile = 'none': no such profile; there are: "),
    ],
)
def test_a_file_that_makes_no_sense(text: str, expected: str) -> None:
    """A broken file, a stray key and an unknown profile are told as such."""
    write(text)
    with pytest.raises(SettingsError) as error:
        read_tables()
    assert expected in str(error.value)


def test_bytes_that_are_no_text() -> None:
    """A file that is not UTF-8 is told as such."""
    Path("offhook.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="cannot be read as TOML"):
        read_tables()


def test_a_named_file_must_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    """$OFFHOOK_CONFIG that names nothing is an error, not the defaults."""
    monkeypatch.setenv("OFFHOOK_CONFIG", "elsewhere.toml")
    with pytest.raises(SettingsError, match=r"OFFHOOK_CONFIG=elsewhere\.toml: no such file"):
        load_section("sample", Sample)


def test_a_section_must_be_a_table() -> None:
    """`sample = 1` is told as standing outside any section."""
    write("sample = 1\n")
    with pytest.raises(SettingsError, match="sample = 1 stands outside any section"):
        load_section("sample", Sample)


def test_sections_are_frozen() -> None:
    """What is in force cannot be changed while running."""
    with pytest.raises(ValueError, match="frozen"):
        Sample().port = 1
