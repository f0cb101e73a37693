"""Put an engine together from a model file."""

import logging
from pathlib import Path

from worker.engine.chat_template import CHATML, ChatTemplate, TemplateError
from worker.engine.engine import LlamaEngine
from worker.engine.interface import ModelInfo
from worker.engine.model import LlamaModel
from worker.engine.model_file import ModelError
from worker.engine.options import ModelOptions

log = logging.getLogger(__name__)


def load_engine(
    options: ModelOptions,
    *,
    template_path: Path | None,
    longest_step_s: float,
    stuck_after_s: float,
    park_bytes: int,
    info: ModelInfo,
) -> LlamaEngine:
    """Load a model and start its engine.

    Args:
        options: the file to load; the model's name and fingerprint are `info`'s.
        template_path: a Jinja file that replaces the model's own chat template.

    Raises:
        ModelError: the model or its chat template cannot be used.
    """
    model = LlamaModel(options)
    log.info("%s runs on %s", info.name, model.placement)
    vocabulary = model.vocabulary
    try:
        source = (
            template_path.read_text(encoding="utf-8") if template_path else vocabulary.chat_template
        )
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"the chat template cannot be read: {error}") from None
    if source is None:
        log.warning("%s has no chat template; ChatML is used", options.path.name)
        source = CHATML
    try:
        template = ChatTemplate(
            source,
            lambda text: vocabulary.tokenize(text, special=True),
            bos=vocabulary.token_text("bos"),
            eos=vocabulary.token_text("eos"),
            leading=vocabulary.leading_tokens,
        )
    except TemplateError as error:
        raise ModelError(
            f"the chat template of {options.path.name} cannot be used ({error}); "
            "PALAVER_CHAT_TEMPLATE names another"
        ) from None
    return LlamaEngine(
        model,
        template,
        info,
        longest_step_s=longest_step_s,
        stuck_after_s=stuck_after_s,
        park_bytes=park_bytes,
    )
