"""Markdown as HTML without scripts, pictures, styles, or links that run something.

markdown-it-py with HTML off: tags stay text, links are http, https or mailto. Pictures are off as
well, because loading one would tell somebody else what was written.
"""

from typing import Final

from markdown_it import MarkdownIt

from api.web.rendering.blocks import add_blocks
from api.web.rendering.budget import new_environment
from api.web.rendering.code import add_code
from api.web.rendering.footnotes import add_footnotes
from api.web.rendering.links import LinkedMarkdown, add_links
from api.web.rendering.maths import add_maths
from api.web.rendering.tables import add_tables


def _make() -> MarkdownIt:
    markdown = LinkedMarkdown("commonmark", {"html": False, "breaks": True, "maxNesting": 20})
    markdown.enable("strikethrough").disable("image")
    for add in (add_blocks, add_tables, add_code, add_footnotes, add_links, add_maths):
        add(markdown)
    return markdown


_MARKDOWN: Final = _make()


def to_html(text: str) -> str:
    """A text's Markdown as HTML for the page."""
    return str(_MARKDOWN.render(text, new_environment()))
