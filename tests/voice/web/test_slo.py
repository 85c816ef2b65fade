"""`/slo` in a real browser over a real stack: five views, a call's page, light and dark, on a desk and on a phone."""

import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Page, async_playwright, expect

from tests.conftest import Stack
from tests.voice.web.conftest import CHROMIUM, keep

SECONDS = 1000
VIEWS = {
    "callers": "Promises",
    "time": "Stages of a turn",
    "engines": "Language models, by replica",
    "cost": "What calls cost",
    "calls": "Calls",
}


@contextlib.asynccontextmanager
async def open_slo(url: str, *, dark: bool = False, width: int = 1200) -> AsyncIterator[Page]:
    """Open the page; whatever it complains of on the console fails the test."""
    complaints: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await browser.new_page(
            color_scheme="dark" if dark else "light", viewport={"width": width, "height": 860}
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        await page.goto(f"{url}/slo")
        yield page
        await browser.close()
    assert not complaints


async def go(page: Page, view: str, heading: str) -> None:
    """Go to a view and wait until it is there."""
    await page.evaluate("view => { location.hash = `#/${view}`; }", view)
    await expect(page.get_by_role("heading", name=heading).first).to_be_visible(timeout=20 * SECONDS)


@pytest.fixture(scope="module")
def called(stack: Stack) -> str:
    """The gateway's URL, after a call."""
    result = stack.offhook("call", "--say", "What is the capital of France?", "--json")
    assert result.returncode == 0, result.stderr
    return stack.gateway_url


@pytest.mark.parametrize(("dark", "width"), [(False, 1200), (True, 390)], ids=["desk", "phone"])
async def test_every_view_shows_the_call(called: str, dark: bool, width: int) -> None:
    """Each view has content and is no wider than the window."""
    async with open_slo(called, dark=dark, width=width) as page:
        for view, heading in VIEWS.items():
            await go(page, view, heading)
            await expect(page.locator(f'nav a[href="#/{view}"]')).to_have_attribute("aria-current", "page")
            assert await page.locator("#view .card").count() > 0
            overflow = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert overflow <= 0, f"{view} is {overflow} px too wide"
            await keep(page, f"slo-{view}-{width}")


async def test_the_figures_are_those_of_the_report(called: str) -> None:
    """What the page says of voice to voice is what the JSON says."""
    body = httpx.get(f"{called}/api/slo", timeout=30).json()
    async with open_slo(called) as page:
        tile = page.locator("#tiles div", has_text="voice to voice p50").locator("dd")
        await expect(tile).to_have_text(f"{body['figures']['voice_to_voice']['p50'] * 1000:.0f} ms")
        await go(page, "time", "Stages of a turn")
        assert await page.locator("svg rect").count() > 5
        await go(page, "engines", "The mouth")
        await expect(page.locator("#view")).to_contain_text("rendering steps waiting")


async def test_a_call_has_a_page(called: str) -> None:
    """From the list to the call: its waterfall on a time axis, its turns, and why there is no transcript."""
    async with open_slo(called) as page:
        await go(page, "calls", "Calls")
        await page.locator("tbody tr.link").first.click()
        await expect(page.get_by_role("heading", name="Waterfall")).to_be_visible(timeout=20 * SECONDS)
        names = [text.split()[0] for text in await page.locator(".fall .name").all_inner_texts()]
        assert names[0] == "call"
        assert {"turn", "asr", "llm", "tts", "asr.server", "tts.server"} <= set(names)
        ticks = await page.locator(".fall .axis .track span").all_inner_texts()
        assert re.fullmatch(r"0 (ms|s)", ticks[0])
        assert len(ticks) > 2
        await expect(page.locator("#view")).to_contain_text("What is said is not recorded")
        await keep(page, "slo-call")


async def test_an_axis_has_ticks(called: str) -> None:
    """Whatever the largest value is, two to five ticks lie at or below it."""
    async with open_slo(called) as page:
        counts = await page.evaluate("""async () => {
          const { steps } = await import("./static/slo/charts.js");
          return Array.from({ length: 400 }, (_, n) => steps(1.02 ** n / 10).length);
        }""")
    assert set(counts) <= {2, 3, 4, 5}


async def test_break_even_follows_what_is_entered(called: str) -> None:
    """Two prices in, minutes an hour out: 3 an hour against 0.05 a minute are 60."""
    async with open_slo(called) as page:
        await go(page, "cost", "Break-even")
        await page.locator("#minute-price").fill("0.05")
        await page.locator("#hour-price").fill("3")
        await expect(page.locator("#break-even")).to_contain_text("from 60.0 minutes of calls an hour")


async def test_a_gateway_that_is_gone_is_told(called: str) -> None:
    """The page keeps what it has and says what is wrong."""
    async with open_slo(called) as page:
        await go(page, "callers", "Promises")
        await page.route("**/api/slo*", lambda route: route.fulfill(status=200, body="{"))
        await page.locator("#hours").select_option("6")
        await expect(page.get_by_role("alert")).to_contain_text("This cannot be shown")
        await expect(page.get_by_role("heading", name="Promises")).to_be_visible()


async def take_screenshots(url: str, folder: Path) -> None:
    """Write the pictures that docs/telemetry.md shows."""
    for dark, width, views in ((False, 1200, VIEWS), (True, 1200, ("callers",)), (True, 390, ("time",))):
        async with open_slo(url, dark=dark, width=width) as page:
            for view in views:
                await go(page, view, VIEWS[view])
                name = f"slo-{view}{'-dark' if dark else ''}{'-phone' if width < 600 else ''}"
                await page.screenshot(path=folder / f"{name}.png", full_page=True)
            if not dark:
                await page.locator("tbody tr.link").first.click()
                await expect(page.get_by_role("heading", name="Waterfall")).to_be_visible()
                await page.screenshot(path=folder / "slo-call.png", full_page=True)
