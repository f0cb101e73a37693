"""The few tokens of each row of logits that one can be drawn from, found for all rows together.

A row is read once. What is kept of it are the maxima of a few thousand columns of 16 tokens
each, and of these again the maxima of a few hundred: the k-th largest of those is a bound that at
least k of the row's tokens reach, and hardly more. Only where a maximum reaches it is looked at
again. The result is exact, whatever the rows hold.

Reading is shared among threads, in one call for some rows each; all else is done for all rows by
the thread that asks.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt

from worker.engine.crew import Crew

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.intp]

MOST: Final = 500
"""Candidates of a row that can be asked for."""
_SEGMENTS: Final = 4
"""Of a row: the maxima of one fit into the fastest cache while it is read."""
_LAYERS: Final = 16
"""Tokens of a column: each is a line of memory to be looked up again, in no cache by then."""
_SMALL: Final = 8192
"""Shorter rows are their own maxima."""
_LEAST_BOUNDED: Final = 168
_SPREAD: Final = 4
"""Maxima that a bound is taken from, for each candidate: then one in seven is found for nothing."""
_MOST_HITS: Final = 4 * MOST + 64
"""Columns that reach a row's bound, before it counts as flat."""
_CALLS_A_THREAD: Final = 2
"""So that those who are awake at once read more than those who have to be woken."""
_TOKENS_A_CALL: Final = 1 << 18
"""At least: waking a thread takes about as long as reading a third of this (1 MiB)."""
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
        sizes: how many there are; 0 for a row that has to be looked at otherwise, because too many
            of its tokens are equal, or infinite. With a NaN in a row they mean nothing.
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


class _Space:
    """Memory that is kept: new memory for every step would cost as much as what is done in it."""

    def __init__(self) -> None:
        self._maxima = np.empty((0, 0), np.float32)
        self._reaching = np.empty((0, 0), np.bool_)

    def maxima(self, count: int, width: int) -> Floats:
        """Room for the maxima of so many rows."""
        if not _has_room(self._maxima.shape, count, width):
            self._maxima = np.empty((count, width), np.float32)
        return self._maxima[:count]

    def reaching(self, maxima: Floats, bounds: Floats) -> npt.NDArray[np.bool_]:
        """Which maxima reach the bounds of their rows."""
        if not _has_room(self._reaching.shape, *maxima.shape):
            self._reaching = np.empty(maxima.shape, np.bool_)
        return np.greater_equal(maxima, bounds[:, None], out=self._reaching[: len(maxima)])


def _has_room(shape: tuple[int, ...], count: int, width: int) -> bool:
    return shape[1] == width and shape[0] >= count


