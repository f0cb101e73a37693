"""One of something for each cell, used as if there were only one.

A call goes to the cell of the first id among its arguments: a job's, a conversation's, a share's,
or, if it has none of these, its owner's. Subclasses have the calls that concern several cells.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final, Generic, TypeVar

from shared.cells import Cells

Part = TypeVar("Part")

_Finder = Callable[[Cells, Any], int]
_FINDERS: Final[Mapping[str, _Finder]] = {
    "job_id": Cells.of_job,
    "conversation_id": Cells.of_conversation,
    "share_id": Cells.of_job,
    "submission": lambda cells, submission: cells.of_job(submission.job_id),
    "watch": lambda cells, watch: cells.of_job(watch.job),
    "owner_id": Cells.of_owner,
}
"""How the cell is found, by the parameter's name; the owner's counts least."""


class Routed(Generic[Part]):
    """Has all methods of its parts.

    Args:
        parts: one for each cell.
    """

    def __init__(self, cells: Cells, parts: Sequence[Part]) -> None:
        self.cells = cells
        self.parts = tuple(parts)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        parameter, position = routed_by(getattr(type(self.parts[0]), name))
        find = _FINDERS[parameter]

        def call(*positional: Any, **named: Any) -> Any:
            about = named[parameter] if parameter in named else positional[position]
            return getattr(self.parts[find(self.cells, about)], name)(*positional, **named)

        return call


@cache
def routed_by(method: Callable[..., Any]) -> tuple[str, int]:
    """The parameter that says to which cell a call goes, and its position.

    Raises:
        TypeError: none does.
    """
    parameters = list(inspect.signature(method).parameters)[1:]
    known = [name for name in parameters if name in _FINDERS]
    if not known:
        raise TypeError(f"no id says which cell {method.__qualname__} is about")
    name = min(known, key=lambda name: name == "owner_id")
    return name, parameters.index(name)
