"""A scripted engine that writes raw text, markup included, which the worker's own readers read."""

from collections.abc import AsyncGenerator, Callable, Sequence

from tests.scripted import ScriptedEngine
from worker.engine.interface import EngineError, GenerationRequest, Grammar, ModelInfo, Piece
from worker.engine.sequence import Sequence as Reply

_END = -1
TAGS = (
    "{% for m in messages %}<{{ m.role }}>"
    "{% if m.reasoning_content %}<think>\n{{ m.reasoning_content }}\n</think>\n\n{% endif %}"
    "{{ m.content }}<end>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)
"""The model opens thoughts itself."""
OPENS = TAGS.replace("}<assistant>", "}<assistant><think>\n")
"""The prompt opens the thought."""
CALLS = TAGS.replace(
    "{{ m.content }}",
    "{{ m.content }}{% for c in m.tool_calls or [] %}\n<tool_call>\n"
    '{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}'
    "\n</tool_call>{% endfor %}",
).replace("{% for m in", "{% if tools %}<system>{{ tools | tojson }}<end>{% endif %}{% for m in", 1)
"""The model calls tools."""
CLOSES = TAGS.replace("}<assistant>", "}<assistant><think>\n\n</think>\n\n")
"""The prompt says not to think."""
HARMONY = (
    "{% for m in messages %}<|start|>{{ m.role }}{% if m.role == 'assistant' %}"
    "{% if m.thinking %}<|channel|>analysis<|message|>{{ m.thinking }}<|end|>"
    "<|start|>assistant{% endif %}<|channel|>final{% endif %}<|message|>{{ m.content }}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|start|>assistant{% endif %}"
)
PLAIN = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}<end>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


class WritingEngine(ScriptedEngine):
    """Writes what a function of the whole text so far says, letter by letter.

    Args:
        write: from prompt and reply so far to what follows.
        template: the model's.
    """

    def __init__(
        self, write: Callable[[str], str], template: str = TAGS, fingerprint: str = "writing"
    ) -> None:
        super().__init__(fingerprint=fingerprint)
        self.model = ModelInfo("scripted", fingerprint, template)
        self._write = write

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Piece, None]:
        self.requests.append(request)
        pieces: list[Piece] = []

        def sink(item: Piece | EngineError) -> None:
            assert isinstance(item, Piece)
            pieces.append(item)

        sampler = _Forcing()
        reply = Reply(request, _Letters(), sampler, sink)
        begun = self.detokenize((*request.prompt, *request.generated))
        for letter in [*map(ord, self._write(begun)), _END]:
            token = sampler.forced.pop(0) if sampler.forced else letter
            if reply.append(token):
                break
        for piece in pieces:
            yield piece


class _Letters:
    """A token is a character."""

    def piece_of(self, token: int) -> bytes:
        return b"" if token == _END else chr(token).encode()

    def text_of_control(self, token: int) -> str:
        del token
        return ""

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        del special
        return list(map(ord, text))

    def is_end(self, token: int) -> bool:
        return token == _END


class _Forcing:
    """A sampler that only keeps what is forced."""

    logprob = None

    def __init__(self) -> None:
        self.forced: list[int] = []

    def accept(self, token: int) -> None:
        """Nothing to do."""

    def force(self, token_ids: Sequence[int]) -> None:
        self.forced += token_ids

    def constrain(self, grammar: Grammar | None) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to free."""
