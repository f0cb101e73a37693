"""What a model writes, as the chat page shows it: harmless, whole, and as it was meant."""

import re
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.web.rendering.render import to_html
from tests.unit.rendering.safety import Page

PIECES = (
    *("\\(", "\\)", "\\[", "\\]", "$$", "$", "```", "```python\n", "~~~\n", "`", "\n", "\n\n"),
    *("    ", "- ", "- [ ] ", "- [x] ", "1. ", "> ", "# ", "* ", "**", "_", "^", "{", "}"),
    *(
        "\\frac",
        "\\text{",
        "\\left(",
        "\\right)",
        "\\href{javascript:b}{",
        "\\style{c}",
        "\\class{d}",
    ),
    *("\\unicode{x3c}", "\\color{e}", "\\begin{matrix}", "\\end{matrix}", "\\\\", "[^a]", "[^a]: "),
    *(
        "<script>",
        "</code>",
        "<img src=x onerror=b>",
        "javascript:c",
        "https://a.b/c?d=e",
        ")",
        "(",
    ),
    *("def a(b): # c", '"d"', "'", '"', "<!--", "-->", "]]>", "<math>", "<annotation-xml>"),
    *("abc", "bed", "cab dab", "אבג", " ", ";", "\t", "\\"),
)
"""No pictures, definitions of links, entities, tables: there Markdown itself drops parts."""
HOSTILE_FORMULAS = (
    r"\text{<img src=x onerror=alert(1)>}",
    r"\text{</mtext></math><script>alert(1)</script>}",
    r"\href{javascript:alert(1)}{x}",
    r"\href{https://example.org}{x}",
    r"\style{background:url(//evil)}{x}",
    r"\class{code-head}{x}",
    r"\unicode{x3c}script\unicode{x3e}",
    r"\text{&lt;img src=x&gt; &#x3c;script&#x3e;}",
    r"\textcolor{red;x:y}{x}",
    r"\colorbox{red" + '"' + r" onclick=alert(1)}{x}",
    r"\operatorname{a b}",
    r"\rule{99999em}{99999em}",
    r"\raise{5000px}{x}",
    r"\hspace{-9999em}x",
    r"</annotation></semantics></math><svg onload=alert(1)>",
    r"<annotation-xml encoding='text/html'><img src=x onerror=1>",
)


@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
def test_only_what_is_known_reaches_the_page(text: str) -> None:
    Page(to_html(text))


@given(st.text(max_size=200))
def test_any_text_is_harmless(text: str) -> None:
    Page(to_html(text))


@settings(max_examples=400)
@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
def test_no_letter_is_lost(text: str) -> None:
    page = Page(to_html(text))
    shown = page.text + "".join(value for _, name, value in page.attributes if name == "data-note")
    for letter in "abcde":
        assert shown.count(letter) >= text.replace("[x]", "").count(letter), letter


@pytest.mark.parametrize("formula", HOSTILE_FORMULAS)
@pytest.mark.parametrize("marks", [("\\(", "\\)"), ("\\[", "\\]"), ("$$", "$$"), ("$", "$")])
def test_a_hostile_formula_is_only_text(formula: str, marks: tuple[str, str]) -> None:
    page = Page(to_html(f"See {marks[0]}{formula}{marks[1]}."))
    assert not any(name in ("href", "style") for _, name, _ in page.attributes)
    lengths = re.findall(r"\d{3,}(?:em|px|ex)", str(page.attributes))
    assert lengths == []


@pytest.mark.parametrize(
    "text",
    [
        r"\(x_1\)",
        r"\[x_1\]",
        "$$x_1$$",
        "$x_1$",
        "\\[\nx_1\n\\]",
        "$$\nx_1\n$$",
        "- $$\n  x_1\n  $$",
    ],
)
def test_a_formula_is_mathml(text: str) -> None:
    html = to_html(text)
    assert "<msub><mi>x</mi><mn>1</mn></msub>" in html
    assert "x_1</annotation>" in html.replace("\n</", "</")


