r"""Where formulas stand in Markdown: `\( \)`, `\[ \]`, `$$ $$`, and with care `$ $`.

A formula is taken from the text before Markdown sees backslashes and underscores in it. A mark
without its partner stays text, with its backslash.
"""

import re
from collections.abc import MutableMapping
from html import escape
from typing import Any, Final

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from api.web.rendering.budget import budget_of
from api.web.rendering.formula import LONGEST, FormulaRefused, to_mathml

_CLOSING: Final = {"\\(": "\\)", "\\[": "\\]", "$$": "$$"}
_MARKS: Final = ("\\(", "\\)", "\\[", "\\]")
_REACH: Final = 2 * LONGEST
"""Characters within which a closing mark is looked for."""
_ALWAYS_MATHS: Final = re.compile(r"[\\^_=<>{}|+]")
_WORD: Final = re.compile(r"[^\W\d_]{3,}")
_DOLLARS: Final = re.compile(r"\$((?=[^\s$])(?:\\.|[^\\$\n]){1,400}?)(?<![\s\\])\$(?![\w$])")


def add_maths(markdown: MarkdownIt) -> None:
    markdown.block.ruler.before(
        "fence", "math_block", _math_block, {"alt": ["paragraph", "reference", "blockquote"]}
    )
    markdown.inline.ruler.before("escape", "math", _math)
    markdown.inline.ruler.before("escape", "math_dollars", _math_dollars)
    markdown.inline.ruler.before("escape", "math_mark", _math_mark)
    markdown.add_render_rule("math_inline", _render_inline)
    markdown.add_render_rule("math_block", _render_block)


def _math(state: StateInline, silent: bool) -> bool:
    r"""`\(…\)`, `\[…\]` and `$$…$$` within a paragraph."""
    opening = state.src[state.pos : state.pos + 2]
    closing = _CLOSING.get(opening)
    if closing is None:
        return False
    start = state.pos + 2
    end = state.src.find(closing, start, min(state.posMax, start + _REACH))
    if end < 0 or not state.src[start:end].strip() or _is_escaped_link(state.src, closing, end):
        return False
    if not silent:
        _push(state, opening, state.src[start:end], closing)
    state.pos = end + 2
    return True


def _is_escaped_link(text: str, closing: str, end: int) -> bool:
    r"""`\[text\](address)` is a link that somebody wrote with escapes, not a formula."""
    return closing == "\\]" and text[end + 2 : end + 3] in ("(", "[", ":")


def _math_dollars(state: StateInline, silent: bool) -> bool:
    r"""`$x$`, but no prices, shell variables or jQuery."""
    if state.src[state.pos] != "$" or _follows_word(state):
        return False
    match = _DOLLARS.match(state.src, state.pos, state.posMax)
    if match is None or not _looks_like_maths(match[1]):
        return False
    if not silent:
        _push(state, "$", match[1], "$")
    state.pos = match.end()
    return True


def _follows_word(state: StateInline) -> bool:
    before = state.src[state.pos - 1] if state.pos else " "
    return before.isalnum() or before in "$\\"


def _looks_like_maths(content: str) -> bool:
    return _ALWAYS_MATHS.search(content) is not None or _WORD.search(content) is None


def _math_mark(state: StateInline, silent: bool) -> bool:
    """A mark without its partner: perhaps the rest is still to come."""
    mark = state.src[state.pos : state.pos + 2]
    if mark not in _MARKS or _opens_link(state, mark):
        return False
    if not silent:
        state.pending += mark
    state.pos += 2
    return True


def _opens_link(state: StateInline, mark: str) -> bool:
    """Markdown's own escapes around a link keep their meaning."""
    if mark == "\\[":
        end = state.src.find("\\]", state.pos, min(state.posMax, state.pos + _REACH))
        return end >= 0 and _is_escaped_link(state.src, "\\]", end)
    return mark == "\\]" and _is_escaped_link(state.src, "\\]", state.pos)


def _push(state: StateInline, opening: str, content: str, closing: str) -> None:
    token = state.push("math_inline", "math", 0)
    token.markup, token.content, token.info = opening, content, closing


def _math_block(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    r"""`\[` or `$$` at the beginning of a line, up to its partner at the end of a line."""
    if state.is_code_block(start):
        return False
    opening = state.src[state.bMarks[start] + state.tShift[start] :][:2]
    if opening not in ("\\[", "$$"):
        return False
    closing = _CLOSING[opening]
    last = _last_line(state, start, end, closing)
    if last is None:
        return False
    if not silent:
        _push_block(state, start, last, closing)
    return True


def _last_line(state: StateBlock, start: int, end: int, closing: str) -> int | None:
    """The line that ends with the partner, if nothing stands behind it and it is near."""
    inside = state.bMarks[start] + state.tShift[start] + 2
    at = state.src.find(closing, inside, inside + _REACH)
    last = start + state.src.count("\n", inside, at)
    if at < 0 or last >= end or state.src[at + 2 : state.eMarks[last]].strip(" .,;"):
        return None
    leaves = any(state.sCount[line] < state.blkIndent for line in range(start + 1, last + 1))
    return None if leaves else last


def _push_block(state: StateBlock, start: int, last: int, closing: str) -> None:
    text = state.getLines(start, last + 1, state.sCount[start], False).strip()
    body, _, behind = text[2:].rpartition(closing)
    token = state.push("math_block", "math", 0)
    token.block, token.map = True, [start, last + 1]
    token.markup, token.content, token.info = text[:2], body, closing + behind
    state.line = last + 1


def _render_inline(_: Any, tokens: list[Token], index: int, __: Any, env: Any) -> str:
    token = tokens[index]
    return _formula(token, block=token.markup in ("\\[", "$$"), env=env)


def _render_block(_: Any, tokens: list[Token], index: int, __: Any, env: Any) -> str:
    token = tokens[index]
    behind = token.info[2:].strip()
    formula = _formula(token, block=True, env=env)
    return f'<div class="formula">{formula}{escape(behind)}</div>\n'


def _formula(token: Token, *, block: bool, env: MutableMapping[str, Any]) -> str:
    try:
        if not budget_of(env).take_formula(len(token.content)):
            raise FormulaRefused
        return to_mathml(token.content, block=block)
    except FormulaRefused:
        closing = token.info[: len(token.markup)]
        return f'<code class="latex">{escape(token.markup + token.content + closing)}</code>'
