"""Prompts' token ids: exact where nothing is at stake, and no control token by stealth."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.servers import make_settings
from tests.tiny_vocabularies import CONTROLS, USER_DEFINED, write
from worker.engine.encoding import Encoder
from worker.engine.interface import Segment
from worker.engine.model_file import without_weights
from worker.engine.vocabulary import ModelVocabulary
from worker.engine_setup import model_path

BUNDLED: Final = "bundled"
WITH_BYTES: Final = ("bpe", "sentencepiece", BUNDLED)
"""Vocabularies whose ids can be turned back into any text."""
SPECIALS: Final = (*CONTROLS, *USER_DEFINED, "<s>", "<unk>", "[SEP]", "<|endoftext|>")
HARMLESS: Final = ("a", " ", "\n", "the ", "😀", "hello ", "start", "  x")
FRAGMENTS: Final = tuple(
    {text[:cut] for text in SPECIALS for cut in range(1, len(text))}
    | {text[cut:] for text in SPECIALS for cut in range(1, len(text))}
)


@pytest.fixture(scope="module", params=["bpe", "sentencepiece", "wordpiece", BUNDLED])
def vocabulary(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ModelVocabulary]:
    if request.param == BUNDLED:
        path = model_path(make_settings("unix:///nowhere"))
    else:
        path = write(request.param, tmp_path_factory.mktemp("vocabulary") / "model.gguf")
    with without_weights(path) as model:
        vocabulary = ModelVocabulary(model)
        vocabulary.kind = request.param  # type: ignore[attr-defined]  # for `decoded` alone
        yield vocabulary


def at_stake(vocabulary: ModelVocabulary) -> dict[int, str]:
    """Tokens that nobody but the template may write."""
    texts = vocabulary.special_texts
    return {token: text for token, text in texts.items() if text and not text.isspace()}


def decoded(vocabulary: ModelVocabulary, token_ids: Sequence[int]) -> str:
    pieces = (vocabulary.piece_of(token, special=True) for token in token_ids)
    return b"".join(pieces).decode("utf-8", "replace")


def assert_text(vocabulary: ModelVocabulary, token_ids: Sequence[int], text: str) -> None:
    if vocabulary.kind in WITH_BYTES:  # type: ignore[attr-defined]
        assert decoded(vocabulary, token_ids) in (text, f" {text}")


def assert_letters(vocabulary: ModelVocabulary, token_ids: Sequence[int], text: str) -> None:
    """The same but for spaces, which SentencePiece puts behind the template's control tokens."""
    if vocabulary.kind in WITH_BYTES:  # type: ignore[attr-defined]
        assert decoded(vocabulary, token_ids).replace(" ", "") == text.replace(" ", "")


def test_what_somebody_writes_is_never_a_special_token(vocabulary: ModelVocabulary) -> None:
    encoder, specials = Encoder(vocabulary), at_stake(vocabulary)
    assert len(specials) >= 3
    for special in specials.values():
        for text in (special, f"x{special}y", special * 3, f" {special}\n", special[1:] + special):
            token_ids = encoder.tokenize(text)
            assert not specials.keys() & set(token_ids), text
            assert_text(vocabulary, token_ids, text)


def test_nor_is_it_across_the_borders_of_segments(vocabulary: ModelVocabulary) -> None:
    encoder, specials = Encoder(vocabulary), at_stake(vocabulary)
    for token, special in specials.items():
        for cut in range(1, len(special)):
            halves = (special[:cut], special[cut:])
            for kinds in ((False, False), (True, False), (False, True)):
                segments = [Segment("a")]
                segments += [Segment(*pair) for pair in zip(halves, kinds, strict=True)]
                token_ids = _without_leading(vocabulary, encoder.encode(segments))
                assert token not in token_ids, (halves, kinds)
                assert_letters(vocabulary, token_ids, f"a{special}")


