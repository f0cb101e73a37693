"""Tiny models that make embeddings: an encoder as BERT is, and a decoder that pools.

Their weights are random, and spread so that a text's neighbours and order matter.
"""

from pathlib import Path
from typing import Final

import gguf
import numpy as np

from tests.tiny_model import VOCABULARY_SIZE, add_tokenizer

WIDTH: Final = 64
_LAYERS: Final = 2
_HEADS: Final = 4
_FEED_FORWARD: Final = 96
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz.,<|>[]_"
_SPECIAL: Final = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
ENCODER_VOCABULARY_SIZE: Final = len(_SPECIAL) + 2 * len(_LETTERS)


class _Writer:
    """A file that is being written; from `is_empty` on, weights are 0."""

    def __init__(self, path: Path, architecture: str, *, context: int) -> None:
        self.gguf = gguf.GGUFWriter(path, architecture)
        self.is_empty = False
        self._random = np.random.default_rng(5)
        self.gguf.add_block_count(_LAYERS)
        self.gguf.add_context_length(context)
        self.gguf.add_embedding_length(WIDTH)
        self.gguf.add_feed_forward_length(_FEED_FORWARD)
        self.gguf.add_head_count(_HEADS)

    def matrix(self, name: str, *shape: int) -> None:
        weights = self._random.normal(0, 2 * shape[-1] ** -0.5, shape)
        if self.is_empty:
            weights *= 0
        self.gguf.add_tensor(name, weights.astype(np.float32))

    def linear(self, name: str, rows: int, columns: int) -> None:
        self.matrix(f"{name}.weight", rows, columns)
        self.matrix(f"{name}.bias", rows)

    def norm(self, name: str, *, bias: bool) -> None:
        self.gguf.add_tensor(f"{name}.weight", np.ones(WIDTH, np.float32))
        if bias:
            self.matrix(f"{name}.bias", WIDTH)

    def gated(self, block: str) -> None:
        self.matrix(f"{block}.ffn_gate.weight", _FEED_FORWARD, WIDTH)
        self.matrix(f"{block}.ffn_up.weight", _FEED_FORWARD, WIDTH)
        self.matrix(f"{block}.ffn_down.weight", WIDTH, _FEED_FORWARD)

    def finish(self) -> None:
        self.gguf.write_header_to_file()
        self.gguf.write_kv_data_to_file()
        self.gguf.write_tensors_to_file()
        self.gguf.close()


def write_encoder(
    path: Path,
    pooling: gguf.PoolingType | None = gguf.PoolingType.MEAN,
    *,
    context: int = 64,
    layers_are_empty: bool = False,
) -> Path:
    """A BERT; its tokens are letters.

    Args:
        pooling: None leaves it out of the file.
        context: tokens of the longest text.
        layers_are_empty: all weights of the layers are 0, so that only their norms do anything.
    """
    writer = _Writer(path, "bert", context=context)
    writer.gguf.add_layer_norm_eps(1e-6)
    writer.gguf.add_causal_attention(False)
    if pooling is not None:
        writer.gguf.add_pooling_type(pooling)
    _add_letters(writer.gguf)
    writer.matrix("token_embd.weight", ENCODER_VOCABULARY_SIZE, WIDTH)
    writer.matrix("position_embd.weight", context, WIDTH)
    writer.matrix("token_types.weight", 2, WIDTH)
    writer.norm("token_embd_norm", bias=True)
    writer.is_empty = layers_are_empty
    for layer in range(_LAYERS):
        block = f"blk.{layer}"
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            writer.linear(f"{block}.{name}", WIDTH, WIDTH)
        writer.norm(f"{block}.attn_output_norm", bias=True)
        writer.linear(f"{block}.ffn_up", _FEED_FORWARD, WIDTH)
        writer.linear(f"{block}.ffn_down", WIDTH, _FEED_FORWARD)
        writer.norm(f"{block}.layer_output_norm", bias=True)
    if pooling is gguf.PoolingType.RANK:
        writer.linear("cls", WIDTH, WIDTH)
        writer.linear("cls.output", 1, WIDTH)
    writer.finish()
    return path


