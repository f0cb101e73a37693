"""A small storm in every run of the tests; `make chaos` is the large one."""

import shutil

import pytest

from tests.faults.chaos import Plan, storm
from tests.faults.node_faults import PROMOTIONS

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")

FEW = 5
"""Turns that had a summary, so that something is tested."""


@pytest.mark.timeout(300)
async def test_a_storm_loses_doubles_and_disorders_nothing() -> None:
    outcome = await storm(Plan(seed=1, jobs=300, faults=12))
    assert outcome.findings.complaints == {}
    assert outcome.findings.outcomes["completed"] >= 250
    assert sum(outcome.ledger.faults.values()) >= 12


@pytest.mark.timeout(300)
async def test_summaries_are_of_what_stands_whatever_dies() -> None:
    """Only idle workers make summaries: where other programs take the cores, a storm has none."""
    reminded = 0
    for seed in range(3, 6):
        outcome = await storm(Plan(seed=seed, jobs=200, faults=6, remembers=True))
        assert outcome.findings.complaints == {}
        reminded += sum(turn.is_reminded for turn in outcome.ledger.turns)
        if reminded >= FEW:
            break
    assert reminded >= FEW


@pytest.mark.timeout(300)
async def test_stops_of_everything_forgotten_scripts_and_hanging_tls_do_no_harm() -> None:
    only = frozenset({"all told to stop", "scripts forgotten", "TLS hangs"})
    outcome = await storm(Plan(seed=2, jobs=200, faults=6, only=only))
    assert outcome.findings.complaints == {}
    assert outcome.ledger.faults.keys() == only


@pytest.mark.timeout(600)
async def test_without_the_fence_storms_find_corruption() -> None:
    """So that the one above can fail: a worker writes to turns that another one generates."""
    only = frozenset({"worker woken when its turn was taken over"})
    corrupted: set[str] = set()
    for seed in range(1, 4):
        plan = Plan(seed=seed, jobs=100, faults=10, only=only, unfenced=True, piece_s=0.05)
        outcome = await storm(plan)
        found = outcome.findings.complaints.keys()
        corrupted = found & {"lost", "doubled", "different", "disordered"}
        if corrupted:
            break
    assert corrupted


@pytest.mark.timeout(400)
async def test_on_a_redis_cluster_what_was_told_outlives_its_primaries() -> None:
    """Each prompt is told to be accepted once a replica has it, and so is its end."""
    only = frozenset({*PROMOTIONS, "slot moved in one step", "slot moved key by key"})
    outcome = await storm(Plan(seed=1, jobs=100, faults=6, only=only, on_nodes=True, limit_s=350))
    assert outcome.findings.complaints == {}
    assert sum(outcome.ledger.faults.values()) >= 6


@pytest.mark.timeout(400)
async def test_cells_are_as_reliable_each() -> None:
    only = frozenset({*PROMOTIONS, "worker killed", "worker paused", "API stopped"})
    plan = Plan(seed=1, jobs=100, faults=6, only=only, on_nodes=True, cells=4, limit_s=350)
    outcome = await storm(plan)
    assert outcome.findings.complaints == {}
    assert outcome.findings.outcomes["completed"] >= 80


@pytest.mark.timeout(400)
async def test_without_replicas_promotions_lose_what_was_told() -> None:
    """So that the one above can fail."""
    only = frozenset({"primary killed that its replica had lost"})
    plan = Plan(seed=1, jobs=60, faults=4, only=only, on_nodes=True, replicas=0)
    outcome = await storm(plan)
    assert outcome.findings.lost
