"""The model file that every engine is given, and its vocabulary for clients that count tokens."""

from pathlib import Path
from typing import Final

import llama_cpp

from shared.config import Settings
from shared.process.machine import usable_memory
from worker.engine.conversion import BF16, Q8_0, convert, fast_on_this_machine
from worker.engine.model_file import load_model
from worker.engine.vocabulary import ModelVocabulary
from worker.engine_setup import model_path

AUTO: Final = "auto"
BUNDLED: Final = "bundled"
CONVERTED: Final = {kind.name: kind for kind in (BF16, Q8_0)}


def model_file(choice: str, folder: Path, threads: int) -> Path:
    """The file for `--model`.

    Args:
        choice: `auto` for what a worker makes of the bundled model on this machine, `bundled` for
            that model as it is, a type to convert it to, or a path.
        folder: for converted files.
        threads: for converting.
    """
    bundled = model_path(Settings(_env_file=None, PALAVER_MODEL_PATH=None))
    if choice == AUTO:
        return fast_on_this_machine(bundled, folder, threads=threads, memory=usable_memory())
    if choice not in CONVERTED:
        return bundled if choice == BUNDLED else Path(choice)
    target = folder / f"{bundled.stem}-{choice}.gguf"
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        convert(bundled, target, CONVERTED[choice], threads)
    return target


def vocabulary_of(path: Path) -> ModelVocabulary:
    """A model's tokenizer, without its weights."""
    params = llama_cpp.llama_model_default_params()
    params.vocab_only = True
    return ModelVocabulary(load_model(path, params))
