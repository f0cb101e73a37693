"""The tests' model that always writes the same: it writes what it is made for, token by token."""

from pathlib import Path
from typing import Final

import pytest

from tests.spelling_model import write_spelling_model
from worker.engine.backend import Part
from worker.engine.interface import SamplingOptions
from worker.engine.model import LlamaModel
from worker.engine.options import ModelOptions

HARMONY: Final = ("<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|call|>", "<|constrain|>")
TEXTS: Final = {
    "harmony": (
        "<|channel|>analysis<|message|>Look it up. Look it up again, and again.<|end|><|start|>"
        "assistant<|channel|>commentary to=functions.look <|constrain|>json<|message|>"
        '{"a": "a"}<|end|><|start|>assistant<|channel|>final<|message|>Übung 😀, it says.'
    ),
    "tags": "<think>\nI see.\n</think>\n\nThe sea, the sea!\n\n",
}


def written(path: Path, prompt: str) -> str:
    """What the model writes behind a prompt, with the defaults for drawing."""
    model = LlamaModel(ModelOptions(path, 600, threads=1))
    vocabulary, sampler = model.vocabulary, model.make_sampler(SamplingOptions())
    token_ids = vocabulary.tokenize(prompt, special=True)
    start, text = 0, b""
    while start < 500:
        model.evaluate([Part(0, start, token_ids, True)])
        start += len(token_ids)
        (token,) = model.draw([sampler])
        assert isinstance(token, int)
        if vocabulary.is_end(token):
            break
        text += vocabulary.piece_of(token, special=True)
        token_ids = [token]
    sampler.close()
    model.close()
    return text.decode()


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize(
    "prompt", ["<|im_start|>assistant\n", "x", "<|end|><|start|>assistant", "Look it up. " * 20]
)
def test_it_writes_its_text_whatever_the_prompt(tmp_path: Path, kind: str, prompt: str) -> None:
    path = write_spelling_model(
        tmp_path / "model.gguf",
        "",
        ["<|im_start|>", *HARMONY] if kind == "harmony" else ["<|im_start|>"],
        TEXTS[kind],
        user_defined=("<think>", "</think>"),
        end="<|return|>" if kind == "harmony" else "<|im_end|>",
    )
    assert written(path, prompt) == TEXTS[kind]


def test_a_text_that_it_cannot_remember_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the same tokens"):
        write_spelling_model(tmp_path / "model.gguf", "", ["<a>"], "<a><a><a><a>b")
