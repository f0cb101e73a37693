"""A tiny model that always writes the same text, for tests through real processes.

Two attention heads look at the token before and the one before that, the feed-forward layer has a
neuron for each place of the text, and whatever is at no place begins the text. What users write
becomes single bytes, as the vocabulary has no merges; the text itself consists of longer tokens, so
that a prompt never looks like a place in it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import gguf
import numpy as np
import numpy.typing as npt

_CODE: Final = 128
"""Dimensions of a token's code."""
_LOOKS_BACK: Final = 2
_WIDTH: Final = _CODE * 4
"""Codes of the last three tokens, and of the next one; its first dimension is constant before."""
_HEADS: Final = 4
_CERTAIN: Final = 400.0
"""What a score is multiplied by: attention and neurons are all or nothing."""
_MATCH: Final = 0.93
"""Share of a context's codes that must agree; a wrong token leaves at most about 0.85."""
_CHUNK: Final = 4
"""Characters of a token of the text, or more."""
_CONTEXT: Final = 8192
_NO_MERGE: Final = "\u00ff \u00ff"
"""llama.cpp wants at least one; no text in UTF-8 has these bytes."""

Floats = npt.NDArray[np.float32]


def write_spelling_model(
    path: Path,
    template: str,
    controls: Sequence[str],
    text: str,
    *,
    user_defined: Sequence[str] = (),
    end: str = "<|im_end|>",
    name: str = "spelling",
) -> Path:
    """Write the model.

    Args:
        template: the chat template.
        controls: control tokens; where the text spells one it is that token.
        text: what the model writes.
        user_defined: tokens that llama.cpp takes for text, such as Qwen's `<think>`.
        end: the control token behind the text.

    Raises:
        ValueError: tokens follow each other in a way that the model cannot remember.
    """
    controls = list(dict.fromkeys([*controls, end]))
    reply = [*_cut(text, [*controls, *user_defined]), end]
    chunks = [one for one in dict.fromkeys(reply) if len(one.encode()) > 1]
    chunks = [one for one in chunks if one not in controls and one not in user_defined]
    tokens = [*_BYTES.values(), *map(_in_letters, chunks), *controls, *user_defined]
    ids = {bytes([byte]).decode("latin-1"): byte for byte in range(128)}
    ids |= {one: 256 + place for place, one in enumerate([*chunks, *controls, *user_defined])}
    kinds = [gguf.TokenType.NORMAL] * (256 + len(chunks))
    kinds += [gguf.TokenType.CONTROL] * len(controls)
    kinds += [gguf.TokenType.USER_DEFINED] * len(user_defined)
    writer = gguf.GGUFWriter(path, "llama")
    _add_shape(writer, len(tokens), places=len(reply))
    writer.add_name(name)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([_NO_MERGE])
    writer.add_eos_token_id(ids[end])
    writer.add_add_bos_token(False)
    writer.add_chat_template(template)
    for tensor, weights in _weights([ids[one] for one in reply], len(tokens)):
        writer.add_tensor(tensor, weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _byte_letters() -> dict[int, str]:
    """The letter that stands for each byte in a vocabulary of this kind."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {byte: chr(byte) for byte in printable}
    letters |= {byte: chr(256 + place) for place, byte in enumerate(others)}
    return dict(sorted(letters.items()))


_BYTES: Final = _byte_letters()


def _in_letters(text: str) -> str:
    return "".join(_BYTES[byte] for byte in text.encode())


def _cut(text: str, specials: Sequence[str]) -> Iterator[str]:
    """The text's tokens: special ones, and stretches between them of which none comes twice."""
    used: set[str] = set()
    while text:
        places = [(at, -len(one), one) for one in specials if (at := text.find(one)) >= 0]
        at, _, special = min(places, default=(len(text), 0, ""))
        yield from _chunks(text[:at], used)
        if special:
            yield special
        text = text[at + len(special) :]


def _chunks(text: str, used: set[str]) -> Iterator[str]:
    while text:
        size = min(_CHUNK, len(text))
        while text[:size] in used and size < len(text):
            size += 1
        if text[:size] in used or 0 < len(text) - size < _CHUNK:
            size = len(text)
        used.add(text[:size])
        yield text[:size]
        text = text[size:]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """What the last tokens of a prompt are where a certain one follows."""

    last: tuple[int, ...]
    following: int


def _places(reply: Sequence[int]) -> list[_Place]:
    """The places behind each token but the last; what they remember is checked."""
    places = [
        _Place(last=tuple(reply[max(0, at - _LOOKS_BACK) : at + 1]), following=reply[at + 1])
        for at in range(len(reply) - 1)
    ]
    known: dict[tuple[int, ...], int] = {}
    for place in places:
        if known.setdefault(place.last, place.following) != place.following:
            raise ValueError("the same tokens in a row twice, with different ones behind them")
    return places


def _add_shape(writer: gguf.GGUFWriter, size: int, places: int) -> None:
    writer.add_block_count(1)
    writer.add_context_length(_CONTEXT)
    writer.add_embedding_length(_WIDTH)
    writer.add_feed_forward_length(max(32, -(-places // 32) * 32))
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_HEADS)
    writer.add_key_length(_CODE)
    writer.add_value_length(_CODE)
    writer.add_rope_dimension_count(_CODE)
    writer.add_rope_freq_base(100.0)
    writer.add_layer_norm_rms_eps(1e-9)
    writer.add_vocab_size(size)


def _weights(reply: Sequence[int], size: int) -> Iterator[tuple[str, Floats]]:
    codes = np.random.default_rng(3).choice([-1.0, 1.0], (size, _CODE))
    embeddings = np.zeros((size, _WIDTH), np.float32)
    embeddings[:, :_CODE] = codes
    embeddings[:, -1] = _constant()
    output = np.zeros((size, _WIDTH), np.float32)
    output[:, 3 * _CODE :] = codes
    output[:, -1] = 0
    yield "token_embd.weight", embeddings
    yield "output.weight", output
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        yield f"{name}.weight", np.ones(_WIDTH, np.float32)
    yield from _attention()
    yield from _feed_forward(codes, reply)


def _constant() -> float:
    """The constant dimension's value: as large as a code."""
    return float(np.sqrt(_CODE))


def _attention() -> Iterator[tuple[str, Floats]]:
    """The first heads copy the codes of the tokens before; the others copy nothing."""
    norm = np.sqrt(2 * _CODE / _WIDTH)
    one = norm / _constant()
    frequencies = 100.0 ** (-np.arange(0, _CODE, 2) / _CODE)
    sharpness = np.sqrt(_CERTAIN)
    shape = (_WIDTH, _WIDTH)
    query, key, value, out = (np.zeros(shape, np.float32) for _ in range(4))
    key[0::2, -1] = sharpness * one
    for head in range(_LOOKS_BACK):
        rows = slice(head * _CODE, (head + 1) * _CODE)
        angles = -(head + 1) * frequencies
        query[rows, -1][0::2] = sharpness * one * np.cos(angles)
        query[rows, -1][1::2] = sharpness * one * np.sin(angles)
        value[rows, :_CODE] = np.eye(_CODE) * norm
        out[_CODE * (head + 1) : _CODE * (head + 2), rows] = np.eye(_CODE)
    yield "blk.0.attn_q.weight", query
    yield "blk.0.attn_k.weight", key
    yield "blk.0.attn_v.weight", value
    yield "blk.0.attn_output.weight", out


def _feed_forward(
    codes: npt.NDArray[np.float64], reply: Sequence[int]
) -> Iterator[tuple[str, Floats]]:
    """A neuron for each place; more of a text counts for more, and nothing for its beginning."""
    places = _places(reply)
    size = max(32, -(-len(reply) // 32) * 32)
    gate, up = np.zeros((size, _WIDTH), np.float32), np.zeros((size, _WIDTH), np.float32)
    down = np.zeros((_WIDTH, size), np.float32)
    norm = np.sqrt(4 * _CODE / _WIDTH)
    one = norm / _constant()
    for neuron, place in enumerate(places):
        for back, token in enumerate(reversed(place.last)):
            columns = slice(back * _CODE, (back + 1) * _CODE)
            gate[neuron, columns] = _CERTAIN * norm * codes[token] / _CODE / len(place.last)
        gate[neuron, -1] = -_CERTAIN * _MATCH * one
        up[neuron, -1] = one
        down[3 * _CODE :, neuron] = 10.0 ** len(place.last) * codes[place.following]
    gate[len(places), -1] = up[len(places), -1] = one
    down[3 * _CODE :, len(places)] = codes[reply[0]]
    down[-1, :] = 0
    yield "blk.0.ffn_gate.weight", gate
    yield "blk.0.ffn_up.weight", up
    yield "blk.0.ffn_down.weight", down
