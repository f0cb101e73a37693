"""From messages to the token ids of a whole prompt, in the model's chat template."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from worker.engine.interface import Engine, Segment, UnusableRequest
from worker.prompt.as_written import as_written
from worker.prompt.message import PromptMessage
from worker.template.chat_template import ChatTemplate
from worker.template.environment import TemplateError
from worker.template.options import NO_OPTIONS, TemplateOptions
from worker.template.placed_text import PlacedText


@dataclass(frozen=True, slots=True)
class EncodedPrompt:
    """A prompt's token ids, and its end in text, which only stands where a reply begins."""

    token_ids: tuple[int, ...]
    opening: str


class PromptWriter:
    """Writes prompts for one model; thread-safe.

    Args:
        template: the model's.
        closing_of: what closes the thought that the end of a prompt has opened; empty if none.
        may_run: whether the template may run; otherwise prompts of new kinds raise `MustRun`.
    """

    def __init__(
        self,
        engine: Engine,
        template: ChatTemplate,
        closing_of: Callable[[str], str] = lambda _opening: "",
        *,
        may_run: bool = True,
    ) -> None:
        self.engine = engine
        self.template = template
        self._closing_of = closing_of
        self._may_run = may_run

    @property
    def at_once(self) -> "PromptWriter":
        """One that does not run the template; for short prompts the event loop may wait for it."""
        return PromptWriter(self.engine, self.template, self._closing_of, may_run=False)

    @property
    def fingerprint(self) -> str:
        """Of the model."""
        return self.engine.model.fingerprint

    def tokenize(self, text: str) -> tuple[int, ...]:
        """Token ids of a content by itself."""
        return tuple(self.engine.tokenize(text))

    def encode(
        self, messages: Sequence[PromptMessage], options: TemplateOptions = NO_OPTIONS
    ) -> EncodedPrompt:
        """The prompt up to where the reply begins.

        Raises:
            UnusableRequest: the template has no place for these messages.
        """
        segments, opening = self._segments(messages, options)
        return EncodedPrompt(tuple(self.engine.encode(segments)), opening)

    def encode_begun(
        self,
        messages: Sequence[PromptMessage],
        beginning: str,
        options: TemplateOptions = NO_OPTIONS,
    ) -> EncodedPrompt:
        """The prompt up to behind the beginning of the reply; a thought that is open is closed."""
        segments, opening = self._segments(messages, options)
        closing = self._closing_of(opening)
        segments += [Segment(closing, is_scaffold=True), Segment(beginning)]
        token_ids = self.engine.encode([segment for segment in segments if segment.text])
        return EncodedPrompt(tuple(token_ids), opening + closing + beginning)

    def encode_plain(self, text: str) -> EncodedPrompt:
        """A text that is to be continued, without a chat template."""
        return EncodedPrompt(tuple(self.engine.encode([Segment(text)])), "")

    def _segments(
        self, messages: Sequence[PromptMessage], options: TemplateOptions
    ) -> tuple[list[Segment], str]:
        try:
            rendered = self.template.render(
                [one.message for one in messages], options, may_run=self._may_run
            )
        except TemplateError as error:
            raise UnusableRequest(f"the model's chat template: {error}") from None
        texts: list[PlacedText | Segment] = list(rendered.texts)
        for number, message in enumerate(messages):
            if message.written_ids is not None:
                written = self.engine.detokenize(message.written_ids, controls=True)
                texts = as_written(texts, number, written, message.written_ids, rendered.opening)
        return [_segment(text, messages) for text in texts], rendered.opening


def _segment(text: PlacedText | Segment, messages: Sequence[PromptMessage]) -> Segment:
    if isinstance(text, Segment):
        return text
    if text.origin is None:
        return Segment(text.text, is_scaffold=True)
    known = None
    if text.origin.part == "content":
        message = messages[text.origin.message]
        known = message.token_ids if message.message.content == text.text else None
    return Segment(text.text, token_ids=known)
