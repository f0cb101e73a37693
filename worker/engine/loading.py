"""Put an engine together from a model file."""

import logging
from pathlib import Path

from worker.engine.chat_template import CHATML, ChatTemplate, TemplateError
from worker.engine.engine import LlamaEngine
from worker.engine.interface import ModelInfo
from worker.engine.model import LlamaModel, ModelError, ModelOptions, fingerprint

log = logging.getLogger(__name__)


def load_engine(
    options: ModelOptions,
    *,
    template_path: Path | None,
    longest_step_s: float,
    stuck_after_s: float,
) -> LlamaEngine:
    """Load a model and start its engine.

    Args:
        template_path: a Jinja file that replaces the model's own chat template.

    Raises:
        ModelError: the model or its chat template cannot be used.
    """
    model = LlamaModel(options)
    try:
        source = template_path.read_text(encoding="utf-8") if template_path else model.chat_template
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"the chat template cannot be read: {error}") from None
    if source is None:
        log.warning("%s has no chat template; ChatML is used", options.path.name)
        source = CHATML
    try:
        template = ChatTemplate(
            source,
            lambda text: model.tokenize(text, special=True),
            bos=model.token_text("bos"),
            eos=model.token_text("eos"),
            leading=model.leading_tokens,
        )
    except TemplateError as error:
        raise ModelError(
            f"the chat template of {options.path.name} cannot be used ({error}); "
            "PALAVER_CHAT_TEMPLATE names another"
        ) from None
    info = ModelInfo(name=options.path.stem, fingerprint=fingerprint(options.path))
    return LlamaEngine(
        model, template, info, longest_step_s=longest_step_s, stuck_after_s=stuck_after_s
    )
