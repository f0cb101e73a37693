"""`examples/page.html` and `examples/widget.js` in a browser, on somebody's own site."""

import functools
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import BrowserContext, expect

from shared.config import Settings
from tests.cutting import cutting_proxy
from tests.integration.test_cli import held
from tests.integration.test_examples import REPLY, engine
from tests.servers import Stack, running_stack
from tests.web.browser import open_tab

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SITE = """<!doctype html><html lang="en"><title>A bakery</title><main><h1>Bread</h1></main>
<script type="module" src="widget.js"></script>
<palaver-chat server="{server}" context="You help visitors of a bakery."></palaver-chat>"""


class Files(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Nothing."""


@contextmanager
def site(folder: Path) -> Iterator[str]:
    """A web server on a folder; yields its origin."""
    handler = functools.partial(Files, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def allowing(settings: Settings, origin: str) -> Settings:
    return settings.model_copy(update={"allowed_origins": (origin,)})


def port_of(stack: Stack) -> int:
    port = stack.client.base_url.port
    assert port is not None
    return port


async def test_the_page_shows_whole_replies_though_streams_break(
    settings: Settings, context: BrowserContext
) -> None:
    with site(EXAMPLES) as origin:
        async with (
            running_stack(allowing(settings, origin), engine()) as stack,
            cutting_proxy(port_of(stack), times=2) as (address, proxy),
            open_tab(context, f"{origin}/page.html?server={address}") as tab,
        ):
            for text in ("One.", "Two."):
                await tab.page.get_by_label("Prompt").fill(text)
                await tab.page.keyboard.press("Enter")
                await expect(tab.page.locator("article").last).to_have_text(f"{text} {REPLY}")
            assert await tab.serious() == []
            (conversation,) = (await stack.client.get("/conversations")).json()["conversations"]
    assert conversation["turns"] == 2
    assert proxy.cuts == 2


async def test_the_page_goes_on_after_a_reload(settings: Settings, context: BrowserContext) -> None:
    writer, gate = held(5)
    with site(EXAMPLES) as origin:
        async with running_stack(allowing(settings, origin), writer) as stack:
            address = str(stack.client.base_url).rstrip("/")
            async with open_tab(context, f"{origin}/page.html?server={address}") as tab:
                await tab.page.get_by_label("Prompt").fill("Hello.")
                await tab.page.keyboard.press("Enter")
                # The prompt, and what there is of the reply.
                await expect(tab.page.locator("article")).to_have_count(2)
                await expect(tab.page.locator("article").last).to_contain_text("You")
                await tab.page.reload()
                await expect(tab.page.locator("article")).to_contain_text("You")
                gate.set_result(None)
                await expect(tab.page.locator("article")).to_have_text("You said: Hello.")


async def test_a_site_that_is_not_listed_is_refused(
    settings: Settings, context: BrowserContext, tmp_path: Path
) -> None:
    """What the examples can do hangs on PALAVER_ALLOWED_ORIGINS alone."""
    (tmp_path / "widget.js").write_bytes((EXAMPLES / "widget.js").read_bytes())
    with site(tmp_path) as origin:
        async with running_stack(settings, engine()) as stack:
            address = str(stack.client.base_url).rstrip("/")
            (tmp_path / "index.html").write_text(SITE.format(server=address), encoding="utf-8")
            page = await context.new_page()
            await page.goto(origin)
            await page.get_by_text("Chat").click()
            await page.get_by_label("Your message").fill("Hello.")
            await page.keyboard.press("Enter")
            await expect(page.locator("p.reply")).to_have_text(
                "The chat cannot be reached. Please try again."
            )
            assert (await stack.client.get("/conversations")).json()["conversations"] == []


async def test_the_widget_talks_on_another_site(
    settings: Settings, context: BrowserContext, tmp_path: Path
) -> None:
    (tmp_path / "widget.js").write_bytes((EXAMPLES / "widget.js").read_bytes())
    with site(tmp_path) as origin:
        async with (
            running_stack(allowing(settings, origin), engine()) as stack,
            cutting_proxy(port_of(stack), times=1) as (address, proxy),
        ):
            (tmp_path / "index.html").write_text(SITE.format(server=address), encoding="utf-8")
            async with open_tab(context, origin) as tab:
                await tab.page.get_by_text("Chat").click()
                for text in ("Rolls?", "<b>Cake</b>?"):
                    await tab.page.get_by_label("Your message").fill(text)
                    await tab.page.keyboard.press("Enter")
                    await expect(tab.page.locator("p.reply").last).to_have_text(f"{text} {REPLY}")
                assert await tab.serious() == []
            (conversation,) = (await stack.client.get("/conversations")).json()["conversations"]
    assert conversation["context"] == "You help visitors of a bakery."
    assert conversation["turns"] == 2
    assert proxy.cuts == 1
