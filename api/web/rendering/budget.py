"""How much work a text may cause, whatever stands in it."""

from collections.abc import MutableMapping
from dataclasses import dataclass, field
from time import thread_time
from typing import Any, Final

_NAME: Final = "budget"
_CODE: Final = 40_000
_FORMULAS: Final = 20_000
_CELLS: Final = 10_000
_SECONDS: Final = 1.0


@dataclass(kw_only=True)
class Budget:
    """What is left for the slow parts, in characters or cells; what comes later is shown plain.

    Args:
        code: to be highlighted.
        formulas: to become MathML.
        cells: of tables, those included that a row leaves out.
        deadline: by `thread_time`, after which nothing is highlighted any more. Three times what
            as much code as is allowed takes on a slow core, as some machines' clock of a thread
            counts part of what others had: a busy machine shows the same as a quiet one.
    """

    code: int = _CODE
    formulas: int = _FORMULAS
    cells: int = _CELLS
    deadline: float = field(default_factory=lambda: thread_time() + _SECONDS)

    def take_code(self, length: int) -> bool:
        """Whether so many characters may still be highlighted."""
        self.code -= length
        return self.code >= 0

    def take_formula(self, length: int) -> bool:
        """Whether a formula of this length may still be converted."""
        self.formulas -= length
        return self.formulas >= 0

    def take_cells(self, number: int) -> bool:
        """Whether a table of so many cells may still be made."""
        self.cells -= number
        return self.cells >= 0


def new_environment() -> dict[str, Any]:
    """What markdown-it hands to every rule of one rendering."""
    return {_NAME: Budget()}


def budget_of(env: MutableMapping[str, Any]) -> Budget:
    budget = env.setdefault(_NAME, Budget())
    assert isinstance(budget, Budget)
    return budget
