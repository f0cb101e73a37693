"""Tables, as many as can be made in a short time.

A row may leave out cells, which are made nevertheless: a kilobyte of text can mean many thousands.
"""

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_block.table import table

from api.web.rendering.budget import budget_of


def add_tables(markdown: MarkdownIt) -> None:
    markdown.enable("table")
    markdown.block.ruler.at("table", _bounded_table, {"alt": ["paragraph", "reference"]})


def _bounded_table(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    budget = budget_of(state.env)
    if budget.cells <= 0 or not table(state, start_line, end_line, True):
        return False
    if silent:
        return True
    columns = sum(map(bool, map(str.strip, _line(state, start_line + 1).split("|"))))
    rows = _rows(state, start_line, end_line, most=budget.cells)
    return budget.take_cells(columns * rows) and table(state, start_line, end_line, False)


def _rows(state: StateBlock, start_line: int, end_line: int, most: int) -> int:
    """Lines up to an empty one, where a table ends at the latest; `most` of them are looked at."""
    last = min(end_line, start_line + most)
    return next(
        (line - start_line for line in range(start_line, last) if state.isEmpty(line)),
        last - start_line,
    )


def _line(state: StateBlock, line: int) -> str:
    return state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]]
