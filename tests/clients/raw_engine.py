"""A scripted engine beneath the real parser: scripts spell what a model writes, with markup."""

from collections.abc import AsyncGenerator, Callable
from typing import Final

from tests.scripted import Script, ScriptedEngine
from worker.engine.interface import GenerationRequest, ModelInfo, Part, Piece, ReplyReader

TEMPLATE: Final = (
    "{% if tools %}<system>Call tools as <tool_call>JSON</tool_call>:"
    "{% for tool in tools %}\n{{ tool | tojson }}{% endfor %}<end>{% endif %}"
    "{% for message in messages %}<{{ message.role }}>"
    "{% if message.reasoning_content and loop.last %}<think>\n"
    "{{ message.reasoning_content }}\n</think>\n\n{% endif %}"
    "{{ message.content or '' }}"
    "{% for call in message.tool_calls or [] %}<tool_call>\n"
    '{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}'
    "\n</tool_call>{% endfor %}<end>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}"
    "{% endif %}"
)
"""In the manner of models that write JSON between tags."""


class RawEngine(ScriptedEngine):
    """Splits what its script spells with the reader of the request, as a real engine does.

    One generation at a time.
    """

    def __init__(self, script: Script, *, piece_length: int = 0) -> None:
        super().__init__(script, piece_length=piece_length)
        self.model = ModelInfo("scripted", "scripted", TEMPLATE)
        self._reader: Callable[[], ReplyReader] | None = None

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Piece, None]:
        self._reader, script = request.reader, self._script
        self._script = lambda prompt: self._parts_of(script(prompt))
        pieces = super().generate(request)
        try:
            async for piece in pieces:
                self._script = script
                yield piece
        finally:
            self._script = script
            await pieces.aclose()

    def _parts_of(self, reply: str | list[Part]) -> str | list[Part]:
        if self._reader is None or not isinstance(reply, str):
            return reply
        reader, parts = self._reader(), list[Part]()
        for character in reply:
            parts += reader.push(character)
        return [*parts, *reader.finish()]
