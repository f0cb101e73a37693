"""With drafts, right ones and wrong ones, every reply is the one it would be without."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tiny_architectures import write
from tests.unit.engine.drafters import Guesser
from tests.unit.engine.scripted_backend import ScriptedBackend
from tests.unit.engine.test_parts import Brackets
from worker.engine.backend import Backend, TokenSampler
from worker.engine.backend import Part as Evaluated
from worker.engine.batcher import Batcher
from worker.engine.drafter import Drafter
from worker.engine.drawing import Floats
from worker.engine.interface import (
    DrawnLogprob,
    End,
    EngineError,
    GenerationRequest,
    Part,
    Piece,
    SamplingOptions,
)
from worker.engine.model import LlamaModel
from worker.engine.options import ModelOptions
from worker.engine.pacer import PrefillPacer
from worker.engine.sampler import Sampler, draw_all

PROMPTS: Final = (tuple(b"one two"), tuple(b"three four five"))
MARKS: Final = b"()[]!{}"
"""What a reader looks at, and what a schema needs: likely in replies of random weights."""
ROUNDING: Final = 0.05
"""A wrong token changes logits by more than a hundred times as much."""
LIKELY: Final = tuple((token, 4.0) for token in MARKS)

SAMPLING: Final = st.builds(
    SamplingOptions,
    temperature=st.sampled_from([0.0, 0.5, 1.5]),
    top_k=st.sampled_from([0, 40]),
    min_p=st.sampled_from([0.0, 0.05]),
    typical_p=st.sampled_from([1.0, 1.0, 0.7]),
    repeat_penalty=st.sampled_from([1.0, 1.3]),
    presence_penalty=st.sampled_from([0.0, 1.0]),
    seed=st.integers(0, 1000),
    ignore_eos=st.booleans(),
    logit_bias=st.just(LIKELY),
    top_logprobs=st.sampled_from([None, None, 2]),
)
REPLIES: Final = st.fixed_dictionaries(
    {
        "max_tokens": st.integers(1, 40),
        "reader": st.sampled_from([None, Brackets]),
        "reasoning_limit": st.sampled_from([None, 2]),
        "answer_limit": st.sampled_from([None, 12]),
        "stop": st.sampled_from([(), ("!", ")(")]),
        "sampling": SAMPLING,
    }
)


@dataclass
class Written:
    """All that came out of one request."""

    token_ids: list[int] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    logprobs: list[DrawnLogprob] = field(default_factory=list)
    end: End | None = None
    error: str = ""

    def __call__(self, item: Piece | EngineError) -> None:
        if isinstance(item, EngineError):
            self.error = str(item)
            return
        self.token_ids += item.token_ids
        self.parts += item.parts
        self.logprobs += item.logprobs
        self.end = item.end

    @property
    def content(self) -> tuple[object, ...]:
        """What must be equal, to the last token."""
        end = None
        if self.end is not None:
            end = self.end.reason, self.end.reasoning_tokens, self.end.stop_string
        drawn = [logprob.drawn.token for logprob in self.logprobs]
        return self.token_ids, self.parts, drawn, end, self.error


class Numbers(ScriptedBackend):
    """Logits are a function of all that is in a slot; the rest of drawing is as it always is.

    A model's own logits depend on how many tokens are evaluated together: by their last bits.

    Args:
        model: whose vocabulary and samplers are used.
    """

    def __init__(self, model: LlamaModel) -> None:
        super().__init__(num_slots=2, slot_size=64)
        self._model = model

    def piece_of(self, token: int) -> bytes:
        return self._model.piece_of(token)

    def text_of_control(self, token: int) -> str:
        return self._model.text_of_control(token)

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        return self._model.tokenize(text, special=special)

    def is_end(self, token: int) -> bool:
        return self._model.is_end(token)

    def make_sampler(self, options: SamplingOptions) -> TokenSampler:
        return self._model.make_sampler(options)

    def draw(
        self, samplers: Sequence[TokenSampler], outputs: Sequence[int] | None = None
    ) -> list[int | EngineError]:
        rows = np.stack([self._logits(*self._outputs[output]) for output in outputs or ()])
        ours = [sampler for sampler in samplers if isinstance(sampler, Sampler)]
        return draw_all(rows, ours, self._model.drawer)

    def _logits(self, slot_id: int, length: int) -> Floats:
        content = np.array(self.content[slot_id][:length], np.int64)
        random = np.random.default_rng(zlib.crc32(content.tobytes()))
        return random.normal(0, 3, self._model.vocabulary.size).astype(np.float32)


def write_all(
    backend: Backend, requests: list[GenerationRequest], drafter: Drafter | None
) -> list[Written]:
    """The replies to requests that run together."""
    batcher = Batcher(backend, PrefillPacer(64, 10.0), swap_bytes=0, drafter=drafter)
    replies = [Written() for _ in requests]
    for request, reply in zip(requests, replies, strict=True):
        batcher.submit(request, reply)
    while batcher.has_work:
        batcher.step()
    return replies


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaModel]:
    path = write("llama", tmp_path_factory.mktemp("models") / "tiny.gguf")
    model = LlamaModel(ModelOptions(path, 64, threads=1))
    yield model
    model.close()


@given(
    st.lists(REPLIES, min_size=1, max_size=2),
    st.sampled_from([0.3, 0.8, 1.0]),
)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_drafts_change_no_reply(
    model: LlamaModel, replies: list[dict[str, object]], right: float
) -> None:
    requests = [
        GenerationRequest(str(n), PROMPTS[n], **reply)  # type: ignore[arg-type]
        for n, reply in enumerate(replies)
    ]
    plain = write_all(Numbers(model), requests, None)

    def foresee(session: str, content: list[int]) -> int:
        behind = len(content) - len(PROMPTS[int(session)])
        return [*plain[int(session)].token_ids, *content][behind]

    guesser = Guesser(right, foresee=foresee)
    speculating = write_all(Numbers(model), requests, guesser)
    assert [reply.content for reply in speculating] == [reply.content for reply in plain]


def test_right_drafts_save_steps(model: LlamaModel) -> None:
    sampling = SamplingOptions(seed=3, ignore_eos=True)
    requests = [GenerationRequest("0", PROMPTS[0], 40, sampling=sampling)]
    reply = write_all(Numbers(model), requests, None)[0].token_ids
    foreseen = [*PROMPTS[0], *reply, 0, 0, 0, 0, 0]
    guesser = Guesser(1.0, foresee=lambda session, content: foreseen[len(content)])
    assert write_all(Numbers(model), requests, guesser)[0].token_ids == reply
    assert sum(1 + step.accepted[0] for step in guesser.steps) == 40 - 1
    assert len(guesser.steps) < 20


@pytest.mark.parametrize("architecture", ["llama", "gemma3", "gpt-oss"])
def test_drafts_leave_nothing_behind_in_a_model(architecture: str, tmp_path: Path) -> None:
    path = write(architecture, tmp_path / "tiny.gguf")
    model = LlamaModel(ModelOptions(path, 128, threads=1))
    random = np.random.default_rng(1)
    token_ids = [int(token) for token in random.integers(1, 256, 60)]
    model.evaluate([Evaluated(0, 0, token_ids[:8], True)])
    plain = []
    for at in range(8, 60):
        model.evaluate([Evaluated(0, at, [token_ids[at]], True)])
        plain.append(model.logits()[0].copy())
    assert model.truncate(0, 8)
    for at in range(8, 60, 2):
        wrong = [int(token) for token in random.integers(1, 256, 4)]
        model.evaluate([Evaluated(0, at, [*token_ids[at : at + 2], *wrong], True, 5)])
        assert len(model.logits()) == 6
        for number, row in enumerate(model.logits()[:2]):
            assert abs(row - plain[at - 8 + number]).max() < ROUNDING
        assert model.truncate(0, at + 2)
    model.close()


def test_a_model_with_states_is_given_no_drafts(tmp_path: Path) -> None:
    model = LlamaModel(ModelOptions(write("mamba", tmp_path / "tiny.gguf"), 64, threads=1))
    guesser = Guesser()
    sampling = SamplingOptions(temperature=0, ignore_eos=True)
    request = GenerationRequest("0", PROMPTS[0], 20, sampling=sampling)
    assert len(write_all(model, [request], guesser)[0].token_ids) == 20
    assert not guesser.steps
    model.close()
