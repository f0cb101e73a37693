"""What models and people may write, keys, long conversations: in a real browser, with a script."""

import asyncio
from pathlib import Path

import httpx
import pytest
from playwright.async_api import BrowserContext, expect

from api.http.keys import KeyFile
from shared.config import Settings
from shared.wire.limits import NO_LIMITS
from tests.scripted import ScriptedEngine, last_prompt
from tests.servers import Stack, Valkey, make_settings, running_stack
from tests.web.browser import open_tab
from tests.web.chat_page import ChatPage

HOSTILE = """<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>

[click](javascript:document.title='owned') [data](data:text/html,<script>1</script>)
![seen](http://127.0.0.1:1/pixel.png) <svg onload="document.title='owned'">

| a | b |
|:--|--:|
| 1 | <b>2</b> |

```html
<img src=x onerror="document.title='owned'">
```

A [real link](https://example.org "onmouseover=x") and **bold** text.
"""
TURNS = 200


async def test_hostile_markdown_is_only_text(context: BrowserContext, settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine(lambda _: HOSTILE)) as stack:
        asked: list[str] = []
        context.on("request", lambda request: asked.append(request.url))
        origin = str(stack.client.base_url).rstrip("/")
        async with open_tab(context, origin) as tab:
            chat = ChatPage(tab.page)
            await chat.answer(HOSTILE)
            reply = chat.replies.last
            await expect(reply.locator("strong")).to_have_text("bold")
            await expect(reply.locator("td").last).to_have_text("<b>2</b>")
            for _ in range(2):
                # As it was streamed, and as it is loaded.
                links = reply.locator("a")
                await expect(links).to_have_count(2)
                hrefs = [await link.get_attribute("href") for link in await links.all()]
                assert hrefs == ["http://127.0.0.1:1/pixel.png", "https://example.org"]
                await expect(reply.locator("img, svg, script, iframe")).to_have_count(0)
                await expect(reply.locator("pre code")).to_contain_text("<img src=x onerror=")
                await expect(chat.users.last).to_contain_text("<script>document.title")
                assert await tab.page.title() != "owned"
                await tab.page.reload()
                await expect(reply.locator("strong")).to_have_text("bold")
            assert await tab.serious() == []
        assert all(url.startswith(origin) for url in asked), asked


async def test_a_policy_stops_what_should_get_through(
    context: BrowserContext, settings: Settings
) -> None:
    """As if the rendering had a hole: the page's policy is a second wall."""
    async with running_stack(settings, ScriptedEngine()) as stack:
        page = await context.new_page()
        await page.goto(str(stack.client.base_url))
        refused: list[str] = []
        page.on("console", lambda message: refused.append(message.text))
        for attempt in (
            "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=1>')",
            "document.head.append(Object.assign(document.createElement('script'), {text: '1'}))",
            "fetch('http://127.0.0.1:1/')",
            "trustedTypes.createPolicy('other', {})",
        ):
            seen = await page.evaluate(
                f"(async () => {{ try {{ await {attempt}; return 'done' }} catch (e) "
                "{ return e.name } })()"
            )
            assert seen == "TypeError", attempt
        assert any("Content Security Policy" in text for text in refused)
        # It follows the list: the server would wait for it.
        await page.close()


