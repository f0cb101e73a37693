"""The comparison's users say the same to every engine, whenever it is asked."""

import pytest

from bench.comparison.workloads import NAMES, Conversation, Workload, make_workload, warm_up


def conversations(workload: Workload) -> list[Conversation]:
    extra = [workload.intruder] if workload.intruder is not None else []
    return [*workload.conversations, *extra]


def personas(workload: Workload) -> set[str]:
    return {one.system for one in conversations(workload)}


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_gives_the_same_texts_again(name: str) -> None:
    assert make_workload(name, 1) == make_workload(name, 1)
    assert make_workload(name, 1) != make_workload(name, 2)


def test_workloads_have_no_persona_in_common() -> None:
    everybody = [personas(make_workload(name, 1)) for name in NAMES] + [personas(warm_up(1))]
    assert sum(map(len, everybody)) == len(set().union(*everybody))


@pytest.mark.parametrize("name", NAMES)
def test_prompts_and_personas_are_as_long_as_announced(name: str) -> None:
    for one in make_workload(name, 3).conversations:
        assert all(20 <= len(prompt.split()) <= 40 for prompt in one.prompts)
        assert 130 <= len(one.system.split()) <= 170


def test_personas_are_shared_where_that_is_the_point() -> None:
    systems = {name: {one.system for one in make_workload(name, 1).conversations} for name in NAMES}
    assert len(systems["own"]) == 8
    assert len(systems["shared"]) == 1
    assert len(systems["many"]) == 24


def test_a_long_prompt_comes_to_seven_streams() -> None:
    burst = make_workload("burst", 1)
    assert len(burst.conversations) == 7
    assert burst.intruder is not None
    assert len(burst.intruder.prompts[0].split()) >= 2700
