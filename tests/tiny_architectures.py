"""Tiny models with random weights, one for each way in which chat models remember.

Attention over everything (llama, qwen3, a mixture of experts), over a window in some layers (Gemma
2 and 3, Cohere 2, gpt-oss with its sinks), states instead of caches (mamba), and both (jamba,
lfm2).
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import gguf
import numpy as np

from tests.tiny_model import VOCABULARY_SIZE, add_tokenizer, write_hybrid

WINDOW: Final = 24
"""Tokens that a sliding window looks at."""
_WIDTH: Final = 64
_TRAINED: Final = 4096
"""Tokens of the longest window."""
_FEED_FORWARD: Final = 96
_HEADS: Final = 4
_KV_HEADS: Final = 2
_HEAD: Final = _WIDTH // _HEADS
_WIDE_HEAD: Final = 32
"""Quantized numbers come in blocks of 32, which have to divide a head."""
_EXPERTS: Final = 4
_STATE: Final = 8
"""Mamba's state for each of its inner channels."""
_INNER: Final = 2 * _WIDTH
_CONVOLUTION: Final = 4
_TIME_RANK: Final = 4


class _Model:
    """A file that is being written; weights are spread so that attention matters."""

    def __init__(
        self,
        path: Path,
        architecture: str,
        *,
        layers: int,
        seed: int,
        embedding: float = 2.0,
        head: int = _HEAD,
        trained: int = _TRAINED,
    ) -> None:
        self.writer = gguf.GGUFWriter(path, architecture)
        self.path = path
        self.head = head
        self.layers = range(layers)
        self._random = np.random.default_rng(seed)
        self.writer.add_block_count(layers)
        self.writer.add_context_length(trained)
        self.writer.add_embedding_length(_WIDTH)
        self.writer.add_feed_forward_length(_FEED_FORWARD)
        self.writer.add_layer_norm_rms_eps(1e-6)
        self.writer.add_layer_norm_eps(1e-6)
        self.random("token_embd.weight", VOCABULARY_SIZE, _WIDTH, spread=embedding)
        self.ones("output_norm.weight")

    def add_output(self) -> None:
        """What logits are made with, if not with the embeddings."""
        self.random("output.weight", VOCABULARY_SIZE, _WIDTH)

    def random(self, name: str, *shape: int, spread: float = 2.0) -> None:
        """A matrix of normal numbers, or a vector of them."""
        weights = self._random.normal(0, spread * shape[-1] ** -0.5, shape)
        self.writer.add_tensor(name, weights.astype(np.float32))

    def ones(self, name: str, size: int = _WIDTH) -> None:
        self.writer.add_tensor(name, np.ones(size, np.float32))

    def constant(self, name: str, value: float, *shape: int) -> None:
        self.writer.add_tensor(name, np.full(shape, value, np.float32))

    def add_heads(self, kv_heads: int | Sequence[int] = _KV_HEADS) -> None:
        self.writer.add_head_count(_HEADS)
        self.writer.add_head_count_kv(kv_heads)
        self.writer.add_key_length(self.head)
        self.writer.add_value_length(self.head)
        self.writer.add_rope_freq_base(10_000.0)
        self.writer.add_rope_dimension_count(self.head)

    def add_window(self, window: int | None) -> None:
        if window is not None:
            self.writer.add_sliding_window(window)

    def attention(self, block: str, *, norms: bool = False, biases: bool = False) -> None:
        sizes = {"q": _HEADS * self.head, "k": _KV_HEADS * self.head, "v": _KV_HEADS * self.head}
        for name, size in sizes.items():
            self.random(f"{block}.attn_{name}.weight", size, _WIDTH)
            if biases:
                self.random(f"{block}.attn_{name}.bias", size)
        self.random(f"{block}.attn_output.weight", _WIDTH, _HEADS * self.head)
        if biases:
            self.random(f"{block}.attn_output.bias", _WIDTH)
        for name in ("q", "k") if norms else ():
            self.ones(f"{block}.attn_{name}_norm.weight", self.head)

    def feed_forward(self, block: str) -> None:
        self.random(f"{block}.ffn_gate.weight", _FEED_FORWARD, _WIDTH)
        self.random(f"{block}.ffn_up.weight", _FEED_FORWARD, _WIDTH)
        self.random(f"{block}.ffn_down.weight", _WIDTH, _FEED_FORWARD)

    def add_experts(self) -> None:
        self.writer.add_expert_count(_EXPERTS)
        self.writer.add_expert_used_count(2)
        self.writer.add_expert_feed_forward_length(_FEED_FORWARD)

    def experts(self, block: str, *, biases: bool = False) -> None:
        self.random(f"{block}.ffn_gate_inp.weight", _EXPERTS, _WIDTH)
        shapes = {
            "gate": (_FEED_FORWARD, _WIDTH),
            "up": (_FEED_FORWARD, _WIDTH),
            "down": (_WIDTH, _FEED_FORWARD),
        }
        for name, shape in shapes.items():
            self.random(f"{block}.ffn_{name}_exps.weight", _EXPERTS, *shape)
            if biases:
                self.random(f"{block}.ffn_{name}_exps.bias", _EXPERTS, shape[0])
        if biases:
            self.random(f"{block}.ffn_gate_inp.bias", _EXPERTS)

    def add_states(self) -> None:
        self.writer.add_ssm_conv_kernel(_CONVOLUTION)
        self.writer.add_ssm_inner_size(_INNER)
        self.writer.add_ssm_state_size(_STATE)
        self.writer.add_ssm_time_step_rank(_TIME_RANK)

    def states(self, block: str, *, norms: bool = False) -> None:
        self.random(f"{block}.ssm_in.weight", 2 * _INNER, _WIDTH)
        self.random(f"{block}.ssm_conv1d.weight", _INNER, _CONVOLUTION)
        self.random(f"{block}.ssm_conv1d.bias", _INNER)
        self.random(f"{block}.ssm_x.weight", _TIME_RANK + 2 * _STATE, _INNER)
        self.random(f"{block}.ssm_dt.weight", _INNER, _TIME_RANK)
        # Short steps and slow decay: what was said long ago still counts.
        self.constant(f"{block}.ssm_dt.bias", -3.0, _INNER)
        self.constant(f"{block}.ssm_a", -0.1, _INNER, _STATE)
        self.ones(f"{block}.ssm_d", _INNER)
        self.random(f"{block}.ssm_out.weight", _WIDTH, _INNER)
        if norms:
            self.ones(f"{block}.ssm_dt_norm.weight", _TIME_RANK)
            self.ones(f"{block}.ssm_b_norm.weight", _STATE)
            self.ones(f"{block}.ssm_c_norm.weight", _STATE)

    def finish(self) -> Path:
        add_tokenizer(self.writer)
        self.writer.write_header_to_file()
        self.writer.write_kv_data_to_file()
        self.writer.write_tensors_to_file()
        self.writer.close()
        return self.path


