"""Pictures of the pages, and whether everybody can use them: light, dark, on a phone.

The pictures go into the folder that `PALAVER_SCREENSHOTS` names (`make screenshots`: docs/).
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from shared.config import Settings
from tests.scripted import Script, ScriptedEngine, last_prompt
from tests.servers import Stack, make_settings, running_stack
from tests.web.browser import Tab, open_tab
from tests.web.chat_page import ChatPage
from worker.engine.interface import EngineError

FOLDER = os.environ.get("PALAVER_SCREENSHOTS")
DESKTOP: dict[str, Any] = {"viewport": {"width": 1200, "height": 800}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "has_touch": True,
    "is_mobile": True,
}
LOOKS: dict[str, dict[str, Any]] = {
    "light": DESKTOP | {"color_scheme": "light"},
    "dark": DESKTOP | {"color_scheme": "dark"},
    "phone": PHONE | {"color_scheme": "light"},
}
REPLIES = {
    "How do I remember a list in Python?": """Put it into a variable:

```python
names = ["Ann", "Ben"]
names.append("Cleo")
```

| method | does |
|:--|:--|
| `append` | adds one at the end |
| `pop` | takes the last one away |

See also the [tutorial](https://docs.python.org/3/tutorial/).""",
    "And how do I go through it?": """With a **loop**:

1. `for name in names:` gives one after the other,
2. `enumerate(names)` gives their numbers, too.""",
}

MATHS = r"""The solutions of \(ax^2 + bx + c = 0\) are

$$x_{1,2} = \frac{-b \pm \sqrt{b^2 - 4ac}}{2a}$$

In Python, where **complex** ones are wanted, too:

```python
from cmath import sqrt

def solve(a: float, b: float, c: float) -> tuple[complex, complex]:
    root = sqrt(b * b - 4 * a * c)
    return (-b + root) / (2 * a), (-b - root) / (2 * a)
```

- [x] linear: \(a = 0\) is divided by[^1]
- [ ] numerically stable

[^1]: Then \(x = -c / b\).
"""
ARABIC = """يمكنك حفظ القائمة في **متغير**:

```python
names = ["Ann", "Ben"]
```

1. الأسماء مرتبة،
2. ويمكن إضافة أسماء بـ `append`."""


def script(prompt: str) -> str:
    return REPLIES[last_prompt(prompt)]


@asynccontextmanager
async def talk(browser: Browser, settings: Settings, look: str) -> AsyncIterator[tuple[Tab, Stack]]:
    """A tab with a conversation of two turns."""
    settings = make_settings(
        str(settings.redis_url), PALAVER_NAMESPACE=settings.namespace, PALAVER_LEASE=3
    )
    engine = ScriptedEngine(script, piece_length=5)
    context = await browser.new_context(**LOOKS[look])
    async with running_stack(settings, engine) as stack:
        async with open_tab(context, str(stack.client.base_url)) as tab:
            chat = ChatPage(tab.page)
            for prompt in REPLIES:
                await chat.answer(prompt)
            await expect(chat.replies.last.locator("li")).to_have_count(2)
            yield tab, stack
        await context.close()


async def picture(tab: Tab, name: str) -> None:
    if FOLDER is not None:
        await tab.page.screenshot(path=Path(FOLDER) / f"{name}.png")


@pytest.mark.parametrize("look", LOOKS)
async def test_the_chat_page(browser: Browser, settings: Settings, look: str) -> None:
    async with talk(browser, settings, look) as (tab, _):
        await picture(tab, f"chat-{look}")
        assert await tab.serious() == []
        width = await tab.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert width <= 0, "nothing sticks out at the side"


async def test_the_list_of_conversations_on_a_phone(browser: Browser, settings: Settings) -> None:
    async with talk(browser, settings, "phone") as (tab, _):
        chat = ChatPage(tab.page)
        toggle = tab.page.get_by_role("button", name="Chats")
        await expect(chat.conversations.first).to_be_hidden()
        await toggle.tap()
        await expect(chat.conversations.first).to_be_visible()
        await expect(toggle).to_have_attribute("aria-expanded", "true")
        assert await tab.serious() == []
        await tab.page.get_by_role("button", name="New chat").tap()
        await expect(chat.conversations.first).to_be_hidden()
        await expect(chat.users).to_have_count(0)
        assert await tab.serious() == []


