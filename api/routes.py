"""Every route of the API: the one table behind routing, access rules and `/openapi.json`.

To add a route, describe it in its room's `description` and give `create_app` its resource.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, Final

import falcon.asgi

from api.anthropic import description as anthropic
from api.conversations import alternatives_description as alternatives
from api.conversations import conversation_description as conversations
from api.conversations import description as prompts
from api.conversations import memory_description as memory
from api.description.route import Route, Security
from api.http.paths import Paths
from api.openai import description as openai
from api.ops import description as ops
from api.ops import operators_description as operators
from api.personas import description as personas
from api.sharing import description as sharing
from api.web import description as web
from api.web.pages import FILES

ROUTES: Final[tuple[Route, ...]] = (
    *prompts.ROUTES,
    *conversations.ROUTES,
    *alternatives.ROUTES,
    *memory.ROUTES,
    *personas.ROUTES,
    *sharing.ROUTES,
    *openai.ROUTES,
    *anthropic.ROUTES,
    *ops.ROUTES,
    *operators.ROUTES,
    *web.ROUTES,
)


def _paths_where(holds: Callable[[Route], bool]) -> frozenset[str]:
    return frozenset(route.path for route in ROUTES if holds(route))


def _id_patterns() -> dict[str, re.Pattern[str]]:
    patterns: defaultdict[str, set[str]] = defaultdict(set)
    for route in ROUTES:
        for parameter in route.parameters:
            if parameter.is_id:
                patterns[parameter.name].add(parameter.schema["pattern"])
    return {name: re.compile("|".join(sorted(each))) for name, each in patterns.items()}


PATHS: Final = Paths(
    probes=_paths_where(lambda route: route.takes_any_host),
    public=_paths_where(lambda route: route.security is Security.OPEN),
    shared=tuple(
        route.path.partition("{")[0]
        for route in ROUTES
        if route.security is Security.OPEN and route.parameters
    ),
    pages=_paths_where(lambda route: route.security.is_page),
    figures=_paths_where(lambda route: route.security is Security.FIGURES),
    operated=_paths_where(lambda route: route.security is Security.OPERATOR),
    files=FILES,
    routine=_paths_where(lambda route: route.is_routine),
    ids=_id_patterns(),
)
"""What middleware knows of them."""


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
