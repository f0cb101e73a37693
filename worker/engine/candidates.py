"""The few tokens of each row of logits that one can be drawn from, found for all rows together.

A row is read once. What is kept of it are the maxima of a few thousand columns of 32 tokens
each, and of these again the maxima of a few hundred: the k-th largest of those is a bound that at
least k of the row's tokens reach, and hardly more. Only where a maximum reaches it is looked at
again. The result is exact, whatever the rows hold.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.intp]

MOST: Final = 500
"""The most candidates of a row that can be requested."""
_SEGMENTS: Final = 2
"""Parts of a row; the maxima of one fit into the fastest cache while it is read."""
_LAYERS: Final = 32
"""Tokens of a column; each is one cache line to read again."""
_BLOCK: Final = 8
"""Rows searched together, while what was found in them is still in the caches."""
_SMALL: Final = 8192
"""Rows shorter than this are their own maxima."""
_LEAST_BOUNDED: Final = 168
_SPREAD: Final = 4
"""Maxima per candidate from which a bound is taken; one in seven is then found in vain."""
_MOST_HITS: Final = 4 * MOST + 64
"""Columns reaching a row's bound beyond which the row counts as flat."""
_TOKENS_A_THREAD: Final = 1 << 18
"""Waking a thread takes about as long as reading a third of this (1 MiB that no cache holds)."""
_WORST: Final = np.uint64(0x007F_FFFF_0000_0000)
"""Sorts below every candidate; decodes as minus infinity."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is needed from each row.

    Args:
        counts: so many of the largest; 0 for all that reach a bound.
        depths: where the count is 0: how far below the row's maximum, at most 0.
    """

    counts: npt.NDArray[np.int64]
    depths: Floats


@dataclass(frozen=True, slots=True)
class Candidates:
    """The largest tokens of each row: first the larger, of equal ones the one with the lower id.

    Args:
        values: rows × places; behind the last candidate of a row minus infinity.
        token_ids: of the values.
        sizes: how many there are; 0 for a row that has to be looked at otherwise, because too many
            of its tokens are equal, or infinite. With a NaN in a row they mean nothing.
        largest: the maxima of all rows; NaN where a row has one.
    """

    values: Floats
    token_ids: Ints
    sizes: Ints
    largest: Floats


@dataclass(frozen=True, slots=True)
class _Block:
    """Candidates one after the other, in the order of the rows."""

    rows: Ints
    values: Floats
    token_ids: Ints
    largest: Floats

    def after(self, count: int) -> "_Block":
        """The same with `count` rows before it."""
        return replace(self, rows=self.rows + count) if count else self


class _Space:
    """Reused memory of one thread; allocating it in every step would cost as much as its use."""

    def __init__(self) -> None:
        self._maxima = np.empty((0, 0), np.float32)
        self._reaching = np.empty((0, 0), np.bool_)

    def maxima(self, count: int, width: int) -> Floats:
        """Space for the maxima of `count` rows."""
        if self._maxima.shape[1] != width:
            self._maxima = np.empty((_BLOCK, width), np.float32)
        return self._maxima[:count]

    def reaching(self, maxima: Floats, bounds: Floats) -> npt.NDArray[np.bool_]:
        """Which maxima reach the bounds of their rows."""
        count, width = maxima.shape
        if self._reaching.shape[1] != width:
            self._reaching = np.empty((_BLOCK, width), np.bool_)
        return np.greater_equal(maxima, bounds[:, None], out=self._reaching[:count])


