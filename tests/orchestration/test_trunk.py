"""Section ``[sip]``."""

import pytest

from orchestration.settings import load_configuration
from orchestration.trunk import SipSettings
from serving.errors import SettingsError
from serving.settings import load_section


def test_off_and_on_loopback_by_default() -> None:
    """Nothing listens, and nobody but this machine may call, until it is written down."""
    settings = load_configuration().sip
    assert not settings.enabled
    assert settings.host == "127.0.0.1"
    assert settings.peers == ("127.0.0.0/8", "::1/128")
    assert not settings.registers


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("PEERS", '["203.0.113.0/33"]', "is no address or network"),
        ("PEERS", '["203.0.113.9/24"]', "host bits set"),
        ("HOST", "0.0.0.0", "that of one interface"),
        ("HOST", "voice.example.org", "IP address of one interface"),
        ("USERS", '{"alice": ""}', "without a password"),
        ("USERS", '{"al ice": "x"}', "pattern"),
        ("PASSWORD", 'a"b', "cannot have"),
        ("PASSWORD", "secret", "set domain"),
        ("LAST_RTP_PORT", "10001", "at least 4 above first_rtp_port"),
        ("JITTER_MAX_MS", "10", "below jitter_min_ms"),
        ("CODECS", "[]", "at least 1"),
        ("CODECS", '["gsm"]', "'opus', 'pcmu' or 'pcma'"),
        ("DOMAIN", "sip:host", "pattern"),
        ("USER", "a;b", "pattern"),
    ],
)
def test_what_cannot_work_is_refused(
    monkeypatch: pytest.MonkeyPatch, key: str, value: str, says: str
) -> None:
    """The error names the setting and what is wrong."""
    monkeypatch.setenv(f"OFFHOOK_SIP__{key}", value)
    with pytest.raises(SettingsError, match="(?is)" + says):
        load_section("sip", SipSettings)


def test_secrets_stay_out_of_errors_and_dumps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither `offhook config` nor an error text shows a password."""
    monkeypatch.setenv("OFFHOOK_SIP__USERS", '{"alice": "wonderland"}')
    monkeypatch.setenv("OFFHOOK_SIP__DOMAIN", "sip.example.org")
    monkeypatch.setenv("OFFHOOK_SIP__PASSWORD", "looking-glass")
    dumped = str(load_section("sip", SipSettings).model_dump(mode="json"))
    assert "alice" in dumped
    assert "wonderland" not in dumped
    assert "looking-glass" not in dumped


@pytest.mark.parametrize(
    ("key", "value"), [("PASSWORD", 'hush"hush'), ("USERS", '{"alice": 5, "bob": "hush"}'), ("USERS", "hush")]
)
def test_a_refused_secret_is_not_shown(monkeypatch: pytest.MonkeyPatch, key: str, value: str) -> None:
    """The error names the setting alone."""
    monkeypatch.setenv(f"OFFHOOK_SIP__{key}", value)
    with pytest.raises(SettingsError, match=f"OFFHOOK_SIP__{key}|users") as raised:
        load_section("sip", SipSettings)
    assert "hush" not in str(raised.value)


def test_settings_that_contradict_each_other_do_not_show_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong with a whole section is told without the section."""
    monkeypatch.setenv("OFFHOOK_SIP__PASSWORD", "hush")
    with pytest.raises(SettingsError, match="set domain") as raised:
        load_section("sip", SipSettings)
    assert "hush" not in str(raised.value)
