"""Where things are in a namespace of several cells."""

import inspect
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.live.feed import EventFeed
from api.store import _ALL, Store
from shared import ids
from shared.cells import Cells, spread_owner
from shared.config import Settings
from shared.store.merging import Place, merged, place, position
from shared.store.routed import Routed, routed_by
from shared.wire.limits import DEFAULT_OWNER, Limits

NUMBERS = st.integers(2, 256)


def cells_of(number: int, **variables: Any) -> Cells:
    return Cells(Settings(_env_file=None, PALAVER_CELLS=number, **variables))


# Ids.


@given(NUMBERS, st.data())
def test_a_new_id_is_in_the_wanted_cell(number: int, data: st.DataObject) -> None:
    cells, cell = cells_of(number), data.draw(st.integers(0, number - 1))
    new = cells.new_turn(cell)
    assert cells.of_conversation(new.conversation_id) == cell
    assert cells.of_job(new.job_id) == cell
    assert 1 <= int(new.conversation_id) <= ids.MAX_CONVERSATION
    assert ids.is_job(new.job_id)


def test_ids_of_a_cell_are_spread_over_all_that_there_are() -> None:
    cells = cells_of(4)
    drawn = sorted(int(cells.new_conversation(3)) for _ in range(200))
    assert drawn[0] < ids.MAX_CONVERSATION / 4
    assert drawn[-1] > ids.MAX_CONVERSATION * 3 / 4


def test_one_cell_changes_no_name() -> None:
    cells = cells_of(1)
    assert [settings.keyspace for settings in cells.settings] == ["palaver"]
    assert cells.of_conversation("4711") == cells.of_job("f" * 32) == 0


# Owners.


def test_a_key_has_one_cell_and_everybody_has_all() -> None:
    cells = cells_of(8)
    homes = {tuple(cells.spread_of(f"key-{number}")) for number in range(100)}
    assert homes == {(cell,) for cell in range(8)}
    assert list(cells.spread_of(DEFAULT_OWNER)) == list(range(8))


@given(NUMBERS, st.integers(1, 300), st.text(alphabet="0123456789abcdef", min_size=1))
def test_a_key_that_is_spread_has_that_many_cells_its_own_among_them(
    number: int, spread: int, name: str
) -> None:
    cells, owner = cells_of(number), spread_owner(name, spread)
    found = cells.spread_of(owner)
    assert len(set(found)) == min(spread, number)
    assert cells.of_owner(owner) in found
    assert set(found) <= set(cells.all)
    assert cells.of_text(owner, "a key") in found


@pytest.mark.parametrize("owner", ["a.spread-0", "a.spread-8b", "spread-8", "a.spread-1000", "a.8"])
def test_other_names_are_not_spread(owner: str) -> None:
    assert len(cells_of(8).spread_of(owner)) == 1


@given(NUMBERS, st.integers(1, 1000))
def test_shares_of_a_limit_are_no_more_than_the_limit(number: int, limit: int) -> None:
    shared = Limits(in_flight=limit).shared_by(number)
    assert shared.in_flight is not None
    assert shared.in_flight == 1 or shared.in_flight * number <= limit
    assert shared.queued is None


@given(st.text(), NUMBERS)
def test_a_text_leads_to_the_same_cell_of_an_owner_every_time(text: str, number: int) -> None:
    for owner in (DEFAULT_OWNER, "key"):
        cells = cells_of(number)
        first = cells.of_text(owner, text)
        assert first == cells.of_text(owner, text)
        assert first in cells.spread_of(owner)


# Servers.


def test_cells_go_round_the_servers_and_each_has_its_own_slot() -> None:
    cells = cells_of(5, REDIS_URL="redis://one,sentinel://a:1,b:2/two,redis://three")
    one, two, three = "redis://one", "sentinel://a:1,b:2/two", "redis://three"
    assert [of_cell.redis_url for of_cell in cells.settings] == [one, two, three, one, two]
    assert [of_cell.keyspace for of_cell in cells.settings] == [
        f"{{palaver:{cell}}}" for cell in range(5)
    ]


def test_the_queue_limit_is_shared() -> None:
    cells = cells_of(4, PALAVER_QUEUE_LIMIT=10)
    assert {of_cell.queue_limit for of_cell in cells.settings} == {3}


# Calls.


def public_methods(kind: type) -> Iterator[tuple[str, Any]]:
    for name, method in inspect.getmembers(kind, inspect.isfunction):
        if not name.startswith("_"):
            yield name, method


WORKERS_OWN = {
    "register", "announce", "announce_unchanged", "cool", "drain", "leave", "stored",
}  # fmt: skip
"""What `Workers` has for the workers themselves, which know their cells."""
OF_ONE = {"listed", "found", "of_request"} | WORKERS_OWN
"""What is asked of the part of one cell."""


@pytest.mark.parametrize("part", [each.name for each in fields(Store)])
def test_every_call_says_which_cell_it_is_about_or_is_made_in_all(part: str) -> None:
    kind = get_type_hints(Store)[part]
    whole = _ALL.get(part, Routed)
    for name, method in public_methods(kind):
        if name not in OF_ONE and not hasattr(whole, name):
            assert routed_by(method)


@pytest.mark.parametrize(
    ("method", "parameter"),
    [
        ("watch", "job_id"),
        ("watch_new", "job_id"),
        ("watch_list", "owner_id"),
        ("lock_out", "owner_id"),
    ],
)
def test_an_id_counts_before_an_owner(method: str, parameter: str) -> None:
    assert routed_by(getattr(EventFeed, method))[0] == parameter


class Part:
    """Tells where it was called."""

    def __init__(self, cell: int) -> None:
        self.cell = cell

    def of_job(self, owner_id: str, job_id: str = "") -> tuple[int, str]:
        return self.cell, owner_id

    def of_nobody(self, text: str) -> None: ...


def test_calls_arrive_by_position_and_by_name() -> None:
    cells = cells_of(4)
    whole: Any = Routed(cells, [Part(cell) for cell in cells.all])
    job_id = cells.new_job(2)
    assert whole.of_job("a", job_id) == whole.of_job("a", job_id=job_id) == (2, "a")
    with pytest.raises(TypeError, match="of_nobody"):
        whole.of_nobody("x")


# Pages.

PLACES = st.tuples(st.integers(0, 5), st.integers(0, 300).map(str))


@given(st.lists(st.sets(PLACES), min_size=1, max_size=4), st.integers(1, 7), st.integers(1, 9))
def test_pages_of_several_lists_are_those_of_one(
    lists: list[set[Place]], limit: int, at_once: int
) -> None:
    """Though each list gives so many at once as it likes."""
    lists = [given_set - set().union(*lists[:at]) for at, given_set in enumerate(lists)]
    shown: list[Place] = []
    behind: Place | None = None
    while True:
        pages, ends = [], []
        for each in lists:
            rest = sorted((p for p in each if behind is None or p < behind), reverse=True)
            page = rest[: min(limit, at_once)]
            pages.append(page)
            if len(rest) > len(page):
                ends.append(page[-1])
        items, behind = merged(pages, ends, limit, lambda each: each)
        assert len(items) <= limit
        shown += items
        if behind is None:
            break
        behind = place(position(behind))
    assert shown == sorted(set().union(*lists), reverse=True)
