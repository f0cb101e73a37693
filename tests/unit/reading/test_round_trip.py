"""What real models' templates show of a reply is read back as that reply."""

import os
from pathlib import Path

import pytest

from bench.template_round_trip import NONE, OK, round_trip
from tests.unit.reading.readings import FAMILIES, template_of
from worker.reading.reply_format import derive_format
from worker.template.chat_template import ChatTemplate
from worker.template.environment import TemplateError


def _folder() -> Path | None:
    given = os.environ.get("PALAVER_TEMPLATES")
    here = Path(__file__).resolve()
    folders = [Path(given)] if given else [p / "shared" / "templates" for p in here.parents]
    return next((folder for folder in folders if any(folder.glob("*.jinja"))), None)


@pytest.mark.parametrize("family", FAMILIES)
def test_small_templates_of_each_family_round_trip(family: str) -> None:
    result = round_trip(template_of(family))
    assert (result.thought, result.call) == (OK, OK)


@pytest.mark.slow
def test_real_templates_round_trip() -> None:
    folder = _folder()
    if folder is None:
        pytest.skip("no folder of chat templates: set PALAVER_TEMPLATES")
    problems = {}
    for path in sorted(folder.glob("*.jinja")):
        try:
            template = ChatTemplate(path.read_text(), bos="<s>", eos="</s>")
        except TemplateError:
            continue
        result = round_trip(template)
        if not {result.thought, result.call} <= {OK, NONE}:
            problems[path.stem] = result
    assert not problems


def test_a_description_is_a_line_whatever_the_markup() -> None:
    source = template_of("tagged JSON").source
    source = source.replace("<tool_call>", "<tool\n\x1b[31m\u2028call>")
    line = derive_format(ChatTemplate(source)).describe()
    assert line.isprintable()
    assert "JSON in <tool" in line


def test_a_syntax_that_cannot_read_back_a_call_is_none() -> None:
    source = template_of("tagged arguments").source
    source = source.replace("<tool_call>", "<call_{{ c.function.name }}>")
    assert not derive_format(ChatTemplate(source)).has_tools
