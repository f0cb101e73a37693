"""Of the scripts' common library, the parts that one script uses.

Redis runs all of a script's text with each call: to define a hundred functions takes as long as ten
commands, and only a few of them are called.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

_COMMENT: Final = re.compile(r"^ *--.*\n", re.MULTILINE)
_STATEMENT: Final = re.compile(r"^(?=(?!end\b)[^\s)}])", re.MULTILINE)
_DEFINITION: Final = re.compile(r"local (?:function (\w+)|(\w+(?:, \w+)*))")
_WORD: Final = re.compile(r"(?:(?<=\.\.)|(?<![\w.]))[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Statement:
    """One of a file's outermost statements.

    Attributes:
        names: what it defines; none if it must run in any case.
    """

    text: str
    names: frozenset[str]

    @property
    def words(self) -> frozenset[str]:
        return frozenset(_WORD.findall(self.text))


def used_part(library: str, script: str) -> str:
    """The statements of `library` that `script` needs, directly or through others, in order.

    A definition is needed if its name occurs: words that only look like one (a field of the same
    name) bring in too much, never too little. In the library, everything inside of a statement is
    indented.
    """
    statements = [_parsed(text) for text in _statements(library)]
    words = set(_WORD.findall(script))
    needed = set[int]()
    # A statement only uses what stands before it.
    for at in reversed(range(len(statements))):
        statement = statements[at]
        if not statement.names or statement.names & words:
            needed.add(at)
            words |= statement.words
    return _joined(statements[at] for at in sorted(needed))


def _joined(statements: Iterable[_Statement]) -> str:
    return "".join(statement.text for statement in statements)


def without_comments(text: str) -> str:
    """Lua without lines that are comments."""
    return _COMMENT.sub("", text)


def _statements(text: str) -> Iterator[str]:
    return (part for part in _STATEMENT.split(text) if part.strip())


def _parsed(text: str) -> _Statement:
    definition = _DEFINITION.match(text)
    names = (definition[1] or definition[2]).split(", ") if definition else ()
    return _Statement(text=text, names=frozenset(names))
