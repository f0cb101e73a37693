"""What the doctor reports about the model and the GPUs."""

from typing import Any

import pytest

from cli.doctor import model_findings, template_findings
from cli.doctor_redis import durability_finding
from tests.servers import make_settings

GIB = 1 << 30
GPU = {
    "name": "CUDA0",
    "description": "NVIDIA H100",
    "kind": 1,
    "free_bytes": 79 * GIB,
    "total_bytes": 80 * GIB,
}
NEEDED = "the model needs 4,096 MiB"
HINT = "there is a GPU in this machine: `make install GPU=cuda`"


@pytest.mark.parametrize(
    ("found", "lines"),
    [
        ({"gpus": [], "why_no_gpu": None}, ["· GPU       none; the model runs on the CPU"]),
        ({"gpus": [], "why_no_gpu": HINT}, [f"✗ GPU       {HINT}"]),
        ({"gpus": [GPU]}, ["✓ GPU       NVIDIA H100 (CUDA0), 80,896 of 81,920 MiB free"]),
        (
            {"gpus": [GPU | {"free_bytes": 2 * GIB}]},
            [f"· GPU       NVIDIA H100 (CUDA0), 2,048 of 81,920 MiB free; {NEEDED}"],
        ),
        (
            {"gpus": [GPU | {"free_bytes": 2 * GIB, "total_bytes": 3 * GIB}]},
            [f"✗ GPU       NVIDIA H100 (CUDA0), 2,048 of 3,072 MiB free; {NEEDED}"],
        ),
    ],
)
def test_gpus_are_listed_with_their_memory(found: dict[str, Any], lines: list[str]) -> None:
    model = {
        "path": "a.gguf",
        "bytes": 4 * GIB,
        "weights": 8e9,
        "remarks": [],
        "why_no_gpu": None,
        "all_layers": True,
        "memory": None,
        **found,
    }
    first, *rest = map(str, model_findings(model))
    assert first == "✓ model     a.gguf (8000 million weights, 4096 MiB)"
    assert rest == lines


def test_a_worker_s_warnings_are_listed_with_the_model() -> None:
    found = {
        "path": "a.gguf",
        "bytes": GIB,
        "weights": 1e9,
        "remarks": ["the window has 2048 tokens"],
        "gpus": [],
        "all_layers": True,
        "why_no_gpu": None,
        "memory": None,
    }
    lines = [str(finding) for finding in model_findings(found)]
    assert lines[1] == "· model     the window has 2048 tokens"


@pytest.mark.parametrize(("is_less", "mark"), [(False, "✓"), (True, "·")])
def test_what_it_takes_and_what_is_less_is_listed(is_less: bool, mark: str) -> None:
    found = {
        "path": "a.gguf",
        "bytes": GIB,
        "weights": 1e9,
        "remarks": [],
        "gpus": [],
        "all_layers": True,
        "why_no_gpu": None,
        "memory": {"remark": "3 slots take 900 of 1,000 MiB", "is_less": is_less},
    }
    *_, memory = map(str, model_findings(found))
    assert memory == f"{mark} memory    3 slots take 900 of 1,000 MiB"


TRAITS: dict[str, Any] = {
    "demo": None,
    "abilities": ["chats", "thinks"],
    "template": "system messages first; no tools",
    "replies": "thoughts in <think>; no calls",
    "window": 3500,
    "longest_window": 32768,
    "sampling": {},
    "sampling_settings": {},
}


def test_what_a_model_can_do_is_listed() -> None:
    assert list(map(str, template_findings(TRAITS))) == [
        "✓ model     chats, thinks",
        "✓ template  system messages first; no tools",
        "✓ replies   thoughts in <think>; no calls",
        "✓ window    3,500 of 32,768 tokens; PALAVER_CONTEXT_LENGTH=0 takes all",
    ]


def test_what_a_file_recommends_and_what_replaces_it_is_shown() -> None:
    report = TRAITS | {
        "sampling": {"temperature": 0.6, "top_k": 20},
        "sampling_settings": {"temperature": 0.0},
    }
    *_, recommended, settings = map(str, template_findings(report))
    assert recommended == "✓ sampling  the model's file recommends temperature 0.6, top_k 20"
    assert settings == "✓ sampling  the settings say temperature 0"


@pytest.mark.parametrize(
    ("longest", "text"),
    [
        (3500, "✓ window    3,500 tokens, all that the model supports"),
        (None, "✓ window    3,500 tokens; the model's file does not say how many it supports"),
    ],
)
def test_the_window_is_held_against_the_model_s_own(longest: int | None, text: str) -> None:
    assert text in map(str, template_findings(TRAITS | {"longest_window": longest}))


def test_the_demo_is_announced_first() -> None:
    first, *_ = map(str, template_findings(TRAITS | {"demo": "it chats, it does not know"}))
    assert first == "· model     it chats, it does not know"


@pytest.mark.parametrize(
    ("replicas", "line"),
    [
        (0, "· Redis     2 replicas, 3 s behind at most; if one takes over, what it lacks is lost"),
        (1, "✓ Redis     2 replicas, 3 s behind at most; clients are told what 1 have"),
    ],
)
def test_what_replicas_are_good_for_is_said(replicas: int, line: str) -> None:
    info = {"slave0": {"lag": 0}, "slave1": {"lag": 3}, "slave_expires_tracked_keys": 0}
    settings = make_settings("redis://r", PALAVER_REPLICAS=replicas)
    assert str(durability_finding(info, settings)).startswith(line)


def test_a_server_without_replicas_needs_no_word_on_them() -> None:
    assert durability_finding({}, make_settings("redis://r")) is None
