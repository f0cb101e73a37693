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
from tests.scripted import ScriptedEngine, last_prompt
from tests.servers import Stack, make_settings, running_stack
from tests.web.browser import Tab, open_tab
from tests.web.chat_page import ChatPage

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
