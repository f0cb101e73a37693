"""The few tokens of each row of logits that one can be drawn from, found for all rows together.

A row is read once. What is kept of it are the maxima of a few thousand columns of sixteen tokens
each, and of these again the maxima of a few hundred: the k-th largest of those is a bound that at
least k of the row's tokens reach, and hardly more. Only where a maximum reaches it is looked at
again. The result is exact, whatever the rows hold.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.intp]

MOST: Final = 500
"""Candidates of a row that can be asked for."""
_SEGMENTS: Final = 4
"""Of a row: the maxima of one fit into the fastest cache while it is read."""
_LAYERS: Final = 16
"""Tokens of a column: each is a line of memory to be looked up again."""
_SMALL: Final = 8192
"""Shorter rows are their own maxima."""
_LEAST_BOUNDED: Final = 168
_SPREAD: Final = 4
"""Maxima that a bound is taken from, for each candidate: then one in seven is found for nothing."""
_LOOSE: Final = 64
"""Columns that a row may have beyond four for each candidate, before it counts as flat."""
_TOKENS_A_THREAD: Final = 1 << 19
"""Waking a thread takes as long as reading a quarter of this."""
_WORST: Final = np.uint64(0x007F_FFFF_0000_0000)
"""Sorts below every candidate; decodes as minus infinity."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of each row.

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
        sizes: how many there are; 0 for a row that has to be looked at otherwise, because it has
            too many or holds no numbers.
        largest: the maxima of all rows; NaN where a row has one.
    """

    values: Floats
    token_ids: Ints
    sizes: Ints
    largest: Floats


@dataclass(frozen=True, slots=True)
class _Found:
    """Candidates one behind the other, the rows in order."""

    rows: Ints
    values: Floats
    token_ids: Ints
    largest: Floats


class CandidateFinder:
    """Looks at all rows of a step.

    Args:
        threads: that do so at most, the caller's included.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, "logits") if threads > 1 else None

    def find(self, rows: Floats, wanted: Wanted) -> Candidates:
        """The candidates of each row; of equal ones at the end of a row any may be missing."""
        borders = self._borders(rows)
        parts = [
            (rows[begin:end], wanted.counts[begin:end], wanted.depths[begin:end])
            for begin, end in pairwise(borders)
        ]
        if self._pool is None or len(parts) == 1:
            found = [_found(*part) for part in parts]
        else:
            futures = [self._pool.submit(_found, *part) for part in parts[1:]]
            found = [_found(*parts[0]), *(future.result() for future in futures)]
        return _sorted(found, borders)

    def _borders(self, rows: Floats) -> list[int]:
        """Where the threads' shares begin and end."""
        count = min(self._threads, len(rows), max(1, rows.size // _TOKENS_A_THREAD))
        return [len(rows) * number // count for number in range(count + 1)]

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()


def _found(rows: Floats, counts: npt.NDArray[np.int64], depths: Floats) -> _Found:
    most = int(counts.max())
    if most == 1 and counts.min() == 1:
        return _largest(rows)
    with np.errstate(invalid="ignore", over="ignore"):
        maxima = _column_maxima(rows)
        bounds, largest = _bounds(maxima, counts, depths, most)
        hits = np.divmod(_reaching(maxima, bounds, most), maxima.shape[1])
        found = _members(rows, hits, bounds)
        return _Found(*found, largest)


def _largest(rows: Floats) -> _Found:
    numbers = np.arange(len(rows))
    token_ids = rows.argmax(axis=1)
    largest = rows[numbers, token_ids]
    return _Found(numbers, largest, token_ids, largest)


def _layered(rows: Floats) -> npt.NDArray[np.float32]:
    """Rows × segments × layers × columns, without the last few tokens."""
    width = rows.shape[1] // (_SEGMENTS * _LAYERS)
    whole = rows[:, : _SEGMENTS * _LAYERS * width]
    return whole.reshape(len(rows), _SEGMENTS, _LAYERS, width)


def _column_maxima(rows: Floats) -> Floats:
    """Of each column; the last few tokens, which fill no layer, belong to the first columns."""
    if rows.shape[1] < _SMALL:
        return rows
    layered = _layered(rows)
    maxima: Floats = np.maximum.reduce(layered, axis=2).reshape(len(rows), -1)
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
    return bounds, largest


def _reaching(maxima: Floats, bounds: Floats, most: int) -> Ints:
    """Where the maxima reach the bounds of their rows; nowhere in rows without a usable bound."""
    bounds[~np.isfinite(bounds)] = np.inf
    reaching = maxima >= bounds[:, None]
    hits = np.flatnonzero(reaching)
    limit = 4 * most + _LOOSE
    if len(hits) > limit:
        flat = reaching.sum(axis=1) > limit
        if flat.any():
            bounds[flat] = np.inf
            return np.flatnonzero(maxima >= bounds[:, None])
    return hits


def _members(rows: Floats, hits: tuple[Ints, Ints], bounds: Floats) -> tuple[Ints, Floats, Ints]:
    """All tokens of the columns that were hit which reach the bounds: rows, values, ids."""
    if rows.shape[1] < _SMALL:
        return hits[0], rows[hits], hits[1]
    layered, (numbers, columns) = _layered(rows), hits
    _, _, layers, width = layered.shape
    segments, columns = np.divmod(columns, width)
    members = layered[numbers, segments, :, columns]
    reaching = np.flatnonzero(members >= bounds[numbers][:, None])
    which, layer = np.divmod(reaching, layers)
    token_ids = (segments[which] * layers + layer) * width + columns[which]
    found = numbers[which], members.ravel()[reaching], token_ids
    return _with_rest(found, rows, layered[0].size, hits, bounds)


def _with_rest(
    found: tuple[Ints, Floats, Ints],
    rows: Floats,
    begin: int,
    hits: tuple[Ints, Ints],
    bounds: Floats,
) -> tuple[Ints, Floats, Ints]:
    """The same with the last few tokens of the rows."""
    if begin == rows.shape[1]:
        return found
    numbers, token_ids = hits[0], hits[1] + begin
    inside = token_ids < rows.shape[1]
    numbers, token_ids = numbers[inside], token_ids[inside]
    values = rows[numbers, token_ids]
    reaching = values >= bounds[numbers]
    rest = numbers[reaching], values[reaching], token_ids[reaching]
    order = np.argsort(np.concatenate([found[0], rest[0]]), kind="stable")
    return (
        np.concatenate([found[0], rest[0]])[order],
        np.concatenate([found[1], rest[1]])[order],
        np.concatenate([found[2], rest[2]])[order],
    )


def _sorted(found: list[_Found], borders: list[int]) -> Candidates:
    """Candidates of all rows in a table. One sort of whole numbers orders values and ids."""
    numbers = np.concatenate([one.rows + begin for one, begin in zip(found, borders, strict=False)])
    values = np.concatenate([one.values for one in found])
    token_ids = np.concatenate([one.token_ids for one in found])
    sizes = np.bincount(numbers, minlength=borders[-1])
    first = np.cumsum(sizes) - sizes
    table = np.full((borders[-1], max(1, int(sizes.max()))), _WORST)
    table[numbers, np.arange(len(numbers)) - first[numbers]] = _keys(values, token_ids)
    table.sort(axis=1)
    table = table[:, ::-1]
    return Candidates(
        _values(table),
        (~table & np.uint64(0xFFFF_FFFF)).astype(np.intp),
        sizes,
        np.concatenate([one.largest for one in found]),
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
