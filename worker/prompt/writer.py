"""From messages to the token ids of a whole prompt, in the model's chat template."""

from collections.abc import Sequence
from dataclasses import replace

from worker.engine.interface import Engine, Segment, UnusableRequest
from worker.prompt.message import PromptMessage
from worker.template.chat_template import ChatTemplate
from worker.template.environment import TemplateError
from worker.template.options import NO_OPTIONS, TemplateOptions
from worker.template.placed_text import PlacedText


class PromptWriter:
    """Writes prompts for one model; thread-safe.

    Args:
        template: the model's.
    """

    def __init__(self, engine: Engine, template: ChatTemplate) -> None:
        self.engine = engine
        self.template = template

    @property
    def fingerprint(self) -> str:
        """Of the model."""
        return self.engine.model.fingerprint

    def tokenize(self, text: str) -> tuple[int, ...]:
        """Token ids of a content by itself."""
        return tuple(self.engine.tokenize(text))

    def encode(
        self, messages: Sequence[PromptMessage], options: TemplateOptions = NO_OPTIONS
    ) -> list[int]:
        """Token ids of the prompt up to where the reply begins.

        Raises:
            UnusableRequest: the template has no place for these messages.
        """
        joined = alternating(messages)
        try:
            rendered = self.template.render([one.message for one in joined], options)
        except TemplateError as error:
            raise UnusableRequest(f"the model's chat template: {error}") from None
        return self.engine.encode([_segment(text, joined) for text in rendered.texts])


def _segment(text: PlacedText, messages: Sequence[PromptMessage]) -> Segment:
    if text.origin is None:
        return Segment(text.text, is_scaffold=True)
    known = None
    if text.origin.part == "content" and text.origin.message < len(messages):
        message = messages[text.origin.message]
        known = message.token_ids if message.message.content == text.text else None
    return Segment(text.text, token_ids=known)


def alternating(messages: Sequence[PromptMessage]) -> list[PromptMessage]:
    """Join neighbours of one role, which an edit can leave and many chat templates refuse."""
    joined: list[PromptMessage] = []
    for message in messages:
        if joined and joined[-1].role == message.role != "tool":
            before = joined.pop().message
            content = f"{before.content}\n\n{message.message.content}"
            message = PromptMessage(message=replace(before, content=content))
        joined.append(message)
    return joined
