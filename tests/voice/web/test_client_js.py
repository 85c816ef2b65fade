"""pipecat's own browser client, as its owner publishes it, calls the gateway."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Stack
from tests.voice.conftest import silence, write_wav
from tests.voice.web.conftest import open_page

SOURCE = Path(__file__).parent / "clientjs"
CALL = """async () => {
  const { PipecatClient, SmallWebRTCTransport, WavMediaManager } = window.pipecat;
  window.told = [];
  const note = (name) => (data) => window.told.push([name, data?.text ?? data?.spoken_status ?? ""]);
  const names = [
    "onConnected", "onBotReady", "onUserStartedSpeaking", "onUserTranscript", "onBotStartedSpeaking", "onBotOutput",
    "onServerMessage", "onDisconnected",
  ];
  const client = new PipecatClient({
    transport: new SmallWebRTCTransport({ mediaManager: new WavMediaManager() }),
    enableMic: true,
    enableCam: false,
    callbacks: Object.fromEntries(names.map((name) => [name, note(name)])),
  });
  window.client = client;
  await client.connect({ webrtcRequestParams: { endpoint: "/api/offer" } });
}"""


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


async def test_pipecats_client(
    stack: Stack, speak: Callable[[str], np.ndarray], client_script: str, tmp_path: Path
) -> None:
    """It connects, is told that the agent is ready, and follows the conversation."""
    microphone = write_wav(
        tmp_path / "microphone.wav", silence(6), speak("What is the capital of France?"), silence(60)
    )
    async with open_page(stack.gateway_url, microphone, own_policy=False) as page:
        await page.evaluate(client_script)
        await page.evaluate(CALL)
        await page.wait_for_function(
            "window.told.some(([name, text]) => name === 'onBotOutput' && text.includes('Paris'))",
            timeout=40_000,
        )
        told = await page.evaluate("window.told")
        await page.evaluate("window.client.disconnect()")
    names = [name for name, _ in told]
    for name in (
        "onConnected",
        "onBotReady",
        "onUserStartedSpeaking",
        "onUserTranscript",
        "onBotStartedSpeaking",
    ):
        assert name in names
    assert any("france" in text.lower() for name, text in told if name == "onUserTranscript")
