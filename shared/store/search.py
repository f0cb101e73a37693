"""Search in an owner's conversations: reads them one after the other, so much in one request."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from redis.asyncio import Redis

from shared.store.headings import Headings
from shared.store.keys import Keys
from shared.store.list_page import place_of
from shared.store.merging import Place, merged
from shared.store.scripts import Scripts
from shared.wire.conversation import Conversation
from shared.wire.messages import content_of
from shared.wire.search_query import SearchQuery

_MOST_BYTES: Final = 32_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchCursor:
    """Where a search goes on: behind a conversation, or within it.

    Args:
        used: when the conversation was used last, in ms; None: as it is now.
        below: on with its messages of smaller numbers; None for the conversations behind it.
    """

    used: str | None
    conversation_id: str
    below: str | None = None

    @classmethod
    def decode(cls, text: str) -> Self:
        """Read what `encode` wrote."""
        position, _, below = text.partition(".")
        used, _, conversation_id = position.rpartition("-")
        return cls(used=used or None, conversation_id=conversation_id, below=below or None)

    def encode(self) -> str:
        """As clients get it."""
        position = f"{self.used}-{self.conversation_id}"
        return position if self.below is None else f"{position}.{self.below}"

    @property
    def place(self) -> Place:
        """The conversation's in the list."""
        return int(float(self.used or 0)), self.conversation_id

    def arguments(self) -> dict[str, str | None]:
        """As the script takes it."""
        return {"used": self.used, "before": self.conversation_id, "below": self.below}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A conversation with all words.

    Args:
        number: of the newest message that has them; None if it is the title.
    """

    conversation_id: str
    number: int | None
    snippet: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was found so far, and where to go on; None at the end."""

    hits: tuple[Hit, ...]
    next: SearchCursor | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPage:
    """Conversations that were found, each with where; and where to go on."""

    shown: tuple[tuple[Conversation, Hit], ...]
    next: SearchCursor | None

    def to_wire(self) -> dict[str, Any]:
        """As clients get it."""
        return {
            "conversations": [_to_wire(conversation, hit) for conversation, hit in self.shown],
            "next": None if self.next is None else self.next.encode(),
        }


def merged_pages(pages: Sequence[SearchPage], limit: int) -> SearchPage:
    """One page of as many searches, which all began at the same place."""
    cursors = {each.next.place: each.next for each in pages if each.next is not None}
    shown, end = merged(
        [page.shown for page in pages], cursors, limit, lambda found: place_of(found[0])
    )
    if end is None:
        return SearchPage(shown=tuple(shown), next=None)
    behind = SearchCursor(used=str(end[0]), conversation_id=end[1])
    return SearchPage(shown=tuple(shown), next=cursors.get(end, behind))


class Search:
    """Finds conversations by words in titles and messages.

    Args:
        most_bytes: of messages that one request reads; the next one goes on from there.
    """

    def __init__(self, redis: Redis, keys: Keys, *, most_bytes: int = _MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._call = Scripts(redis, keys, "search", "rows").call
        self._headings = Headings(redis, keys)

    async def page(
        self,
        owner_id: str,
        query: SearchQuery,
        limit: int,
        after: SearchCursor | None,
        *,
        only_pinned: bool = False,
    ) -> dict[str, Any]:
        """`limit` hits after a cursor, as clients get them; fewer if much had to be read."""
        found = await self.found(owner_id, query, limit, after, only_pinned=only_pinned)
        return found.to_wire()

    async def found(
        self,
        owner_id: str,
        query: SearchQuery,
        limit: int,
        after: SearchCursor | None,
        *,
        only_pinned: bool = False,
    ) -> SearchPage:
        """As `page`, before it is shown."""
        scope = {"owner": owner_id, "pinned": 1 if only_pinned else None}
        found = await self._found(scope, query, limit, after)
        hits = {hit.conversation_id: hit for hit in found.hits}
        rows = await self._call("rows", conversations=" ".join(hits), owner=owner_id)
        shown = await self._headings.completed([Conversation.decode(row) for row in rows], owner_id)
        return SearchPage(
            shown=tuple((each, hits[each.conversation_id]) for each in shown), next=found.next
        )

    async def _found(
        self, scope: dict[str, Any], query: SearchQuery, limit: int, after: SearchCursor | None
    ) -> Found:
        hits: list[Hit] = []
        num_bytes = 0
        while num_bytes < self._most_bytes:
            place = after.arguments() if after else {}
            pieces, more = await self._call("search", **scope, **place)
            for piece in pieces:
                num_bytes += len(piece[_TEXT])
                if hit := _hit_in(piece, query):
                    hits.append(hit)
                if len(hits) == limit:
                    is_last = piece is pieces[-1] and not more
                    return Found(hits=tuple(hits), next=None if is_last else _behind(piece))
            if not more:
                return Found(hits=tuple(hits), next=None)
            is_hit = bool(pieces and hits and hits[-1].conversation_id == pieces[-1][_ID])
            # The rest of a conversation that is a hit already is not read.
            after = _behind(pieces[-1]) if is_hit else SearchCursor.decode(more)
        return Found(hits=tuple(hits), next=after)


_POSITION, _ID, _TITLE, _NUMBER, _TEXT = range(5)


def _behind(piece: Sequence[str]) -> SearchCursor:
    return SearchCursor.decode(piece[_POSITION])


def _hit_in(piece: Sequence[str], query: SearchQuery) -> Hit | None:
    if (snippet := query.snippet(piece[_TITLE])) is not None:
        return Hit(conversation_id=piece[_ID], number=None, snippet=snippet)
    if not query.may_be_in(piece[_TEXT]):
        return None
    for number, content in _newest_first(piece):
        if (snippet := query.snippet(content)) is not None:
            return Hit(conversation_id=piece[_ID], number=number, snippet=snippet)
    return None


def _newest_first(piece: Sequence[str]) -> Iterator[tuple[int, str]]:
    lines = piece[_TEXT].split("\n")
    for at in range(len(lines) - 1, -1, -1):
        if lines[at]:
            yield int(piece[_NUMBER]) + at, content_of(lines[at])


def _to_wire(conversation: Conversation, hit: Hit) -> dict[str, Any]:
    return {**conversation.to_wire(), "number": hit.number, "snippet": hit.snippet}
