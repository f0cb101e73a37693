"""The probabilities that a model gave to tokens, before sampling options."""

from collections.abc import Callable

import numpy as np

from worker.engine.drawing import Floats
from worker.engine.interface import DrawnLogprob, TokenLogprob


def logprobs_of(
    logits: Floats, token: int, num_top: int, piece_of: Callable[[int], bytes]
) -> DrawnLogprob:
    """The logarithms of the probabilities of a token and of the likeliest ones.

    Args:
        logits: of the whole vocabulary.
        piece_of: a token's bytes.
    """
    values = logits.astype(np.float64)
    values -= values.max()
    values -= np.log(np.exp(values).sum())
    places = np.arange(len(values))
    count = min(num_top, len(values))
    top = np.argpartition(-values, count - 1)[:count] if 0 < count < len(values) else places[:count]
    ordered = top[np.lexsort((top, -values[top]))].tolist()
    return DrawnLogprob(
        TokenLogprob(piece_of(token), float(values[token])),
        tuple(TokenLogprob(piece_of(one), float(values[one])) for one in ordered),
    )
