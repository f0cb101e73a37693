"""Query parameters of OpenAI's API. Unknown ones are refused by name."""

import re
from typing import Any, Final

import falcon.asgi

from api.http.errors import field_problem

_DEFAULT_LIMIT: Final = 20
_LARGEST_LIMIT: Final = 100


class Query:
    """The parameters of one request.

    Raises:
        Problem: 422, one of them is unknown.
    """

    def __init__(self, req: falcon.asgi.Request, *known: str) -> None:
        self._req = req
        for parameter in req.params:
            # Lists are sent as `include[]`.
            if (name := parameter.removesuffix("[]")) not in known:
                raise field_problem(name, "is not supported")

    def text(self, name: str) -> str | None:
        """The parameter as it was sent."""
        return self._req.get_param(name)

    def flag(self, name: str) -> bool:
        """Whether the parameter is true.

        Raises:
            Problem: it is neither true nor false.
        """
        value = self._req.get_param(name)
        if value not in (None, "true", "false"):
            raise field_problem(name, "must be true or false")
        return value == "true"

    def number(self, name: str, lowest: int, highest: int) -> int | None:
        """The parameter as an integer; None if it is absent.

        Raises:
            Problem: it is not an integer within these limits.
        """
        value = self._req.get_param(name)
        if value is None:
            return None
        if not re.fullmatch("[0-9]{1,12}", value) or not lowest <= int(value) <= highest:
            raise field_problem(name, f"must be an integer from {lowest} to {highest}")
        return int(value)


class ItemQuery:
    """Which part of a list of items is wanted: `limit`, `order`, `after`.

    Raises:
        Problem: 422, one of them is wrong or unknown.
    """

    def __init__(self, req: falcon.asgi.Request) -> None:
        query = Query(req, "limit", "order", "after")
        self.limit = query.number("limit", 1, _LARGEST_LIMIT) or _DEFAULT_LIMIT
        self.order = query.text("order") or "desc"
        self.after = query.text("after")
        if self.order not in ("asc", "desc"):
            raise field_problem("order", "must be asc or desc")

    def page(self, items: list[dict[str, Any]]) -> dict[str, Any]:
        """The first `limit` items as a list object; if more are given, it says so."""
        return list_object(items[: self.limit], has_more=len(items) > self.limit)


def list_object(items: list[dict[str, Any]], *, has_more: bool = False) -> dict[str, Any]:
    """Items as OpenAI's list object."""
    return {
        "object": "list",
        "data": items,
        "first_id": items[0]["id"] if items else None,
        "last_id": items[-1]["id"] if items else None,
        "has_more": has_more,
    }


def items_after(after: str | None, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The items that follow the one with this id; all of them for None.

    Raises:
        Problem: there is no such item.
    """
    if after is None:
        return items
    item_ids = [item["id"] for item in items]
    if after not in item_ids:
        raise field_problem("after", "is not the id of an item in this list")
    return items[item_ids.index(after) + 1 :]
