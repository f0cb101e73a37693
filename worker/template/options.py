"""What a request can tell a chat template beside the messages."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from shared.wire.parts import Tool
from shared.wire.turn_request import Thinking


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateOptions:
    """Options of one prompt.

    Args:
        tools: shown to the model.
        thinking: how much it is to think, as far as the template can be told.
        variables: further variables of the template (`chat_template_kwargs`).
    """

    tools: tuple[Tool, ...] = ()
    thinking: Thinking = "auto"
    variables: Mapping[str, Any] = field(default_factory=dict)


NO_OPTIONS: Final = TemplateOptions()