def test_lines_of_a_formula_are_no_markdown() -> None:
    html = to_html("\\[\na\n+ b\n- c_1 * d_1 * e\n=\n\\]")
    assert "<li>" not in html
    assert "<em>" not in html
    assert "<h" not in html


@pytest.mark.parametrize(
    "text",
    [
        "It costs $5 and $10.",
        "Between $5 and 10$ a day.",
        "US$5, A$6 or $7-$8",
        "Set $HOME and $PATH, or $HOME/$USER.",
        "Use $('a') and $('b').",
        "A lone $ and another $ here.",
    ],
)
def test_a_dollar_is_no_formula(text: str) -> None:
    assert Page(to_html(text)).text.strip() == text
    assert "<math" not in to_html(text)


@pytest.mark.parametrize(
    "text", [r"so \(a_1", r"so \[a + b", r"C:\dir \] x", r"a \alpha b", "$$ a"]
)
def test_backslashes_without_a_formula_stay(text: str) -> None:
    assert Page(to_html(text)).text.strip() == text


def test_an_escaped_link_is_still_text() -> None:
    assert "[a]" in Page(to_html(r"\[a\](x)")).text


@pytest.mark.parametrize(
    "formula",
    [
        "x" * 2001,
        r"\newcommand{\a}{\a\a}\a",
        r"\frac{a",
        r"\def\a{\a\a}",
        r"\begin{foo}a&b\end{foo}",
    ],
)
def test_a_formula_that_is_refused_is_shown_as_it_was_written(formula: str) -> None:
    html = to_html(rf"\({formula}\)")
    assert "<math" not in html
    assert '<code class="latex">' in html
    assert Page(html).text.strip() == rf"\({formula}\)"


@pytest.mark.parametrize("text", ["```", "```py", "```py\n", "```py\nx = 1", "```py\nx = 1\n\n  "])
def test_an_open_fence_is_a_box_from_its_first_character(text: str) -> None:
    html = to_html(text)
    assert html.startswith('<div class="code" data-fence="```">')
    assert "<p " not in html


def test_an_open_fence_holds_all_that_has_come() -> None:
    page = Page(to_html("Look:\n\n~~~\n  def f():\n    pass\n    "))
    assert page.text.strip("\n") == "Look:\n  def f():\n    pass"


@pytest.mark.parametrize("text", ["```py\nx\n```", "> ```\n> x\n> ```", "- ~~~\n  x\n  ~~~~"])
def test_a_closed_fence_is_not_open(text: str) -> None:
    html = to_html(text)
    assert '<div class="code">' in html
    assert "data-fence" not in html


def test_code_is_highlighted_and_stays_itself() -> None:
    code = "\n\ndef f(a):\r\n\treturn '<b>'  # ok\n\n"
    html = to_html(f"```python\n{code}```")
    assert '<span class="keyword">def</span>' in html
    assert Page(html).text.strip("\n") == "python" + code.replace("\r", "").rstrip("\n")


@pytest.mark.parametrize("info", ["", "nothing", "python2.7", '"><script>', "../x", "html+php"])
def test_code_of_an_unknown_language_is_plain(info: str) -> None:
    html = to_html(f"```{info}\nif x: y\n```")
    assert '<span class="keyword">' not in html
    assert info in Page(html).text


def test_a_busy_machine_highlights_the_same() -> None:
    """Of what other threads leave of the time the lexer needs little."""
    code = "```python\n" + "def f(x):\n    return x + 1\n" * 300 + "```\n"
    quiet = to_html(code)
    is_over = threading.Event()
    others = [threading.Thread(target=_be_busy, args=(is_over,)) for _ in range(12)]
    for thread in others:
        thread.start()
    try:
        busy = to_html(code)
    finally:
        is_over.set()
        for thread in others:
            thread.join()
    assert "keyword" in quiet
    assert busy == quiet


