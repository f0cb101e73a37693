"""A model's vocabulary: text to token ids and back. It never changes and is thread-safe."""

import ctypes
from typing import Any, Final

import llama_cpp

NO_TOKEN: Final = -1
"""Drawn where nothing may follow; ends a reply like the model's own end tokens."""


class ModelVocabulary:
    """What a loaded model's tokens mean.

    Args:
        model: llama.cpp's model handle.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self.handle = llama_cpp.llama_model_get_vocab(model)
        self.size = int(llama_cpp.llama_vocab_n_tokens(self.handle))
        self.eog_tokens = [
            token for token in range(self.size) if llama_cpp.llama_vocab_is_eog(self.handle, token)
        ]
        self._eog = frozenset([*self.eog_tokens, NO_TOKEN])
        self._pieces: dict[int, bytes] = {}

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Ids of a text; with `special`, control tokens in it are recognised."""
        data = text.encode("utf-8")
        size = len(data) + 8
        tokens = (ctypes.c_int32 * size)()
        count = llama_cpp.llama_tokenize(self.handle, data, len(data), tokens, size, False, special)
        if count < 0:
            tokens = (ctypes.c_int32 * -count)()
            count = llama_cpp.llama_tokenize(
                self.handle, data, len(data), tokens, -count, False, special
            )
        return tokens[:count]

    def piece_of(self, token: int, *, special: bool = False) -> bytes:
        """A token's bytes; those of control tokens are empty unless `special`."""
        if not special and token in self._pieces:
            return self._pieces[token]
        buffer = ctypes.create_string_buffer(64)
        length = self._to_piece(token, buffer, special)
        if length < 0:
            buffer = ctypes.create_string_buffer(-length)
            length = self._to_piece(token, buffer, special)
        piece = buffer.raw[:length]
        if not special:
            self._pieces[token] = piece
        return piece

    def text_of_control(self, token: int) -> str:
        """The text of a control token, as chat templates write it; "" if there is none."""
        if not 0 <= token < self.size:
            return ""
        return self.piece_of(token, special=True).decode("utf-8", "replace")

    def _to_piece(self, token: int, buffer: Any, special: bool) -> int:
        return int(
            llama_cpp.llama_token_to_piece(self.handle, token, buffer, len(buffer), 0, special)
        )

    def is_end(self, token: int) -> bool:
        """Whether a token ends the reply."""
        return token in self._eog

    @property
    def leading_tokens(self) -> list[int]:
        """The ids that the model wants in front of every prompt."""
        if not llama_cpp.llama_vocab_get_add_bos(self.handle):
            return []
        return [llama_cpp.llama_vocab_bos(self.handle)]

    def token_text(self, kind: str) -> str:
        """The text of the `bos` or `eos` token, "" if the model has none."""
        token = getattr(llama_cpp, f"llama_vocab_{kind}")(self.handle)
        return self.piece_of(token, special=True).decode("utf-8", "replace") if token >= 0 else ""

    @property
    def chat_template(self) -> str | None:
        """The Jinja text inside the GGUF, if it has one."""
        template = llama_cpp.llama_model_chat_template(self._model, None)
        return template.decode("utf-8") if template else None
