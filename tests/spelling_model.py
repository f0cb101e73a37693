"""A model file whose weights spell fixed texts, for replies exactly as real models write them.

It has the shape of GPT-2, looks at nothing but a token's position, and writes at each position what
it was told to: control tokens in a reply are control tokens, all else are pieces of a few letters.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import gguf
import numpy as np

_EMBEDDING: Final = 512
_SHARPNESS: Final = 30.0
"""Of the logits: the token wanted is drawn at any temperature."""


@dataclass(frozen=True, kw_only=True)
class Spelling:
    """A vocabulary, and what is written where.

    Args:
        template: the model's chat template.
        controls: control tokens; the first one ends replies.
        texts: replies by the length of the prompt in front of them, in tokens.
        positions: that the model has.
    """

    template: str
    controls: Sequence[str]
    texts: Mapping[int, str]
    positions: int = 2048

    @property
    def tokens(self) -> list[str]:
        """All tokens: controls, bytes, and letters."""
        letters = [chr(code) for code in range(32, 127)]
        return ["<unk>", *self.controls, *(f"<0x{byte:02X}>" for byte in range(256)), *letters]

    def ids_of(self, text: str) -> list[int]:
        """A text's tokens, one for each control, letter or other byte."""
        known = {token: number for number, token in enumerate(self.tokens)}
        pattern = "|".join(map(re.escape, sorted(self.controls, key=len, reverse=True)))
        ids: list[int] = []
        for place, part in enumerate(re.split(f"({pattern})", text)):
            if place % 2:
                ids.append(known[part])
                continue
            for character in part:
                if character in known:
                    ids.append(known[character])
                else:
                    ids += [known[f"<0x{byte:02X}>"] for byte in character.encode()]
        return ids


def write_spelling_model(path: Path, spelling: Spelling) -> Path:
    """Write the model."""
    writer = gguf.GGUFWriter(path, "gpt2")
    writer.add_name(path.stem)
    writer.add_block_count(1)
    writer.add_context_length(spelling.positions)
    writer.add_embedding_length(_EMBEDDING)
    writer.add_feed_forward_length(32)
    writer.add_head_count(4)
    writer.add_layer_norm_eps(1e-5)
    _add_tokenizer(writer, spelling)
    _add_weights(writer, spelling)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_tokenizer(writer: gguf.GGUFWriter, spelling: Spelling) -> None:
    tokens = spelling.tokens
    kinds = [gguf.TokenType.UNKNOWN, *[gguf.TokenType.CONTROL] * len(spelling.controls)]
    kinds += [gguf.TokenType.BYTE] * 256
    kinds += [gguf.TokenType.NORMAL] * (len(tokens) - len(kinds))
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_token_list([token.replace(" ", "\u2581") for token in tokens])
    writer.add_token_scores([-float(number) for number in range(len(tokens))])
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(1)
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(spelling.template)


def _add_weights(writer: gguf.GGUFWriter, spelling: Spelling) -> None:
    random = np.random.default_rng(1)
    num_tokens, end = len(spelling.tokens), 1
    positions = random.normal(0, 1, (spelling.positions, _EMBEDDING))
    positions -= positions.mean(axis=1, keepdims=True)
    output = np.zeros((num_tokens, _EMBEDDING))
    for length, text in spelling.texts.items():
        for offset, token in enumerate([*spelling.ids_of(text), end]):
            output[token] += positions[length - 1 + offset]
    output *= _SHARPNESS / _EMBEDDING
    tensors: dict[str, np.ndarray] = {
        "token_embd.weight": np.zeros((num_tokens, _EMBEDDING)),
        "position_embd.weight": positions,
        "output.weight": output,
    }
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        tensors[f"{name}.weight"] = np.ones(_EMBEDDING)
        tensors[f"{name}.bias"] = np.zeros(_EMBEDDING)
    shapes = {"attn_qkv": (3 * _EMBEDDING, _EMBEDDING), "attn_output": (_EMBEDDING, _EMBEDDING)}
    shapes |= {"ffn_up": (32, _EMBEDDING), "ffn_down": (_EMBEDDING, 32)}
    for name, shape in shapes.items():
        tensors[f"blk.0.{name}.weight"] = np.zeros(shape)
        tensors[f"blk.0.{name}.bias"] = np.zeros(shape[0])
    for name, tensor in tensors.items():
        writer.add_tensor(name, tensor.astype(np.float32))