def _be_busy(is_over: threading.Event) -> None:
    while not is_over.is_set():
        pass


def test_a_long_line_and_much_code_are_not_highlighted() -> None:
    assert '"number"' not in to_html(f"```py\n{'1 ' * 300}\n```")
    assert '"number"' not in to_html("```py\n" + "x = 1\n" * 10_000 + "```")


def test_tasks_are_boxes_that_are_named() -> None:
    html = to_html("- [ ] a\n- [x] b\n- [y] c\n- [x](http://d.e)")
    assert html.count("<input") == 2
    assert 'aria-label="To do"> a' in html
    assert 'aria-label="Done" checked> b' in html


def test_a_footnote_stands_where_it_was_written_and_is_never_lost() -> None:
    html = to_html("See[^1] and[^2].\n\n[^1]: First.\n\n[^3]: Nobody refers to it.")
    assert html.count('data-note="1"') == 2
    assert "[^2]" in html
    assert "Nobody refers to it." in html


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("See https://a.b/c_d_e*f?x=1&y=2.", "https://a.b/c_d_e*f?x=1&y=2"),
        ("(http://a.b/c)", "http://a.b/c"),
        ("http://a.b/c_(d)", "http://a.b/c_(d)"),
        ("HTTPS://a.b!", "HTTPS://a.b"),
        ("<https://a.b>", "https://a.b"),
        ("[x](https://a.b)", "https://a.b"),
    ],
)
def test_an_address_is_a_link(text: str, url: str) -> None:
    page = Page(to_html(text))
    assert [value for _, name, value in page.attributes if name == "href"] == [url]
    assert ("a", "rel", "noopener noreferrer nofollow") in page.attributes


@pytest.mark.parametrize(
    "text",
    ["readme.md www.a.b a@b.cd", "ftp://a.b", "javascript://a.b", "xhttp://a.b", "http://", "//a"],
)
def test_nothing_else_becomes_a_link(text: str) -> None:
    assert "<a" not in to_html(text)


def test_blocks_have_the_direction_of_their_text() -> None:
    html = to_html("שלום\n\nHello\n\n- א\n  - b\n\n```\nx\n```")
    assert html.count('dir="auto"') == 3
    assert '<pre dir="ltr">' in html


@pytest.mark.parametrize(
    "text",
    [
        "\\(",
        "\\[a\n",
        "$$\n",
        "$a",
        "[^a",
        "https://[",
        "http://a.b/(",
        "```\n",
        "[^a]: ",
        "a@",
        "- [ ] ",
    ],
)
def test_no_short_text_repeated_grows_without_bounds(text: str) -> None:
    """Not a measurement: what is quadratic runs into the test's time limit."""
    Page(to_html(text * (100_000 // len(text))))


def table(columns: int, rows: int, *, written: int) -> str:
    """So many columns, of which each row has `written` ones."""
    lines = ("|".join("a" * columns), "|".join("-" * columns), *(["|".join("b" * written)] * rows))
    return "\n".join(lines) + "\n\n"


@pytest.mark.parametrize(
    "text",
    [
        table(200, 400, written=1),
        table(200, 40, written=1) * 60,
        table(20_000, 20_000, written=1),
        "> " + table(200, 400, written=1).replace("\n", "\n> "),
        "a|b\n-|-\n" * 10_000,
    ],
)
def test_few_words_do_not_make_very_many_cells(text: str) -> None:
    html = to_html(text)
    Page(html)
    assert html.count("<td") + html.count("<th") <= 10_000
    assert "a|" in html, "what is too much is shown as it was written"


def test_large_tables_are_tables() -> None:
    html = to_html("Before\n" + table(90, 100, written=90) + table(2, 2, written=1))
    assert html.count("<table") == 2
    assert html.count("<td") == 90 * 100 + 2 * 2
    assert "|" not in html
