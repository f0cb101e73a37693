"""Whatever a model writes, nothing of it runs, asks elsewhere, or leaves its place."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final

import pytest
from playwright.async_api import BrowserContext, Page, expect

from api.web.rendering.render import to_html
from shared.config import Settings
from tests.scripted import ScriptedEngine, last_prompt
from tests.servers import Valkey, make_settings, running_stack
from tests.unit.rendering.safety import ATTRIBUTES, CLASSES, ELEMENTS
from tests.unit.rendering.safety import Page as Rendering
from tests.web.browser import open_tab
from tests.web.chat_page import ChatPage
from tests.web.hostile_outputs import ELSEWHERE, OUTPUTS
from worker.engine.interface import Part

SHORT: Final = 600
"""Characters of an output that is streamed in pieces of a few."""
PACE_S: Final = 0.01
"""Between two pieces: the page renders some of an output before it has the rest."""
AT_ONCE: Final = 15
OF_PAGE: Final = {
    "attributes": ["tabindex"],
    "classes": ["tail"],
}
"""What the page's own scripts give to the elements of an output."""

WATCH: Final = """
({elements, attributes, classes}) => {
  window.strange = [];
  const known = {
    elements: new Set(elements), attributes: new Set(attributes), classes: new Set(classes),
  };
  const spaces = ["http://www.w3.org/1999/xhtml", "http://www.w3.org/1998/Math/MathML"];
  const look = (node) => {
    if (node.nodeType === Node.COMMENT_NODE) strange.push(`<!--${node.data}-->`);
    if (node.nodeType !== Node.ELEMENT_NODE) return;
    if (!known.elements.has(node.localName)) strange.push(node.outerHTML);
    if (!spaces.includes(node.namespaceURI)) strange.push(node.namespaceURI);
    for (const {name} of node.attributes) {
      if (!known.attributes.has(name)) strange.push(`${node.localName} ${name}`);
    }
    for (const name of node.classList) if (!known.classes.has(name)) strange.push(`.${name}`);
    node.childNodes.forEach(look);
  };
  const isOfOutput = (node) => node?.closest?.(".message.assistant .text, .thought-text");
  new MutationObserver((records) => {
    for (const {target, addedNodes, type} of records) {
      if (type === "attributes" && isOfOutput(target?.parentElement)) look(target);
      for (const node of addedNodes) if (isOfOutput(target)) look(node);
    }
  }).observe(document, {subtree: true, childList: true, attributes: true});
  window.refused = [];
  addEventListener("securitypolicyviolation", (event) => refused.push(event.violatedDirective));
}
"""
"""Looks at whatever comes into a reply or a thought, however short it stays."""
STATE: Final = """() => ({
  strange: [...new Set(strange)],
  refused,
  owned: "owned" in globalThis || "owned" in Object.prototype,
  title: document.title,
  isWider: document.scrollingElement.scrollWidth > innerWidth,
  ids: document.querySelectorAll("#messages, #composer, #prompt").length,
})"""

HOLE: Final = """(source) => {
  const text = document.querySelector(".message.assistant .text");
  const image = Object.assign(document.createElement("img"), {src: source});
  text.append(image, document.createElementNS("http://www.w3.org/2000/svg", "svg"));
  text.querySelector("*").setAttribute("id", "prompt");
  text.replaceChildren();
}"""
"""What the rendering never does."""


def batches() -> list[dict[str, str]]:
    """Outputs that are tried in one page; long ones by themselves."""
    short = {name: text for name, text in OUTPUTS.items() if len(text) < SHORT}
    long = {name: text for name, text in OUTPUTS.items() if len(text) >= SHORT}
    return [
        dict([*some.items()][at : at + AT_ONCE])
        for some in (short, long)
        for at in range(0, len(some), AT_ONCE)
    ]


@pytest.mark.parametrize("name", OUTPUTS)
def test_the_server_makes_only_what_is_known_of_it(name: str) -> None:
    Rendering(to_html(OUTPUTS[name]))


def test_there_are_many_of_them() -> None:
    assert len(set(OUTPUTS.values())) >= 60


@pytest.mark.timeout(300)
@pytest.mark.parametrize("outputs", batches())
async def test_outputs_stay_harmless_streamed_and_loaded(
    context: BrowserContext, valkey: Valkey, outputs: Mapping[str, str]
) -> None:
    """As thought and as reply, while they are written, when they are complete, after a reload."""
    settings = make_settings(
        valkey.url,
        PALAVER_CONTEXT_LENGTH=1_000_000,
        PALAVER_MAX_TOKENS=50_000,
        PALAVER_REASONING_TOKENS=50_000,
    )
    engine = engine_of(outputs)
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    await context.add_init_script(f"({WATCH})({json.dumps(known())})")
    async with running_stack(settings, engine) as stack:
        origin = str(stack.client.base_url).rstrip("/")
        async with open_tab(context, origin) as tab:
            dialogs: list[str] = []
            tab.page.on("dialog", lambda dialog: dialogs.append(dialog.message))
            chat = ChatPage(tab.page)
            for name in outputs:
                await chat.answer(name)
                await expect(chat.last_reply).not_to_contain_text("This did not work")
                await expect(chat.last_reply).not_to_contain_text("The reply ends here")
                await check(tab.page, name)
            await tab.page.reload()
            await expect(chat.users).to_have_count(len(outputs))
            await expect(chat.replies.last).not_to_be_empty()
            await check(tab.page, "after a reload")
            assert await chat.answer("Is it usable?") == "Yes."
            await check(tab.page, "at the end")
            assert (dialogs, tab.page.context.pages) == ([], [tab.page])
        assert all(url.startswith((origin, "blob:")) for url in asked), asked


def engine_of(outputs: Mapping[str, str]) -> ScriptedEngine:
    """Thinks and writes the output that the prompt names."""

    def script(prompt: str) -> str | list[Part]:
        text = outputs.get(last_prompt(prompt))
        if text is None:
            return "Yes."
        return [Part("reasoning", text), Part("text", text)]

    is_short = all(len(text) < SHORT for text in outputs.values())
    return ScriptedEngine(
        script,
        piece_length=9 if is_short else 2000,
        step=lambda _: asyncio.ensure_future(asyncio.sleep(PACE_S)),
    )


def known() -> dict[str, list[str]]:
    return {
        "elements": [*ELEMENTS],
        "attributes": [*ATTRIBUTES, *OF_PAGE["attributes"]],
        "classes": [*CLASSES, *OF_PAGE["classes"]],
    }


async def check(page: Page, when: str) -> None:
    state: dict[str, Any] = await page.evaluate(STATE)
    assert state == {
        "strange": [],
        "refused": [],
        "owned": False,
        "title": state["title"],
        "isWider": False,
        "ids": 3,
    }, when
    assert "owned" not in state["title"], when
    await expect(page.get_by_label("Your prompt")).to_be_in_viewport()


async def test_the_watch_sees_what_does_not_belong_there(
    context: BrowserContext, settings: Settings
) -> None:
    """As if the rendering let everything through."""
    await context.add_init_script(f"({WATCH})({json.dumps(known())})")
    async with running_stack(settings, ScriptedEngine()) as stack:
        page = await context.new_page()
        await page.goto(str(stack.client.base_url))
        chat = ChatPage(page)
        await chat.answer("Hello.")
        await page.evaluate(HOLE, f"{ELSEWHERE}/x.png")
        await page.wait_for_function("strange.length >= 4 && refused.length > 0")
        with pytest.raises(AssertionError):
            await check(page, "with a hole")
        await page.close()
