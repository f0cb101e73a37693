"""Templates of real models, where a folder of them is at hand: prompts as plain Jinja's."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from bench.template_cases import CASES, NONE, NOW, OK, TOKENS, Comparison
from tests.unit.template.test_real_templates import real_templates
from worker.template.chat_template import ChatTemplate

MOVED_INSTRUCTIONS = {"mistralai-Mistral-Nemo-Instruct-2407"}
"""Put instructions before the last prompt; ours stay at the first, so that a turn changes nothing
before it."""


@pytest.mark.skipif(not real_templates(), reason="no folder of real models' templates")
@pytest.mark.parametrize("path", real_templates(), ids=lambda path: path.stem)
def test_prompts_are_those_of_plain_jinja(path: Path) -> None:
    template = ChatTemplate(
        path.read_text(encoding="utf-8"),
        bos=TOKENS["bos_token"],
        eos=TOKENS["eos_token"],
        clock=lambda: NOW,
    )
    comparison = Comparison(template)
    outcomes = {name: comparison.roles(name) for name in CASES}
    if path.stem in MOVED_INSTRUCTIONS:
        del outcomes["suauau"]
    outcomes["thoughts"] = comparison.thoughts()
    outcomes["tools"] = comparison.tools()
    assert {name: each for name, each in outcomes.items() if each not in (OK, NONE)} == {}
    assert OK in outcomes.values()
    json.dumps(asdict(template.traits))
