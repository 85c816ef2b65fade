"""Keys, tokens, limits: what lets somebody in, and for how long."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.doors import AccessSettings
from orchestration.settings import load_configuration
from serving.errors import SettingsError
from voice.access.gatekeeper import Gatekeeper, is_loopback
from voice.access.keys import KeyRing, load_keys, new_key, save_keys
from voice.access.limits import Occupancy, RateLimiter
from voice.access.tokens import OneTimeTokens, ReplayMemory, SessionTokens
from voice.errors import AccessSettingsError


def test_a_key_is_known_by_its_hash_alone(tmp_path: Path) -> None:
    """The file holds no secret, only its owner reads it, and the secret still opens."""
    secret, key = new_key("website", ("web",), requests_per_minute=60, max_calls=2)
    path = tmp_path / "keys.toml"
    save_keys(path, KeyRing([key]))
    assert secret not in path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    ring = load_keys(path)
    assert ring.find(secret) == key
    assert ring.find(secret + "x") is None
    assert ring.without("website").find(secret) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("keys = 3 =", "cannot be read as TOML"),
        ('[[keys]]\nname = "a"\nsha256 = "1"\nscopes = ["web"]', "sha256"),
        (f'[[keys]]\nname = "a"\nsha256 = "{"0" * 64}"\nscopes = ["fly"]', "scopes"),
        (f'[[keys]]\nname = "a"\nsha256 = "{"0" * 64}"\nscopes = ["web"]\n' * 2, "there is a key named 'a'"),
    ],
)
def test_a_wrong_keys_file(tmp_path: Path, text: str, expected: str) -> None:
    """One line names the file and what is wrong."""
    path = tmp_path / "keys.toml"
    path.write_text(text)
    with pytest.raises(AccessSettingsError, match=expected):
        load_keys(path)


def test_no_keys_means_loopback() -> None:
    """A gateway that others reach does not start without keys."""
    Gatekeeper.from_settings(AccessSettings(), host="127.0.0.1")
    Gatekeeper.from_settings(AccessSettings(), host="::1")
    for host in ("0.0.0.0", "192.0.2.7", "::", "example.org"):
        with pytest.raises(AccessSettingsError, match="offhook keys create"):
            Gatekeeper.from_settings(AccessSettings(), host=host)


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("localhost.evil.example", False), ("", False)],
)
def test_loopback(host: str, local: bool) -> None:
    """Only this machine's own names are its own."""
    assert is_loopback(host) is local


def test_session_tokens() -> None:
    """A token is good until it ends, for what it was made, and only where it was made."""
    tokens = SessionTokens("", seconds=60)
    token, expires = tokens.mint("website", "web", 1000.0)
    assert expires == 1060
    assert tokens.read(token, 1059.0) == ("website", "web")
    assert tokens.read(token, 1060.0) is None
    assert SessionTokens("", seconds=60).read(token, 1001.0) is None
    header, claims, signature = token.split(".")
    assert tokens.read(f"{header}.{claims}x.{signature}", 1001.0) is None


@given(st.text(max_size=80))
def test_no_text_is_a_session_token(text: str) -> None:
    """Whatever is offered, nothing is raised and nobody gets in."""
    assert SessionTokens("", seconds=60).read(text, 0.0) is None


def test_one_time_tokens() -> None:
    """A token opens once, in time; the oldest goes when there are too many."""
    tokens = OneTimeTokens(seconds=30, limit=2)
    first = tokens.mint({"call_id": "1"}, 0.0)
    assert tokens.spend(first, 1.0) == {"call_id": "1"}
    assert tokens.spend(first, 1.0) is None
    late = tokens.mint({}, 0.0)
    assert tokens.spend(late, 30.0) is None
    crowded = [tokens.mint({}, 0.0) for _ in range(3)]
    assert [tokens.spend(token, 1.0) for token in crowded] == [None, {}, {}]


def test_replays_are_known() -> None:
    """What was seen is known again until its time is over."""
    memory = ReplayMemory(seconds=10)
    assert memory.is_new("a", 0.0)
    assert not memory.is_new("a", 9.0)
    assert memory.is_new("a", 10.0)


@given(st.lists(st.floats(0, 3), min_size=1, max_size=200), st.integers(1, 30))
def test_rate_limit(gaps: list[float], per_minute: int) -> None:
    """Never more than a minute's worth at once plus what was refilled since; who waits as told is let in."""
    limiter, now, let_in = RateLimiter(), 0.0, 0
    for gap in gaps:
        now += gap
        wait = limiter.take("a", per_minute, now)
        let_in += not wait
        assert let_in <= per_minute + now * per_minute / 60 + 1e-6
        if wait:
            now += wait + 1e-6
            assert limiter.take("a", per_minute, now) == 0
            let_in += 1


def test_rate_limits_do_not_meet() -> None:
    """One name's requests are not another's."""
    limiter = RateLimiter()
    assert limiter.take("a", 1, 0.0) == 0
    assert limiter.take("a", 1, 0.0) == pytest.approx(60)
    assert limiter.take("b", 1, 0.0) == 0


def test_occupancy() -> None:
    """A name holds as many as it may, and one more once one is gone."""
    held = Occupancy()
    assert [held.enter("a", 2) for _ in range(3)] == [True, True, False]
    held.leave("a")
    assert held.enter("a", 2)
    assert held.enter("b", 2)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OFFHOOK_ACCESS__SESSION_SECRET", "hunter2-short"),
        ("OFFHOOK_PHONE__TWILIO", "hunter2"),
        ("OFFHOOK_PHONE__TWILIO", '{"auth_token": ["hunter2"]}'),
        ("OFFHOOK_PHONE__SIP_WEBHOOK", '{"secret": "hunter2", "base_url": "https://api.example/v1"}'),
        ("OFFHOOK_WEB__ICE_SERVERS", '[{"urls": "bad", "credential": "hunter2"}]'),
    ],
)
def test_no_error_shows_a_secret(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    """A wrong setting beside or in place of a secret is named without its value."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as error:
        load_configuration()
    assert variable.split("__")[1].lower() in str(error.value).lower()
    assert "hunter2" not in str(error.value)
