"""A model's vocabulary: text to token ids and back. It never changes and is thread-safe."""

import ctypes
from functools import cached_property
from typing import Any, Final

import llama_cpp

NO_TOKEN: Final = -1
"""Drawn where nothing may follow; ends a reply like the model's own end tokens."""
_CONTROL: Final = llama_cpp.LLAMA_TOKEN_ATTR_CONTROL | llama_cpp.LLAMA_TOKEN_ATTR_UNKNOWN
"""Tokens without bytes of their own in a reply."""
_SPECIAL: Final = _CONTROL | llama_cpp.LLAMA_TOKEN_ATTR_USER_DEFINED
"""Tokens that llama.cpp looks for before anything else."""
_BEFORE: Final = "\x01"
"""A text that no token has together with others."""


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

    def tokenize(self, text: str, *, special: bool, continues: bool = False) -> list[int]:
        """Ids of a text.

        Args:
            special: whether control tokens in it are recognised.
            continues: whether text comes before it: some vocabularies put a space in front of
                every text otherwise.
        """
        if not (continues and self._adds_space):
            return self._tokenized(text, special)
        before, token_ids = (
            self._tokenized(_BEFORE, False),
            self._tokenized(_BEFORE + text, special),
        )
        is_apart = token_ids[: len(before)] == before
        return token_ids[len(before) :] if is_apart else self._tokenized(text, special)

    @cached_property
    def _adds_space(self) -> bool:
        return b"".join(map(self.piece_of, self._tokenized("a", False))).startswith(b" ")

    def tokenize_whole(self, text: str) -> list[int]:
        """Ids of a text with what the model wants around it; no control token arises in it."""
        return self._tokenized(text, False, surrounded=True)

    def _tokenized(self, text: str, special: bool, *, surrounded: bool = False) -> list[int]:
        data = text.encode("utf-8")
        size = len(data) + 8
        tokens = (ctypes.c_int32 * size)()
        count = llama_cpp.llama_tokenize(
            self.handle, data, len(data), tokens, size, surrounded, special
        )
        if count < 0:
            tokens = (ctypes.c_int32 * -count)()
            count = llama_cpp.llama_tokenize(
                self.handle, data, len(data), tokens, -count, surrounded, special
            )
        return tokens[:count]

    def _attributes(self, token: int) -> int:
        return int(llama_cpp.llama_vocab_get_attr(self.handle, token))

    def is_control(self, token: int) -> bool:
        """Whether a token has no bytes of its own in a reply."""
        return bool(self._attributes(token) & _CONTROL)

    @cached_property
    def special_texts(self) -> dict[int, str]:
        """Texts of the tokens that llama.cpp looks for before anything else, by id."""
        return {
            token: self.text_of_control(token)
            for token in range(self.size)
            if self._attributes(token) & _SPECIAL
        }

    @property
    def left_stripping(self) -> set[str]:
        """Texts of those that take the white space before them away."""
        return {
            text
            for token, text in self.special_texts.items()
            if self._attributes(token) & llama_cpp.LLAMA_TOKEN_ATTR_LSTRIP
        }

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