async def test_a_key_is_asked_for(context: BrowserContext, valkey: Valkey, tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    ann, bob = keys.create("ann", NO_LIMITS), keys.create("bob", NO_LIMITS)
    settings = make_settings(valkey.url, PALAVER_API_KEYS_FILE=tmp_path / "keys.json")
    async with running_stack(settings, ScriptedEngine()) as stack:
        headers = {"Authorization": f"Bearer {ann}"}
        await stack.client.post("/", json={"prompt": "From curl."}, headers=headers)
        assert (await stack.client.post("/web/markdown", json={"texts": []})).status_code == 401
        async with open_tab(context, str(stack.client.base_url)) as tab:
            chat = ChatPage(tab.page)
            dialog = tab.page.get_by_role("dialog")
            await dialog.get_by_label("Key", exact=True).fill("wrong")
            async with tab.page.expect_event("load"):
                await dialog.get_by_role("button", name="Use this key").click()
            await expect(dialog).to_be_visible()
            assert await tab.serious() == []
            await dialog.get_by_label("Key", exact=True).fill(ann)
            async with tab.page.expect_event("load"):
                await dialog.get_by_role("button", name="Use this key").click()
            await expect(dialog).to_be_hidden()
            await expect(chat.conversations).to_have_text(["From curl."])
            assert await chat.answer("From the page.") == "You said: From the page."
            await expect(chat.conversations).to_have_text(["From the page.", "From curl."])
            await tab.page.reload()
            await expect(chat.users).to_have_text(["From the page."])
            # Another key sees nothing of it.
            await tab.page.get_by_role("button", name="API key").click()
            await dialog.get_by_label("Key", exact=True).fill(bob)
            async with tab.page.expect_event("load"):
                await dialog.get_by_role("button", name="Use this key").click()
            await expect(chat.connection).to_have_text("That conversation does not exist any more.")
            await expect(chat.conversations).to_have_count(0)


async def test_a_long_conversation_is_read_page_by_page(
    context: BrowserContext, settings: Settings
) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        conversation = await talk(stack, TURNS)
        async with open_tab(context, f"{stack.client.base_url}#{conversation}") as tab:
            chat = ChatPage(tab.page)
            await expect(chat.users).to_have_count(25)
            await expect(chat.users.last).to_be_in_viewport()
            # Begun elsewhere, it is known here by its first prompt.
            await expect(chat.conversations).to_have_text(["Prompt 0."])
            earlier = tab.page.get_by_role("button", name="Show earlier messages")
            for page in range(2, 9):
                first = chat.users.first
                text = str(await first.text_content())
                await earlier.click()
                await expect(chat.users).to_have_count(25 * page)
                # What was at the top is still where it was.
                await expect(chat.users.get_by_text(text, exact=True)).to_be_in_viewport()
            await expect(earlier).to_be_hidden()
            said = await chat.users.all_text_contents()
            assert said == [f"Prompt {number}." for number in range(TURNS)]
            # Only what is in sight is laid out.
            await expect(chat.last_reply).to_have_css("content-visibility", "auto")


async def talk(stack: Stack, turns: int) -> int:
    """A conversation of so many turns; its id."""
    first = await stack.ask("Prompt 0.")
    for number in range(1, turns):
        await stack.ask(f"Prompt {number}.", id=first["id"])
    return int(first["id"])


async def test_a_failed_turn_can_be_tried_again(
    context: BrowserContext, settings: Settings
) -> None:
    tries = iter(("fail", "work"))

    def script(prompt: str) -> str:
        if next(tries) == "fail":
            raise ValueError("the script is broken")
        return f"You said: {last_prompt(prompt)}"

    async with (
        running_stack(settings, ScriptedEngine(script)) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        chat = ChatPage(tab.page)
        await chat.ask("Hello.")
        await expect(chat.last_reply).to_contain_text("This did not work")
        await chat.last_reply.get_by_role("button", name="Retry").click()
        await expect(chat.replies).to_have_text(["You said: Hello."])
        await expect(chat.users).to_have_count(1)
        # Once it is answered, nothing of it is left to be sent.
        await tab.page.get_by_role("button", name="New chat").click()
        await expect(chat.prompt).to_have_value("")


async def test_everything_is_done_with_the_keyboard(
    context: BrowserContext, settings: Settings
) -> None:
    begin: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    engine = ScriptedEngine(piece_length=1, step=lambda at: begin if at == 5 else None)
    async with (
        running_stack(settings, engine) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        chat = ChatPage(tab.page)
        await expect(chat.prompt).to_be_focused()
        await tab.page.keyboard.type("Two")
        await tab.page.keyboard.press("Shift+Enter")
        await tab.page.keyboard.type("lines")
        await tab.page.keyboard.press("Enter")
        await expect(chat.users).to_have_text(["Two\nlines"])
        await expect(chat.replies.last).to_contain_text("You s")
        await tab.page.keyboard.press("Escape")
        await expect(chat.last_reply).to_contain_text("Stopped.")
        announced = tab.page.get_by_role("status")
        await expect(announced).to_contain_text("Stopped.")
        await tab.page.keyboard.press("Shift+Tab")
        await expect(chat.prompt).not_to_be_focused()
    begin.cancel()


async def test_pages_are_sent_with_a_strict_policy(settings: Settings) -> None:
    async with running_stack(settings) as stack:
        html = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
        for path in ("/", "/ops"):
            answer = await stack.client.get(path, headers=html)
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/html")
            assert_strict(answer)
        script = await stack.client.get("/web/chat.js", headers={"Accept": "*/*"})
        assert "javascript" in script.headers["content-type"]
        assert_strict(script)
        for accept in ("*/*", "application/json", "text/html;q=0, */*"):
            answer = await stack.client.get("/", headers={"Accept": accept})
            assert answer.json()["name"] == "Palaver"
            assert answer.headers["vary"] == "Accept"
        for path in ("/web/../app.py", "/web/%2e%2e/pages.py", "/web/", "/web/none.js"):
            assert (await stack.client.get(path, headers=html)).status_code == 404


def assert_strict(answer: httpx.Response) -> None:
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"texts": ["*a*"]}, 200),
        ({"texts": "a"}, 422),
        ({"texts": ["a"] * 21}, 422),
        ({"text": ["a"]}, 422),
        ([], 400),
    ],
)
async def test_markdown_is_rendered_for_the_page(
    settings: Settings, body: object, status: int
) -> None:
    async with running_stack(settings) as stack:
        answer = await stack.client.post("/web/markdown", json=body)
        assert answer.status_code == status
        if status == 200:
            assert answer.json() == {"html": ['<p dir="auto"><em>a</em></p>\n']}
