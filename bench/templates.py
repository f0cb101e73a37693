"""Every chat template of a folder: is it read as its model needs it?

    python -m bench.templates DIR [-v]

A row for each `*.jinja`: whether it loads, makes the same text of five conversations as plain Jinja
with transformers' conventions, treats thoughts the same, shows definitions of tools, and whether a
thought and a call that it shows are read back as the same thought and call. `-` stands where there
is nothing to compare; `-v` names what differs. The last line counts.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.tables import print_table
from bench.template_cases import CASES, NONE, NOW, OK, TOKENS, Comparison
from bench.template_round_trip import round_trip
from worker.template.chat_template import ChatTemplate
from worker.template.environment import TemplateError
from worker.template.rendering_process import RenderingProcess

_COLUMNS: Final = (
    "template",
    "loads",
    "same text",
    "thoughts",
    "tools",
    "thought back",
    "call back",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one template.

    Args:
        refusal: why it does not load; empty if it does.
        cases: what came of each comparison, by name.
    """

    name: str
    refusal: str
    cases: dict[str, str]

    @property
    def has_same_text(self) -> bool:
        """Whether every conversation that plain Jinja takes gives the same text."""
        outcomes = {self.cases[name] for name in CASES} if self.cases else set()
        return OK in outcomes and outcomes <= {OK, NONE}

    def row(self) -> list[str]:
        """Of the table."""
        if self.refusal:
            return [self.name, f"no: {self.refusal}", *[NONE] * (len(_COLUMNS) - 2)]
        same = sum(self.cases[name] == OK for name in CASES)
        compared = sum(self.cases[name] != NONE for name in CASES)
        others = (self.cases[name] for name in self.cases if name not in CASES)
        return [self.name, "yes", f"{same} of {compared}", *map(_short, others)]


def _short(outcome: str) -> str:
    return outcome if outcome in (OK, NONE) else "differs"


def try_template(path: Path) -> Result:
    """Load a template and compare."""
    try:
        source = path.read_text(encoding="utf-8")
        renderer = RenderingProcess(source)
    except (TemplateError, UnicodeDecodeError) as error:
        return Result(name=path.stem, refusal=str(error), cases={})
    try:
        template = ChatTemplate(
            source,
            bos=TOKENS["bos_token"],
            eos=TOKENS["eos_token"],
            renderer=renderer,
            clock=lambda: NOW,
        )
        return Result(name=path.stem, refusal="", cases=_compared(template))
    except TemplateError as error:
        return Result(name=path.stem, refusal=str(error), cases={})
    finally:
        renderer.close()


def _compared(template: ChatTemplate) -> dict[str, str]:
    comparison = Comparison(template)
    trip = round_trip(template)
    return {name: comparison.roles(name) for name in CASES} | {
        "thoughts": comparison.thoughts(),
        "tools": comparison.tools(),
        "thought back": trip.thought,
        "call back": trip.call,
    }


def summary(results: list[Result]) -> str:
    """The counts of all columns, in one line."""
    loaded = [result for result in results if not result.refusal]
    counts = [
        f"{len(results)} templates",
        f"{len(loaded)} load",
        f"{len(results) - len(loaded)} refused",
        f"{sum(result.has_same_text for result in loaded)} same text",
    ]
    for name in ("thoughts", "tools", "thought back", "call back"):
        outcomes = [result.cases[name] for result in loaded if result.cases[name] != NONE]
        counts.append(f"{name} {outcomes.count(OK)} of {len(outcomes)}")
    return " · ".join(counts)


def main() -> None:
    parser = argparse.ArgumentParser(description="Try every chat template of a folder.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("-v", "--verbose", action="store_true", help="name what differs")
    arguments = parser.parse_args()
    results = [try_template(path) for path in sorted(arguments.folder.glob("*.jinja"))]
    print_table(_COLUMNS, [result.row() for result in results])
    if arguments.verbose:
        for result in results:
            for name, outcome in result.cases.items():
                if outcome not in (OK, NONE):
                    print(f"{result.name}, {name}: {outcome}")
    print(summary(results))


if __name__ == "__main__":
    main()
