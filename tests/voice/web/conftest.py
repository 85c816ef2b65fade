"""A real headless Chromium whose microphone is a recording."""

import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright

CHROMIUM = "/usr/bin/chromium"
#: Screenshots are kept here, for whoever wants to see what the tests saw.
SCREENSHOTS = Path(__file__).parents[3] / "build" / "screenshots"


@pytest.fixture(scope="session", autouse=True)
def _chromium_is_there() -> None:
    if not shutil.which(CHROMIUM):
        pytest.fail("the browser's tests need Chromium: apt-get install chromium", pytrace=False)


@contextlib.asynccontextmanager
async def open_page(
    url: str,
    microphone: Path,
    *,
    allowed: bool = True,
    dark: bool = False,
    width: int = 720,
    own_policy: bool = True,
) -> AsyncIterator[Page]:
    """Open the page in a browser that hears ``microphone`` once; whatever the page complains of fails the test.

    Without ``own_policy`` the page is somebody else's: the gateway's Content-Security-Policy does not bind it.
    """
    flags = [
        "--no-sandbox",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={microphone}%noloop",
        "--autoplay-policy=no-user-gesture-required",
        "--disable-features=WebRtcHideLocalIpsWithMdns",
    ]
    if allowed:
        flags.append("--use-fake-ui-for-media-stream")
    complaints: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        try:
            page = await browser.new_page(
                color_scheme="dark" if dark else "light",
                viewport={"width": width, "height": 860},
                bypass_csp=not own_policy,
            )
            page.on("pageerror", lambda error: complaints.append(str(error)))
            await page.goto(url)
            yield page
        finally:
            await browser.close()
    assert not complaints


async def keep(page: Page, name: str) -> None:
    """Keep a screenshot."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=SCREENSHOTS / f"{name}.png")
