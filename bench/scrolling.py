"""How smoothly a conversation of 200 turns scrolls, and takes a reply that streams, in Chromium.

    python -m bench.scrolling

Loads all 400 messages, with lists, tables and code, and scrolls from the end to the beginning by a
screen a frame pair; then sends a prompt, whose reply, of the same kind, streams at the end. Tells
the time between frames (60 a second are 16.7 ms), and how long the page's own thread computed for
each, whatever else the machine does.
"""

import asyncio
import statistics
from dataclasses import dataclass
from typing import Any, Final

from playwright.async_api import CDPSession

from tests.scripted import ScriptedEngine, last_prompt
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
STREAMED: Final = "Stream."
PARTS: Final = 8
"""So many times as long is the reply that is streamed."""
PIECE: Final = 4
PACE_S: Final = 0.012
"""About 80 pieces a second, as of a small model on a GPU."""
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
STREAM: Final = """async (text) => {
  const stop = document.getElementById("stop");
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  const times = [];
  let last = await frame();
  const until = async (isOver) => {
    while (!isOver()) {
      const now = await frame();
      times.push(now - last);
      last = now;
    }
  };
  document.getElementById("prompt").value = text;
  document.getElementById("prompt").dispatchEvent(new Event("input"));
  document.getElementById("composer").requestSubmit();
  await until(() => !stop.hidden);
  await until(() => stop.hidden);
  return times;
}"""
"""In the page itself: to look for roles and names would make it lay out what is out of sight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """Times between frames, in ms, and how long the page's thread computed meanwhile."""

    times: list[float]
    computed_ms: float

    def line(self, what: str) -> str:
        p95 = statistics.quantiles(self.times, n=20)[-1]
        return (
            f"| {what} | {len(self.times)} | {statistics.median(self.times):.1f} ms | {p95:.1f} ms "
            f"| {max(self.times):.1f} ms | {self.computed_ms / len(self.times):.1f} ms |"
        )


class Thread:
    """The page's main thread, by the processor time that it has taken."""

    def __init__(self, session: CDPSession) -> None:
        self._session = session

    async def start(self) -> None:
        await self._session.send("Performance.enable", {"timeDomain": "threadTicks"})

    async def computed_ms(self) -> float:
        metrics: Any = await self._session.send("Performance.getMetrics")
        values = {one["name"]: one["value"] for one in metrics["metrics"]}
        return float(values["TaskDuration"]) * 1000


async def main() -> None:
    engine = ScriptedEngine(
        lambda prompt: REPLY * (PARTS if last_prompt(prompt) == STREAMED else 1),
        piece_length=PIECE,
        step=lambda _: asyncio.ensure_future(asyncio.sleep(PACE_S)) if paced else None,
    )
    paced = False
    with running_valkey() as valkey:
        settings = make_settings(valkey.url, PALAVER_MAX_TOKENS=4096)
        async with running_stack(settings, engine) as stack, running_browser() as browser:
            first = await stack.ask("Prompt 0.")
            for number in range(1, TURNS):
                await stack.ask(f"Prompt {number}.", id=first["id"])
            context = await browser.new_context()
            async with open_tab(context, f"{stack.client.base_url}#{first['id']}") as tab:
                thread = Thread(await context.new_cdp_session(tab.page))
                await thread.start()
                chat = ChatPage(tab.page)
                await load_all(chat)
                print("| | frames | median | 95 % below | longest | computed for each |")
                print("| --- | ---: | ---: | ---: | ---: | ---: |")
                print((await scroll(chat, thread)).line("scrolling"))
                paced = True
                print((await stream(chat, thread)).line("a reply streams"))


async def load_all(chat: ChatPage) -> None:
    earlier = chat.page.get_by_role("button", name="Show earlier messages")
    await chat.replies.last.locator("table").wait_for()
    while await earlier.is_visible():
        count = await chat.users.count()
        await earlier.click()
        await chat.users.nth(count).wait_for(state="attached")


async def scroll(chat: ChatPage, thread: Thread) -> Frames:
    await chat.page.evaluate("document.getElementById('scroller').scrollTop = 1e9")
    before = await thread.computed_ms()
    times: Any = await chat.page.evaluate(SCROLL)
    return Frames(times=times, computed_ms=await thread.computed_ms() - before)


async def stream(chat: ChatPage, thread: Thread) -> Frames:
    before = await thread.computed_ms()
    times: Any = await chat.page.evaluate(STREAM, STREAMED)
    return Frames(times=times, computed_ms=await thread.computed_ms() - before)


if __name__ == "__main__":
    asyncio.run(main())
