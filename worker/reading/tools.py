"""The client's tools, as readers need them."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from shared.wire.parts import Tool, ToolCall
from shared.wire.turn_request import ANY_TOOL, ToolUse

_ID: Final = re.compile(r"[!-~]{1,128}")
"""What clients can be expected to give back unchanged."""


@dataclass(frozen=True)
class CallRules:
    """Which calls a reply may make.

    Args:
        use: what the client asked for.
        call_id: makes the id of a call that the model gave none, by its place.
    """

    use: ToolUse
    call_id: Callable[[int], str]

    @cached_property
    def tools(self) -> Mapping[str, Tool]:
        """Those that may be called, by name."""
        if self.use.choice == "none":
            return {}
        forced = self.use.forced_name
        return {tool.name: tool for tool in self.use.tools if forced in (None, tool.name)}

    @property
    def is_forced(self) -> bool:
        """Whether a call has to be made."""
        return bool(self.tools) and (
            self.use.choice == ANY_TOOL or self.use.forced_name is not None
        )

    @property
    def is_constrained(self) -> bool:
        """Whether arguments have to follow their schemas."""
        return self.is_forced or any(tool.strict for tool in self.tools.values())

    def schema_of(self, name: str) -> dict[str, Any]:
        """The schema that a tool's arguments have to follow."""
        tool = self.tools[name]
        if not (self.is_forced or tool.strict):
            return {"type": "object"}
        schema = json.loads(tool.parameters)
        return {"type": "object", **schema} if isinstance(schema, dict) else {"type": "object"}

    def call(self, name: Any, arguments: Any, given_id: Any, index: int) -> ToolCall | None:
        """A call that the model wrote; None if it may not be made.

        Args:
            arguments: an object, or its JSON text.
            given_id: the model's own id, or None.
        """
        text = arguments if isinstance(arguments, str) else _json_of(arguments)
        if not isinstance(name, str) or name not in self.tools or not _is_object(text):
            return None
        is_id = isinstance(given_id, str) and _ID.fullmatch(given_id) is not None
        return ToolCall(
            id=given_id if is_id else self.call_id(index),
            name=name,
            arguments=_with_valid_characters(text),
        )


def _json_of(value: Any) -> str:
    """A value as JSON text; empty if it is nested too deeply."""
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return ""


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text, parse_constant=_refuse), dict)
    except (ValueError, RecursionError):
        return False


def _refuse(name: str) -> None:
    """`NaN` and `Infinity` are not JSON, though Python reads them.

    Raises:
        ValueError: always.
    """
    raise ValueError(name)


def _with_valid_characters(text: str) -> str:
    """JSON text without halves of surrogate pairs, which no encoding can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(json.loads(text))
    return text
