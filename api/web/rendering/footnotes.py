"""Footnotes, where they stand: none is lost for want of a reference, or moves while it is written.

A reference is a button, not a link: the page's address names the conversation.
"""

import re
from html import escape
from typing import Any, Final

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from mdit_py_plugins.footnote import footnote_plugin

_REFERENCE: Final = re.compile(r"\[\^([^\s\[\]^]{1,50})\]")


def add_footnotes(markdown: MarkdownIt) -> None:
    footnote_plugin(markdown, inline=False, move_to_end=False)
    # The plugin's own looks for the end of a label to the end of the text, for each bracket.
    markdown.inline.ruler.at("footnote_ref", _reference)
    markdown.add_render_rule("footnote_ref", _render_reference)
    markdown.add_render_rule("footnote_reference_open", _render_open)
    markdown.add_render_rule("footnote_reference_close", _render_close)


def _reference(state: StateInline, silent: bool) -> bool:
    if state.src[state.pos] != "[":
        return False
    match = _REFERENCE.match(state.src, state.pos, state.posMax)
    if match is None or f":{match[1]}" not in state.env.get("footnotes", {}).get("refs", {}):
        return False
    if not silent:
        state.push("footnote_ref", "", 0).meta = {"label": match[1]}
    state.pos = match.end()
    return True


def _render_reference(_: Any, tokens: Any, index: int, __: Any, ___: Any) -> str:
    label = escape(tokens[index].meta["label"])
    return (
        f'<sup><button type="button" class="note-link" data-note="{label}"'
        f' aria-label="Footnote {label}">{label}</button></sup>'
    )


def _render_open(_: Any, tokens: Any, index: int, __: Any, ___: Any) -> str:
    label = escape(tokens[index].meta["label"])
    return f'<div class="footnote" dir="auto" data-note="{label}"><sup>{label}</sup>\n'


def _render_close(*_: Any) -> str:
    return "</div>\n"
