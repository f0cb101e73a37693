"""What llama.cpp's samplers do after finding the largest tokens, for many rows at once.

Each row is computed as if it were alone, to the last bit: a reply with a seed does not depend on
the rest of the batch. Hence only running sums are used, in llama.cpp's order, and none whose
grouping depends on the table's width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from worker.engine.candidates import Candidates, Floats, Ints


@dataclass(frozen=True, slots=True)
class Rule:
    """How one reply's tokens are drawn.

    Args:
        count: number of the largest tokens (top_k); 1 is greedy, 0 is all.
        mass: share that the likeliest tokens have together (top_p); 1 or more is all.
        depth: how far below the largest logit others may be (the logarithm of min_p).
        temperature: above 0.
        typical: share that the most typical tokens have together (typical_p); 1 is all. Rows with
            less are not drawn from here.
    """

    count: int
    mass: float
    depth: float
    temperature: float
    typical: float = 1.0

    def as_row(self) -> tuple[float, float, float, float]:
        """The rule as a row of the table for `draw`."""
        return self.count, self.mass, self.depth, self.temperature


def draw(
    candidates: Candidates, rules: npt.NDArray[np.float64], uniforms: Sequence[float]
) -> list[int]:
    """A token for each row that has candidates; for others an arbitrary one.

    Args:
        rules: `Rule.as_row` of each row.
        uniforms: a random number for each row.
    """
    values = candidates.values
    if values.shape[1] == 1:
        token_ids: list[int] = candidates.token_ids[:, 0].tolist()
        return token_ids
    with np.errstate(invalid="ignore", over="ignore"):
        return _drawn(candidates, rules, np.array(uniforms))


def _drawn(
    candidates: Candidates, rules: npt.NDArray[np.float64], uniforms: npt.NDArray[np.float64]
) -> list[int]:
    values = candidates.values
    counts = rules[:, 0].astype(np.intp)
    sizes = np.where(counts > 0, np.minimum(counts, candidates.sizes), candidates.sizes)
    mass, depth, temperature = rules[:, 1:].astype(np.float32).T[:, :, None]
    places = np.arange(values.shape[1])
    largest = values[:, :1]
    if (mass < 1).any():
        sizes = _within_mass(values, sizes, mass)
    deep_enough = (values >= largest + depth).sum(axis=1)
    sizes = np.minimum(sizes, np.maximum(deep_enough, 1))
    weights = np.exp(values / temperature - largest / temperature)
    weights[places >= sizes[:, None]] = 0
    sums = np.cumsum(weights, axis=1, dtype=np.float64)
    chosen = (sums >= sums[:, -1:] * uniforms[:, None]).argmax(axis=1)
    token_ids: list[int] = candidates.token_ids[np.arange(len(values)), chosen].tolist()
    return token_ids


def _within_mass(values: Floats, sizes: Ints, mass: Floats) -> Ints:
    """Sizes cut after the candidate that completes the row's share."""
    shares = np.exp(values - values[:, :1])
    shares[np.arange(values.shape[1]) >= sizes[:, None]] = 0
    shares /= np.cumsum(shares, axis=1)[:, -1:]
    reached = (np.cumsum(shares, axis=1) >= mass) & (mass < 1)
    return np.where(reached[:, -1], np.minimum(sizes, reached.argmax(axis=1) + 1), sizes)