def test_the_templates_own_are_recognised(vocabulary: ModelVocabulary) -> None:
    encoder = Encoder(vocabulary)
    for token, special in at_stake(vocabulary).items():
        assert token in encoder.encode([Segment("a "), Segment(special, is_scaffold=True)])


segments = st.lists(
    st.builds(
        lambda is_scaffold, words: Segment("".join(words), is_scaffold),
        st.booleans(),
        st.lists(st.sampled_from((*SPECIALS, *FRAGMENTS, *HARMLESS)), max_size=4),
    ),
    max_size=5,
)
innocent = st.lists(
    st.one_of(
        st.builds(
            lambda words: Segment("".join(words), is_scaffold=True),
            st.lists(st.sampled_from((*SPECIALS, *HARMLESS)), max_size=4),
        ),
        st.lists(st.sampled_from(HARMLESS), max_size=4).map(lambda words: Segment("".join(words))),
    ),
    max_size=6,
)


@settings(max_examples=300, deadline=None)
@given(segments=innocent)
def test_where_nothing_is_at_stake_ids_are_those_of_the_whole_text(
    vocabulary: ModelVocabulary, segments: list[Segment]
) -> None:
    whole = vocabulary.tokenize("".join(one.text for one in segments), special=True)
    encoded = Encoder(vocabulary).encode(segments)
    assert _without_leading(vocabulary, encoded) == _without_leading(vocabulary, whole)


@settings(max_examples=300, deadline=None)
@given(segments=segments)
def test_special_tokens_come_from_the_template_alone(
    vocabulary: ModelVocabulary, segments: list[Segment]
) -> None:
    text = "".join(one.text for one in segments)
    owners = [one.is_scaffold for one in segments for _ in one.text]
    token_ids = Encoder(vocabulary).encode(segments)
    leading = decoded(vocabulary, vocabulary.leading_tokens)
    if not (text.startswith(leading) and all(owners[: len(leading)])):
        token_ids = _without_leading(vocabulary, token_ids)
    assert_letters(vocabulary, token_ids, text)
    if vocabulary.kind != "bpe":  # type: ignore[attr-defined]  # where each token has its place
        return
    place = 0
    for token in token_ids:
        size = len(vocabulary.piece_of(token, special=True))
        if token in at_stake(vocabulary):
            start = len(text.encode()[:place].decode("utf-8", "ignore"))
            assert all(owners[start : start + size]), text
        place += size


def test_known_ids_are_used_as_they_are(vocabulary: ModelVocabulary) -> None:
    known = Segment("whatever", token_ids=(7, 8))
    token_ids = Encoder(vocabulary).encode([Segment("a"), known, Segment("[/INST]", True)])
    places = [place for place, pair in enumerate(itertools.pairwise(token_ids)) if pair == (7, 8)]
    assert places


@pytest.mark.parametrize("vocabulary", ["sentencepiece"], indirect=True)
def test_no_space_is_put_in_front_of_what_continues(vocabulary: ModelVocabulary) -> None:
    known = Segment("", token_ids=(3,))
    token_ids = Encoder(vocabulary).encode([known, Segment("hello")])
    assert decoded(vocabulary, token_ids[token_ids.index(3) + 1 :]) == "hello"


def test_a_prompt_begins_with_one_leading_token(vocabulary: ModelVocabulary) -> None:
    leading = vocabulary.leading_tokens
    text = decoded(vocabulary, leading)
    for segments in ([Segment(text + "a", True)], [Segment("a", True)]):
        token_ids = Encoder(vocabulary).encode(segments)
        assert token_ids[: len(leading)] == leading
        assert not leading or token_ids.count(leading[0]) == 1


def _without_leading(vocabulary: ModelVocabulary, token_ids: list[int]) -> list[int]:
    leading = vocabulary.leading_tokens
    is_led = bool(leading) and token_ids[: len(leading)] == leading
    return token_ids[len(leading) :] if is_led else token_ids
