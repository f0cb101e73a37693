"""Query parameters of OpenAI's API: those that are known, checked; others are refused by name."""

import re

import falcon.asgi

from api.errors import field_problem


class Query:
    """The parameters of one request.

    Raises:
        Problem: 422, one is not known here.
    """

    def __init__(self, req: falcon.asgi.Request, *known: str) -> None:
        self._req = req
        for name in req.params:
            if name not in known:
                raise field_problem(name, "is not supported")

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
