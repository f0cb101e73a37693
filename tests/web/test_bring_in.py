"""Conversations come in from files by the chat page; what cannot come in is named."""

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, FilePayload, Locator, Page, expect

from api.http.keys import KeyFile
from shared.config import Settings
from shared.wire.limits import Limits
from tests.scripted import ScriptedEngine
from tests.servers import Stack, Valkey, make_settings, running_stack
from tests.web.browser import open_tab
from tests.web.chat_page import ChatPage
from tests.web.test_looks import LOOKS

CHATGPT: list[dict[str, Any]] = [
    {
        "title": f"Bees {number}",
        "current_node": "b",
        "mapping": {
            "a": {
                "message": {
                    "author": {"role": "user"},
                    "content": {"content_type": "text", "parts": [f"Question {number}?"]},
                },
                "parent": None,
            },
            "b": {
                "message": {
                    "author": {"role": "assistant"},
                    "content": {"content_type": "text", "parts": ["Nectar."]},
                },
                "parent": "a",
            },
        },
    }
    for number in range(3)
]
HOSTILE_NAME = "<img src=x onerror=\"document.title='owned'\">.json"

NUMBERED = {"role": "user", "content": "y", "number": 1}
"""Makes an export that is taken as it is."""


def own(title: str, content: str = "Hi.") -> dict[str, Any]:
    return {"title": title, "messages": [{"role": "user", "content": content}]}


def file(name: str, content: object) -> FilePayload:
    """`content`: bytes as they are, anything else as JSON."""
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return {"name": name, "mimeType": "application/json", "buffer": data}


async def choose(page: Page, *files: FilePayload) -> Locator:
    """Import files as people do; the dialog."""
    await page.get_by_role("button", name="All conversations").click()
    await page.get_by_role("button", name="Import…").click()
    async with page.expect_file_chooser() as waiting:
        await page.get_by_role("button", name="Choose files…").click()
    await (await waiting.value).set_files(list(files))
    return page.get_by_role("dialog", name="Import conversations")


