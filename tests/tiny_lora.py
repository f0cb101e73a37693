"""LoRA files with random weights, for the `llama` of `tests/tiny_architectures.py`."""

from collections.abc import Sequence
from pathlib import Path

import gguf
import numpy as np

_WIDTH = 64
_RANK = 4


def write_lora(
    path: Path,
    *,
    architecture: str = "llama",
    width: int = _WIDTH,
    seed: int = 1,
    invocation: Sequence[int] = (),
) -> Path:
    """Write an adapter of the first layer's queries.

    Args:
        width: of the model that it is for.
        invocation: tokens behind which an activated LoRA begins.
    """
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(_RANK))
    if invocation:
        key = "adapter.alora.invocation_tokens"
        writer.add_key_value(
            key, list(invocation), gguf.GGUFValueType.ARRAY, gguf.GGUFValueType.UINT32
        )
    random = np.random.default_rng(seed)
    for part, shape in (("lora_a", (_RANK, width)), ("lora_b", (width, _RANK))):
        weights = random.normal(0, 0.5, shape).astype(np.float32)
        writer.add_tensor(f"blk.0.attn_q.weight.{part}", weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
