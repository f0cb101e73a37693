"""From a prompt's segments to token ids."""

from collections.abc import Sequence

from worker.engine.interface import Segment
from worker.engine.vocabulary import ModelVocabulary


def encode(vocabulary: ModelVocabulary, segments: Sequence[Segment]) -> list[int]:
    """The ids of a whole prompt, the tokens that the model wants in front included."""
    token_ids: list[int] = []
    for segment in segments:
        if segment.token_ids is not None:
            token_ids += segment.token_ids
        else:
            token_ids += vocabulary.tokenize(segment.text, special=segment.is_scaffold)
    leading = vocabulary.leading_tokens
    return token_ids if token_ids[: len(leading)] == leading else leading + token_ids
