"""Pages and their files: which requests want one, and what every one of them is sent with."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import falcon
import falcon.asgi

STATIC: Final = Path(__file__).parent / "static"
FILES: Final = "/web/"
"""Where scripts, styles and pictures are; nothing of anybody's is in them."""

_HTML: Final = "text/html"
_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types palaver",
    )
)
_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-cache",
}


class HtmlPage:
    """One HTML file, read once.

    Args:
        name: of the file.
        asks_for_key: whether the server has keys, so that the page asks for one.
    """

    def __init__(self, name: str, *, asks_for_key: bool) -> None:
        data = (STATIC / name).read_bytes()
        self._data = data.replace(b'data-keys="off"', b'data-keys="on"') if asks_for_key else data

    def write(self, resp: falcon.asgi.Response) -> None:
        """Answer with the page; another representation exists, hence `Vary`."""
        resp.content_type = falcon.MEDIA_HTML
        resp.data = self._data
        resp.append_header("Vary", "Accept")


class PageResource:
    """Serves a page to everybody."""

    def __init__(self, page: HtmlPage) -> None:
        self._page = page

    async def on_get(self, _req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        self._page.write(resp)


class PageHeaders:
    """Middleware: what a browser must know before it runs anything of a page."""

    async def process_response(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, _resource: Any, _ok: bool
    ) -> None:
        if req.path.startswith(FILES) or (resp.content_type or "").startswith(_HTML):
            for name, value in _HEADERS.items():
                resp.set_header(name, value)
