"""The commands that the pages show: which there are, which test runs them, and why some are not.

A block of commands is fenced as `sh`, or indented and begins like a command. Above it stands a
comment: `<!-- run by tests/… -->`, with `: name` where one test runs several, or
`<!-- not run by tests: why -->`.
"""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    str(page.relative_to(ROOT))
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md"))
)
"""Decisions show nothing to run; figures in `docs/benchmarks` take what is too long for tests."""
PROGRAMS = (
    "make", "palaver", "python", "python3", "pip", "pipx", "uv", "curl", "docker", "kubectl", "bun",
    "redis-cli", "git", "cat", "zcat", "eval", "export", "systemctl",
)  # fmt: skip
COMMAND = re.compile(
    rf"(?:[A-Z_]+=\S* )*(?:job=\S.*|(?:\.venv(?:-clients)?/bin/)?(?:{'|'.join(PROGRAMS)})\b)"
)
MARKER = re.compile(
    r"<!-- (?:run by (?P<test>tests/[\w/.]+)(?:: (?P<name>\w+))?|(?P<why>not run by tests: .+)) -->"
)


@dataclass(frozen=True, kw_only=True)
class Commands:
    """A block of commands.

    Args:
        line: of its page, counted from 1, where it begins.
        test: the file that runs it; None if no test does.
        name: which of the test's blocks it is.
        why: why no test runs it; None if one does, or nothing is said.
    """

    page: str
    line: int
    lines: tuple[str, ...]
    test: str | None
    name: str
    why: str | None


def commands_on(page: str) -> list[Commands]:
    """All blocks of a page, in order."""
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    found, at = list[Commands](), 0
    while at < len(lines):
        begin, end, block = _block_at(lines, at)
        if block and (lines[begin].startswith("```sh") or COMMAND.match(_first(block))):
            marker = MARKER.fullmatch(_above(lines, begin))
            about = marker.groupdict() if marker else dict.fromkeys(("test", "name", "why"))
            found.append(
                Commands(
                    page=page,
                    line=begin + 1,
                    lines=tuple(block),
                    test=about["test"],
                    name=about["name"] or "",
                    why=about["why"],
                )
            )
        at = end
    return found


def commands_run_by(test: str, name: str | None = None) -> list[Commands]:
    """The blocks that a test runs, or only those of this name."""
    return [
        block
        for page in PAGES
        for block in commands_on(page)
        if block.test == test and name in (None, block.name)
    ]


def _block_at(lines: list[str], at: int) -> tuple[int, int, list[str]]:
    """Where the block at a line begins and what follows it; empty if there is none."""
    if lines[at].startswith("```"):
        end = next(n for n in range(at + 1, len(lines)) if lines[n].startswith("```"))
        is_shell = lines[at] == "```sh"
        return at, end + 1, lines[at + 1 : end] if is_shell else []
    is_first = at == 0 or not lines[at - 1].strip()
    if not (is_first and re.match(r" {4,8}\S", lines[at])):
        return at, at + 1, []
    indent = len(lines[at]) - len(lines[at].lstrip())
    end = at
    while end < len(lines) and lines[end].startswith(" " * indent):
        end += 1
    return at, end, [line[indent:] for line in lines[at:end]]


def _first(block: list[str]) -> str:
    """The first line that is no comment."""
    return next((line for line in block if not line.startswith("#")), "")


def _above(lines: list[str], begin: int) -> str:
    """The comment above a block; an indented one has an empty line between."""
    above = begin - 1 if lines[begin - 1].strip() else begin - 2
    return lines[above].strip()
