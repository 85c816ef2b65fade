"""pipecat's own browser client, as its owner publishes it, calls the gateway."""

import asyncio
import contextlib
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page

from tests.conftest import Stack
from tests.voice.conftest import Gateway, StartGateway, silence, write_wav
from tests.voice.web.conftest import open_page
from voice.access.keys import KeyRing, new_key, save_keys

Speak = Callable[[str], np.ndarray]
SOURCE = Path(__file__).parent / "clientjs"
CALL = """async (key) => {
  const { PipecatClient, SmallWebRTCTransport, WavMediaManager } = window.pipecat;
  window.told = [];
  const note = (name) => (data) => window.told.push([name, data?.text ?? data?.spoken_status ?? ""]);
  const names = [
    "onConnected", "onBotReady", "onUserStartedSpeaking", "onUserTranscript", "onBotStartedSpeaking",
    "onBotStoppedSpeaking", "onBotOutput", "onServerMessage", "onDisconnected",
  ];
  const client = new PipecatClient({
    transport: new SmallWebRTCTransport({ mediaManager: new WavMediaManager() }),
    enableMic: true,
    enableCam: false,
    callbacks: Object.fromEntries(names.map((name) => [name, note(name)])),
  });
  window.client = client;
  const headers = new Headers(key ? { authorization: `Bearer ${key}` } : {});
  client.connect({ webrtcRequestParams: { endpoint: "/api/offer", headers } })
    .catch((error) => window.told.push(["refused", String(error.message ?? error)]));
}"""
TOLD = "([name, text]) => window.told.some(([n, t]) => n === name && t.includes(text))"


@pytest.fixture(scope="session")
def client_script(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The client as one script, built from the versions its lock file pins."""
    if not shutil.which("npm"):
        pytest.fail("the test of pipecat's browser client needs npm: apt-get install npm", pytrace=False)
    folder = tmp_path_factory.mktemp("clientjs")
    shutil.copytree(SOURCE, folder, dirs_exist_ok=True)
    for command in (
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        ["npx", "--no", "esbuild", "entry.js", "--bundle", "--format=iife", "--outfile=client.js"],
    ):
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=120)
    return (folder / "client.js").read_text()


@contextlib.asynccontextmanager
async def calling(url: str, script: str, microphone: Path, key: str = "") -> AsyncIterator[Page]:
    """A browser in which pipecat's client has been told to call."""
    async with open_page(url, microphone, own_policy=False) as page:
        await page.evaluate(script)
        await page.evaluate(CALL, key)
        yield page


async def told(page: Page, name: str, text: str = "") -> None:
    """Return once the client was told of this."""
    await page.wait_for_function(TOLD, arg=[name, text], timeout=40_000)


async def test_pipecats_client(stack: Stack, speak: Speak, client_script: str, tmp_path: Path) -> None:
    """It connects, is told that the agent is ready, and follows the conversation."""
    microphone = write_wav(
        tmp_path / "microphone.wav", silence(6), speak("What is the capital of France?"), silence(60)
    )
    async with calling(stack.gateway_url, client_script, microphone) as page:
        await told(page, "onUserTranscript", "France")
        await told(page, "onBotOutput", "Paris")
        names = [name for name, _ in await page.evaluate("window.told")]
        await page.evaluate("window.client.disconnect()")
    for name in ("onConnected", "onBotReady", "onUserStartedSpeaking", "onBotStartedSpeaking"):
        assert name in names


@dataclass(frozen=True)
class Keyed:
    """A gateway of one line that wants a key, and the key."""

    gateway: Gateway
    key: str


@pytest.fixture(scope="module")
def keyed(
    start_gateway: StartGateway, long_winded: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Keyed]:
    """The gateway; its agent greets at length."""
    secret, key = new_key("site", ("web",), requests_per_minute=1000, max_calls=8)
    path = tmp_path_factory.mktemp("keys") / "keys.toml"
    save_keys(path, KeyRing([key]))
    with start_gateway(
        OFFHOOK_ACCESS__KEYS_FILE=str(path),
        OFFHOOK_GATEWAY__AGENT=str(long_winded),
        OFFHOOK_GATEWAY__MAX_CALLS="1",
        OFFHOOK_GATEWAY__MEDIA_TIMEOUT_SECONDS="3",
    ) as gateway:
        yield Keyed(gateway, secret)


async def ended(gateway: Gateway, calls: int) -> str:
    """Return the gateway's log once so many calls have ended in it."""
    async with asyncio.timeout(30):
        while (log := gateway.log()).count(" ended: ") < calls:
            await asyncio.sleep(0.05)
    return log


async def test_interrupting(keyed: Keyed, speak: Speak, client_script: str, tmp_path: Path) -> None:
    """Speaking over the agent stops it, the question is answered, and a client may ask the agent to hang up."""
    microphone = write_wav(
        tmp_path / "microphone.wav", silence(6), speak("What is the capital of France?"), silence(60)
    )
    async with calling(keyed.gateway.url, client_script, microphone, keyed.key) as page:
        await told(page, "onUserStartedSpeaking")
        await told(page, "onBotStoppedSpeaking")
        await told(page, "onBotOutput", "Paris")
        names = [name for name, _ in await page.evaluate("window.told")]
        await page.evaluate("window.client.disconnectBot()")
        assert (await ended(keyed.gateway, 1)).rstrip().count("ended: caller hung up") == 1
    assert names.index("onBotStartedSpeaking") < names.index("onUserStartedSpeaking")


async def test_refused_turned_away_hanging_up_dying(keyed: Keyed, client_script: str, tmp_path: Path) -> None:
    """No key, no call; one line, one call; who hangs up or dies while the agent speaks leaves the line to others."""
    microphone, url, gateway = write_wav(tmp_path / "m.wav", silence(60)), keyed.gateway.url, keyed.gateway
    before = gateway.log().count(" ended: ")
    async with calling(url, client_script, microphone) as stranger:
        await told(stranger, "refused")
        assert gateway.counted("voice_refusals_total", door="web", cause="no_credentials") >= 1
    async with calling(url, client_script, microphone, keyed.key) as first:
        await told(first, "onBotStartedSpeaking")
        async with calling(url, client_script, microphone, keyed.key) as second:
            async with asyncio.timeout(20):
                while not gateway.counted("voice_refusals_total", door="web", cause="at_capacity"):
                    await asyncio.sleep(0.05)
            await first.evaluate("window.client.disconnect()")
            assert (await ended(gateway, before + 1)).rstrip().count("ended: caller hung up") >= 1
            # It was turned away, not forgotten: the client asks again by itself.
            await told(second, "onBotStartedSpeaking")
            with contextlib.suppress(PlaywrightError):
                await second.goto("chrome://crash", timeout=2000)
            last = (await ended(gateway, before + 2)).rsplit(" ended: ", 1)[1]
            assert last.startswith(("no audio from the caller", "connection to the caller was lost"))