async def test_an_export_of_chatgpt_comes_in_and_can_be_continued(
    context: BrowserContext, settings: Settings
) -> None:
    async with (
        running_stack(settings, ScriptedEngine()) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        chat = ChatPage(tab.page)
        empty = {"title": "Empty", "mapping": {}}
        dialog = await choose(tab.page, file("conversations.json", [*CHATGPT, empty]))
        await expect(dialog.get_by_role("status")).to_have_text(
            "3 conversations imported. 1 conversation skipped: there was no prompt to read."
        )
        await dialog.get_by_role("button", name="Close").click()
        await expect(chat.conversations).to_have_text(["Bees 2", "Bees 1", "Bees 0"])
        await chat.conversations.last.click()
        await expect(chat.users).to_have_text(["Question 0?"])
        await expect(chat.replies).to_have_text(["Nectar."])
        assert await chat.answer("And drink?") == "You said: And drink?"


async def test_what_cannot_come_in_is_named_and_the_others_come_in(
    context: BrowserContext, valkey: Valkey
) -> None:
    settings = make_settings(valkey.url, PALAVER_MAX_BODY_BYTES=100_000)
    files = (
        file(HOSTILE_NAME, b"<script>document.title='owned'</script>"),
        file("lines.json", b"one line\n" * 100_000),
        file("export.zip", b"PK\x03\x04rest"),
        file("settings.json", {"theme": "dark"}),
        file(
            "some.json",
            [
                own("Short"),
                own("Long <b>", "x" * 200_000),
                own("Very long", "x" * 20_000_000),
                {
                    "title": {"toString": 1},
                    "messages": [{"role": "user", "content": "y", "number": 1}],
                },
                own("Last"),
            ],
        ),
    )
    async with (
        running_stack(settings, ScriptedEngine()) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        dialog = await choose(tab.page, *files)
        await expect(dialog.get_by_role("status")).to_have_text(
            "2 conversations imported. 7 could not be imported:"
        )
        larger = "The conversation is larger than this server accepts"
        problems = dialog.get_by_role("listitem")
        await expect(problems).to_contain_text(
            [
                f"{HOSTILE_NAME}: This is no JSON file.",
                "lines.json: This is no JSON file.",
                "export.zip: This is an archive.",
                "settings.json: This is no export of conversations",
                f"Long <b>: {larger}: 200 kB.",
                f"Very long: {larger}: 20 MB.",
                "y: ",
            ]
        )
        await expect(dialog.locator("img, script")).to_have_count(0)
        assert await tab.page.title() != "owned"
        await expect(ChatPage(tab.page).conversations).to_have_text(["Last", "Short"])


async def test_files_are_dropped_on_the_list(context: BrowserContext, settings: Settings) -> None:
    async with (
        running_stack(settings, ScriptedEngine()) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        await drop(tab.page, "#sidebar", "own.json", json.dumps(own("Dropped")))
        dialog = tab.page.get_by_role("dialog", name="Import conversations")
        await expect(dialog.get_by_role("status")).to_have_text("1 conversation imported.")
        # Elsewhere a file is no reason to leave the page.
        await drop(tab.page, "body", "own.json", json.dumps(own("Beside")))
        await expect(ChatPage(tab.page).conversations).to_have_text(["Dropped"])


async def drop(page: Page, selector: str, name: str, text: str) -> None:
    """Drop a file on an element; the browser must not open it."""
    left_to_the_browser = await page.evaluate(
        """([selector, name, text]) => {
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([text], name));
            const target = document.querySelector(selector);
            return ["dragover", "drop"].filter((kind) => target.dispatchEvent(
                new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true })));
        }""",
        [selector, name, text],
    )
    assert left_to_the_browser == []


async def test_a_key_that_reaches_its_limit_waits_and_goes_on(
    context: BrowserContext, valkey: Valkey, tmp_path: Path
) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    ann = keys.create("ann", Limits(requests_per_minute=60))
    settings = make_settings(valkey.url, PALAVER_API_KEYS_FILE=tmp_path / "keys.json")
    async with running_stack(settings, ScriptedEngine()) as stack:
        address = str(stack.client.base_url)
        await context.add_init_script(f"sessionStorage.setItem('palaver.key', '{ann}')")
        async with open_tab(context, address) as tab:
            bodies = [own(f"Number {number}") for number in range(62)]
            dialog = await choose(tab.page, file("all.json", {"conversations": bodies}))
            await expect(dialog.get_by_role("status")).to_have_text("62 conversations imported.")


async def test_closing_the_dialog_ends_the_import(
    context: BrowserContext, settings: Settings
) -> None:
    async with (
        running_stack(settings, ScriptedEngine()) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        held: list[Any] = []
        await tab.page.route("**/conversations", lambda route: held.append(route))
        bodies = [own(f"Number {number}") for number in range(3)]
        dialog = await choose(tab.page, file("all.json", bodies))
        await expect(dialog.get_by_role("status")).to_have_text("all.json: 0 of 3 …")
        await tab.page.keyboard.press("Escape")
        await expect(dialog).to_be_hidden()
        await tab.page.unroute_all(behavior="ignoreErrors")
        dialog = await choose(tab.page, file("other.json", own("Other")))
        await expect(dialog.get_by_role("status")).to_have_text("1 conversation imported.")
        assert len(held) == 1
        assert not {"Number 1", "Number 2"} & set(await titles(stack))


async def titles(stack: Stack) -> list[str]:
    answer = await stack.client.get("/conversations")
    return [each["title"] for each in answer.json()["conversations"]]


async def test_a_browser_with_a_list_of_its_own_remembers_what_came_in(
    context: BrowserContext, settings: Settings
) -> None:
    alone = settings.model_copy(update={"open_list_setting": False})
    async with (
        running_stack(alone, ScriptedEngine()) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        dialog = await choose(tab.page, file("own.json", own("Mine")))
        await expect(dialog.get_by_role("status")).to_have_text("1 conversation imported.")
        await tab.page.reload()
        await expect(ChatPage(tab.page).conversations).to_have_text(["Mine"])


@pytest.mark.parametrize("look", LOOKS)
async def test_everybody_can_import(browser: Browser, settings: Settings, look: str) -> None:
    context = await browser.new_context(**LOOKS[look])
    async with (
        running_stack(settings, ScriptedEngine()) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        if look == "phone":
            await tab.page.get_by_role("button", name="Chats").tap()
        await tab.page.get_by_role("button", name="All conversations").click()
        assert await tab.serious() == []
        await tab.page.keyboard.press("Escape")
        await expect(tab.page.locator("#import")).to_be_hidden()
        await expect(tab.page.locator("#sidebar")).to_be_visible()
        dialog = await choose(tab.page, file("a.json", b"no"), file("b.json", own("B")))
        await expect(dialog.get_by_role("status")).to_contain_text("could not be imported")
        assert await tab.serious() == []
    await context.close()
