"""Query parameters of OpenAI's API: those that are known, checked; others are refused by name."""

import re
from typing import Any, Final

import falcon.asgi

from api.http.errors import field_problem

_DEFAULT_LIMIT: Final = 20
_LARGEST_LIMIT: Final = 100


class Query:
    """The parameters of one request.

    Raises:
        Problem: 422, one is not known here.
    """

    def __init__(self, req: falcon.asgi.Request, *known: str) -> None:
        self._req = req
        for name in req.params:
            # Lists are sent as `include[]`.
            if (plain := name.removesuffix("[]")) not in known:
                raise field_problem(plain, "is not supported")

    def text(self, name: str) -> str | None:
        """As it was sent."""
        return self._req.get_param(name)

    def flag(self, name: str) -> bool:
        """Raises: Problem: it is neither true nor false."""
        said = self._req.get_param(name)
        if said not in (None, "true", "false"):
            raise field_problem(name, "must be true or false")
        return said == "true"

    def number(self, name: str, lowest: int, highest: int) -> int | None:
        """Raises: Problem: it is no integer within these limits."""
        said = self._req.get_param(name)
        if said is None:
            return None
        if not re.fullmatch("[0-9]{1,12}", said) or not lowest <= int(said) <= highest:
            raise field_problem(name, f"must be an integer from {lowest} to {highest}")
        return int(said)


class ItemQuery:
    """How a list of items is asked for: `limit`, `order`, `after`.

    Raises:
        Problem: 422, one of them is wrong or not known.
    """

    def __init__(self, req: falcon.asgi.Request) -> None:
        query = Query(req, "limit", "order", "after")
        self.limit = query.number("limit", 1, _LARGEST_LIMIT) or _DEFAULT_LIMIT
        self.order = query.text("order") or "desc"
        self.after = query.text("after")
        if self.order not in ("asc", "desc"):
            raise field_problem("order", "must be asc or desc")

    def page(self, items: list[dict[str, Any]]) -> dict[str, Any]:
        """A list of the first `limit` items; there are more if more are given."""
        return listed(items[: self.limit], has_more=len(items) > self.limit)


def listed(items: list[dict[str, Any]], *, has_more: bool = False) -> dict[str, Any]:
    """Items as a list object."""
    return {
        "object": "list",
        "data": items,
        "first_id": items[0]["id"] if items else None,
        "last_id": items[-1]["id"] if items else None,
        "has_more": has_more,
    }


def behind(items: list[dict[str, Any]], after: str | None) -> list[dict[str, Any]]:
    """What follows the item with this id.

    Raises:
        Problem: there is none.
    """
    if after is None:
        return items
    ids = [item["id"] for item in items]
    if after not in ids:
        raise field_problem("after", "is not the id of an item here")
    return items[ids.index(after) + 1 :]
