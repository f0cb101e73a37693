"""Loads an engine from a model file, and warns about the file beforehand."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

from worker.engine.devices import Device
from worker.engine.embedding_engine import EmbeddingEngine
from worker.engine.embedding_model import EmbeddingModel
from worker.engine.engine import Drafts, LlamaEngine
from worker.engine.interface import ModelInfo, SamplingOptions
from worker.engine.model import LlamaModel
from worker.engine.model_drafter import first_difference
from worker.engine.model_file import (
    ModelError,
    Purpose,
    metadata,
    purpose_of,
    window_of,
    without_weights,
)
from worker.engine.options import ModelOptions
from worker.engine.vocabulary import ModelVocabulary

log = logging.getLogger(__name__)

CHATML: Final = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""For models without a template."""
NO_SETTINGS: Final[Mapping[str, float]] = MappingProxyType({})
_SEVERAL: Final = 2
_CHATML_TOKENS: Final = ("<|im_start|>", "<|im_end|>")


def template_source(
    vocabulary: ModelVocabulary, path: Path, template_path: Path | None
) -> tuple[str, str | None]:
    """The chat template of a model's file or its replacement, and a warning if there is one.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        source = (
            template_path.read_text(encoding="utf-8") if template_path else vocabulary.chat_template
        )
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"the chat template cannot be read: {error}") from None
    if source is not None:
        return source, None
    missing = [text for text in _CHATML_TOKENS if len(vocabulary.tokenize(text, special=True)) != 1]
    warning = f"{path.name} has no chat template; ChatML is used"
    if missing:
        warning += (
            f", although its vocabulary has no {' and no '.join(missing)}: replies will hardly be "
            "any good; PALAVER_CHAT_TEMPLATE names a template"
        )
    return CHATML, warning


def remarks(path: Path, *, window: int, template_path: Path | None) -> list[str]:
    """A worker's warnings about a model, found without loading weights.

    Raises:
        ModelError: the model cannot be used.
    """
    with without_weights(path) as model:
        warnings = [window_of(model, window)[1]]
        if purpose_of(model, path) == "text":
            warnings.append(template_source(ModelVocabulary(model), path, template_path)[1])
    return [warning for warning in warnings if warning is not None]


def check_split(options: ModelOptions, available: Sequence[Device], *, rows: bool) -> None:
    """Check that these GPUs can share the model as is wished.

    Args:
        rows: whether llama.cpp can spread each layer over them.

    Raises:
        ModelError: they cannot.
    """
    if options.split == "row" and available and not rows:
        raise ModelError(
            "PALAVER_SPLIT=row: llama.cpp's build for these GPUs cannot spread each layer over "
            "several; allowed are none and layer"
        )


def without_effect(options: ModelOptions, available: Sequence[Device]) -> list[str]:
    """Warnings about what is set and changes nothing here.

    Raises:
        ModelError: the model cannot be used.
    """
    warnings = []
    if options.split != "none" and len(available) < _SEVERAL:
        warnings.append(f"PALAVER_SPLIT={options.split} changes nothing: there are no two GPUs")
    if options.cpu_moe and not available:
        warnings.append(f"PALAVER_CPU_MOE={options.cpu_moe} changes nothing: there is no GPU")
    elif options.cpu_moe and not _has_experts(options.path):
        warnings.append(
            f"PALAVER_CPU_MOE={options.cpu_moe} changes nothing: {options.path.name} is no mixture "
            "of experts"
        )
    return warnings


def _has_experts(path: Path) -> bool:
    with without_weights(path) as model:
        architecture = metadata(model, "general.architecture")
        return (metadata(model, f"{architecture}.expert_count") or "0") != "0"


def purpose_of_file(path: Path) -> Purpose:
    """What a model is made for.

    Raises:
        ModelError: it cannot be used.
    """
    with without_weights(path) as model:
        return purpose_of(model, path)


def load_embedder(
    options: ModelOptions, *, info: ModelInfo, stuck_after_s: float
) -> EmbeddingEngine:
    """Load a model that makes embeddings and start its engine.

    Args:
        options: the file to load; the model's name and fingerprint are `info`'s.

    Raises:
        ModelError: the model cannot be used.
    """
    model = EmbeddingModel(options)
    log.info("%s runs on %s", info.name, model.placement)
    log.info(
        "%s makes embeddings and cannot chat; texts have %d tokens at most", info.name, model.window
    )
    return EmbeddingEngine(
        model,
        replace(info, context_length=model.context_length),
        slots=options.slots,
        stuck_after_s=stuck_after_s,
    )


def load_engine(
    options: ModelOptions,
    *,
    template_path: Path | None,
    longest_step_s: float,
    stuck_after_s: float,
    swap_bytes: int,
    info: ModelInfo,
    sampling: Mapping[str, float] = NO_SETTINGS,
    drafts: Drafts | None = None,
) -> LlamaEngine:
    """Load a model and start its engine.

    Args:
        options: the file to load; the model's name and fingerprint are `info`'s.
        template_path: a Jinja file that replaces the model's own chat template.
        sampling: the server's settings of `SamplingOptions`, by name.
        drafts: where they come from; None for no drafts.

    Raises:
        ModelError: the model cannot be used, or not with this draft model.
    """
    model = LlamaModel(options)
    if drafts is not None and drafts.model is not None:
        _check_vocabulary(model, drafts.model)
    log.info("%s runs on %s", info.name, model.placement)
    vocabulary = model.vocabulary
    source, warning = template_source(vocabulary, options.path, template_path)
    if warning is not None:
        log.warning("%s", warning)
    info = replace(
        info,
        chat_template=source,
        bos=vocabulary.token_text("bos"),
        eos=vocabulary.token_text("eos"),
        sampling=replace(SamplingOptions(), **(model.recommended | dict(sampling))),
        context_length=model.context_length,
    )
    return LlamaEngine(
        model,
        info,
        longest_step_s=longest_step_s,
        stuck_after_s=stuck_after_s,
        swap_bytes=swap_bytes,
        drafts=drafts,
    )


def load_draft_model(options: ModelOptions) -> LlamaModel:
    """Load a smaller model that drafts for another one.

    Raises:
        ModelError: it cannot be used.
    """
    model = LlamaModel(options)
    if not model.can_truncate:
        raise ModelError(
            f"{options.path}: this model cannot take tokens back, and so it cannot draft "
            "(PALAVER_DRAFT_MODEL_PATH)"
        )
    log.info("%s drafts, on %s", options.path.stem, model.placement)
    return model


def _check_vocabulary(model: LlamaModel, draft_model: LlamaModel) -> None:
    token = first_difference(model.vocabulary, draft_model.vocabulary)
    if token is not None:
        raise ModelError(
            "PALAVER_DRAFT_MODEL_PATH: the draft model has another vocabulary: token "
            f"{token} is {draft_model.vocabulary.piece_of(token, special=True)!r} there and "
            f"{model.vocabulary.piece_of(token, special=True)!r} in the model"
        )
