"""How soon the chat page shows its list, and what a search finds, among 1,000 conversations.

    python -m bench.listing

Each conversation has 20 messages. The list is timed from the beginning of the page's load, and from
its own request; a search from the last key to the frame that shows its hits: for a word that every
conversation has, for one that a single one has, and for one that none has.
"""

import asyncio
import statistics
from typing import Any, Final

import httpx
from playwright.async_api import BrowserContext, Page

from tests.scripted import ScriptedEngine
from tests.servers import make_settings, running_stack, running_valkey
from tests.web.browser import open_tab, running_browser

CONVERSATIONS: Final = 1000
MESSAGES: Final = 20
ROUNDS: Final = 10
ONCE: Final = "unicorn"
SENTENCE: Final = "The quick brown fox jumps over the lazy dog, and comes back every evening. "

WATCH: Final = """() => {
  const isShown = () => document.querySelector("#conversations .name");
  const watch = () => {
    if (!isShown()) return requestAnimationFrame(watch);
    requestAnimationFrame(() => { window.listShown = performance.now(); });
  };
  requestAnimationFrame(watch);
}"""
LIST_TIMES: Final = """() => new Promise((resolve) => {
  const look = () => {
    if (!window.listShown) return requestAnimationFrame(look);
    const requests = performance.getEntriesByType("resource");
    const list = requests.find(({ name }) => name.includes("/conversations?limit="));
    resolve([window.listShown, window.listShown - list.startTime]);
  };
  look();
})"""
SEARCH: Final = """(text) => new Promise((resolve) => {
  const search = document.getElementById("search");
  const spoken = document.getElementById("announcer");
  spoken.textContent = "";
  search.value = text;
  const start = performance.now();
  search.dispatchEvent(new Event("input"));
  const watch = () => {
    if (!spoken.textContent.endsWith("found.")) return requestAnimationFrame(watch);
    requestAnimationFrame(() => resolve(performance.now() - start));
  };
  requestAnimationFrame(watch);
})"""


async def main() -> None:
    with running_valkey() as valkey:
        settings = make_settings(valkey.url)
        async with (
            running_stack(settings, ScriptedEngine()) as stack,
            running_browser() as browser,
        ):
            await fill(stack.client)
            context = await browser.new_context()
            await measure(context, str(stack.client.base_url))


async def fill(client: httpx.AsyncClient) -> None:
    for number in range(CONVERSATIONS):
        word = ONCE if number == 0 else "horse"
        messages = [
            {"role": role, "content": f"{SENTENCE}{word} {number}.{turn}"}
            for turn in range(MESSAGES // 2)
            for role in ("user", "assistant")
        ]
        body = {"title": f"Talk number {number}", "messages": messages}
        answer = await client.post("/conversations", json=body)
        assert answer.status_code == 201, answer.text


async def measure(context: BrowserContext, address: str) -> None:
    await context.add_init_script(f"({WATCH})()")
    print(f"{CONVERSATIONS} conversations of {MESSAGES} messages; {ROUNDS} rounds")
    async with open_tab(context, address) as tab:
        loads = [await load(tab.page) for _ in range(ROUNDS)]
        tell("list, since the page began to load", [whole for whole, _ in loads])
        tell("list, since it was asked for", [own for _, own in loads])
        for text in ("fox", ONCE, "dragon"):
            tell(f"search for {text}", [await search(tab.page, text) for _ in range(ROUNDS)])


async def load(page: Page) -> tuple[float, float]:
    """Milliseconds until the list is shown."""
    await page.reload()
    whole, own = await page.evaluate(LIST_TIMES)
    return whole, own


async def search(page: Page, text: str) -> float:
    """Milliseconds until the hits are shown."""
    await page.locator("#search").wait_for()
    took: Any = await page.evaluate(SEARCH, text)
    await page.locator("#search").fill("")
    await page.locator("#conversations h2", has_text="Today").wait_for()
    return float(took)


def tell(what: str, times: list[float]) -> None:
    print(f"{what}: median {statistics.median(times):.0f} ms, longest {max(times):.0f} ms")


if __name__ == "__main__":
    asyncio.run(main())