class CandidateFinder:
    """Searches all rows of a step.

    Args:
        threads: that do so at most, the caller's included.
    """

    def __init__(self, threads: int) -> None:
        self._spaces = [_Space() for _ in range(max(1, threads))]
        self._pool = ThreadPoolExecutor(threads - 1, "logits") if threads > 1 else None

    def find(self, rows: Floats, wanted: Wanted) -> Candidates:
        """The candidates of each row, all of them or none."""
        borders = self._borders(rows)
        shares = [
            (rows, wanted, range(begin, end), space)
            for (begin, end), space in zip(pairwise(borders), self._spaces, strict=False)
        ]
        if self._pool is None or len(shares) == 1:
            results = [_search_share(*share) for share in shares]
        else:
            futures = [self._pool.submit(_search_share, *share) for share in shares[1:]]
            results = [_search_share(*shares[0]), *(future.result() for future in futures)]
        return _sorted([block for blocks in results for block in blocks], len(rows))

    def _borders(self, rows: Floats) -> list[int]:
        """Where the threads' shares begin and end."""
        count = min(len(self._spaces), len(rows), max(1, rows.size // _TOKENS_A_THREAD))
        return [len(rows) * number // count for number in range(count + 1)]

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()


def _search_share(rows: Floats, wanted: Wanted, share: range, space: _Space) -> list[_Block]:
    """What one thread finds in its share of the rows."""
    blocks = []
    for begin in range(share.start, share.stop, _BLOCK):
        where = slice(begin, min(begin + _BLOCK, share.stop))
        block = _search_block(rows[where], wanted.counts[where], wanted.depths[where], space)
        blocks.append(block.after(begin))
    return blocks


def _search_block(
    rows: Floats, counts: npt.NDArray[np.int64], depths: Floats, space: _Space
) -> _Block:
    most = int(counts.max())
    if most == 1 and counts.min() == 1:
        return _largest(rows)
    with np.errstate(invalid="ignore", over="ignore"):
        maxima = _column_maxima(rows, space)
        bounds, largest = _bounds(maxima, counts, depths, most)
        reaching = space.reaching(maxima, bounds)
        hits = np.flatnonzero(reaching)
        if len(hits) > _MOST_HITS and (reaching.sum(axis=1) > _MOST_HITS).any():
            if len(rows) > 1:
                # Whether a row is flat must not depend on what is asked of others.
                return _one_by_one(rows, counts, depths, space)
            hits = hits[:0]
        tokens = _members(rows, np.divmod(hits, maxima.shape[1]), bounds)
        return _Block(*tokens, largest)


def _one_by_one(
    rows: Floats, counts: npt.NDArray[np.int64], depths: Floats, space: _Space
) -> _Block:
    singles = [slice(number, number + 1) for number in range(len(rows))]
    blocks = [
        _search_block(rows[single], counts[single], depths[single], space).after(single.start)
        for single in singles
    ]
    return _Block(
        np.concatenate([block.rows for block in blocks]),
        np.concatenate([block.values for block in blocks]),
        np.concatenate([block.token_ids for block in blocks]),
        np.concatenate([block.largest for block in blocks]),
    )


def _largest(rows: Floats) -> _Block:
    numbers = np.arange(len(rows))
    token_ids = rows.argmax(axis=1)
    largest = rows[numbers, token_ids]
    return _Block(numbers, largest, token_ids, largest)


def _layered(rows: Floats) -> npt.NDArray[np.float32]:
    """Rows × segments × layers × columns, without the last few tokens."""
    width = rows.shape[1] // (_SEGMENTS * _LAYERS)
    whole = rows[:, : _SEGMENTS * _LAYERS * width]
    return whole.reshape(len(rows), _SEGMENTS, _LAYERS, width)


def _column_maxima(rows: Floats, space: _Space) -> Floats:
    """Of each column; the last few tokens, which fill no layer, belong to the first columns."""
    if rows.shape[1] < _SMALL:
        return rows
    layered = _layered(rows)
    width = _SEGMENTS * layered.shape[3]
    maxima = space.maxima(len(rows), width)
    np.maximum.reduce(layered, axis=2, out=maxima.reshape(len(rows), _SEGMENTS, -1))
    _take_in(maxima, rows[:, layered[0].size :])
    return maxima


def _folded(maxima: Floats, width: int) -> Floats:
    """The maxima of every `width`-th one, from each of the first `width` on."""
    layers = maxima.shape[1] // width
    whole = maxima[:, : layers * width].reshape(len(maxima), layers, width)
    few: Floats = np.maximum.reduce(whole, axis=1)
    _take_in(few, maxima[:, layers * width :])
    return few


def _take_in(maxima: Floats, rest: Floats) -> None:
    if rest.shape[1]:
        first = maxima[:, : rest.shape[1]]
        np.maximum(first, rest, out=first)


def _bounds(
    maxima: Floats, counts: npt.NDArray[np.int64], depths: Floats, most: int
) -> tuple[Floats, Floats]:
    """What a row's candidates reach at least, and what its largest one is."""
    few = _folded(maxima, min(maxima.shape[1], max(_LEAST_BOUNDED, _SPREAD * most)))
    largest: Floats = few.max(axis=1)
    bounds = np.where(counts == 0, largest + depths, largest)
    if most > 1:
        place = few.shape[1] - most
        low = np.partition(few, place, axis=1)[:, place] if place > 0 else few.min(axis=1)
        bounds = np.where(counts > 1, low, bounds)
    bounds[~np.isfinite(bounds)] = np.inf  # nothing reaches it
    return bounds, largest


def _members(rows: Floats, hits: tuple[Ints, Ints], bounds: Floats) -> tuple[Ints, Floats, Ints]:
    """The tokens in the columns hit that reach the bounds: rows, values, ids."""
    if rows.shape[1] < _SMALL:
        return hits[0], rows[hits], hits[1]
    layered, (numbers, columns) = _layered(rows), hits
    _, _, layers, width = layered.shape
    segments, columns = np.divmod(columns, width)
    members = layered[numbers, segments, :, columns]
    reaching = np.flatnonzero(members >= bounds[numbers][:, None])
    which, layer = np.divmod(reaching, layers)
    token_ids = (segments[which] * layers + layer) * width + columns[which]
    tokens = numbers[which], members.ravel()[reaching], token_ids
    return _with_rest(tokens, rows, layered[0].size, hits, bounds)


def _with_rest(
    tokens: tuple[Ints, Floats, Ints],
    rows: Floats,
    begin: int,
    hits: tuple[Ints, Ints],
    bounds: Floats,
) -> tuple[Ints, Floats, Ints]:
    """The same with the last few tokens of the rows."""
    if begin == rows.shape[1]:
        return tokens
    numbers, token_ids = hits[0], hits[1] + begin
    inside = token_ids < rows.shape[1]
    numbers, token_ids = numbers[inside], token_ids[inside]
    values = rows[numbers, token_ids]
    reaching = values >= bounds[numbers]
    rest = numbers[reaching], values[reaching], token_ids[reaching]
    order = np.argsort(np.concatenate([tokens[0], rest[0]]), kind="stable")
    return (
        np.concatenate([tokens[0], rest[0]])[order],
        np.concatenate([tokens[1], rest[1]])[order],
        np.concatenate([tokens[2], rest[2]])[order],
    )


def _sorted(blocks: list[_Block], num_rows: int) -> Candidates:
    """Candidates of all rows in a table. One sort of whole numbers orders values and ids."""
    numbers = np.concatenate([block.rows for block in blocks])
    values = np.concatenate([block.values for block in blocks])
    token_ids = np.concatenate([block.token_ids for block in blocks])
    largest = np.concatenate([block.largest for block in blocks])
    sizes = np.bincount(numbers, minlength=num_rows)
    if len(numbers) == num_rows and sizes.max() == 1:
        return Candidates(values[:, None], token_ids[:, None], sizes, largest)
    first = np.cumsum(sizes) - sizes
    table = np.full((num_rows, max(1, int(sizes.max()))), _WORST)
    table[numbers, np.arange(len(numbers)) - first[numbers]] = _keys(values, token_ids)
    table.sort(axis=1)
    table = table[:, ::-1]
    return Candidates(
        _values(table),
        (~table & np.uint64(0xFFFF_FFFF)).astype(np.intp),
        sizes,
        largest,
    )


def _keys(values: Floats, token_ids: Ints) -> npt.NDArray[np.uint64]:
    """Whole numbers in the order of the values; the larger for the lower id of equal ones."""
    bits = (values + np.float32(0)).view(np.int32)  # the zeros are one
    ordered = np.where(bits < 0, ~bits, bits | np.int32(-(2**31))).view(np.uint32)
    return (ordered.astype(np.uint64) << np.uint64(32)) | (
        np.uint64(0xFFFF_FFFF) - token_ids.astype(np.uint64)
    )


def _values(keys: npt.NDArray[np.uint64]) -> Floats:
    ordered = (keys >> np.uint64(32)).astype(np.uint32).view(np.int32)
    return np.where(ordered < 0, ordered & np.int32(2**31 - 1), ~ordered).view(np.float32)
