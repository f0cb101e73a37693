"""Model files: loads them, reads their metadata, tells what they are made for."""

import contextlib
import ctypes
import hashlib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import llama_cpp

from worker.engine.interface import EngineError
from worker.engine.library_log import listening
from worker.engine.options import Adapter, KvType, ModelOptions

_SAMPLE_BYTES: Final = 1 << 20
_BYTES: Final[dict[KvType, float]] = {"f16": 2, "q8_0": 34 / 32}
"""Of a number in the KV cache."""
_NOT_LOCKED: Final = "failed to mlock"
"""What llama.cpp logs, and goes on without."""
_POOLINGS: Final = {"0": "none", "1": "mean", "2": "cls", "3": "last", "4": "rank"}
"""How a text's tokens become one vector, by the numbers in files."""

Purpose = Literal["text", "embeddings"]


class ModelError(EngineError):
    """A model cannot be loaded."""


def load_model(path: Path, params: Any) -> Any:
    """llama.cpp's handle of a model file.

    Raises:
        ModelError: it cannot be loaded.
    """
    with listening() as messages:
        model = llama_cpp.llama_model_load_from_file(str(path).encode(), params)
    if not model:
        raise ModelError(f"{path}: llama.cpp cannot load this model: {messages.reason}")
    if messages.contain(_NOT_LOCKED):
        llama_cpp.llama_model_free(model)
        raise ModelError(
            f"{path}: PALAVER_LOAD_MODE: its weights cannot be locked in memory, for lack of it or "
            "because of the limit that `ulimit -l` shows"
        )
    return model


@contextlib.contextmanager
def without_weights(path: Path) -> Iterator[Any]:
    """A model's handle with vocabulary and metadata, but no weights.

    Raises:
        ModelError: it cannot be loaded.
    """
    params = llama_cpp.llama_model_default_params()
    params.vocab_only = True
    model = load_model(path, params)
    try:
        yield model
    finally:
        llama_cpp.llama_model_free(model)


def purpose_of(model: Any, path: Path) -> Purpose:
    """Whether a loaded model generates text or makes embeddings, as its file says.

    Raises:
        ModelError: it does neither; evaluating it would abort the process or yield nothing.
    """
    architecture = metadata(model, "general.architecture")
    pooling = _POOLINGS.get(metadata(model, f"{architecture}.pooling_type") or "0", "unknown")
    has_decoder = bool(llama_cpp.llama_model_has_decoder(model))
    is_causal = metadata(model, f"{architecture}.attention.causal") != "false"
    if llama_cpp.llama_model_has_encoder(model) and has_decoder:
        flaw = "translates between an encoder and a decoder"
    elif pooling == "none" and has_decoder and is_causal:
        return "text"
    elif pooling == "none":
        flaw = "makes embeddings, but its file names no pooling of a text's tokens to one vector,"
    elif pooling == "rank":
        flaw = "ranks texts: it makes no embeddings"
    elif pooling == "unknown":
        flaw = "pools in a way that is not known here"
    else:
        return "embeddings"
    raise ModelError(
        f"{path}: a model of this kind ({architecture}) {flaw} and cannot chat; "
        "PALAVER_MODEL_PATH must name one that generates text or makes embeddings"
    )


def check_purpose(model: Any, path: Path, purpose: Purpose) -> None:
    """Check what a loaded model is made for.

    Raises:
        ModelError: for something else.
    """
    if purpose_of(model, path) != purpose:
        raise ModelError(f"{path}: this model is not made for {purpose}")


def metadata(model: Any, key: str) -> str | None:
    """A model's metadata under a key, as text."""
    text = ctypes.create_string_buffer(256)
    length = llama_cpp.llama_model_meta_val_str(model, key.encode(), text, len(text))
    return text.value.decode("utf-8", "replace") if length >= 0 else None


def longest_window(model: Any) -> int | None:
    """Tokens that a model was trained for or can be stretched to; None if its file says neither.

    llama.cpp stretches by itself, as the file's RoPE metadata say.
    """
    architecture = metadata(model, "general.architecture")
    scaling = f"{architecture}.rope.scaling"
    trained = _number(model, f"{architecture}.context_length")
    if metadata(model, f"{scaling}.type") == "none":
        return int(trained) or None
    original = _number(model, f"{scaling}.original_context_length") or trained
    return int(max(trained, original * _number(model, f"{scaling}.factor"))) or None


def window_of(model: Any, requested: int) -> tuple[int, str | None]:
    """The window to use, and a warning about it if there is one.

    Args:
        requested: tokens; 0 is the longest that the model supports.

    Raises:
        ModelError: 0 is requested and the file does not say.
    """
    longest = longest_window(model)
    if not requested:
        if longest is None:
            raise ModelError(
                "PALAVER_CONTEXT_LENGTH=0: the model's file does not tell what it was trained for"
            )
        return longest, None
    if longest is None or requested <= longest:
        return requested, None
    return longest, (
        f"PALAVER_CONTEXT_LENGTH={requested} is more than the model was trained for: the window "
        f"has {longest} tokens"
    )


def _number(model: Any, key: str) -> float:
    """A number of the metadata; 0 if it is missing or not finite."""
    text = metadata(model, key)
    number = float(text) if text is not None else 0.0
    return number if math.isfinite(number) else 0.0


def cache_bytes(model: Any, options: ModelOptions) -> int:
    """Approximate size of the KV cache: keys and values, per layer and token.

    Exact for dense models; models that keep less (a latent, a sliding window) take less.
    """
    heads = max(1, int(llama_cpp.llama_model_n_head(model)))
    head_size = int(llama_cpp.llama_model_n_embd(model)) // heads
    row = head_size * int(llama_cpp.llama_model_n_head_kv(model))
    tokens = options.window * options.slots
    numbers = tokens * int(llama_cpp.llama_model_n_layer(model)) * row * 2
    return round(numbers * _BYTES[options.kv_type])


def fingerprint(path: Path, adapters: Sequence[Adapter] = ()) -> str:
    """A short hash of a model file's size, beginning and end, and of the adapters it runs with."""
    own = _file_fingerprint(path)
    if not adapters:
        return own
    digest = hashlib.sha256(own.encode())
    for adapter in adapters:
        digest.update(f" {_file_fingerprint(adapter.path)}:{adapter.scale!r}".encode())
    return digest.hexdigest()[:16]


def _file_fingerprint(path: Path) -> str:
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with open(path, "rb") as file:
        digest.update(file.read(_SAMPLE_BYTES))
        file.seek(max(0, size - _SAMPLE_BYTES))
        digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()[:16]
