"""Calls over SIP, by Debian's baresip and sipp."""

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import httpx
import numpy as np
import pytest

from serving.ports import free_port
from tests.conftest import Stack
from tests.voice.conftest import silence, transcribe
from tests.voice.sip import scenarios
from tests.voice.sip.clients import Baresip, run_baresip, sipp, speech, wait_for
from tests.voice.sip.conftest import SECRET, Sip

Speak = Callable[[str], np.ndarray]
QUESTION = "What is the capital of France?"
STRANGER = "127.0.0.2"


@pytest.fixture(scope="session")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A caller who says nothing for longer than any test: baresip hangs up when its file ends."""
    return speech(tmp_path_factory.mktemp("speech") / "quiet.wav", silence(120))


@contextlib.contextmanager
def calling(sip: Sip, folder: Path, words: Path) -> Iterator[tuple[Baresip, str]]:
    """A phone in a call whose greeting is being heard, and the call's name."""
    with run_baresip(folder / "phone", speech=words) as phone:
        phone.command("dial", sip.uri)
        phone.wait_printed("Call established")
        yield phone, phone.call_id


def order(sip: Sip, call: str, what: str, **body: Any) -> httpx.Response:
    """Ask the gateway to do something about a call."""
    return httpx.post(f"{sip.gateway.url}/calls/{call}/{what}", json=body, timeout=60)


def in_background(scenario: str, folder: Path, port: int) -> "Future[CompletedProcess[str]]":
    """Let sipp wait for somebody who calls ``port``."""
    folder.mkdir()
    pool = ThreadPoolExecutor(1)
    run = pool.submit(sipp, scenario, "127.0.0.1", folder, "-p", str(port))
    pool.shutdown(wait=False)
    time.sleep(0.5)  # sipp says nowhere that it listens; a request that comes too early is sent again
    return run


def assert_went_well(run: CompletedProcess[str]) -> None:
    """Fail with what sipp saw where a message was not as expected."""
    assert run.returncode == 0, f"{run.stdout[-1500:]}\n{run.stderr[-1500:]}"


def test_interrupts_and_is_answered(sip: Sip, stack: Stack, speak: Speak, tmp_path: Path) -> None:
    """The caller's phone recorded the greeting's beginning, not its end, and something after it: the question's
    answer."""
    # A turn is on record when the next one begins.
    asked = (speak(QUESTION), silence(8), speak(QUESTION))
    words = speech(tmp_path / "question.wav", silence(4), *asked, silence(60))
    with calling(sip, tmp_path, words) as (phone, name):

        def answers() -> list[dict[str, Any]]:
            return [turn for turn in sip.call(name).get("turns", []) if turn["spoken"]]

        wait_for(answers, what="an answer")
        phone.command("hangup")
        record = sip.wait_ended(name)
        phone.wait_printed("audio: destroyed")
        heard = transcribe(stack, phone.heard()).lower()
    assert record["end_reason"] == "caller hung up"
    assert record["door"] == "sip"
    assert "capital" in record["turns"][0]["heard"].lower()
    assert "library" in heard
    assert "river" not in heard
    assert stack.offhook("trace", str(record["trace_id"])).returncode == 0


def test_hangs_up_mid_sentence(sip: Sip, quiet: Path, tmp_path: Path) -> None:
    """The call ends as one that its caller ended."""
    with calling(sip, tmp_path, quiet) as (phone, name):
        wait_for(lambda: sip.call(name), what="the call")
        phone.command("hangup")
        assert sip.wait_ended(name)["end_reason"] == "caller hung up"


def test_dies_without_a_goodbye(sip: Sip, quiet: Path, tmp_path: Path) -> None:
    """A phone that is gone ends its call once no sound has come for media_timeout_seconds."""
    with calling(sip, tmp_path, quiet) as (phone, name):
        wait_for(lambda: sip.call(name), what="the call")
        phone.process.send_signal(signal.SIGKILL)
        record = sip.wait_ended(name)
    # Stack and gateway both wait that long for sound; whoever notices first ends the call.
    assert record["end_reason"].startswith(("connection to the caller was lost", "no audio from the caller"))
    assert record["outcome"] == "caller"


