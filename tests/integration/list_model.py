"""The model's owners look at their lists of conversations, and rename what is in them."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from shared.store.list_log import ListLog
from shared.wire.conversation_edit import ConversationEdit
from tests.integration.model import OWNERS, Conversation, Model, picks

TITLES = st.sampled_from(["", "Meer", "海 🌊"])
"""Titles that are set; the empty one takes the last one away."""


class ListModel(Model):
    """What lists should show, and what those who follow them should have heard of."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.titles: dict[str, str] = {}
        log = ListLog(self.bench.redis, self.keys)
        self.starts = {owner: self.run(log.position(owner)) for owner in OWNERS}
        self.log = log

    def gone(self, one: Conversation) -> None:
        super().gone(one)
        self.titles.pop(one.id, None)

    def owned(self, owner: str) -> list[Conversation]:
        return [one for one in self.conversations.values() if one.exists and one.owner == owner]

    def title_of(self, one: Conversation) -> str | None:
        if one.id in self.titles:
            return self.titles[one.id]
        if one.messages:
            return one.messages[0].content
        return (one.pending[0].submission.request.prompt if one.pending else None) or None

    @precondition(lambda self: self.conversations)
    @rule(pick=picks, title=TITLES, stranger=st.sampled_from([False] * 3 + [True]))
    def rename(self, pick: int, title: str, stranger: bool) -> None:
        one = list(self.conversations.values())[pick % len(self.conversations)]
        edit = ConversationEdit(title=title, is_pinned=bool(title))
        call = self.resources.edit(one.id, "eve" if stranger else one.owner, edit)
        if stranger or not one.exists:
            assert self.unchanged(call) is None
            return
        self.titles[one.id] = title
        if not title:
            del self.titles[one.id]
        shown = self.run(call)
        assert (shown["title"], shown["pinned"]) == (self.title_of(one), bool(title))

    @rule(owner=st.sampled_from(OWNERS), limit=st.integers(1, 3))
    def look(self, owner: str, limit: int) -> None:
        rows = self.run(self.pages(owner, limit))
        assert {row["id"]: row["title"] for row in rows} == {
            int(one.id): self.title_of(one) for one in self.owned(owner)
        }
        used = [row["updated_at"] for row in rows]
        assert used == sorted(used, reverse=True)
        # Those that are given a title are pinned, too.
        pinned = self.run(self.pages(owner, limit, only_pinned=True))
        assert [row["id"] for row in pinned] == [row["id"] for row in rows if row["pinned"]]

    async def pages(
        self, owner: str, limit: int, *, only_pinned: bool = False
    ) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        before = None
        while True:
            page = await self.resources.list(owner, limit, before, only_pinned=only_pinned)
            rows += page["conversations"]
            before = page["next"]
            if before is None:
                return rows

    @invariant()
    def check_lists(self) -> None:
        for owner in OWNERS:
            self.run(self.check_list(owner))

    async def check_list(self, owner: str) -> None:
        listed = await self.redis.zrange(self.keys.owned(owner), 0, -1, withscores=True)
        assert {name for name, _ in listed} == {one.id for one in self.owned(owner)}
        for name, score in listed:
            used = await self.redis.hget(self.keys.conversation(name), "updated")
            assert int(score) == int(used)
        heard: dict[int, str] = {}
        for event in await self.log.follow(owner, self.starts[owner]):
            name = int(event.data.split(",")[0].removeprefix('{"id":'))
            assert (name in heard) == (event.kind != "created")
            heard[name] = event.kind
            if event.kind == "deleted":
                del heard[name]
        assert set(heard) == {int(one.id) for one in self.owned(owner)}
