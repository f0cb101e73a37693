"""llama.cpp's low-level API behind a small class: vocabulary, evaluation, the KV cache.

Beside `sampler.py` the only file that imports llama_cpp. Nothing here is safe to call from two
threads, except for the vocabulary (`tokenize`, `piece_of`), which never changes.
"""

import ctypes
import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import llama_cpp
import numpy as np

from worker.engine.devices import gpu_count
from worker.engine.interface import EngineError, SamplingOptions
from worker.engine.sampler import Sampler

log = logging.getLogger(__name__)

_SPLIT_MODE_NONE: Final = 0
_SAMPLE_BYTES: Final = 1 << 20
_LOG_LEVELS: Final = {2: logging.DEBUG, 3: logging.WARNING, 4: logging.ERROR}
_NO_SLOT: Final = 1


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
def _log_to_python(level: int, text: bytes, _user_data: Any) -> None:
    message = text.decode("utf-8", "replace").strip()
    if message.strip("."):
        log.log(_LOG_LEVELS.get(level, logging.DEBUG), "llama.cpp: %s", message)


# The module keeps the callback alive: collected, it would crash the process.
llama_cpp.llama_log_set(_log_to_python, ctypes.c_void_p(0))


class ModelError(EngineError):
    """A model cannot be loaded, or an evaluation failed."""


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """How to load a model.

    Args:
        path: the GGUF file.
        window: tokens of prompt and reply together.
        threads: for evaluation on the CPU.
        gpu_layers: layers to put on the GPU; -1 is all. Without a GPU build it has no effect.
        device: which GPU, counted from 0; taken modulo their number.
        batch: most prompt tokens evaluated in one call.
    """

    path: Path
    window: int
    threads: int
    gpu_layers: int = -1
    device: int = 0
    batch: int = 512


