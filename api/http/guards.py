"""Which requests are served: judged by host, origin and proxy headers before a body is read."""

import html
import ipaddress
import re
from typing import Any, Final
from urllib.parse import urlsplit

import falcon
import falcon.asgi

from api.http.errors import PROBLEM_JSON, Problem
from api.http.paths import Paths
from api.http.preferences import accepts, wants_html
from shared.config import Settings, is_loopback

_PROXY_HEADERS: Final = ("FORWARDED", "VIA")
_MEDIA_TYPES: Final = (falcon.MEDIA_JSON, PROBLEM_JSON, "text/event-stream")
_EXPOSED: Final = (
    "Location, Retry-After, Preference-Applied, x-request-id, x-should-retry, "
    "x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests"
)
_READS: Final = ("GET", "HEAD")
_PREFLIGHT_AGE_S: Final = 86_400
_VARY: Final = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"
_TOKENS = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+([ \t]*,[ \t]*[A-Za-z0-9!#$%&'*+.^_`|~-]+)*")
_LOOPBACK_V4 = re.compile(r"127(\.\d{1,3}){3}")
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[^\[\]:/@?#\s]+)(:(?P<port>\d{1,5}))?")


class Guards:
    """Middleware that refuses requests that a browser was tricked into, or a proxy passed on."""

    def __init__(self, settings: Settings, paths: Paths) -> None:
        self._paths = paths
        self._allowed_hosts = frozenset(settings.allowed_hosts)
        self._allowed_origins = frozenset(settings.allowed_origins)
        self._behind_proxy = settings.allow_open or settings.api_keys_file is not None
        self._has_network = not is_loopback(settings.host)

    async def process_request(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Check a request's headers. A refused browser gets an HTML page that explains why.

        Raises:
            Problem: 403, or 406 if the client accepts none of our media types.
        """
        if req.path in self._paths.probes:
            return
        try:
            self._check(req)
        except Problem as problem:
            if problem.status != 403 or req.method not in _READS or not wants_html(req):
                raise
            resp.status, resp.content_type = problem.status, falcon.MEDIA_HTML
            resp.data = _refusal_page(problem, _host_name(req.get_header("Host") or ""))
            resp.complete = True

    def _check(self, req: falcon.asgi.Request) -> None:
        self._check_host(req)
        self._check_origin(req)
        if not self._behind_proxy:
            self._check_proxy_headers(req)
        if req.scope["path"].startswith("//"):
            # The router would treat it like the same path with one slash; middleware does not.
            raise Problem(404, "not_found", "there is no such route")
        if not self._is_page(req) and not any(accepts(req, kind) for kind in _MEDIA_TYPES):
            raise Problem(406, "not_acceptable", "responses here are application/json")

    async def process_response(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, _resource: Any, _ok: bool
    ) -> None:
        """CORS: only pages of the allowed origins may read responses, errors included."""
        if not self._allowed_origins:
            return
        resp.append_header("Vary", _VARY if req.method == "OPTIONS" else "Origin")
        origin = req.get_header("Origin")
        if origin is None or origin.lower() not in self._allowed_origins:
            return
        resp.set_header("Access-Control-Allow-Origin", origin)
        resp.set_header("Access-Control-Expose-Headers", _EXPOSED)
        if req.method == "OPTIONS":
            _allow_requested(req, resp)

    def _check_host(self, req: falcon.asgi.Request) -> None:
        host = _host_name(req.get_header("Host") or "")
        if host is None:
            raise Problem(403, "host_refused", "the Host header is missing or malformed")
        if _is_loopback(host) or host in self._allowed_hosts:
            return
        # A literal address cannot be rebound to another.
        if not (self._has_network and _is_address(host)):
            raise Problem(403, "host_refused", "this Host is not in PALAVER_ALLOWED_HOSTS")

    def _check_origin(self, req: falcon.asgi.Request) -> None:
        origin = req.get_header("Origin")
        if origin is not None and origin.lower() in self._allowed_origins:
            return
        is_foreign = (req.get_header("Sec-Fetch-Site") or "").lower() == "cross-site"
        if is_foreign and not self._follows_link(req):
            raise Problem(403, "origin_refused", "cross-site requests are refused")
        if origin is None:
            return
        if origin == "null" or not _same_authority(origin, req.get_header("Host") or ""):
            raise Problem(403, "origin_refused", "this Origin is not in PALAVER_ALLOWED_ORIGINS")

    def _check_proxy_headers(self, req: falcon.asgi.Request) -> None:
        for name in req.headers:
            if name.upper() in _PROXY_HEADERS or name.upper().startswith("X-FORWARDED-"):
                raise Problem(
                    403,
                    "proxy_refused",
                    f"{name}: a proxy in front requires API keys, or PALAVER_ALLOW_OPEN=1",
                )

    def _follows_link(self, req: falcon.asgi.Request) -> bool:
        """Whether somebody opens a page in a tab of its own: a GET that changes nothing."""
        fetch = [(req.get_header(f"Sec-Fetch-{name}") or "").lower() for name in ("Mode", "Dest")]
        is_opened = fetch == ["navigate", "document"] and req.path in self._paths.pages
        return is_opened and self._is_page(req)

    def _is_page(self, req: falcon.asgi.Request) -> bool:
        is_read = req.method in _READS
        return is_read and (req.path.startswith(self._paths.files) or wants_html(req))


def _allow_requested(req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
    for asked, allowed in (("Method", "Methods"), ("Headers", "Headers")):
        tokens = req.get_header(f"Access-Control-Request-{asked}") or ""
        if _TOKENS.fullmatch(tokens):
            resp.set_header(f"Access-Control-Allow-{allowed}", tokens)
    resp.set_header("Access-Control-Max-Age", str(_PREFLIGHT_AGE_S))


def _refusal_page(problem: Problem, host: str | None) -> bytes:
    """What a person sees in the browser: why the request is refused, and what to set."""
    advice = ""
    if problem.code == "host_refused" and host is not None:
        setting = f"<code>PALAVER_ALLOWED_HOSTS={html.escape(host)}</code>"
        advice = f"<p>To open it under this name, start the server with {setting}.</p>"
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Palaver</title>"
        f"<h1>Palaver refuses this request</h1><p>{html.escape(problem.detail)}</p>{advice}</html>"
    ).encode()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _host_name(header: str) -> str | None:
    """The lower-case name of a Host header, without port, brackets and trailing dot."""
    match = _HOST.fullmatch(header)
    if match is None or int(match["port"] or 0) > 65535:
        return None
    return match["name"].strip("[]").lower().removesuffix(".") or None


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or _LOOPBACK_V4.fullmatch(host) is not None


def _same_authority(origin: str, host: str) -> bool:
    """Whether an origin names exactly the host and port that the request was sent to."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or parts.path or parts.query or parts.fragment:
        return False
    return _with_port(parts.netloc, parts.scheme) == _with_port(host, parts.scheme)


def _with_port(authority: str, scheme: str) -> tuple[str | None, str]:
    match = _HOST.fullmatch(authority)
    port = match["port"] if match is not None else None
    return _host_name(authority), port or ("443" if scheme == "https" else "80")
