"""What a model's file recommends for drawing is used, within what requests may ask for."""

import math
from pathlib import Path
from typing import Any

import pytest

from tests.servers import make_settings
from tests.tiny_model import write_without_weights
from worker.engine.model_file import without_weights
from worker.engine.recommended import recommended_sampling
from worker.engine_setup import sampling_settings


def recommended(path: Path, **values: Any) -> tuple[dict[str, Any], list[str]]:
    named = {f"general.sampling.{key}": value for key, value in values.items()}
    with without_weights(write_without_weights(path / "model.gguf", "llama", **named)) as model:
        return recommended_sampling(model)


def test_a_files_recommendations_are_options(tmp_path: Path) -> None:
    options, remarks = recommended(
        tmp_path, temp=0.6, top_k=20, top_p=0.95, min_p=0.0, penalty_repeat=1.05
    )
    assert options == {
        "temperature": pytest.approx(0.6),
        "top_k": 20,
        "top_p": pytest.approx(0.95),
        "min_p": 0.0,
        "repeat_penalty": pytest.approx(1.05),
    }
    assert isinstance(options["top_k"], int)
    assert remarks == []


def test_a_file_without_any_changes_nothing(tmp_path: Path) -> None:
    assert recommended(tmp_path) == ({}, [])


@pytest.mark.parametrize("temp", [-1.0, 3.0, math.nan, math.inf])
def test_what_no_request_could_ask_for_is_not_used_and_named(tmp_path: Path, temp: float) -> None:
    options, [remark] = recommended(tmp_path, temp=temp)
    assert options == {}
    assert "general.sampling.temp" in remark


def test_what_is_not_supported_is_named(tmp_path: Path) -> None:
    options, remarks = recommended(tmp_path, mirostat=2, xtc_probability=0.0, penalty_last_n=64)
    assert options == {}
    assert remarks == ["general.sampling.mirostat = 2 is not supported"]


def test_the_servers_settings_are_options() -> None:
    settings = make_settings("unix:///nowhere", PALAVER_TEMPERATURE="0", PALAVER_TOP_K="7")
    assert sampling_settings(settings) == {"temperature": 0.0, "top_k": 7}
