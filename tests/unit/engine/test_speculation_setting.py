"""PALAVER_SPECULATION, through a whole engine that writes the same text twice."""

from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Final

import pytest

from tests.servers import make_settings
from tests.spelling_model import write_spelling_model
from worker.engine.engine import LlamaEngine
from worker.engine.interface import GenerationRequest
from worker.engine.model_file import ModelError
from worker.engine_setup import open_engine

TEXT: Final = (
    "The quick brown fox jumps over a lazy dog, and why it should do so nobody knows. "
    + ("Meanwhile seven wizards box in a ring behind the old mill, for prizes of dull gold.")
)


async def reply_to(engine: LlamaEngine, prompt: Sequence[int]) -> tuple[int, ...]:
    ids: list[int] = []
    async with aclosing(engine.generate(GenerationRequest("a", tuple(prompt), 200))) as pieces:
        async for piece in pieces:
            ids += piece.token_ids
    return tuple(ids)


def opened(folder: Path, **variables: object) -> LlamaEngine:
    path = write_spelling_model(folder / "model.gguf", "", ["<|im_start|>"], TEXT)
    settings = make_settings(
        "unix:///nowhere",
        PALAVER_MODEL_PATH=path,
        PALAVER_DATA_DIR=folder,
        PALAVER_CONTEXT_LENGTH=512,
        PALAVER_CONVERT="off",
        PALAVER_GPU_LAYERS=0,
        PALAVER_SLOTS=1,
        PALAVER_THREADS=1,
        **variables,
    )
    engine = open_engine(settings)
    assert isinstance(engine, LlamaEngine)
    return engine


@pytest.mark.parametrize("setting", ["auto", "off"])
async def test_what_was_written_before_is_drafted_unless_that_is_switched_off(
    tmp_path: Path, setting: str
) -> None:
    engine = opened(tmp_path, PALAVER_SPECULATION=setting)
    first = await reply_to(engine, [65])
    again = await reply_to(engine, [65, *first, 66])
    stats = engine.stats()
    await engine.close()
    assert engine.detokenize(first) == TEXT
    assert again == first
    assert bool(stats.accepted) == (setting == "auto")


async def test_a_smaller_model_drafts_what_never_stood_there(tmp_path: Path) -> None:
    smaller = write_spelling_model(tmp_path / "smaller.gguf", "", ["<|im_start|>"], TEXT)
    engine = opened(tmp_path, PALAVER_DRAFT_MODEL_PATH=smaller)
    reply = await reply_to(engine, [65])
    stats = engine.stats()
    await engine.close()
    assert engine.detokenize(reply) == TEXT
    assert stats.accepted > 0


async def test_a_draft_model_is_not_even_loaded_without_speculation(tmp_path: Path) -> None:
    nothing = tmp_path / "nothing.gguf"
    nothing.write_bytes(b"no model")
    engine = opened(tmp_path, PALAVER_DRAFT_MODEL_PATH=nothing, PALAVER_SPECULATION="off")
    await engine.close()


@pytest.mark.parametrize(
    ("controls", "reason"), [(["<|turn|>"], "another vocabulary"), (None, "no model|read|load")]
)
def test_a_draft_model_that_does_not_fit_is_refused(
    tmp_path: Path, controls: list[str] | None, reason: str
) -> None:
    smaller = tmp_path / "smaller.gguf"
    if controls is None:
        smaller.write_bytes(b"no model")
    else:
        write_spelling_model(smaller, "", controls, TEXT)
    with pytest.raises(ModelError, match=reason):
        opened(tmp_path, PALAVER_DRAFT_MODEL_PATH=smaller)
