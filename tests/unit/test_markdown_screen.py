"""Where a reply is cut into what is done and what may still grow."""

import pytest

from cli.markdown_screen import split_before_last_block

WHOLE = """\
Text.

- one

- two

| a |
|---|
| 1 |

```
code

code
```

End"""


@pytest.mark.parametrize(
    ("source", "growing"),
    [
        ("", ""),
        ("One line", "One line"),
        ("One\n\nTwo", "Two"),
        ("One\n\n- a\n\n- b", "- a\n\n- b"),
        ("One\n\n```\na\n\n# b\n", "```\na\n\n# b\n"),
        ("One\n\n| a |\n|---|\n| 1 |", "| a |\n|---|\n| 1 |"),
        ("# One\nTwo", "Two"),
    ],
)
def test_only_the_last_block_grows(source: str, growing: str) -> None:
    done, rest = split_before_last_block(source)
    assert (done + rest, rest) == (source, growing)


def test_nothing_is_lost_whatever_the_pieces() -> None:
    for length in (1, 2, 7, 50):
        printed, growing = "", ""
        for at in range(0, len(WHOLE), length):
            done, growing = split_before_last_block(growing + WHOLE[at : at + length])
            printed += done
        assert printed + growing == WHOLE
        assert growing == "End"
