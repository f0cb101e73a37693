"""What middleware knows of paths before a route is found."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """The paths that are treated differently from all others.

    Args:
        probes: for load balancers: they need no key and accept any `Host`.
        public: they need no key.
        shared: prefixes of paths that are read without a key: the id behind one is secret enough.
        pages: a browser opens them; GET needs no key, a page that shows data asks for one itself.
        figures: where there are keys, for operators only.
        operated: for operators only; without keys those at the server's own machine.
        files: the prefix of the pages' scripts, styles and pictures; they need no key.
        routine: requested so often that they are logged at level debug only.
        ids: what the parameters that are ids look like.
    """

    probes: frozenset[str] = frozenset()
    public: frozenset[str] = frozenset()
    shared: tuple[str, ...] = ()
    pages: frozenset[str] = frozenset()
    figures: frozenset[str] = frozenset()
    operated: frozenset[str] = frozenset()
    files: str = "/web/"
    routine: frozenset[str] = frozenset()
    ids: Mapping[str, re.Pattern[str]] = field(default_factory=dict)

    def ids_in(self, params: Mapping[str, Any]) -> dict[str, str]:
        """The path parameters that are well-formed ids of jobs, conversations and responses."""
        return {
            name: str(value)
            for name, value in params.items()
            if name in self.ids and self.ids[name].fullmatch(str(value))
        }
