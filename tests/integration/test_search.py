"""`GET /conversations?query=`: words in titles and messages."""

from pathlib import Path
from typing import Any

import pytest

from shared import ids
from shared.config import Settings
from shared.store.connection import connect
from shared.store.conversations import Conversations
from shared.store.keys import Keys
from shared.store.search import Search, SearchCursor
from shared.wire.beginning import Beginning
from shared.wire.limits import Caller
from shared.wire.messages import Role, StoredMessage
from shared.wire.search_query import SearchQuery
from tests.integration.test_access import running_guarded
from tests.scripted import ScriptedEngine
from tests.servers import Stack, Valkey, make_settings, running_stack


async def imported(stack: Stack, *contents: str, **fields: Any) -> int:
    roles = ("user", "assistant")
    messages = [{"role": roles[at % 2], "content": content} for at, content in enumerate(contents)]
    answer = await stack.client.post("/conversations", json={"messages": messages, **fields})
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


async def search(stack: Stack, query: str, **params: Any) -> list[dict[str, Any]]:
    """The hits on all pages."""
    hits: list[dict[str, Any]] = []
    params["query"] = query
    while True:
        answer = await stack.client.get("/conversations", params=params)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        hits += page["conversations"]
        if page["next"] is None:
            return hits
        params["before"] = page["next"]


async def test_words_are_found_in_titles_and_messages_last_used_first(valkey: Valkey) -> None:
    async with running_stack(make_settings(valkey.url), ScriptedEngine()) as stack:
        cafe = await imported(stack, "Un café?", "Oui.", "Deux CAFES!", "Non.")
        sea = await imported(stack, "海が好き 🌊", "The sea is blue.", title="Das Meer")
        both = await imported(stack, "A cafe", "by the sea")
        words = ("cafe", "Café", "sea blue", "meer", "海", "🌊", "cafe sea", "seas")
        found = {word: await search(stack, word) for word in words}
    hits = {word: [(hit["id"], hit["number"]) for hit in found[word]] for word in words}
    assert hits == {
        "cafe": [(both, 1), (cafe, 3)],
        "Café": [(both, 1), (cafe, 3)],
        "sea blue": [(sea, 2)],
        "meer": [(sea, None)],
        "海": [(sea, 1)],
        "🌊": [(sea, 1)],
        "cafe sea": [],
        "seas": [],
    }
    assert [hit["snippet"] for hit in found["cafe"]] == ["A cafe", "Deux CAFES!"]
    assert found["meer"][0]["snippet"] == found["meer"][0]["title"] == "Das Meer"


async def test_pages_of_hits_go_on_behind_those_that_are_gone(valkey: Valkey) -> None:
    async with running_stack(make_settings(valkey.url), ScriptedEngine()) as stack:
        made = [await imported(stack, f"needle {n}" if n % 2 else "hay") for n in range(8)]
        first = await stack.client.get("/conversations", params={"query": "needle", "limit": 2})
        await stack.client.delete(f"/conversations/{made[5]}")
        rest = await search(stack, "needle", limit=2, before=first.json()["next"])
        everything = await search(stack, "needle", limit=1)
    assert [hit["id"] for hit in first.json()["conversations"]] == [made[7], made[5]]
    assert [hit["id"] for hit in rest] == [made[3], made[1]]
    assert [hit["id"] for hit in everything] == [made[7], made[3], made[1]]


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"query": "x" * 201}, "query"),
        ({"query": "x", "before": "4711.x"}, "before"),
        ({"query": "x", "limit": "0"}, "limit"),
    ],
)
async def test_a_wrong_search_is_named(
    settings: Settings, params: dict[str, str], field: str
) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        answer = await stack.client.get("/conversations", params=params)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


async def test_nobody_finds_what_is_anothers(valkey: Valkey, tmp_path: Path) -> None:
    async with running_guarded(valkey, tmp_path) as guarded:
        params, headers = {"query": "needle"}, guarded.headers("b")
        await guarded.ask(guarded.headers("a"), "needle")
        mine = (await guarded.ask(headers, "My needle")).json()["id"]
        page = await guarded.stack.client.get("/conversations", params=params, headers=headers)
    assert [hit["id"] for hit in page.json()["conversations"]] == [mine]


async def test_where_nothing_is_listed_nothing_is_searched(valkey: Valkey) -> None:
    settings = make_settings(valkey.url, PALAVER_OPEN_LIST=0)
    async with running_stack(settings, ScriptedEngine()) as stack:
        answer = await stack.client.get("/conversations", params={"query": "x"})
    assert answer.status_code == 404


def message(role: Role, content: str) -> StoredMessage:
    return StoredMessage(
        number=0, role=role, content=content, timestamp_ms=1, tokens=0, job_id=ids.new_job()
    )


async def all_hits(search_in: Search, query: str, limit: int) -> list[tuple[int, int | None]]:
    """Hits of all pages, as their ids and numbers."""
    parsed = SearchQuery.parse(query)
    hits, after = [], None
    while True:
        page = await search_in.page("alice", parsed, limit, after)
        hits += [(row["id"], row["number"]) for row in page["conversations"]]
        if page["next"] is None:
            return hits
        after = SearchCursor.decode(page["next"])


async def test_long_conversations_are_read_to_their_beginning_and_hit_once(
    valkey: Valkey,
) -> None:
    """More than one call of the script reads: 500 kB each."""
    settings = make_settings(valkey.url)
    async with connect(settings) as redis:
        keys = Keys(settings.namespace)
        conversations = Conversations(redis, keys, settings)
        search_in, in_steps = Search(redis, keys), Search(redis, keys, most_bytes=1)
        for n in range(1, 4):
            contents = ["x" * 9_000] * 150
            contents[3] = contents[120] = f"needle {n}"
            if n == 3:
                contents[120] = "hay"
            messages = tuple(message("user", content) for content in contents)
            beginning = Beginning(batch_id=ids.new_job(), messages=messages)
            await conversations.begin(str(n), Caller(owner_id="alice"), beginning)
        for limit in (1, 2, 50):
            for each in (search_in, in_steps):
                assert await all_hits(each, "needle", limit) == [(3, 4), (2, 121), (1, 121)]
        assert await all_hits(search_in, "needle 1", 50) == [(1, 121)]
        assert await all_hits(search_in, "nothing", 50) == []