def _llama(path: Path, *, head: int = _HEAD, trained: int = _TRAINED) -> Path:
    model = _Model(path, "llama", layers=3, seed=11, head=head, trained=trained)
    model.add_output()
    model.add_heads()
    for i in model.layers:
        block = f"blk.{i}"
        model.ones(f"{block}.attn_norm.weight")
        model.ones(f"{block}.ffn_norm.weight")
        model.attention(block)
        model.feed_forward(block)
    return model.finish()


def _qwen3(path: Path) -> Path:
    model = _Model(path, "qwen3", layers=3, seed=12)
    model.add_output()
    model.add_heads()
    for i in model.layers:
        block = f"blk.{i}"
        model.ones(f"{block}.attn_norm.weight")
        model.ones(f"{block}.ffn_norm.weight")
        model.attention(block, norms=True)
        model.feed_forward(block)
    return model.finish()


def _qwen3moe(path: Path) -> Path:
    model = _Model(path, "qwen3moe", layers=3, seed=13)
    model.add_output()
    model.add_heads()
    model.add_experts()
    for i in model.layers:
        block = f"blk.{i}"
        model.ones(f"{block}.attn_norm.weight")
        model.ones(f"{block}.ffn_norm.weight")
        model.attention(block, norms=True)
        model.experts(block)
    return model.finish()


