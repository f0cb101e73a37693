"""`python -m worker.check`: what a worker would load and onto which devices, as JSON.

No weights are loaded.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from shared.config import Settings, load_settings
from shared.environment import DEFAULT_PORT
from shared.errors import ConfigError
from worker.engine.interface import EngineError
from worker.reading.reply_format import derive_format
from worker.template.chat_template import ChatTemplate
from worker.template.environment import TemplateError
from worker.template.rendering_process import RenderingProcess

if TYPE_CHECKING:
    from worker.engine.vocabulary import ModelVocabulary


_EMBEDS: Final[dict[str, Any]] = {
    "sampling": {},
    "sampling_settings": {},
    "template": None,
    "replies": None,
    "abilities": ["makes embeddings"],
}
"""What there is to report of a model that does not chat."""


def check() -> dict[str, Any]:
    """What a worker would load, and onto what.

    The model's path, size in bytes and number of weights, a worker's warnings about it, what its
    file says of window and sampling, what its chat template does, how it fits into memory, the
    usable GPUs, and why there is none if one could be expected.

    Raises:
        ConfigError, EngineError: there is no usable model.
        OSError, RuntimeError: llama.cpp cannot be loaded.
    """
    # Imported here because llama.cpp may fail to load, and `main` reports that.
    from worker.engine.conversion import weights_of  # noqa: PLC0415
    from worker.engine.devices import gpus, why_no_gpu  # noqa: PLC0415
    from worker.engine.loading import remarks  # noqa: PLC0415
    from worker.engine_setup import (  # noqa: PLC0415
        DEMO,
        check_options,
        model_options,
        model_path,
    )

    settings = load_settings(PORT=DEFAULT_PORT)
    path = model_path(settings)
    _, num_weights = weights_of(path)
    return {
        "path": str(path),
        "bytes": path.stat().st_size,
        "weights": num_weights,
        "gpus": [asdict(gpu) for gpu in gpus()] if settings.gpu_layers else [],
        "remarks": [
            *remarks(path, window=settings.context_length, template_path=settings.chat_template),
            *check_options(model_options(settings)),
        ],
        "demo": DEMO if settings.model_path is None else None,
        **describe(path, settings),
        "memory": _memory(path, settings),
        "all_layers": settings.gpu_layers < 0 and "gpu_layers" in settings.model_fields_set,
        # With PALAVER_GPU_LAYERS=0 nobody expects a GPU.
        "why_no_gpu": why_no_gpu() if settings.gpu_layers else None,
    }


def _memory(path: Path, settings: Settings) -> dict[str, Any] | None:
    """How the model would fit into memory as it is now; None if that is unknown.

    Raises:
        DoesNotFit: it would not.
    """
    from worker.engine.loading import purpose_of_file  # noqa: PLC0415
    from worker.engine_setup import model_options  # noqa: PLC0415
    from worker.fitting import fit  # noqa: PLC0415

    if purpose_of_file(path) != "text":
        return None
    fitted = fit(settings, model_options(settings))
    return {"remark": fitted.remark, "is_less": fitted.is_less} if fitted.remark else None


def describe(path: Path, settings: Settings) -> dict[str, Any]:
    """A model's window, its own sampling options, and what its chat template does.

    Raises:
        ConfigError, EngineError: the model or its template cannot be used.
    """
    from worker.engine.loading import template_source  # noqa: PLC0415
    from worker.engine.model_file import (  # noqa: PLC0415
        longest_window,
        purpose_of,
        window_of,
        without_weights,
    )
    from worker.engine.recommended import recommended_sampling  # noqa: PLC0415
    from worker.engine.vocabulary import ModelVocabulary  # noqa: PLC0415
    from worker.engine_setup import sampling_settings  # noqa: PLC0415

    with without_weights(path) as model:
        windows = {
            "window": window_of(model, settings.context_length)[0],
            "longest_window": longest_window(model),
        }
        if purpose_of(model, path) == "embeddings":
            return windows | _EMBEDS
        vocabulary = ModelVocabulary(model)
        source, _ = template_source(vocabulary, path, settings.chat_template)
        sampling, _ = recommended_sampling(model)
        return {
            **windows,
            "sampling": sampling,
            "sampling_settings": sampling_settings(settings),
            **_describe_template(source, vocabulary),
        }


def _describe_template(source: str, vocabulary: "ModelVocabulary") -> dict[str, Any]:
    try:
        # A model's file may come from anywhere, and its template is a program.
        renderer = RenderingProcess(source)
        try:
            template = ChatTemplate(
                source,
                bos=vocabulary.token_text("bos"),
                eos=vocabulary.token_text("eos"),
                renderer=renderer,
            )
            replies = derive_format(template)
        finally:
            renderer.close()
    except TemplateError as error:
        raise ConfigError(
            f"its chat template cannot be used ({error}); PALAVER_CHAT_TEMPLATE names another"
        ) from None
    abilities = {"chats": True, "thinks": replies.has_reasoning, "calls tools": replies.has_tools}
    return {
        "template": template.traits.describe(),
        "replies": replies.describe(),
        "abilities": [ability for ability, is_there in abilities.items() if is_there],
    }


def main() -> int:
    try:
        print(json.dumps(check()))
    except (ConfigError, EngineError, OSError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