@pytest.mark.parametrize("look", LOOKS)
async def test_the_operations_page(browser: Browser, settings: Settings, look: str) -> None:
    async with talk(browser, settings, look) as (tab, stack):
        for _ in range(5):
            await stack.ask(next(iter(REPLIES)))
        await tab.page.goto(f"{stack.client.base_url}/ops")
        sums = tab.page.locator("#sums dd").first
        await expect(sums).to_have_text("7")
        await picture(tab, f"ops-{look}")
        assert await tab.serious() == []
        width = await tab.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert width <= 0, "nothing sticks out at the side"


@asynccontextmanager
async def opened(
    browser: Browser, settings: Settings, script: Script, **device: Any
) -> AsyncIterator[tuple[ChatPage, Tab, Stack]]:
    """A page of its own, whose model replies from a script."""
    context = await browser.new_context(**{**DESKTOP, "color_scheme": "light", **device})
    async with running_stack(settings, ScriptedEngine(script)) as stack:
        async with open_tab(context, str(stack.client.base_url)) as tab:
            yield ChatPage(tab.page), tab, stack
        await context.close()


async def seen(tab: Tab, name: str) -> None:
    """Take the picture; everybody can use what is on it."""
    await picture(tab, name)
    assert await tab.serious() == []
    assert await tab.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


async def test_an_empty_page(browser: Browser, settings: Settings) -> None:
    async with opened(browser, settings, script) as (_, tab, _):
        await expect(tab.page.get_by_text("scripted answers.")).to_be_visible()
        await seen(tab, "chat-empty")


@pytest.mark.parametrize("look", ["light", "dark"])
async def test_formulas_and_code(browser: Browser, settings: Settings, look: str) -> None:
    async with opened(browser, settings, lambda _: MATHS, **LOOKS[look]) as (chat, tab, _):
        await chat.answer("How do I solve a quadratic equation?")
        await expect(chat.replies.last.locator("math")).to_have_count(4)
        await expect(chat.replies.last.locator(".keyword").first).to_be_visible()
        await seen(tab, f"chat-maths-{look}")


async def test_from_right_to_left(browser: Browser, settings: Settings) -> None:
    async with opened(browser, settings, lambda _: ARABIC, locale="ar") as (chat, tab, _):
        await tab.page.locator("#prompt").fill("كيف أحفظ قائمة في بايثون؟")
        await tab.page.locator("#prompt").press("Enter")
        await expect(chat.replies.last.locator("li")).to_have_count(2)
        await expect(tab.page.locator("html")).to_have_attribute("dir", "rtl")
        await seen(tab, "chat-rtl")


async def test_a_long_list(browser: Browser, settings: Settings) -> None:
    async with opened(browser, settings, lambda _: "Here you are.") as (chat, tab, stack):
        for number in range(60):
            title = f"Dinner number {number}, with potatoes and a very long description of it"
            begun = await stack.client.post("/conversations", json={"title": title})
            if number % 20 == 0:
                path = f"/conversations/{begun.json()['id']}"
                await stack.client.patch(path, json={"pinned": True, "title": f"Pinned {number}"})
        await tab.page.reload()
        await expect(chat.conversations.nth(49)).to_be_attached()
        await chat.answer("Plan three quick dinners with potatoes.")
        await expect(tab.page.locator("#conversations [aria-current]")).to_be_in_viewport()
        await seen(tab, "chat-list")


async def test_an_error(browser: Browser, settings: Settings) -> None:
    def breaks(prompt: str) -> str:
        if "again" not in prompt:
            return REPLIES[last_prompt(prompt)]
        raise EngineError("the script is broken")

    async with opened(browser, settings, breaks) as (chat, tab, _):
        await chat.answer(next(iter(REPLIES)))
        await chat.ask("Say it again, please.")
        await expect(chat.last_reply).to_contain_text("This did not work")
        await seen(tab, "chat-error")