def write_decoder(
    path: Path,
    pooling: gguf.PoolingType = gguf.PoolingType.LAST,
    *,
    context: int = 2048,
    causal: bool = True,
) -> Path:
    """A Llama whose file names a pooling; its tokens are bytes, behind a beginning."""
    writer = _Writer(path, "llama", context=context)
    writer.gguf.add_layer_norm_rms_eps(1e-6)
    writer.gguf.add_pooling_type(pooling)
    writer.gguf.add_causal_attention(causal)
    add_tokenizer(writer.gguf, adds_bos=True)
    writer.matrix("token_embd.weight", VOCABULARY_SIZE, WIDTH)
    writer.norm("output_norm", bias=False)
    for layer in range(_LAYERS):
        block = f"blk.{layer}"
        writer.norm(f"{block}.attn_norm", bias=False)
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            writer.matrix(f"{block}.{name}.weight", WIDTH, WIDTH)
        writer.norm(f"{block}.ffn_norm", bias=False)
        writer.gated(block)
    writer.finish()
    return path


def write_nomic(path: Path, *, context: int = 64) -> Path:
    """A Nomic BERT: rotated positions, gates, and queries, keys and values in one matrix."""
    writer = _Writer(path, "nomic-bert", context=context)
    writer.gguf.add_layer_norm_eps(1e-6)
    writer.gguf.add_causal_attention(False)
    writer.gguf.add_pooling_type(gguf.PoolingType.MEAN)
    writer.gguf.add_rope_freq_base(1000.0)
    _add_letters(writer.gguf)
    writer.matrix("token_embd.weight", ENCODER_VOCABULARY_SIZE, WIDTH)
    writer.matrix("token_types.weight", 2, WIDTH)
    writer.norm("token_embd_norm", bias=True)
    for layer in range(_LAYERS):
        block = f"blk.{layer}"
        writer.matrix(f"{block}.attn_qkv.weight", 3 * WIDTH, WIDTH)
        writer.matrix(f"{block}.attn_output.weight", WIDTH, WIDTH)
        writer.norm(f"{block}.attn_output_norm", bias=True)
        writer.gated(block)
        writer.norm(f"{block}.layer_output_norm", bias=True)
    writer.finish()
    return path


def write_t5(path: Path, pooling: gguf.PoolingType = gguf.PoolingType.MEAN) -> Path:
    """The encoder of a T5, which llama.cpp runs in a way of its own."""
    writer = _Writer(path, "t5encoder", context=1024)
    writer.gguf.add_layer_norm_rms_eps(1e-6)
    writer.gguf.add_layer_norm_eps(1e-6)
    writer.gguf.add_relative_attn_buckets_count(8)
    writer.gguf.add_key_length(WIDTH // _HEADS)
    writer.gguf.add_value_length(WIDTH // _HEADS)
    writer.gguf.add_pooling_type(pooling)
    add_tokenizer(writer.gguf)
    writer.matrix("token_embd.weight", VOCABULARY_SIZE, WIDTH)
    writer.norm("enc.output_norm", bias=False)
    for layer in range(_LAYERS):
        block = f"enc.blk.{layer}"
        writer.norm(f"{block}.attn_norm", bias=False)
        writer.matrix(f"{block}.attn_rel_b.weight", 8, _HEADS)
        for name in ("attn_q", "attn_k", "attn_v", "attn_o"):
            writer.matrix(f"{block}.{name}.weight", WIDTH, WIDTH)
        writer.norm(f"{block}.ffn_norm", bias=False)
        writer.gated(block)
    writer.finish()
    return path


def _add_letters(writer: gguf.GGUFWriter) -> None:
    """A WordPiece vocabulary: letters that begin a word, and those that continue it."""
    tokens = [*_SPECIAL, *("▁" + letter for letter in _LETTERS), *_LETTERS]
    kinds = [gguf.TokenType.CONTROL] * len(_SPECIAL)
    kinds[1] = gguf.TokenType.UNKNOWN
    kinds += [gguf.TokenType.NORMAL] * (len(tokens) - len(kinds))
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("bert")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_type_count(2)
    for kind, name in enumerate(("pad", "unk", "cls", "sep", "mask")):
        if name != "cls":
            getattr(writer, f"add_{name}_token_id")(kind)
    writer.add_bos_token_id(2)
    writer.add_eos_token_id(3)