class CandidateFinder:
    """Looks at all rows of a step.

    Args:
        threads: that do so at most, the caller's included.
    """

    def __init__(self, threads: int) -> None:
        self._crew = Crew(max(1, threads) - 1, "logits")
        self._space = _Space()

    def find(self, rows: Floats, wanted: Wanted) -> Candidates:
        """The candidates of each row, all of them or none."""
        return _sorted(self._found(rows, wanted), len(rows))

    def close(self) -> None:
        """End the threads."""
        self._crew.close()

    def _found(self, rows: Floats, wanted: Wanted) -> _Found:
        counts = wanted.counts
        if counts.max() == counts.min() == 1:
            return self._largest(rows)
        with np.errstate(invalid="ignore", over="ignore"):
            maxima = self._column_maxima(rows)
            bounds, largest = _bounds(maxima, wanted)
            hits = np.flatnonzero(self._space.reaching(maxima, bounds))
            numbers, columns = np.divmod(hits, maxima.shape[1])
            if len(hits) > _MOST_HITS:
                flat = np.bincount(numbers, minlength=len(rows)) > _MOST_HITS
                if _depend_on_others(counts[flat], counts.max()):
                    return self._one_by_one(rows, wanted)
                bounds[flat] = np.inf
                is_usual = ~flat[numbers]
                numbers, columns = numbers[is_usual], columns[is_usual]
            return _Found(*_members(rows, numbers, columns, bounds), largest)

    def _one_by_one(self, rows: Floats, wanted: Wanted) -> _Found:
        found = []
        for number in range(len(rows)):
            one = slice(number, number + 1)
            alone = self._found(rows[one], Wanted(wanted.counts[one], wanted.depths[one]))
            found.append(replace(alone, rows=alone.rows + number))
        return _Found(
            np.concatenate([one.rows for one in found]),
            np.concatenate([one.values for one in found]),
            np.concatenate([one.token_ids for one in found]),
            np.concatenate([one.largest for one in found]),
        )

    def _largest(self, rows: Floats) -> _Found:
        token_ids = np.empty(len(rows), np.intp)

        def look(share: slice) -> None:
            rows[share].argmax(axis=1, out=token_ids[share])

        self._share(look, rows)
        numbers = np.arange(len(rows))
        largest = rows[numbers, token_ids]
        return _Found(numbers, largest, token_ids, largest)

    def _column_maxima(self, rows: Floats) -> Floats:
        """Of each column; the last few tokens, which fill no layer, belong to the first columns."""
        if rows.shape[1] < _SMALL:
            return rows
        layered = _layered(rows)
        width = layered.shape[3]
        maxima = self._space.maxima(len(rows), _SEGMENTS * width)
        by_segment = maxima.reshape(len(rows), _SEGMENTS, width)

        def look(share: slice) -> None:
            np.maximum.reduce(layered[share], axis=2, out=by_segment[share])

        self._share(look, rows)
        _take_in(maxima, rows[:, layered[0].size :])
        return maxima

    def _share(self, look: Callable[[slice], None], rows: Floats) -> None:
        """Look at all rows: the threads at some each."""
        calls = min(_CALLS_A_THREAD * self._crew.size, max(1, rows.size // _TOKENS_A_CALL))
        size = -(-len(rows) // calls) if self._crew.size > 1 else len(rows)
        shares = [slice(begin, begin + size) for begin in range(0, len(rows), size)]
        self._crew.run([partial(look, share) for share in shares])


def _depend_on_others(counts: npt.NDArray[np.int64], most: int) -> bool:
    """Whether rows that seem flat may not do so alone: their bounds were made for larger counts."""
    return bool(((counts > 0) & (counts < most)).any())


def _layered(rows: Floats) -> npt.NDArray[np.float32]:
    """Rows × segments × layers × columns, without the last few tokens."""
    width = rows.shape[1] // (_SEGMENTS * _LAYERS)
    whole = rows[:, : _SEGMENTS * _LAYERS * width]
    return whole.reshape(len(rows), _SEGMENTS, _LAYERS, width)


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


def _bounds(maxima: Floats, wanted: Wanted) -> tuple[Floats, Floats]:
    """What a row's candidates reach at least, and what its largest one is."""
    counts, most = wanted.counts, int(wanted.counts.max())
    few = _folded(maxima, min(maxima.shape[1], max(_LEAST_BOUNDED, _SPREAD * most)))
    largest: Floats = few.max(axis=1)
    bounds = np.where(counts == 0, largest + wanted.depths, largest)
    if most > 1:
        place = few.shape[1] - most
        low = np.partition(few, place, axis=1)[:, place] if place > 0 else few.min(axis=1)
        bounds = np.where(counts > 1, low, bounds)
    bounds[~np.isfinite(bounds)] = np.inf  # nothing reaches it
    return bounds, largest


def _members(
    rows: Floats, numbers: Ints, columns: Ints, bounds: Floats
) -> tuple[Ints, Floats, Ints]:
    """All tokens of the columns that were hit which reach the bounds: rows, values, ids."""
    if rows.shape[1] < _SMALL:
        return numbers, rows[numbers, columns], columns
    size = rows.shape[1]
    width = size // (_SEGMENTS * _LAYERS)
    first = numbers * size + columns + columns // width * ((_LAYERS - 1) * width)
    places = first[:, None] + np.arange(0, _LAYERS * width, width)
    values = rows.reshape(-1).take(places, mode="clip")  # faster than if they were checked
    reaching = np.flatnonzero(values >= bounds[numbers][:, None])
    numbers = numbers[reaching // _LAYERS]
    found = numbers, values.ravel()[reaching], places.ravel()[reaching] - numbers * size
    return _with_rest(found, rows, _SEGMENTS * _LAYERS * width, bounds)


def _with_rest(
    found: tuple[Ints, Floats, Ints], rows: Floats, begin: int, bounds: Floats
) -> tuple[Ints, Floats, Ints]:
    """The same with the last few tokens of the rows."""
    if begin == rows.shape[1]:
        return found
    rest = rows[:, begin:]
    numbers, places = np.nonzero(rest >= bounds[:, None])
    found_rows = np.concatenate([found[0], numbers])
    order = np.argsort(found_rows, kind="stable")
    return (
        found_rows[order],
        np.concatenate([found[1], rest[numbers, places]])[order],
        np.concatenate([found[2], places + begin])[order],
    )


def _sorted(found: _Found, num_rows: int) -> Candidates:
    """Candidates of all rows in a table. One sort of whole numbers orders values and ids."""
    numbers, values, token_ids, largest = found.rows, found.values, found.token_ids, found.largest
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
