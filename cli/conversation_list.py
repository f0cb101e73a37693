"""The conversations of `/list`, and which of them `/open` means."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from cli.client import ClientError, PalaverClient
from cli.table import table

_MOST: Final = 20
_LONGEST_TITLE: Final = 60


class NotListed(ClientError):
    """No conversation has this number in the list."""


class ConversationList:
    """An owner's conversations by numbers that can be typed."""

    def __init__(self, client: PalaverClient) -> None:
        self._client = client
        self._ids: list[int] = []

    def lines(self, query: str) -> list[str]:
        """The newest ones, or those that have all words of a query, as lines to choose from.

        Raises:
            ServerError: this server lists no conversations.
        """
        asked = {"limit": _MOST, **({"query": query} if query else {})}
        answer = self._client.get(f"/conversations?{urlencode(asked)}")
        conversations: Sequence[Mapping[str, Any]] = answer["conversations"]
        self._ids = [conversation["id"] for conversation in conversations]
        return table(list(_rows(conversations))) if conversations else ["There is none."]

    def id_of(self, text: str) -> int:
        """The conversation of a number in the list, or of an id.

        Raises:
            NotListed: it is neither.
        """
        if not text.isdigit():
            raise NotListed("name a number of /list, or an id")
        number = int(text)
        if 1 <= number <= len(self._ids):
            return self._ids[number - 1]
        if number <= _MOST:
            raise NotListed(f"the list has no number {number}: /list shows it")
        return number


def _rows(conversations: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    for number, conversation in enumerate(conversations, start=1):
        title = " ".join((conversation["title"] or "").split())
        day = conversation["updated_at"][:10]
        yield str(number), day, counted(conversation), title[:_LONGEST_TITLE]


def counted(conversation: Mapping[str, Any]) -> str:
    """How many turns it has."""
    turns = conversation["turns"]
    return f"{turns} turn{'' if turns == 1 else 's'}"
