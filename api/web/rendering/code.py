"""Code in its box: the language, and the code itself, highlighted by Pygments.

Lexers are regular expressions that other people wrote; only well-known languages, code of a
bounded length and lines of a bounded length reach them.
"""

import re
from collections.abc import Iterable, Iterator, MutableMapping
from html import escape
from time import thread_time
from typing import Any, Final, TypeAlias

from markdown_it import MarkdownIt
from markdown_it.token import Token
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import (
    Comment,
    Error,
    Generic,
    Keyword,
    Name,
    Number,
    Operator,
    String,
    _TokenType,
)
from pygments.token import (
    Token as AnyToken,
)

from api.web.rendering.budget import budget_of

_LANGUAGES: Final = re.compile(
    r"bash|c|c#|c\+\+|clojure|console|cpp|cs|csharp|css|dart|diff|docker|dockerfile|elixir|ex"
    "|go|golang|graphql|groovy|haskell|hcl|hs|html|ini|java|javascript|js|json|jsx|julia"
    "|kotlin|latex|lua|make|makefile|markdown|md|nginx|objective-c|perl|php|powershell|proto"
    "|protobuf|ps1|py|python|python3|r|rb|rs|ruby|rust|scala|sh|shell|sql|swift|terraform|tex"
    "|toml|ts|tsx|typescript|xml|yaml|yml|zig|zsh"
)
"""Whose lexers were tried with hostile texts: no single step of them takes long."""
_LONGEST_LINE: Final = 400
_Piece: TypeAlias = tuple[_TokenType, str]
_CLASSES: Final[tuple[tuple[_TokenType, str], ...]] = (
    (Comment, "comment"),
    (Keyword, "keyword"),
    (Operator.Word, "keyword"),
    (String, "string"),
    (Number, "number"),
    (Name.Function, "name"),
    (Name.Class, "name"),
    (Name.Decorator, "name"),
    (Name.Tag, "keyword"),
    (Name.Attribute, "name"),
    (Name.Builtin, "builtin"),
    (Name.Exception, "builtin"),
    (Name.Constant, "number"),
    (Generic.Deleted, "deleted"),
    (Generic.Inserted, "inserted"),
    (Generic.Heading, "name"),
    (Generic.Subheading, "comment"),
)


def add_code(markdown: MarkdownIt) -> None:
    markdown.core.ruler.push("open_fences", _mark_open_fences)
    markdown.add_render_rule("fence", _render)
    markdown.add_render_rule("code_block", _render)


def _mark_open_fences(state: Any) -> None:
    """A fence that is not closed yet says so: the page writes what comes next into its box."""
    lines = state.src.split("\n")
    for token in state.tokens:
        if token.type == "fence" and not _is_closed(token, lines):
            token.meta["fence"] = token.markup
            token.content = token.content.rstrip()


def _is_closed(token: Token, lines: list[str]) -> bool:
    first, end = token.map or (0, 0)
    last = lines[end - 1].lstrip(" \t>").rstrip() if end - first > 1 else ""
    return len(last) >= len(token.markup) and not last.strip(token.markup[0])


def _render(_: Any, tokens: list[Token], index: int, __: Any, env: Any) -> str:
    token = tokens[index]
    info = token.info.strip()
    open_fence = f' data-fence="{escape(token.meta["fence"])}"' if "fence" in token.meta else ""
    language = f'<span class="language">{escape(info)}</span>'
    code = highlighted(token.content, info, env)
    return (
        f'<div class="code"{open_fence}><div class="code-head">{language}</div>'
        f'<pre dir="ltr"><code>{code}</code></pre></div>\n'
    )


def highlighted(code: str, info: str, env: MutableMapping[str, Any]) -> str:
    """Code as escaped text, with its parts in `span` elements if the language is known."""
    lexer = _lexer_for(info)
    if lexer is None or _has_long_line(code) or not budget_of(env).take_code(len(code)):
        return escape(code)
    pieces = list(_until(budget_of(env).deadline, lexer.get_tokens(code)))
    if "".join(value for _, value in pieces) != code:
        return escape(code)
    return "".join(_piece(kind, value) for kind, value in pieces)


def _until(deadline: float, tokens: Iterable[_Piece]) -> Iterator[_Piece]:
    """Tokens as long as there is time: lexers take quadratic time for texts made for that."""
    for piece in tokens:
        if thread_time() > deadline:
            return
        yield piece


def _lexer_for(info: str) -> Lexer | None:
    name = re.split(r"[\s{:,]", info, maxsplit=1)[0].lower()
    if not _LANGUAGES.fullmatch(name):
        return None
    return get_lexer_by_name(name, stripnl=False, ensurenl=False)


def _has_long_line(code: str) -> bool:
    return any(len(line) > _LONGEST_LINE for line in code.split("\n"))


def _piece(kind: _TokenType, value: str) -> str:
    text = escape(value)
    if kind in (AnyToken, AnyToken.Text, Error) or not value.strip():
        return text
    for family, name in _CLASSES:
        if kind in family:
            return f'<span class="{name}">{text}</span>'
    return text
