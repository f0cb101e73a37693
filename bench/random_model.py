"""Models with random weights in the shape of real ones: what costs the same, and says nothing.

The weights are blocks of llama.cpp's quantized types, drawn once and repeated at random offsets,
with scales that keep activations in range. The vocabulary's bytes are real (any text can be
tokenized); its other tokens are made-up words.
"""

import argparse
import itertools
import string
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import gguf
import numpy as np
import numpy.typing as npt

Q4_K: Final = gguf.GGMLQuantizationType.Q4_K
Q6_K: Final = gguf.GGMLQuantizationType.Q6_K
F32: Final = gguf.GGMLQuantizationType.F32

_BLOCK: Final = 256
"""Weights in a block of the K types."""
_POOL_BLOCKS: Final = 1 << 16
"""Distinct blocks of each type: far more than any cache holds of them."""
_LOGIT_SPREAD: Final = 3.0
"""Standard deviation of the logits: draws are then neither flat nor certain."""
_Q4_K_SPREAD: Final = 258.0
_Q6_K_SPREAD: Final = 342.0
"""Standard deviation of a block's weights with random bits and a scale of 1."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A dense transformer of the Llama kind, in Q4_K_M's mixture of types.

    Args:
        layers: transformer blocks.
        width: of the residual stream; a multiple of 256.
        feed_forward: inner width of the blocks' networks; a multiple of 256.
        heads, kv_heads: attention heads, and those of keys and values.
        vocab: tokens.
        context: tokens that the model claims to be trained for.
    """

    layers: int
    width: int
    feed_forward: int
    heads: int
    kv_heads: int
    vocab: int
    context: int = 8192

    @property
    def kv_width(self) -> int:
        return self.width // self.heads * self.kv_heads


SHAPES: Final = {
    "8b": Shape(layers=32, width=4096, feed_forward=14336, heads=32, kv_heads=8, vocab=128_256),
    "1b": Shape(layers=16, width=2048, feed_forward=8192, heads=32, kv_heads=8, vocab=128_256),
    "tiny": Shape(layers=2, width=256, feed_forward=512, heads=4, kv_heads=2, vocab=1024),
}
"""Llama 3's dimensions, and one for machines without a GPU."""


