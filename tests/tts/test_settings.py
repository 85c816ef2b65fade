"""The ``[tts]`` section: voices of every engine, and errors that name the key."""

from pathlib import Path

import pytest

from orchestration.agent import load_agent
from serving.errors import SettingsError
from serving.settings import load_section
from tts.settings import KokoroSettings, PiperSettings, RemoteSettings, TtsSettings


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


def test_the_profile_of_an_llm_style_voice(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The profile that ships is valid, and its voice is the one that agents without a wish get."""
    monkeypatch.setenv("OFFHOOK_PROFILE", "qwen3-tts")
    settings = load_section("tts", TtsSettings)
    voice = settings.voices[settings.default_voice]
    assert isinstance(voice, RemoteSettings)
    assert voice.parameters == {"language": "English"}
    assert load_agent("concierge").voice == ""


def test_a_kokoro_voice(config: Path) -> None:
    """It needs the name of the voice; the model is the one of the store."""
    config.write_text('[tts]\ndefault_voice = "a"\n[tts.voices.a]\nengine = "kokoro"\nvoice = "jf_alpha"\n')
    voice = load_section("tts", TtsSettings).voices["a"]
    assert voice == KokoroSettings(engine="kokoro", voice="jf_alpha")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("[tts]\nport = 99999\n", "port"),
        ("[tts]\nvoicez = 1\n", "voicez"),
        ('[tts.voices.x]\nengine = "flute"\n', "flute"),
        ('[tts.voices.x]\nengine = "kokoro"\n', "voice"),
        ('[tts.voices.x]\nengine = "kokoro"\nvoice = "a"\ndevice = "tpu"\n', "device"),
        ('[tts]\ndefault_voice = "nobody"\n', "nobody"),
    ],
)
def test_what_is_wrong_is_named(config: Path, text: str, hint: str) -> None:
    """The error names the key or the value."""
    config.write_text(text)
    with pytest.raises(SettingsError, match=hint):
        load_section("tts", TtsSettings)
