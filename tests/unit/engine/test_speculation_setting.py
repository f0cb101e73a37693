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


@pytest.mark.parametrize("setting", ["auto", "off"])
async def test_what_was_written_before_is_drafted_unless_that_is_switched_off(
    tmp_path: Path, setting: str
) -> None:
    path = write_spelling_model(tmp_path / "model.gguf", "", ["<|im_start|>"], TEXT)
    settings = make_settings(
        "unix:///nowhere",
        PALAVER_MODEL_PATH=path,
        PALAVER_DATA_DIR=tmp_path,
        PALAVER_CONTEXT_LENGTH=512,
        PALAVER_CONVERT="off",
        PALAVER_GPU_LAYERS=0,
        PALAVER_SLOTS=1,
        PALAVER_SPECULATION=setting,
        PALAVER_THREADS=1,
    )
    engine = open_engine(settings)
    assert isinstance(engine, LlamaEngine)
    first = await reply_to(engine, [65])
    again = await reply_to(engine, [65, *first, 66])
    stats = engine.stats()
    await engine.close()
    assert engine.detokenize(first) == TEXT
    assert again == first
    assert bool(stats.accepted) == (setting == "auto")