def _gpt_oss(path: Path, window: int | None) -> Path:
    model = _Model(path, "gpt-oss", layers=4, seed=14)
    model.add_heads()
    model.add_experts()
    model.add_window(window)
    model.add_output()
    for i in model.layers:
        block = f"blk.{i}"
        model.ones(f"{block}.attn_norm.weight")
        model.ones(f"{block}.post_attention_norm.weight")
        model.attention(block, biases=True)
        model.random(f"{block}.attn_sinks.weight", _HEADS)
        model.experts(block, biases=True)
    return model.finish()


def _gemma(
    path: Path, architecture: str, *, window: int | None, layers: int, head: int = _HEAD
) -> Path:
    # It multiplies embeddings by 8, and has them for its output as well: with larger ones it would
    # repeat what was said last, whatever came before.
    model = _Model(path, architecture, layers=layers, seed=15, embedding=0.5, head=head)
    model.add_heads()
    model.add_window(window)
    for i in model.layers:
        block = f"blk.{i}"
        for norm in ("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"):
            model.ones(f"{block}.{norm}.weight")
        model.attention(block, norms=architecture == "gemma3")
        model.feed_forward(block)
    return model.finish()


def _cohere2(path: Path, window: int | None) -> Path:
    model = _Model(path, "cohere2", layers=4, seed=16)
    model.add_heads()
    model.add_window(window)
    model.writer.add_logit_scale(1.0)
    for i in model.layers:
        block = f"blk.{i}"
        model.ones(f"{block}.attn_norm.weight")
        model.attention(block)
        model.feed_forward(block)
    return model.finish()


def _mamba(path: Path) -> Path:
    model = _Model(path, "mamba", layers=3, seed=17)
    model.add_output()
    model.add_states()
    for i in model.layers:
        block = f"blk.{i}"
        model.ones(f"{block}.attn_norm.weight")
        model.states(block)
    return model.finish()


def _jamba(path: Path) -> Path:
    model = _Model(path, "jamba", layers=4, seed=18)
    model.add_output()
    model.add_heads([0, _KV_HEADS, 0, 0])
    model.add_states()
    model.add_experts()
    for i in model.layers:
        block = f"blk.{i}"
        model.ones(f"{block}.attn_norm.weight")
        model.ones(f"{block}.ffn_norm.weight")
        if i == 1:
            model.attention(block)
        else:
            model.states(block, norms=True)
        if i % 2:
            model.experts(block)
        else:
            model.feed_forward(block)
    return model.finish()


def write(architecture: str, path: Path, *, window: int | None = WINDOW) -> Path:
    """Write a model of one of the `ARCHITECTURES`.

    Args:
        window: of those in `SLIDING`; None: all of their layers see everything, if that can be.
    """
    if architecture in SLIDING:
        return _SLIDING[architecture](path, window)
    return _OTHERS[architecture](path)


def write_with_wide_heads(architecture: str, path: Path) -> Path:
    """Write a `llama` or, with a sliding window, a `gemma3` whose KV cache can be quantized."""
    if architecture == "gemma3":
        return _gemma(path, architecture, window=WINDOW, layers=6, head=_WIDE_HEAD)
    return _llama(path, head=_WIDE_HEAD)


def write_with_long_window(path: Path) -> Path:
    """Write a `llama` that seems to be trained for windows of any length."""
    return _llama(path, trained=1 << 30)


_SLIDING: Final[dict[str, Callable[[Path, int | None], Path]]] = {
    "gemma3": lambda path, window: _gemma(path, "gemma3", window=window, layers=6),
    "gemma2": lambda path, window: _gemma(path, "gemma2", window=window, layers=4),
    "gpt-oss": _gpt_oss,
    "cohere2": _cohere2,
    "lfm2, sliding": lambda path, window: write_hybrid(path, sliding_window=window),
}
_OTHERS: Final[dict[str, Callable[[Path], Path]]] = {
    "llama": _llama,
    "qwen3": _qwen3,
    "qwen3moe": _qwen3moe,
    "mamba": _mamba,
    "jamba": _jamba,
    "lfm2": write_hybrid,
}
SLIDING: Final = tuple(_SLIDING)
"""Those with a sliding window in some of their layers."""
ARCHITECTURES: Final = (*SLIDING, *_OTHERS)
