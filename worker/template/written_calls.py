"""Calls in the content of a reply, for templates that show tools but none of a message's calls.

Such a template says how a call has to look in its instructions, or by tokens that it puts around
tools; the models' cards say the rest. A call is then written into the content as the model itself
wrote it. Markup comes from here; what others wrote is marked, so that it can spell none.
"""

import json
import keyword
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

Shown = Callable[[str], str]
"""What stands for a text that somebody wrote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenForm:
    """How a family of models writes calls.

    Args:
        begin, end: markup around all calls of a reply.
        notation: a list of Python's calls, a list of JSON objects, or such objects apart, each in
            the markup.
        signs: texts in a template, each of which shows that it is meant for such a model.
    """

    begin: str
    end: str = ""
    notation: Literal["python", "list", "objects"]
    signs: tuple[str, ...]

    def written(self, calls: Sequence[tuple[str, Mapping[str, Any]]], shown: Shown) -> str:
        """Calls, each a name and its arguments."""
        if self.notation == "python":
            items = [_as_python_call(name, arguments, shown) for name, arguments in calls]
            return f"{self.begin}[{', '.join(items)}]{self.end}"
        items = [_as_json_call(name, arguments, shown) for name, arguments in calls]
        if self.notation == "list":
            return f"{self.begin}[{', '.join(items)}]{self.end}"
        return "\n".join(f"{self.begin}{item}{self.end}" for item in items)


_FORMS: Final = (
    WrittenForm(  # LFM2 and LFM2.5
        begin="<|tool_call_start|>",
        end="<|tool_call_end|>",
        notation="python",
        signs=("<|tool_call_start|>", "<|tool_list_start|>", "List of tools: ["),
    ),
    WrittenForm(  # Phi-4
        begin="<|tool_call|>",
        end="<|/tool_call|>",
        notation="list",
        signs=("<|/tool_call|>", "<|/tool|>"),
    ),
    WrittenForm(begin="<|tool_call|>", notation="list", signs=("<|tool_call|>",)),  # Granite 3
    WrittenForm(  # Hermes, and what was trained like it
        begin="<tool_call>\n",
        end="\n</tool_call>",
        notation="objects",
        signs=("</tool_call>",),
    ),
)


def form_for(source: str) -> WrittenForm | None:
    """How the model of a template writes calls; None if the template shows no sign of it."""
    return next((form for form in _FORMS if any(sign in source for sign in form.signs)), None)


def _as_json_call(name: str, arguments: Mapping[str, Any], shown: Shown) -> str:
    call = {"name": shown(name), "arguments": _with_shown(arguments, shown)}
    return json.dumps(call, ensure_ascii=False)


def _as_python_call(name: str, arguments: Mapping[str, Any], shown: Shown) -> str:
    """A call with keywords; names that cannot be keywords stand in a dictionary behind `**`."""
    named = {key: value for key, value in arguments.items() if _is_keyword(key)}
    others = {key: value for key, value in arguments.items() if not _is_keyword(key)}
    items = [f"{key}={_as_python(value, shown)}" for key, value in named.items()]
    if others:
        items.append(f"**{_as_python(others, shown)}")
    return f"{shown(name)}({', '.join(items)})"


def _is_keyword(key: str) -> bool:
    return key.isidentifier() and key.isascii() and not keyword.iskeyword(key)


def _as_python(value: Any, shown: Shown) -> str:
    if isinstance(value, str):
        return json.dumps(shown(value), ensure_ascii=False)  # Python reads this, too
    if isinstance(value, Mapping):
        members = [
            f"{_as_python(key, shown)}: {_as_python(item, shown)}" for key, item in value.items()
        ]
        return f"{{{', '.join(members)}}}"
    if isinstance(value, list):
        return f"[{', '.join(_as_python(item, shown) for item in value)}]"
    return str(value) if value is None or isinstance(value, bool) else json.dumps(value)


def _with_shown(value: Any, shown: Shown) -> Any:
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, Mapping):
        return {shown(key): _with_shown(item, shown) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_shown(item, shown) for item in value]
    return value
