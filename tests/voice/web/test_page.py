"""Calls from the page in a real browser, judged by what it shows and by what is heard in it."""

import base64
import json
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
from playwright.async_api import Page, expect

from tests.conftest import Stack
from tests.voice.conftest import StartGateway, silence, transcribe, write_wav
from tests.voice.web.conftest import keep, open_page

Speak = Callable[[str], np.ndarray]
SECONDS = 1000

#: Records what the agent's audio element plays.
RECORD = """() => {
  const audio = document.getElementById("agent");
  const recorder = new MediaRecorder(audio.srcObject, { mimeType: "audio/webm" });
  const parts = [];
  recorder.addEventListener("dataavailable", ({ data }) => parts.push(data));
  recorder.start(250);
  window.stopRecording = () => new Promise((resolve) => {
    recorder.addEventListener("stop", async () => {
      const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
      resolve(btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join("")));
    });
    recorder.stop();
  });
}"""


async def press_call(page: Page) -> None:
    """Press the button and wait for the line."""
    await page.get_by_role("button", name="Call").click()
    await expect(page.locator("body")).to_have_attribute("data-state", "talking", timeout=20 * SECONDS)


def active_calls(url: str) -> float:
    """Return how many calls of the browser's door a gateway holds."""
    rows = httpx.get(f"{url}/metrics").text.splitlines()
    return sum(
        float(row.split()[-1]) for row in rows if row.startswith("voice_calls_active{") and '"web"' in row
    )


async def test_a_question_is_answered(stack: Stack, speak: Speak, tmp_path: Path) -> None:
    """The page shows what was asked and answered and how long it took; the answer can be heard in it."""
    microphone = write_wav(
        tmp_path / "microphone.wav", silence(5), speak("What is the capital of France?"), silence(60)
    )
    async with open_page(stack.gateway_url, microphone) as page:
        await keep(page, "idle")
        await press_call(page)
        await page.evaluate(RECORD)
        await expect(page.locator(".line.you")).to_contain_text("France", timeout=40 * SECONDS)
        await expect(page.locator(".line.agent").last).to_contain_text("Paris", timeout=20 * SECONDS)
        await expect(page.locator(".waterfall .ms")).to_have_count(6, timeout=20 * SECONDS)
        await expect(page.locator("#summary tr")).to_have_count(6)
        await expect(page.locator(".line.agent .waiting").last).to_be_empty(timeout=20 * SECONDS)
        await keep(page, "talking")
        await page.wait_for_timeout(1.5 * SECONDS)  # the last word is told when it begins to be heard
        sound = base64.b64decode(await page.evaluate("window.stopRecording()"))
        await page.get_by_role("button", name="Hang up").click()
        await expect(page.locator("body")).to_have_attribute("data-state", "idle")
        await expect(page.locator("#problem")).to_be_hidden()
    assert "Paris" in transcribe(stack, sound, "answer.webm")


async def test_interrupting(
    start_gateway: StartGateway, long_winded: Path, speak: Speak, tmp_path: Path
) -> None:
    """Speaking over the agent stops it; what it did not get to say is struck out, and the question answered."""
    microphone = write_wav(
        tmp_path / "microphone.wav", silence(6), speak("What is the capital of France?"), silence(60)
    )
    with start_gateway(OFFHOOK_GATEWAY__AGENT=str(long_winded)) as gateway:
        async with open_page(gateway.url, microphone, dark=True, width=390) as page:
            await press_call(page)
            await expect(page.locator(".unheard").last).not_to_be_empty(timeout=30 * SECONDS)
            await expect(page.locator(".line.agent").last).to_contain_text("Paris", timeout=30 * SECONDS)
            await expect(page.locator(".waterfall .ms")).to_have_count(6, timeout=20 * SECONDS)
            await keep(page, "interrupted")
            assert "view of the river" in " ".join(await page.locator(".unheard").all_inner_texts())


async def test_keyboard(stack: Stack, tmp_path: Path) -> None:
    """The space bar calls and hangs up."""
    async with open_page(stack.gateway_url, write_wav(tmp_path / "microphone.wav", silence(60))) as page:
        await page.keyboard.press("Space")
        await expect(page.locator("body")).to_have_attribute("data-state", "talking", timeout=20 * SECONDS)
        await page.keyboard.press("Space")
        await expect(page.locator("body")).to_have_attribute("data-state", "idle")