def test_turned_away_when_full(sip: Sip, quiet: Path, tmp_path: Path) -> None:
    """The third caller of two lines is told at once that all are busy; those before never notice."""
    with contextlib.ExitStack() as calls:
        held = [calls.enter_context(calling(sip, tmp_path / str(line), quiet)) for line in range(2)]
        before = sip.gateway.counted("voice_refusals_total", door="sip", cause="at_capacity")
        assert_went_well(sipp(scenarios.BUSY, sip.target, tmp_path))
        assert sip.gateway.counted("voice_refusals_total", door="sip", cause="at_capacity") == before + 1
        for phone, name in held:
            assert not sip.call(name)["end_reason"]
            phone.command("hangup")
            assert sip.wait_ended(name)["end_reason"] == "caller hung up"


@pytest.mark.parametrize(
    ("scenario", "cause"),
    [
        (scenarios.with_credentials("alice", "looking-glass", scenarios.WRONG), "bad_credentials"),
        (scenarios.with_credentials("bob", "wonderland", scenarios.WRONG), "bad_credentials"),
        (scenarios.INTRUDES, "peer_not_allowed"),
    ],
    ids=["wrong-password", "unknown-user", "in-no-dialog"],
)
def test_strangers_are_refused(sip: Sip, tmp_path: Path, scenario: str, cause: str) -> None:
    """Who is no peer needs the right name and password, and cannot pretend to be in a call; it is counted."""
    before = sip.refused(cause)
    assert_went_well(sipp(scenario, sip.target, tmp_path, address=STRANGER))
    assert sip.refused(cause) == before + 1


def test_a_stranger_with_credentials_is_let_in(sip: Sip, tmp_path: Path) -> None:
    """The challenge is answered, the call is held, and its own goodbye needs no second challenge."""
    scenario = scenarios.with_credentials("alice", "wonderland", scenarios.ADMITTED)
    assert_went_well(sipp(scenario, sip.target, tmp_path, address=STRANGER))


@pytest.mark.parametrize("transport", ["u1", "t1"], ids=["udp", "tcp"])
def test_options_are_answered(sip: Sip, tmp_path: Path, transport: str) -> None:
    """A trunk that asks whether we are there is told, and what we can do."""
    assert_went_well(sipp(scenarios.OPTIONS, sip.target, tmp_path, "-t", transport))


@pytest.mark.parametrize(("asked_for", "answers"), [("concierge", "concierge"), ("nobody", "librarian")])
def test_the_agent_that_is_asked_for_answers(sip: Sip, tmp_path: Path, asked_for: str, answers: str) -> None:
    """`sip:NAME@…` reaches the agent of that name; another name the gateway's own."""
    scenario = scenarios.CALL.replace("sip:offhook@", f"sip:{asked_for}@")
    assert_went_well(sipp(scenario, sip.target, tmp_path, "-cid_str", f"for-{asked_for}"))
    assert sip.wait_ended(f"for-{asked_for}")["agent"] == answers


def test_keys_both_ways(sip: Sip, quiet: Path, tmp_path: Path) -> None:
    """Keys of the caller's phone come to the agent, which answers them; ours come to the phone (RFC 4733)."""
    with calling(sip, tmp_path, quiet) as (phone, name):
        wait_for(lambda: sip.call(name), what="the call")
        asked = sip.gateway.counted("voice_model_calls_total", door="sip")
        for key in ("4", "2", "#"):
            phone.command("sndcode", key)
        wait_for(
            lambda: sip.gateway.counted("voice_model_calls_total", door="sip") > asked,
            what="an answer to the keys of a caller who says nothing",
        )
        assert order(sip, name, "keys", digits="17").status_code == 200
        for key in ("1", "7"):
            phone.wait_printed(f"received event: '{key}'")
        assert order(sip, name, "keys", digits="x").status_code == 400
        phone.command("hangup")
        sip.wait_ended(name)


