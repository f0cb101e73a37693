"""The documentation page shows the OpenAPI document, and its curl commands work."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from api.http.keys import KeyFile
from api.web.pages import STATIC
from shared.config import Settings
from shared.wire.limits import NO_LIMITS
from tests.scripted import ScriptedEngine
from tests.servers import Stack, make_settings, running_stack
from tests.web.browser import open_tab
from tests.web.test_looks import LOOKS

ASSET = re.compile(r'(?:src|href)="([^"]+)"|from "\./([^"]+)"')


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


async def open_all(page: Page, within: str = "#reference", *, depth: int = 1) -> None:
    """Unfold what is folded; what is inside is drawn only then."""
    await expect(page.locator("#state")).to_have_count(0)
    for _ in range(depth):
        await page.evaluate(
            """(within) => {
                for (const one of document.querySelectorAll(`${within} details`)) one.open = true;
            }""",
            within,
        )
    await expect(page.locator(f"{within} pre.curl").last).to_be_attached()


async def test_the_page_needs_nothing_from_elsewhere(settings: Settings) -> None:
    async with running_stack(settings) as stack:
        answer = await stack.client.get("/docs", headers={"Accept": "text/html"})
        home = await stack.client.get("/", headers={"Accept": "text/html"})
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/html")
        for name in ("Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy"):
            assert answer.headers[name] == home.headers[name]
        pending, seen = [answer.text], set()
        while pending:
            for address, module in ASSET.findall(pending.pop()):
                path = address or f"/web/{module}"
                assert path.startswith(("/", "#")), path
                if path.startswith("/web/") and path not in seen:
                    seen.add(path)
                    pending.append((await stack.client.get(path)).raise_for_status().text)
        assert {"/web/docs.js", "/web/docs.css", "/web/curl.js", "/web/dom.js"} <= seen


def test_its_scripts_set_no_html() -> None:
    for name in ("docs.js", "schema_view.js", "prose.js", "curl.js"):
        text = (STATIC / name).read_text(encoding="utf-8")
        assert not re.search("innerHTML|outerHTML|insertAdjacentHTML|eval|://", text), name


async def test_it_shows_every_operation_parameter_and_error(
    context: BrowserContext, settings: Settings
) -> None:
    async with running_stack(settings) as stack:
        document = (await stack.client.get("/openapi.json")).json()
        async with open_tab(context, f"{stack.client.base_url}/docs") as tab:
            await open_all(tab.page)
            for path, method, operation in operations(document):
                shown = tab.page.locator(f"#{operation['operationId']}")
                await expect(shown.locator("pre.curl").first).to_be_attached()
                text = await shown.text_content() or ""
                assert f"{method.upper()} {path} {operation['summary']}" in text
                names = [parameter["name"] for parameter in operation.get("parameters", ())]
                codes = [
                    code
                    for answer in operation["responses"].values()
                    for content in answer.get("content", {}).values()
                    for code in content.get("examples", {})
                    if code not in ("unauthorized", "invalid_request")
                ]
                for word in (*names, *codes, *operation["responses"]):
                    assert word in text, (path, word)
            prompt = tab.page.locator("#sendPrompt")
            await expect(prompt).to_contain_text("replace_from")
            # What is inside of fields is there as well.
            await open_all(tab.page, "#sendPrompt", depth=5)
            await expect(prompt).to_contain_text("cached_tokens")
            await expect(prompt).to_contain_text("A piece of the reply.")


async def run(command: str) -> str:
    """What a shell prints for a command."""
    process = await asyncio.create_subprocess_shell(
        f"{command} -m 20 -o /dev/null -w '%{{http_code}}'",
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    return output.decode()


async def commands(stack: Stack, context: BrowserContext) -> dict[str, list[str]]:
    """The curl commands on the page, by their operation."""
    async with open_tab(context, f"{stack.client.base_url}/docs") as tab:
        await open_all(tab.page)
        found = {}
        for operation in await tab.page.locator(".operation").all():
            name = await operation.get_attribute("id")
            assert name is not None
            found[name] = await operation.locator("pre.curl").all_text_contents()
        return found


@pytest.mark.timeout(180)
async def test_its_curl_commands_get_answers_that_are_described(
    context: BrowserContext, settings: Settings
) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        document = (await stack.client.get("/openapi.json")).json()
        written = await commands(stack, context)
        for path, _, operation in operations(document):
            for command in written[operation["operationId"]]:
                status = await run(command)
                assert status in operation["responses"], (path, command)
        # Those that refer to nothing in particular work as they are.
        for name in ("getHome", "openaiListModels", "openaiCreateConversation", "getMetrics"):
            assert [await run(command) for command in written[name]] == ["200"] * len(written[name])
        assert await run(written["sendPrompt"][0]) == "200"
        assert await run(written["createJob"][0]) == "202"


async def test_an_address_opens_its_operation_and_a_filter_finds_others(
    context: BrowserContext, settings: Settings
) -> None:
    async with (
        running_stack(settings) as stack,
        open_tab(context, f"{stack.client.base_url}/docs#cancelJob") as tab,
    ):
        operation = tab.page.locator("#cancelJob")
        await expect(operation).to_have_attribute("open", "")
        await expect(operation.locator("summary").first).to_be_focused()
        await tab.page.keyboard.press("Enter")
        await expect(operation.locator("pre.curl")).to_be_hidden()
        await tab.page.get_by_label("Filter").fill("queue_full")
        await expect(tab.page.locator("#sendPrompt")).to_be_visible()
        await expect(operation).to_be_hidden()
        await tab.page.get_by_label("Filter").fill("no such thing")
        await expect(tab.page.locator("#no-match")).to_have_text("No operation matches.")


async def test_with_keys_it_says_what_needs_one(
    context: BrowserContext, settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "keys.json"
    KeyFile(path).create("ann", NO_LIMITS)
    settings = make_settings(str(settings.redis_url), PALAVER_API_KEYS_FILE=path)
    async with running_stack(settings) as stack:
        assert (await stack.client.get("/docs")).status_code == 200
        assert (await stack.client.post("/docs")).status_code == 401
        written = await commands(stack, context)
    assert "Bearer $PALAVER_API_KEY" in written["getJob"][0]
    assert "Bearer" not in written["getHealth"][0]


@pytest.mark.parametrize("look", LOOKS)
async def test_it_fits_the_screen_and_can_be_used_by_everybody(
    browser: Browser, settings: Settings, look: str
) -> None:
    context = await browser.new_context(**LOOKS[look])
    async with (
        running_stack(settings) as stack,
        open_tab(context, f"{stack.client.base_url}/docs") as tab,
    ):
        await expect(tab.page.locator("#state")).to_have_count(0)
        for name in ("sendPrompt", "openaiCreateResponse"):
            await tab.page.locator(f"#{name} > summary").click()
        await open_all(tab.page, "#sendPrompt", depth=3)
        assert await tab.serious() == []
        width = await tab.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert width <= 0, "nothing sticks out at the side"
    await context.close()


async def test_a_copied_command_is_the_one_that_is_shown(
    browser: Browser, settings: Settings
) -> None:
    context = await browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    async with (
        running_stack(settings) as stack,
        open_tab(context, f"{stack.client.base_url}/docs#getReadiness") as tab,
    ):
        example = tab.page.locator("#getReadiness .example").first
        await example.get_by_role("button").click()
        await expect(example.get_by_role("button")).to_have_text("Copied")
        copied = await tab.page.evaluate("navigator.clipboard.readText()")
        assert copied == await example.locator("pre").inner_text()
        assert copied == f"curl -s '{str(stack.client.base_url).rstrip('/')}/readyz'"
    await context.close()
