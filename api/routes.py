"""Every route of the API: the one table behind routing, access rules and `/openapi.json`.

To add a route, describe it in its room's `description.py` and give `create_app` its resource.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

import falcon.asgi

from api.conversations import description as conversations
from api.description.route import Route, Security
from api.openai import description as openai
from api.ops import description as ops

ROUTES: Final[tuple[Route, ...]] = (*conversations.ROUTES, *openai.ROUTES, *ops.ROUTES)

OPEN_ROUTES: Final = frozenset(route.path for route in ROUTES if route.security is Security.OPEN)
"""Paths that need no API key."""
PAGES: Final = frozenset(route.path for route in ROUTES if route.security.is_page)
"""Paths where a browser gets a page. A GET passes without a key: `/ops` checks it itself."""
ANY_HOST_ROUTES: Final = frozenset(route.path for route in ROUTES if route.takes_any_host)
"""Paths that answer whatever `Host` says."""
ROUTINE_ROUTES: Final = frozenset(route.path for route in ROUTES if route.is_routine)
"""Paths that monitors and pages ask for all the time."""


def _id_patterns() -> dict[str, re.Pattern[str]]:
    patterns: defaultdict[str, set[str]] = defaultdict(set)
    for route in ROUTES:
        for parameter in route.parameters:
            if parameter.is_id:
                patterns[parameter.name].add(parameter.schema["pattern"])
    return {name: re.compile("|".join(sorted(each))) for name, each in patterns.items()}


_ID_PATTERNS: Final = _id_patterns()


def ids_in(params: Mapping[str, Any]) -> dict[str, str]:
    """The path parameters that are well-formed ids of jobs, conversations and responses."""
    return {
        name: str(value)
        for name, value in params.items()
        if name in _ID_PATTERNS and _ID_PATTERNS[name].fullmatch(str(value))
    }


def add_routes(app: "falcon.asgi.App[Any, Any]", resources: Mapping[str, object]) -> None:
    """Route every path of the table to its resource.

    Raises:
        ValueError: a path has no resource, or a resource has no path.
    """
    described = {route.path for route in ROUTES}
    if unmatched := described ^ resources.keys():
        raise ValueError(f"routes without a resource, or the reverse: {sorted(unmatched)}")
    for path, resource in resources.items():
        app.add_route(path, resource)