class LlamaModel:
    """A loaded model with one evaluation context.

    Raises:
        ModelError: the file is missing, damaged, or does not fit into memory.
    """

    def __init__(self, options: ModelOptions) -> None:
        self.batch_size = options.batch
        llama_cpp.llama_backend_init()
        self._model = self._load(options)
        self._context = self._make_context(options)
        self._memory = llama_cpp.llama_get_memory(self._context)
        self.vocab = llama_cpp.llama_model_get_vocab(self._model)
        num_vocab = llama_cpp.llama_vocab_n_tokens(self.vocab)
        self.eog_tokens = [
            token for token in range(num_vocab) if llama_cpp.llama_vocab_is_eog(self.vocab, token)
        ]
        self._eog = frozenset(self.eog_tokens)
        self._pieces: dict[int, bytes] = {}
        self._batch = llama_cpp.llama_batch_init(self.batch_size, 0, 1)
        self._views = _batch_views(self._batch, self.batch_size)

    def _load(self, options: ModelOptions) -> Any:
        params = llama_cpp.llama_model_default_params()
        gpus = gpu_count() if llama_cpp.llama_supports_gpu_offload() else 0
        params.n_gpu_layers = options.gpu_layers if gpus else 0
        if gpus:
            params.split_mode = _SPLIT_MODE_NONE
            params.main_gpu = options.device % gpus
        model = llama_cpp.llama_model_load_from_file(str(options.path).encode(), params)
        if not model:
            raise ModelError(f"{options.path}: llama.cpp cannot load this model")
        trained = llama_cpp.llama_model_n_ctx_train(model)
        if options.window > trained:
            log.warning("the window of %d tokens is longer than the model was trained for (%d)",
                        options.window, trained)  # fmt: skip
        return model

    def _make_context(self, options: ModelOptions) -> Any:
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = options.window
        params.n_batch = params.n_ubatch = options.batch
        params.n_seq_max = 1
        # One governs single tokens, the other everything longer.
        params.n_threads = params.n_threads_batch = options.threads
        params.no_perf = True
        context = llama_cpp.llama_init_from_model(self._model, params)
        if not context:
            raise ModelError(f"{options.path}: not enough memory for a window of {options.window}")
        return context

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Ids of a text; with `special`, control tokens in it are recognised."""
        data = text.encode("utf-8")
        size = len(data) + 8
        tokens = (ctypes.c_int32 * size)()
        count = llama_cpp.llama_tokenize(self.vocab, data, len(data), tokens, size, False, special)
        if count < 0:
            tokens = (ctypes.c_int32 * -count)()
            count = llama_cpp.llama_tokenize(
                self.vocab, data, len(data), tokens, -count, False, special
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

    def _to_piece(self, token: int, buffer: Any, special: bool) -> int:
        return int(
            llama_cpp.llama_token_to_piece(self.vocab, token, buffer, len(buffer), 0, special)
        )

    def is_end(self, token: int) -> bool:
        """Whether a token ends the reply."""
        return token in self._eog

    @property
    def leading_tokens(self) -> list[int]:
        """What the model wants in front of every prompt."""
        if not llama_cpp.llama_vocab_get_add_bos(self.vocab):
            return []
        return [llama_cpp.llama_vocab_bos(self.vocab)]

    def token_text(self, kind: str) -> str:
        """The text of the `bos` or `eos` token, "" if the model has none."""
        token = getattr(llama_cpp, f"llama_vocab_{kind}")(self.vocab)
        return self.piece_of(token, special=True).decode("utf-8", "replace") if token >= 0 else ""

    @property
    def chat_template(self) -> str | None:
        """The Jinja text inside the GGUF, if it has one."""
        template = llama_cpp.llama_model_chat_template(self._model, None)
        return template.decode("utf-8") if template else None

    def make_sampler(self, options: SamplingOptions) -> Sampler:
        """A sampler chain for one reply."""
        return Sampler(self.vocab, options, self.eog_tokens)

    def sample(self, sampler: Sampler) -> int:
        """Draw from the logits of the last evaluated token."""
        return sampler.sample(self._context)

    def evaluate(self, tokens: Sequence[int], position: int) -> None:
        """Evaluate tokens from a position on; logits are there for the last one.

        Raises:
            ModelError: llama.cpp could not; the cache must be cleared.
        """
        count = len(tokens)
        if not 0 < count <= self.batch_size:
            raise ModelError(f"a batch of {count} tokens; allowed are 1 to {self.batch_size}")
        views = self._views
        views.token[:count] = tokens
        views.pos[:count] = np.arange(position, position + count, dtype=np.int32)
        views.logits[:count] = 0
        views.logits[count - 1] = 1
        self._batch.n_tokens = count
        status = llama_cpp.llama_decode(self._context, self._batch)
        if status != 0:
            reason = "the window is full" if status == _NO_SLOT else f"llama_decode: {status}"
            raise ModelError(f"evaluation failed ({reason})")

    def keep(self, length: int) -> bool:
        """Forget everything cached behind `length` tokens; False if the model cannot (then all)."""
        if llama_cpp.llama_memory_seq_rm(self._memory, 0, length, -1):
            return True
        llama_cpp.llama_memory_clear(self._memory, False)
        return False

    def close(self) -> None:
        """Free everything."""
        llama_cpp.llama_batch_free(self._batch)
        llama_cpp.llama_free(self._context)
        llama_cpp.llama_model_free(self._model)


@dataclass(frozen=True, slots=True)
class _Views:
    token: Any
    pos: Any
    logits: Any


def _batch_views(batch: Any, size: int) -> _Views:
    """numpy arrays over a batch's memory: filling them costs 1 µs instead of 0.2 ms.

    Every token belongs to the one sequence 0, which is written here once.
    """
    for index in range(size):
        batch.n_seq_id[index] = 1
        batch.seq_id[index][0] = 0
    return _Views(
        token=np.ctypeslib.as_array(batch.token, shape=(size,)),
        pos=np.ctypeslib.as_array(batch.pos, shape=(size,)),
        logits=np.ctypeslib.as_array(batch.logits, shape=(size,)),
    )


def fingerprint(path: Path) -> str:
    """A short hash that tells model files apart: size, beginning and end."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with open(path, "rb") as file:
        digest.update(file.read(_SAMPLE_BYTES))
        file.seek(max(0, size - _SAMPLE_BYTES))
        digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()[:16]