def write_model(path: Path, shape: Shape) -> Path:
    """Write a model file; an 8B shape has 4.9 GB. It appears only when it is whole."""
    unfinished = path.with_suffix(".part")
    writer = gguf.GGUFWriter(unfinished, "llama")
    _add_hyperparameters(writer, shape)
    _add_vocabulary(writer, shape.vocab)
    tensors = list(_tensors(shape))
    for tensor in tensors:
        writer.add_tensor_info(
            tensor.name, tensor.byte_shape, np.dtype(np.uint8), tensor.num_bytes, tensor.kind
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    weights = _Weights()
    for tensor in tensors:
        writer.write_tensor_data(weights.of(tensor))
    writer.close()
    return unfinished.rename(path)


@dataclass(frozen=True, kw_only=True)
class _Tensor:
    """A matrix of `rows` × `columns`, or a vector of ones (F32); `spread` of its weights."""

    name: str
    kind: gguf.GGMLQuantizationType
    rows: int
    columns: int
    spread: float = 0.0

    @property
    def row_bytes(self) -> int:
        block, size = gguf.GGML_QUANT_SIZES[self.kind]
        return self.columns // block * size

    @property
    def num_bytes(self) -> int:
        return self.rows * self.row_bytes

    @property
    def byte_shape(self) -> tuple[int, ...]:
        return (self.row_bytes,) if self.kind == F32 else (self.rows, self.row_bytes)


def _tensors(shape: Shape) -> Iterator[_Tensor]:
    width, inner, vocab = shape.width, shape.feed_forward, shape.vocab

    def matrix(name: str, rows: int, columns: int, kind: Any = Q4_K, gain: float = 1.0) -> _Tensor:
        spread = gain * columns**-0.5
        return _Tensor(name=name, kind=kind, rows=rows, columns=columns, spread=spread)

    def norm(name: str) -> _Tensor:
        return _Tensor(name=name, kind=F32, rows=1, columns=width)

    yield matrix("token_embd.weight", vocab, width)
    for layer in range(shape.layers):
        block, finer = f"blk.{layer}", Q6_K if _is_finer(layer, shape.layers) else Q4_K
        yield norm(f"{block}.attn_norm.weight")
        yield matrix(f"{block}.attn_q.weight", width, width)
        yield matrix(f"{block}.attn_k.weight", shape.kv_width, width)
        yield matrix(f"{block}.attn_v.weight", shape.kv_width, width, finer)
        yield matrix(f"{block}.attn_output.weight", width, width)
        yield norm(f"{block}.ffn_norm.weight")
        yield matrix(f"{block}.ffn_gate.weight", inner, width)
        yield matrix(f"{block}.ffn_up.weight", inner, width)
        yield matrix(f"{block}.ffn_down.weight", width, inner, finer)
    yield norm("output_norm.weight")
    yield matrix("output.weight", vocab, width, Q6_K, _LOGIT_SPREAD)


def _is_finer(layer: int, layers: int) -> bool:
    """Whether Q4_K_M keeps a layer's most sensitive matrices in Q6_K."""
    eighth = layers // 8
    return layer < eighth or layer >= 7 * eighth or (layer - eighth) % 3 == 2


class _Weights:
    """Random blocks of each type, handed out again and again from other places."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(1)
        self._pools = {Q4_K: self._q4_k_pool(), Q6_K: self._q6_k_pool()}

    def of(self, tensor: _Tensor) -> npt.NDArray[np.uint8]:
        if tensor.kind == F32:
            return np.ones(tensor.columns, np.float32).view(np.uint8)
        pool, size = self._pools[tensor.kind], tensor.num_bytes
        self._set_scale(tensor.kind, tensor.spread)
        data = np.empty(size, np.uint8)
        block_size = pool.shape[1]
        flat, at = pool.reshape(-1), 0
        while at < size:
            begin = int(self._random.integers(len(pool))) * block_size
            taken = min(size - at, len(flat) - begin)
            data[at : at + taken] = flat[begin : begin + taken]
            at += taken
        return data.reshape(tensor.byte_shape)

    def _q4_k_pool(self) -> npt.NDArray[np.uint8]:
        # d, dmin: two half floats; 6-bit scales and minima in 12 bytes; 128 bytes of 4-bit values.
        return self._random.integers(0, 256, (_POOL_BLOCKS, 144), np.uint8)

    def _q6_k_pool(self) -> npt.NDArray[np.uint8]:
        # Low and high bits in 192 bytes; 16 scales of 8 bits; d.
        pool = self._random.integers(0, 256, (_POOL_BLOCKS, 210), np.uint8)
        pool[:, 192:208] = self._random.integers(-32, 32, (_POOL_BLOCKS, 16), np.int8).view(
            np.uint8
        )
        return pool

    def _set_scale(self, kind: gguf.GGMLQuantizationType, spread: float) -> None:
        pool = self._pools[kind]
        jitter = self._random.uniform(0.5, 1.5, len(pool))
        if kind == Q6_K:
            pool[:, 208:210] = _halves(spread / _Q6_K_SPREAD * jitter)
            return
        scale = spread / _Q4_K_SPREAD * jitter
        pool[:, 0:2] = _halves(scale)
        # The minima take away what the values are on average: 0 to 15.
        pool[:, 2:4] = _halves(7.5 * scale)


def _halves(values: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    return values.astype(np.float16).view(np.uint8).reshape(-1, 2)


def _add_hyperparameters(writer: gguf.GGUFWriter, shape: Shape) -> None:
    writer.add_block_count(shape.layers)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(500_000.0)
    writer.add_rope_dimension_count(shape.width // shape.heads)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_K_M)
    writer.add_name("random weights")


def _add_vocabulary(writer: gguf.GGUFWriter, size: int) -> None:
    """A byte-level vocabulary: bytes, made-up words, and tokens that begin and end a text."""
    letters = list(_byte_letters().values())
    special = ["<|begin_of_text|>", "<|end_of_text|>"]
    space = _byte_letters()[ord(" ")]
    words = (space + "".join(word) for word in _words())
    tokens = letters + list(itertools.islice(words, size - len(letters) - len(special))) + special
    kinds = [gguf.TokenType.NORMAL] * (size - 2) + [gguf.TokenType.CONTROL] * 2
    writer.add_vocab_size(size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    # A merge per word would make its letters one token; of such texts nothing is to be learned.
    writer.add_token_merges([f"{space} a"])
    writer.add_bos_token_id(size - 2)
    writer.add_eos_token_id(size - 1)
    writer.add_add_bos_token(True)


def _words() -> Iterator[tuple[str, ...]]:
    for length in itertools.count(1):
        yield from itertools.product(string.ascii_lowercase, repeat=length)


def _byte_letters() -> dict[int, str]:
    """The letter that stands for each byte in byte-level vocabularies."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = (byte for byte in range(256) if byte not in printable)
    shifted = {byte: chr(256 + number) for number, byte in enumerate(others)}
    return {byte: shifted.get(byte, chr(byte)) for byte in range(256)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("path", type=Path)
    options = parser.parse_args()
    write_model(options.path, SHAPES[options.shape])


if __name__ == "__main__":
    main()
