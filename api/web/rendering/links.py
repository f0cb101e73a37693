"""Links: only to other pages, in a tab of their own; an address in the text is one as well.

Our own rule for addresses: linkify-it takes quadratic time for `https://[` again and again.
"""

import re
from typing import Any, Final
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline

_SCHEMES: Final = ("http", "https", "mailto")
_SCHEME: Final = re.compile(r"(?:^|[^\w])(https?)$", re.IGNORECASE)
_REST: Final = re.compile(r"://[^\W_][^\s<>\"`{}|\\^\[\]]{0,2000}")
_ENDS_SENTENCE: Final = ".,;:!?'*_~"


class LinkedMarkdown(MarkdownIt):
    """Markdown whose links lead to another page: everything else stays text."""

    def validateLink(self, url: str) -> bool:
        try:
            return urlsplit(url).scheme.lower() in _SCHEMES
        except ValueError:
            return False


def add_links(markdown: MarkdownIt) -> None:
    markdown.inline.ruler.before("escape", "address", _address)
    markdown.add_render_rule("link_open", _link_open)


def _address(state: StateInline, silent: bool) -> bool:
    """`https://…` in a text, without what ends its sentence."""
    if state.src[state.pos] != ":" or state.linkLevel > 0:
        return False
    scheme = _SCHEME.search(state.pending[-7:])
    rest = _REST.match(state.src, state.pos, state.posMax)
    if scheme is None or rest is None:
        return False
    behind = _without_end(rest[0])
    url = state.md.normalizeLink(scheme[1] + behind)
    if not state.md.validateLink(url):
        return False
    if not silent:
        _push(state, scheme[1], behind, url)
    state.pos += len(behind)
    return True


def _without_end(text: str) -> str:
    """Up to punctuation, and to a bracket that was opened before the address."""
    surplus = text.count(")") - text.count("(")
    end = len(text)
    while text[end - 1] in _ENDS_SENTENCE or (text[end - 1] == ")" and surplus > 0):
        surplus -= text[end - 1] == ")"
        end -= 1
    return text[:end]


def _push(state: StateInline, scheme: str, behind: str, url: str) -> None:
    state.pending = state.pending[: -len(scheme)]
    state.push("link_open", "a", 1).attrs = {"href": url}
    state.push("text", "", 0).content = scheme + behind
    state.push("link_close", "a", -1)


def _link_open(renderer: Any, tokens: Any, index: int, options: Any, env: Any) -> str:
    tokens[index].attrSet("rel", "noopener noreferrer nofollow")
    tokens[index].attrSet("target", "_blank")
    return str(renderer.renderToken(tokens, index, options, env))
