"""How smoothly a conversation of 200 turns scrolls in Chromium.

    python -m bench.scrolling

Loads all 400 messages, with lists, tables and code, then scrolls from the end to the beginning by a
screen a frame pair, and tells the time between frames. (60 frames a second are 16.7 ms.)
"""

import asyncio
import statistics
from typing import Any, Final

from tests.scripted import ScriptedEngine
from tests.servers import make_settings, running_stack, running_valkey
from tests.web.browser import open_tab, running_browser
from tests.web.chat_page import ChatPage

TURNS: Final = 200
REPLY: Final = """Here is a **list** with some `code` in it:

1. The first thing, which is explained in a sentence of some length.
2. The second thing, with a [link](https://example.org/).

```python
for number in range(10):
    print(number)
```

| name | value |
|:--|--:|
| one | 1 |
| two | 2 |
"""
SCROLL: Final = """async () => {
  const box = document.getElementById("scroller");
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  const times = [];
  let last = await frame();
  while (box.scrollTop > 0) {
    box.scrollTop -= box.clientHeight / 4;
    const now = await frame();
    times.push(now - last);
    last = now;
  }
  return times;
}"""


async def main() -> None:
    with running_valkey() as valkey:
        settings = make_settings(valkey.url)
        async with (
            running_stack(settings, ScriptedEngine(lambda _: REPLY)) as stack,
            running_browser() as browser,
        ):
            first = await stack.ask("Prompt 0.")
            for number in range(1, TURNS):
                await stack.ask(f"Prompt {number}.", id=first["id"])
            context = await browser.new_context()
            async with open_tab(context, f"{stack.client.base_url}#{first['id']}") as tab:
                await measure(ChatPage(tab.page))


async def measure(chat: ChatPage) -> None:
    earlier = chat.page.get_by_role("button", name="Show earlier messages")
    await chat.replies.last.locator("table").wait_for()
    while await earlier.is_visible():
        count = await chat.users.count()
        await earlier.click()
        await chat.users.nth(count).wait_for(state="attached")
    await chat.page.evaluate("document.getElementById('scroller').scrollTop = 1e9")
    times: Any = await chat.page.evaluate(SCROLL)
    p95 = statistics.quantiles(times, n=20)[-1]
    print(
        f"{2 * TURNS} messages, {len(times)} frames: median {statistics.median(times):.1f} ms, "
        f"95 % below {p95:.1f} ms, longest {max(times):.1f} ms"
    )


if __name__ == "__main__":
    asyncio.run(main())
