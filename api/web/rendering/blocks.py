"""Blocks of text: each in its own direction of writing; tables and boxes that check off tasks."""

import re
from typing import Any, Final

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

_DIRECTED: Final = frozenset(
    [
        "paragraph_open",
        "heading_open",
        "bullet_list_open",
        "ordered_list_open",
        "blockquote_open",
        "table_open",
        "footnote_reference_open",
    ]
)
_TASK: Final = re.compile(r"\[([ xX])\]\s+(?=\S)")


def add_blocks(markdown: MarkdownIt) -> None:
    markdown.core.ruler.push("directions", _set_directions)
    markdown.core.ruler.push("tasks", _mark_tasks)
    markdown.add_render_rule("table_open", _table_open)
    markdown.add_render_rule("table_close", _table_close)
    markdown.add_render_rule("th_open", _cell_open)
    markdown.add_render_rule("td_open", _cell_open)
    markdown.add_render_rule("task", _task)


def _set_directions(state: StateCore) -> None:
    """Outermost blocks alone: a browser looks past what has a direction of its own inside."""
    for token in state.tokens:
        if token.level == 0 and token.type in _DIRECTED:
            token.attrSet("dir", "auto")


def _mark_tasks(state: StateCore) -> None:
    """List items that begin with `[ ]` or `[x]`."""
    tokens = state.tokens
    for item, paragraph, inline in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if item.type == "list_item_open" and paragraph.type == "paragraph_open":
            _mark_task(item, inline)


def _mark_task(item: Token, inline: Token) -> None:
    first = inline.children[0] if inline.children else None
    match = _TASK.match(first.content) if first is not None and first.type == "text" else None
    if first is None or match is None or inline.children is None:
        return
    first.content = first.content[match.end() :]
    item.attrSet("class", "task")
    inline.children.insert(0, Token("task", "input", 0, meta={"done": match[1] != " "}))


def _task(_: Any, tokens: Any, index: int, __: Any, ___: Any) -> str:
    done = tokens[index].meta["done"]
    state = ' aria-label="Done" checked' if done else ' aria-label="To do"'
    return f'<input type="checkbox" disabled{state}> '


def _table_open(renderer: Any, tokens: Any, index: int, options: Any, env: Any) -> str:
    return f'<div class="table">{renderer.renderToken(tokens, index, options, env)}'


def _table_close(renderer: Any, tokens: Any, index: int, options: Any, env: Any) -> str:
    return f"{renderer.renderToken(tokens, index, options, env).rstrip()}</div>\n"


def _cell_open(renderer: Any, tokens: Any, index: int, options: Any, env: Any) -> str:
    """The page's policy allows no styles in a tag: a column's alignment becomes a class."""
    if (style := tokens[index].attrs.pop("style", None)) is not None:
        tokens[index].attrSet("class", str(style).replace("text-align:", "to-the-"))
    return str(renderer.renderToken(tokens, index, options, env))
