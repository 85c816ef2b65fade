"""The ``[tts]`` section: voices of every engine, and errors that name the key."""

from pathlib import Path

import pytest

from serving.errors import SettingsError
from serving.settings import load_section
from tts.settings import PiperSettings, RemoteSettings, TtsSettings


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the path of a configuration file that is in force."""
    path = tmp_path / "offhook.toml"
    path.write_text("")
    monkeypatch.setenv("OFFHOOK_CONFIG", str(path))
    return path


def test_without_a_word_there_is_one_voice(config: Path) -> None:
    """The embedded voice is the default."""
    settings = load_section("tts", TtsSettings)
    assert settings.voices == {"joe": PiperSettings.model_validate({})}
    assert (settings.port, settings.default_voice) == (8082, "joe")


def test_voices_of_both_engines(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A voice is Piper unless it says otherwise; the environment reaches into it."""
    config.write_text(
        '[tts.voices.joe]\nmodel = "piper-en_US-joe-medium"\n'
        '[tts.voices.tara]\nengine = "openai"\nbase_url = "http://gpu:8000/v1"\nmodel = "orpheus"\nvoice = "tara"\n'
        '[tts.lexicons.pharmacy]\nnginx = "engine x"\n'
    )
    monkeypatch.setenv("OFFHOOK_TTS__VOICES__JOE__THREADS", "2")
    settings = load_section("tts", TtsSettings)
    joe, tara = settings.voices["joe"], settings.voices["tara"]
    assert isinstance(joe, PiperSettings)
    assert joe.threads == 2
    assert isinstance(tara, RemoteSettings)
    assert tara.sample_rate == 24000
    assert settings.lexicons == {"pharmacy": {"nginx": "engine x"}}


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("[tts]\nport = 99999\n", "port"),
        ("[tts]\nvoicez = 1\n", "voicez"),
        ('[tts.voices.x]\nengine = "flute"\n', "flute"),
        ('[tts]\ndefault_voice = "nobody"\n', "nobody"),
    ],
)
def test_what_is_wrong_is_named(config: Path, text: str, hint: str) -> None:
    """The error names the key or the value."""
    config.write_text(text)
    with pytest.raises(SettingsError, match=hint):
        load_section("tts", TtsSettings)
