"""How much the model is to think, and what else its chat template is told."""

import re
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from shared.wire.turn_request import Thinking

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
_THINKING: Final[dict[str, Thinking]] = {
    "none": "off",
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "high",
}
_MOST_OPTIONS: Final = 32
_MOST_BYTES: Final = 16_384
_MAX_DEPTH: Final = 8
_NAME: Final = re.compile("[A-Za-z_][A-Za-z0-9_]{0,63}")
_RESERVED: Final = ("messages", "tools", "add_generation_prompt", "bos_token", "eos_token")


def _bounded(options: dict[str, Any]) -> dict[str, Any]:
    for name in options:
        if not _NAME.fullmatch(name):
            raise PydanticCustomError("options", "its names must be those of variables")
        if name in _RESERVED:
            raise PydanticCustomError("options", "must not contain {name}", {"name": name})
    if len(options) > _MOST_OPTIONS:
        raise PydanticCustomError(
            "options", "must have at most {most} entries", {"most": _MOST_OPTIONS}
        )
    if _depth(options) > _MAX_DEPTH:
        raise PydanticCustomError("options", "is nested too deep")
    if len(orjson.dumps(options)) > _MOST_BYTES:
        raise PydanticCustomError("options", "is longer than {most} bytes", {"most": _MOST_BYTES})
    return options


def _depth(value: object) -> int:
    """How deep a value is nested; one deeper than the limit is not followed further."""
    level, depth = [value], 0
    while depth <= _MAX_DEPTH:
        level = [
            below
            for node in level
            if isinstance(node, dict | list)
            for below in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            break
        depth += 1
    return depth


TemplateOptions = Annotated[dict[str, Any], AfterValidator(_bounded)]
"""Variables of the model's chat template."""


def thinking_of(effort: Effort | None, options: dict[str, Any] | None) -> Thinking:
    """How much the model is to think; a template's own switch counts where nothing else is said."""
    if effort is not None:
        return _THINKING[effort]
    return "off" if options and options.get("enable_thinking") is False else "auto"


def encoded_options(options: dict[str, Any] | None) -> str:
    """As a turn holds them."""
    return orjson.dumps(options).decode() if options else ""