def test_hold_and_resume(sip: Sip, quiet: Path, tmp_path: Path) -> None:
    """A call on hold, from which no sound comes, lasts longer than a dead one would; afterwards it goes on."""
    with calling(sip, tmp_path, quiet) as (phone, name):
        wait_for(lambda: sip.call(name), what="the call")
        phone.command("hold")
        phone.wait_printed("update media(.|\n)*update media")
        time.sleep(sip.media_timeout_seconds + 2)  # a dead call would have ended
        assert not sip.call(name)["end_reason"]
        phone.command("resume")
        wait_for(lambda: phone.output.count("update media") >= 3, what="the call to go on")
        phone.command("hangup")
        assert sip.wait_ended(name)["end_reason"] == "caller hung up"


def test_we_hang_up(sip: Sip, tmp_path: Path) -> None:
    """The other side gets its BYE."""
    run = in_background_call(sip, tmp_path)
    wait_for(lambda: sip.call("we-hang-up"), what="the call")
    assert order(sip, "we-hang-up", "hangup").status_code == 200
    assert_went_well(run.result())
    assert sip.wait_ended("we-hang-up")["end_reason"] == "hung up by request"


def in_background_call(sip: Sip, folder: Path) -> "Future[CompletedProcess[str]]":
    """Let sipp call and wait for a BYE."""
    pool = ThreadPoolExecutor(1)
    run = pool.submit(sipp, scenarios.WAITS, sip.target, folder, "-cid_str", "we-hang-up")
    pool.shutdown(wait=False)
    return run


def test_transfer(sip: Sip, quiet: Path, tmp_path: Path) -> None:
    """One that fails is told of, and the call goes on; one that works ends it here, the phone talks on there."""
    with calling(sip, tmp_path, quiet) as (phone, name):
        wait_for(lambda: sip.call(name), what="the call")
        port = free_port()
        refusing = in_background(scenarios.REFUSES, tmp_path / "refuses", port)
        refusal = order(sip, name, "transfer", to=f"sip:nobody@127.0.0.1:{port}")
        assert_went_well(refusing.result())
        assert refusal.status_code == 409
        assert "486" in refusal.json()["error"]
        assert not sip.call(name)["end_reason"]
        port = free_port()
        taking = in_background(scenarios.ANSWERS, tmp_path / "answers", port)
        assert order(sip, name, "transfer", to=f"sip:somebody@127.0.0.1:{port}").status_code == 200
        assert sip.wait_ended(name)["end_reason"] == "transferred"
        phone.command("hangup")
        assert_went_well(taking.result())


def test_dial(sip: Sip, stack: Stack, tmp_path: Path) -> None:
    """`offhook dial sip:…` calls; a callee who is busy makes no call, and holds no line."""
    port = free_port()
    taking = in_background(scenarios.ANSWERS, tmp_path / "answers", port)
    dialled = stack.offhook("dial", f"sip:bob@127.0.0.1:{port}", "--url", sip.gateway.url)
    assert dialled.returncode == 0, dialled.stderr
    name = dialled.stdout.split()[-1]
    wait_for(lambda: sip.call(name), what="the call")
    assert order(sip, name, "hangup").status_code == 200
    assert_went_well(taking.result())
    port = free_port()
    refusing = in_background(scenarios.REFUSES, tmp_path / "refuses", port)
    calls = f"{sip.gateway.url}/calls"
    assert httpx.post(calls, json={"to": f"sip:bob@127.0.0.1:{port}"}, timeout=20).status_code == 201
    assert_went_well(refusing.result())
    wait_for(lambda: "486 Busy Here" in sip.log(), what="the refusal in the log")
    number = httpx.post(calls, json={"to": "+14155550123"}, timeout=20)
    assert number.status_code == 409
    assert "names no carrier" in number.json()["error"]


@pytest.mark.parametrize("secret", ["", "wrong", SECRET + "x"])
def test_only_the_sip_process_may_bring_calls_and_only_the_gateway_give_orders(sip: Sip, secret: str) -> None:
    """Both ask for the secret that they share."""
    headers = {"authorization": f"Bearer {secret}"} if secret else {}
    upgrade = {
        "connection": "upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    socket = httpx.get(f"{sip.gateway.url}/phone/sip/media", headers={**headers, **upgrade})
    assert socket.status_code == 403
    orders = httpx.post(f"http://127.0.0.1:{sip.http_port}/calls", json={"to": "sip:x@y"}, headers=headers)
    assert orders.status_code == 403
