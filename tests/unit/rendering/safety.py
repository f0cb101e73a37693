"""What may reach the page: an independent reading of what was rendered."""

from html.parser import HTMLParser


def words(line: str) -> frozenset[str]:
    return frozenset(line.split())


ELEMENTS = words(
    "a blockquote br button code del div em h1 h2 h3 h4 h5 h6 hr input li ol p pre s span "
    "strong sup table tbody td th thead tr ul annotation math menclose mfrac mi mn mo mover "
    "mpadded mphantom mroot mrow mspace msqrt mstyle msub msubsup msup mtable mtd mtext mtr "
    "munder munderover semantics"
)
ATTRIBUTES = words(
    "aria-label checked class data-fence data-note dir disabled href rel start target title "
    "type accent columnalign columnlines columnspacing depth display displaystyle encoding "
    "fence form height largeop linebreak linethickness lspace mathsize mathvariant maxsize "
    "minsize movablelimits notation rowlines rowspacing rspace scriptlevel separator stretchy "
    "voffset width"
)
CLASSES = words(
    "code code-head language latex formula table footnote note-link task to-the-left "
    "to-the-right to-the-center comment keyword string number name builtin deleted inserted"
)
EMPTY = {"br", "hr", "input"}


class Page(HTMLParser):
    """Text and elements of a rendering; refuses what may not be there."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.attributes: list[tuple[str, str, str]] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ELEMENTS, tag
        for name, value in attrs:
            assert name in ATTRIBUTES, (tag, name)
            self._check_value(name, value or "")
            self.attributes.append((tag, name, value or ""))
        if tag not in EMPTY:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def _check_value(self, name: str, value: str) -> None:
        if name == "href":
            assert value.lower().startswith(("http:", "https:", "mailto:")), value
        if name == "class":
            assert set(value.split()) <= CLASSES, value

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")