async def test_hanging_up_mid_answer(start_gateway: StartGateway, long_winded: Path, tmp_path: Path) -> None:
    """A caller who hangs up while the agent speaks ends the call; so does one who closes the window."""
    microphone = write_wav(tmp_path / "microphone.wav", silence(60))
    with start_gateway(
        OFFHOOK_GATEWAY__AGENT=str(long_winded), OFFHOOK_GATEWAY__MEDIA_TIMEOUT_SECONDS="3"
    ) as gateway:
        async with open_page(gateway.url, microphone) as page:
            await press_call(page)
            await expect(page.locator(".line.agent")).to_contain_text("Good", timeout=20 * SECONDS)
            await page.get_by_role("button", name="Hang up").click()
            await _until_none_active(page, gateway.url)
            assert "ended: caller hung up" in gateway.log()
            await press_call(page)
            assert active_calls(gateway.url) == 1
        async with open_page(gateway.url, microphone) as page:
            await _until_none_active(page, gateway.url)


async def _until_none_active(page: Page, url: str) -> None:
    for _ in range(100):
        if active_calls(url) == 0:
            return
        await page.wait_for_timeout(100)
    raise AssertionError("the call goes on")


async def test_a_dropped_line_is_called_again(
    start_gateway: StartGateway, long_winded: Path, speak: Speak, tmp_path: Path
) -> None:
    """A connection that breaks is made again by itself, and the conversation goes on."""
    # Where the line is back too late for the first question, there is another.
    question = speak("What is the capital of France?")
    microphone = write_wav(tmp_path / "m.wav", silence(14), question, silence(14), question, silence(60))
    script = """() => {
      const Real = window.RTCPeerConnection;
      window.RTCPeerConnection = class extends Real {
        constructor(...args) { super(...args); window.peers = [...(window.peers ?? []), this]; }
      };
    }"""
    with start_gateway(OFFHOOK_GATEWAY__AGENT="concierge") as gateway:
        async with open_page(gateway.url, microphone) as page:
            await page.evaluate(script)
            await press_call(page)
            await page.evaluate(
                """() => {
                  const [peer] = window.peers;
                  peer.close();
                  Object.defineProperty(peer, "connectionState", { value: "failed" });
                  peer.dispatchEvent(new Event("connectionstatechange"));
                }"""
            )
            await expect(page.locator("#status")).to_contain_text("dropped")
            await expect(page.locator("body")).to_have_attribute(
                "data-state", "talking", timeout=20 * SECONDS
            )
            await expect(page.locator(".line.agent").last).to_contain_text("Paris", timeout=40 * SECONDS)
            assert await page.evaluate("window.peers.length") == 2


async def test_microphone_denied(stack: Stack, tmp_path: Path) -> None:
    """A microphone that is not allowed is told in plain words."""
    microphone = write_wav(tmp_path / "microphone.wav", silence(5))
    async with open_page(stack.gateway_url, microphone, allowed=False) as page:
        await page.get_by_role("button", name="Call").click()
        await expect(page.locator("#problem")).to_contain_text("microphone is not allowed")
        await expect(page.locator("body")).to_have_attribute("data-state", "idle")
        await keep(page, "error")


async def test_turned_away_at_capacity(start_gateway: StartGateway, tmp_path: Path) -> None:
    """One call too many is told that all lines are busy; the line that frees takes it."""
    microphone = write_wav(tmp_path / "microphone.wav", silence(60))
    with start_gateway(OFFHOOK_GATEWAY__MAX_CALLS="1") as gateway:
        async with open_page(gateway.url, microphone) as first, open_page(gateway.url, microphone) as second:
            await press_call(first)
            await second.get_by_role("button", name="Call").click()
            await expect(second.locator("#problem")).to_contain_text("lines are busy", timeout=20 * SECONDS)
            await first.get_by_role("button", name="Hang up").click()
            await _until_none_active(first, gateway.url)
            await press_call(second)
        assert gateway.counted("voice_refusals_total", door="web", cause="at_capacity") == 1


async def test_nothing_comes_from_elsewhere(stack: Stack, tmp_path: Path) -> None:
    """The page loads from its own origin only, and says so to the browser."""
    asked: list[str] = []
    async with open_page(stack.gateway_url, write_wav(tmp_path / "m.wav", silence(1))) as page:
        page.on("request", lambda request: asked.append(request.url))
        await page.reload()
    assert asked
    assert all(url.startswith(stack.gateway_url) for url in asked)
    policy = httpx.get(stack.gateway_url).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert json.dumps(asked).count(".js") == 4
