"""Links to conversations: a copy of what was said, for everybody who knows an id."""

from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from api.http.keys import KeyFile
from shared.config import Settings
from shared.wire.limits import NO_LIMITS
from tests.scripted import ScriptedEngine
from tests.servers import Stack, Valkey, make_settings, running_stack


def sharing(valkey: Valkey, **more: Any) -> Settings:
    return make_settings(valkey.url, PALAVER_SHARING=1, **more)


async def asked(stack: Stack, prompt: str, **fields: Any) -> int:
    answer = await stack.client.post("/", json={"prompt": prompt, **fields})
    assert answer.status_code == 200, answer.text
    conversation_id: int = answer.json()["id"]
    return conversation_id


async def shared(stack: Stack, conversation_id: int) -> dict[str, Any]:
    answer = await stack.client.put(f"/conversations/{conversation_id}/share")
    assert answer.status_code == 200, answer.text
    link: dict[str, Any] = answer.json()
    return link


async def texts_at(stack: Stack, link: dict[str, Any]) -> list[str]:
    answer = await stack.client.get(link["path"])
    assert answer.status_code == 200, answer.text
    return [message["content"] for message in answer.json()["messages"]]


async def test_a_link_shows_what_was_said_until_it_was_made(valkey: Valkey) -> None:
    async with running_stack(sharing(valkey), ScriptedEngine()) as stack:
        conversation_id = await asked(stack, "One.", context="A secret.")
        link = await shared(stack, conversation_id)
        await asked(stack, "Two.", id=conversation_id)
        await asked(stack, "Other.", id=conversation_id, replace_from=1)
        before = await stack.client.get(link["path"])
        again = await shared(stack, conversation_id)
        after = await texts_at(stack, again)
    assert again["share"] == link["share"]
    assert [message["content"] for message in before.json()["messages"]] == [
        "One.",
        "You said: One.",
    ]
    assert before.json()["title"] == "One."
    assert "secret" not in before.text
    assert before.headers["X-Robots-Tag"] == "noindex"
    assert after == ["Other.", "You said: Other."]


async def test_a_link_that_was_taken_back_shows_nothing(valkey: Valkey) -> None:
    async with running_stack(sharing(valkey), ScriptedEngine()) as stack:
        conversation_id = await asked(stack, "One.")
        path = f"/conversations/{conversation_id}/share"
        link = await shared(stack, conversation_id)
        listed = await stack.client.get(path)
        gone = [(await stack.client.delete(path)).status_code for _ in range(2)]
        looked_up = [(await stack.client.get(each)).status_code for each in (path, link["path"])]
        another = await shared(stack, conversation_id)
    assert listed.json() == link
    assert (gone, looked_up) == ([204, 204], [404, 404])
    assert another["share"] != link["share"]


@pytest.mark.parametrize("is_on", [True, False])
async def test_own_conversations_without_a_link_are_no_guesses(valkey: Valkey, is_on: bool) -> None:
    settings = make_settings(valkey.url, PALAVER_SHARING=int(is_on))
    async with running_stack(settings, ScriptedEngine()) as stack:
        path = f"/conversations/{await asked(stack, 'One.')}/share"
        answers = [await stack.client.get(path) for _ in range(150)]
        guesses = [await stack.client.get("/conversations/12/share") for _ in range(150)]
    assert {answer.status_code for answer in answers} == {404}
    assert {answer.status_code for answer in guesses} == ({404, 429} if is_on else {404})


async def test_a_link_ends_with_its_conversation(valkey: Valkey, redis: Redis) -> None:
    settings = sharing(valkey)
    async with running_stack(settings, ScriptedEngine()) as stack:
        conversation_id = await asked(stack, "One.")
        link = await shared(stack, conversation_id)
        await stack.client.delete(f"/conversations/{conversation_id}")
        assert (await stack.client.get(link["path"])).status_code == 404
    assert not [key async for key in redis.scan_iter(f"{settings.namespace}:share:*")]


async def test_where_conversations_expire_their_links_do(valkey: Valkey, redis: Redis) -> None:
    settings = sharing(valkey, PALAVER_CONVERSATION_TTL=100)
    async with running_stack(settings, ScriptedEngine()) as stack:
        await shared(stack, await asked(stack, "One."))
    keys = [key async for key in redis.scan_iter(f"{settings.namespace}:share:*")]
    assert len(keys) == 2
    assert [0 < await redis.ttl(key) <= 100 for key in keys] == [True, True]


async def test_long_conversations_are_copied_whole(valkey: Valkey) -> None:
    messages = [
        {"role": "user" if n % 2 == 0 else "assistant", "content": f"{n}"} for n in range(250)
    ]
    async with running_stack(sharing(valkey), ScriptedEngine()) as stack:
        made = await stack.client.post("/conversations", json={"messages": messages})
        link = await shared(stack, made.json()["id"])
        assert await texts_at(stack, link) == [f"{n}" for n in range(250)]


async def test_only_the_owner_makes_a_link_and_everybody_reads_it(
    valkey: Valkey, tmp_path: Path
) -> None:
    file = KeyFile(path := tmp_path / "keys.json")
    ann, bob = (
        {"Authorization": f"Bearer {file.create(name, NO_LIMITS)}"} for name in ("ann", "bob")
    )
    settings = sharing(valkey, PALAVER_API_KEYS_FILE=path)
    async with running_stack(settings, ScriptedEngine()) as stack:
        made = await stack.client.post("/", json={"prompt": "One."}, headers=ann)
        address = f"/conversations/{made.json()['id']}/share"
        foreign = [
            (await stack.client.request(method, address, headers=bob)).status_code
            for method in ("PUT", "GET", "DELETE")
        ]
        nobody = (await stack.client.put(address)).status_code
        link = (await stack.client.put(address, headers=ann)).json()
        assert await texts_at(stack, link) == ["One.", "You said: One."]
        written = (await stack.client.delete(link["path"])).status_code
    assert written == 401
    assert (foreign, nobody) == ([404, 404, 404], 401)


@pytest.mark.parametrize("share_id", ["0" * 32, "x", "A" * 32])
async def test_a_link_that_was_never_made_is_not_found(valkey: Valkey, share_id: str) -> None:
    async with running_stack(sharing(valkey), ScriptedEngine()) as stack:
        assert (await stack.client.get(f"/shared/{share_id}")).status_code == 404


async def test_sharing_is_off_unless_it_is_wanted(valkey: Valkey) -> None:
    async with running_stack(sharing(valkey), ScriptedEngine()) as stack:
        link = await shared(stack, conversation_id := await asked(stack, "One."))
    settings = make_settings(valkey.url)
    async with running_stack(settings, ScriptedEngine()) as stack:
        other = await asked(stack, "One.")
        answers = [
            await stack.client.put(f"/conversations/{other}/share"),
            await stack.client.get(link["path"]),
            await stack.client.delete(f"/conversations/{conversation_id}/share"),
        ]
    assert [answer.status_code for answer in answers] == [404, 404, 404]


async def test_a_browser_gets_a_page_that_runs_nothing(valkey: Valkey) -> None:
    async with running_stack(sharing(valkey), ScriptedEngine()) as stack:
        link = await shared(stack, await asked(stack, "One."))
        page = await stack.client.get(link["path"], headers={"Accept": "text/html"})
    assert page.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "You said: One." in page.text
    assert "<script" not in page.text
