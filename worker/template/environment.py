"""Jinja as chat templates expect it.

Templates are written for Hugging Face's `apply_chat_template`; its environment is described in the
transformers documentation ("Writing a chat template"). Differences to plain Jinja: blocks are
trimmed, `tojson` keeps every character as it is, and there are `raise_exception`, `strftime_now`
and the `generation` block.
"""

import json
import threading
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NoReturn

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

MAX_CHARACTERS: Final = 16 << 20
"""Of what a template may write: more than any window holds."""


class TemplateError(Exception):
    """A chat template cannot be used, or refuses a conversation in its own words."""


class TemplateLimit(TemplateError):
    """A chat template takes more time, memory or space than it may."""


class _Generation(Extension):
    """`{% generation %}` marks what training uses; here it renders its body."""

    tags = {"generation"}  # noqa: RUF012 - so jinja2 has it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Environment(ImmutableSandboxedEnvironment):
    """Templates may change lists of their own, but not those that they are given."""

    given: frozenset[int] = frozenset()

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if attr in ("append", "extend", "insert", "pop") and isinstance(obj, list):
            return id(obj) not in self.given
        return super().is_safe_attribute(obj, attr, value)


def _ids_of_lists(value: Any) -> set[int]:
    if isinstance(value, Mapping):
        return {each for item in value.values() for each in _ids_of_lists(item)}
    if isinstance(value, list):
        return {id(value), *(each for item in value for each in _ids_of_lists(item))}
    return set()


class TextTemplate:
    """A compiled template: from a conversation to text.

    Args:
        source: Jinja text.

    Raises:
        TemplateError: the source is not valid.
        TemplateLimit: it is nested too deeply to be compiled.
    """

    def __init__(self, source: str) -> None:
        environment = _Environment(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.loopcontrols", _Generation],
        )
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _raise
        self._environment = environment
        self._lock = threading.Lock()
        try:
            self._template = environment.from_string(source)
        except jinja2.TemplateError as error:
            raise TemplateError(f"not a Jinja template: {error}") from None
        except RecursionError:
            raise TemplateLimit("it is nested too deeply") from None

    def render(self, variables: Mapping[str, Any], *, now: datetime) -> str:
        """The text of a prompt.

        Args:
            variables: `messages`, `add_generation_prompt`, `tools`, …
            now: what `strftime_now` tells.

        Raises:
            TemplateError: the template fails, or refuses the conversation.
            TemplateLimit: it takes too much memory, or writes too much.
        """
        try:
            with self._lock:
                self._environment.given = frozenset(_ids_of_lists(variables))
                return self._written({**variables, "strftime_now": now.strftime})
        except TemplateError:
            raise
        except MemoryError:
            raise TemplateLimit("it takes too much memory") from None
        except RecursionError:
            raise TemplateLimit("it, or what it is given, is nested too deeply") from None
        except Exception as error:  # templates are foreign programs: they may raise anything
            raise TemplateError(f"{type(error).__name__}: {error}") from None

    def _written(self, variables: dict[str, Any]) -> str:
        texts = []
        num_characters = 0
        for text in self._template.generate(variables):
            texts.append(text)
            num_characters += len(text)
            if num_characters > MAX_CHARACTERS:
                raise TemplateLimit(f"it writes more than {MAX_CHARACTERS:,} characters")
        return "".join(texts)


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


def _raise(message: str) -> NoReturn:
    raise TemplateError(message)
