"""The chat page in other languages: chosen, complete, and from right to left where they run so."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
from playwright.async_api import Browser, Page, expect

from api.web.pages import STATIC
from shared.wire.parts import ToolCall
from tests.scripted import ScriptedEngine, last_prompt
from tests.servers import Stack, Valkey, make_settings, running_stack
from tests.web.browser import Tab, open_tab
from tests.web.test_looks import LOOKS
from worker.engine.interface import Part

OTHERS: Final = sorted({path.stem for path in (STATIC / "languages").glob("*.json")} - {"en"})
SMALLEST: Final = {"width": 320, "height": 640}
PROMPT: Final = "12 × 12?"
REPLY: Final = "```python\n12 * 12\n```"
CALL: Final = ToolCall(id="call_1", name="calculator", arguments='{"a": 12}').encode()
SAID: Final = """() => {
  const said = [document.title];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    // What models write, and what is English on purpose.
    const { data, parentElement } = walker.currentNode;
    if (!parentElement.closest("noscript, .message .text, [lang=en]:not(:root)")) said.push(data);
  }
  for (const name of ["aria-label", "placeholder", "title"]) {
    for (const node of document.querySelectorAll(`[${name}]`)) said.push(node.getAttribute(name));
  }
  return said.map((text) => text.trim().replaceAll(/\\s+/g, " "));
}"""
STICKING_OUT: Final = """() => {
  const overflow = (node) => getComputedStyle(node).overflowX;
  const isClipped = (node) => node !== null && node !== document.body
    && (overflow(node) !== "visible" || isClipped(node.parentElement));
  const isOutside = ({ left, right }) => left < -1 || right > innerWidth + 1;
  const isTooWide = (node) => ["auto", "scroll"].includes(overflow(node))
    && node.scrollWidth > node.clientWidth + 1;
  const isMeant = (node) => node.checkVisibility({ visibilityProperty: true })
    && !node.closest(".visually-hidden, .skip, pre, option");
  return [...document.querySelectorAll("body *")].filter((node) => isMeant(node))
    .filter((node) => isTooWide(node)
      || (!isClipped(node.parentElement) && isOutside(node.getBoundingClientRect())))
    .map((node) => node.outerHTML.slice(0, 120));
}"""


def pieces(language: str) -> set[str]:
    """All that a language says, cut where code stands in it."""
    texts = json.loads((STATIC / "languages" / f"{language}.json").read_text(encoding="utf-8"))
    forms = (form for text in texts.values() for form in forms_of(text))
    return {piece.strip() for form in forms for piece in form.split("`")}


def forms_of(text: str | dict[str, str]) -> Iterator[str]:
    yield from [text] if isinstance(text, str) else text.values()


def english_in(said: list[str], language: str) -> list[str]:
    """What of it is a text of the English page that the language says in other words."""
    number, place = re.compile(r"\\\{count\\\}"), re.compile(r"\\\{\w+\\\}")
    patterns = [
        re.compile(place.sub(".+", number.sub(r"[\\d.,]+", re.escape(piece))))
        for piece in pieces("en") - pieces(language)
        if re.search(r"[a-z]", re.sub(r"\{\w+\}", "", piece))
    ]
    return [text for text in said if any(pattern.fullmatch(text) for pattern in patterns)]


@asynccontextmanager
async def opened(
    browser: Browser, valkey: Valkey, language: str, **options: Any
) -> AsyncIterator[tuple[Tab, Stack]]:
    """The page for somebody whose browser speaks a language."""
    settings = make_settings(valkey.url, PALAVER_SHARING=1)
    engine = ScriptedEngine(
        lambda prompt: (
            [Part("reasoning", "12²"), Part("text", REPLY), Part("call", CALL)]
            if last_prompt(prompt) == PROMPT
            else REPLY
        )
    )
    context = await browser.new_context(**options, locale=language)
    async with (
        running_stack(settings, engine) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        await expect(tab.page.locator("#starts button").first).to_be_visible()
        yield tab, stack
    await context.close()


async def states(tab: Tab) -> AsyncIterator[str]:
    """The page in one state after the other, by what is special about it."""
    for some in (states_when_empty, states_of_a_conversation, states_of_the_list):
        async for state in some(tab.page):
            yield state


async def states_when_empty(page: Page) -> AsyncIterator[str]:
    yield "empty"
    for box in ("#persona-box", "#settings-box"):
        await page.locator(f"{box} > summary").click()
        yield box
    await page.locator("#setting-temperature").fill("hot")
    await page.locator("#setting-temperature").press("Enter")
    yield "a setting is refused"
    await page.locator("#welcome-personas").click()
    yield "personas"
    await page.locator("#new-persona").click()
    yield "a new persona"
    await page.keyboard.press("Escape")


async def states_of_a_conversation(page: Page) -> AsyncIterator[str]:
    await converse(page)
    yield "a conversation"
    await page.locator(".message.user button").filter(has=page.locator(".icon-edit")).click()
    yield "an edit"
    await page.locator("#send").click()
    await expect(page.locator(".alternatives")).to_be_visible()
    yield "alternatives"
    await page.context.set_offline(True)
    await expect(page.locator("#connection")).to_be_visible()
    yield "no connection"
    await page.context.set_offline(False)
    await expect(page.locator("#connection")).to_be_hidden()
    await page.locator("#toggle-tools").click()
    yield "its menu"
    await page.locator("#share").click()
    await page.locator("#share-make").click()
    await expect(page.locator("#share-renew")).to_be_visible()
    yield "shared"
    await page.keyboard.press("Escape")


async def converse(page: Page) -> None:
    await page.locator("#prompt").fill(PROMPT)
    await page.locator("#send").click()
    await expect(page.locator(".message.assistant .code-head button")).to_be_visible()
    await expect(page.locator("#send")).to_be_visible()


async def states_of_the_list(page: Page) -> AsyncIterator[str]:
    if await is_narrow(page):
        await page.locator("#toggle-sidebar").click()
    row = page.locator("#conversations li")
    await row.locator(".line").hover()
    await row.locator(".more").click()
    yield "the list"
    await page.locator("#search").fill("qqq")
    await expect(row).to_have_count(0)
    yield "nothing found"
    await page.locator("#search").fill("")
    await row.locator(".line").hover()
    await row.locator(".more").click()
    await row.locator(".row-actions button").last.click()
    await expect(page.locator("#undo")).to_be_visible()
    yield "deleted"
    # The open conversation is another one now, so the drawer is closed.
    if await is_narrow(page):
        await page.locator("#toggle-sidebar").click()
    await page.locator("#toggle-list-menu").click()
    await page.locator("#import").click()
    yield "import"


async def is_narrow(page: Page) -> bool:
    return await page.locator("#toggle-sidebar").is_visible()


async def choose(page: Page, language: str) -> None:
    """Returns when the page is there again."""
    async with page.expect_navigation():
        await page.locator("#language").select_option(language)


@pytest.mark.parametrize("language", OTHERS)
async def test_no_english_is_left(browser: Browser, valkey: Valkey, language: str) -> None:
    async with opened(browser, valkey, language) as (tab, _):
        await expect(tab.page.locator("html")).to_have_attribute("lang", language)
        direction = "rtl" if language == "ar" else "ltr"
        await expect(tab.page.locator("html")).to_have_attribute("dir", direction)
        async for state in states(tab):
            said = await tab.page.evaluate(SAID)
            assert english_in(said, language) == [], state


async def test_english_would_be_found(browser: Browser, valkey: Valkey) -> None:
    async with opened(browser, valkey, "en") as (tab, _):
        said = await tab.page.evaluate(SAID)
        assert {"Send", "Theme", "scripted answers."} <= set(english_in(said, "de"))


@pytest.mark.parametrize("language", ["ar", "de", "fr"])
async def test_nothing_sticks_out_of_the_smallest_phone(
    browser: Browser, valkey: Valkey, language: str
) -> None:
    async with opened(browser, valkey, language, viewport=SMALLEST) as (tab, _):
        async for state in states(tab):
            assert await tab.page.evaluate(STICKING_OUT) == [], state
            width = await tab.page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert width <= 0, state


@pytest.mark.parametrize(
    ("language", "look"),
    [
        *(("ar", look) for look in LOOKS),
        ("de", "phone"),
        ("en", "dark"),
        ("es", "phone"),
        ("fr", "light"),
        ("zh-Hans", "dark"),
    ],
)
async def test_everybody_can_use_every_state_in_every_language(
    browser: Browser, valkey: Valkey, language: str, look: str
) -> None:
    async with opened(browser, valkey, language, **LOOKS[look]) as (tab, _):
        async for state in states(tab):
            assert await tab.serious() == [], state


async def edges(page: Page, selector: str) -> tuple[float, float]:
    """How far an element is from the left and the right edge of the page."""
    script = "({ left, right }) => [left, innerWidth - right]"
    box = f"document.querySelector({selector!r}).getBoundingClientRect()"
    left, right = await page.evaluate(f"({script})({box})")
    return left, right


async def test_from_right_to_left_everything_is_on_the_other_side(
    browser: Browser, valkey: Valkey
) -> None:
    async with opened(browser, valkey, "ar") as (tab, _):
        await converse(tab.page)
        for selector in ("#sidebar", "#attach"):
            left, right = await edges(tab.page, selector)
            assert left > right, selector
        for selector in (".message.user .text", "#send"):
            left, right = await edges(tab.page, selector)
            assert left < right, selector
        code = tab.page.locator(".message .code pre")
        assert await code.evaluate("node => getComputedStyle(node).direction") == "ltr"
        prompt = tab.page.locator("#prompt")
        assert await prompt.evaluate("node => getComputedStyle(node).direction") == "rtl"
        await prompt.fill("Hello")
        assert await prompt.evaluate("node => getComputedStyle(node).direction") == "ltr"
        await tab.page.set_viewport_size({"width": 390, "height": 844})
        await tab.page.locator("#toggle-sidebar").click()
        assert (await edges(tab.page, "#sidebar"))[1] == 0


async def test_the_choice_wins_over_the_browser_and_survives_a_reload(
    browser: Browser, valkey: Valkey
) -> None:
    async with opened(browser, valkey, "fr-CA") as (tab, _):
        root = tab.page.locator("html")
        await expect(root).to_have_attribute("lang", "fr")
        await tab.page.locator("#prompt").fill("What I was writing")
        await choose(tab.page, "ar")
        await expect(root).to_have_attribute("lang", "ar")
        await expect(tab.page.locator("#send")).to_have_text("إرسال")
        await expect(tab.page.locator("#prompt")).to_have_value("What I was writing")
        await tab.page.reload()
        await expect(root).to_have_attribute("dir", "rtl")
        await expect(tab.page.locator("#language")).to_have_value("ar")
        await choose(tab.page, "")
        await expect(root).to_have_attribute("lang", "fr")


async def test_dates_and_numbers_are_those_of_the_language(
    browser: Browser, valkey: Valkey
) -> None:
    async with opened(browser, valkey, "de") as (tab, _):
        await expect(tab.page.locator("#model")).to_contain_text("3.500 Tokens")
        await tab.page.locator("#settings-box > summary").click()
        await tab.page.locator("#setting-temperature").fill("0.7")
        await tab.page.locator("#setting-temperature").press("Enter")
        await expect(tab.page.locator("#settings-summary")).to_have_text(": Temperatur 0,7")
        await tab.page.reload()
        await expect(tab.page.locator("#setting-temperature")).to_have_value("0,7")
        await converse(tab.page)
        await expect(tab.page.locator("#conversations h2")).to_have_text("Heute")


async def test_another_language_is_never_seen(browser: Browser, valkey: Valkey) -> None:
    at_first = """new MutationObserver((_, observer) => {
      if (document.body === null) return;
      const { lang, dir, dataset } = document.documentElement;
      window.atFirst = [lang, dir, "untranslated" in dataset];
      observer.disconnect();
    }).observe(document, { childList: true, subtree: true });"""
    async with opened(browser, valkey, "ar") as (tab, _):
        send = tab.page.locator("#send")
        await tab.page.add_init_script(at_first)
        await tab.page.reload()
        await expect(send).to_have_text("إرسال")
        assert await tab.page.evaluate("window.atFirst") == ["ar", "rtl", True]
        await expect(send).to_be_visible()
        await tab.page.evaluate("document.documentElement.dataset.untranslated = ''")
        await expect(send).to_be_hidden()


@pytest.mark.parametrize(("language", "loaded"), [("en", ["en"]), ("de", ["de", "en"])])
async def test_a_page_loads_no_other_languages(
    browser: Browser, valkey: Valkey, language: str, loaded: list[str]
) -> None:
    async with opened(browser, valkey, language) as (tab, _):
        files: list[str] = []
        tab.page.on("request", lambda request: files.append(request.url))
        await tab.page.reload()
        await expect(tab.page.locator("#starts button").first).to_be_visible()
        names = [re.sub(r".*/languages/|\.json", "", url) for url in files if "/languages/" in url]
        assert sorted(names) == loaded


async def test_without_its_texts_the_page_is_english(browser: Browser, valkey: Valkey) -> None:
    async with opened(browser, valkey, "de") as (tab, _):
        await tab.page.route("**/languages/de.json", lambda route: route.abort())
        await tab.page.reload()
        await expect(tab.page.locator("#send")).to_be_visible()
        await expect(tab.page.locator("#send")).to_have_text("Send")
        await expect(tab.page.locator("#starts button").first).to_be_visible()
