"""A real headless Chromium whose microphone is a recording."""

import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import Page, async_playwright

CHROMIUM = "/usr/bin/chromium"
#: Screenshots are kept here, for whoever wants to see what the tests saw.
SCREENSHOTS = Path(__file__).parents[3] / "build" / "screenshots"
#: On a desk in the light, on a phone in the dark: name, width in pixels, colour scheme.
VIEWS: tuple[tuple[str, int, Literal["light", "dark"]], ...] = (
    ("desk", 720, "light"),
    ("phone", 390, "dark"),
)


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
    """Keep a screenshot of the page in each of :data:`VIEWS`."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    assert page.viewport_size is not None
    size, dark = page.viewport_size, await page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    for view, width, scheme in VIEWS:
        await page.emulate_media(color_scheme=scheme)
        await page.set_viewport_size({"width": width, "height": size["height"]})
        await page.screenshot(path=SCREENSHOTS / f"page-{name}-{view}.png")
    await page.emulate_media(color_scheme="dark" if dark else "light")
    await page.set_viewport_size(size)
