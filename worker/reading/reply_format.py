"""How a model marks its thoughts and its calls."""

from collections.abc import Callable
from dataclasses import dataclass

from shared.wire.turn_request import ToolUse
from worker.engine.interface import ReplyReader, UnusableRequest
from worker.template.chat_template import ChatTemplate


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyFormat:
    """What readers need to know of a model; the same for all its replies."""

    has_reasoning: bool = False
    has_tools: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether replies are text and nothing else."""
        return not (self.has_reasoning or self.has_tools)

    def closing_of(self, opening: str) -> str:
        """What closes the thought that the end of a prompt has opened; empty if there is none."""
        del opening
        return ""

    def new_reader(
        self,
        *,
        opening: str,
        tool_use: ToolUse,
        json_schema: str | None,
        call_id: Callable[[int], str],
    ) -> ReplyReader:
        """The reader of one reply.

        Args:
            opening: the end of its prompt.
            json_schema: what its text must follow, once thoughts have ended.
            call_id: makes the ids of calls, by their places.

        Raises:
            UnusableRequest: the model cannot do what is asked for.
        """
        del opening, tool_use, json_schema, call_id
        raise UnusableRequest("the model's chat template has no tools")


def derive_format(template: ChatTemplate) -> ReplyFormat:
    """What a model's template tells of its replies."""
    del template
    return ReplyFormat()
