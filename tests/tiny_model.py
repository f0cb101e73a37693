"""Tiny model files: a hybrid with random weights, and files without any.

A hybrid has convolutions that remember, beside attention: its memory cannot be cut back to an
earlier length. Models of other kinds: `tests/tiny_architectures.py`.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy as np

_LAYERS_WITH_ATTENTION = (1, 3)
_NUM_LAYERS = 4
_EMBEDDING = 64
_FEED_FORWARD = 96
_HEADS = 4
_SPECIAL = ("<unk>", "<s>", "</s>")
VOCABULARY_SIZE = len(_SPECIAL) + 256


def write_hybrid(path: Path, *, sliding_window: int | None = None) -> Path:
    """Write the model; its tokens are bytes."""
    writer = gguf.GGUFWriter(path, "lfm2")
    heads_kv = [2 if i in _LAYERS_WITH_ATTENTION else 0 for i in range(_NUM_LAYERS)]
    writer.add_block_count(_NUM_LAYERS)
    writer.add_context_length(4096)
    writer.add_embedding_length(_EMBEDDING)
    writer.add_feed_forward_length(_FEED_FORWARD)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(heads_kv)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10_000.0)
    writer.add_shortconv_l_cache(3)
    if sliding_window is not None:
        writer.add_sliding_window(sliding_window)
    add_tokenizer(writer)
    _add_weights(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def add_tokenizer(writer: gguf.GGUFWriter, *, adds_bos: bool = False) -> None:
    tokens = [*_SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256))]
    kinds = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
    kinds += [gguf.TokenType.BYTE] * 256
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(adds_bos)


def _add_weights(writer: gguf.GGUFWriter) -> None:
    random = np.random.default_rng(1)

    def add(name: str, *shape: int) -> None:
        is_norm = name.endswith("norm.weight")
        weights = np.ones(shape) if is_norm else random.normal(0, shape[-1] ** -0.5, shape)
        writer.add_tensor(name, weights.astype(np.float32))

    head = _EMBEDDING // _HEADS
    add("token_embd.weight", VOCABULARY_SIZE, _EMBEDDING)
    add("token_embd_norm.weight", _EMBEDDING)
    for i in range(_NUM_LAYERS):
        block = f"blk.{i}"
        add(f"{block}.attn_norm.weight", _EMBEDDING)
        add(f"{block}.ffn_norm.weight", _EMBEDDING)
        add(f"{block}.ffn_gate.weight", _FEED_FORWARD, _EMBEDDING)
        add(f"{block}.ffn_up.weight", _FEED_FORWARD, _EMBEDDING)
        add(f"{block}.ffn_down.weight", _EMBEDDING, _FEED_FORWARD)
        if i in _LAYERS_WITH_ATTENTION:
            add(f"{block}.attn_q_norm.weight", head)
            add(f"{block}.attn_k_norm.weight", head)
            add(f"{block}.attn_q.weight", _EMBEDDING, _EMBEDDING)
            add(f"{block}.attn_k.weight", 2 * head, _EMBEDDING)
            add(f"{block}.attn_v.weight", 2 * head, _EMBEDDING)
            add(f"{block}.attn_output.weight", _EMBEDDING, _EMBEDDING)
        else:
            add(f"{block}.shortconv.conv.weight", _EMBEDDING, 3)
            add(f"{block}.shortconv.in_proj.weight", 3 * _EMBEDDING, _EMBEDDING)
            add(f"{block}.shortconv.out_proj.weight", _EMBEDDING, _EMBEDDING)


def write_without_weights(path: Path, architecture: str, **metadata: object) -> Path:
    """A file that tells what kind of model it is, and holds nothing else."""
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(1)
    if f"{architecture}.context_length" not in metadata:
        writer.add_context_length(64)
    writer.add_embedding_length(_EMBEDDING)
    writer.add_feed_forward_length(_FEED_FORWARD)
    writer.add_head_count(_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_layer_norm_eps(1e-5)
    writer.add_relative_attn_buckets_count(8)
    adders: dict[type, Callable[[str, Any], None]] = {
        bool: writer.add_bool,
        int: writer.add_uint32,
        float: writer.add_float32,
        str: writer.add_string,
    }
    for key, value in metadata.items():
        adders[type(value)](key, value)
    add_tokenizer(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_vocabulary(path: Path, pieces: Sequence[str]) -> Path:
    """A SentencePiece vocabulary and no weights: three control tokens, bytes, and pieces."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_context_length(64)
    writer.add_embedding_length(_EMBEDDING)
    writer.add_feed_forward_length(_FEED_FORWARD)
    writer.add_head_count(_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    kinds = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
    kinds += [gguf.TokenType.BYTE] * 256
    kinds += [gguf.TokenType.NORMAL] * (len(pieces) - len(kinds))
    writer.add_vocab_size(len(pieces))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(list(pieces))
    writer.add_token_scores([-float(number) for number in range(len(pieces))])
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_space_prefix(True)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
