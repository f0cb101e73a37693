"""Who may talk to us: judged by host, origin and proxy headers before anything is read."""

import re
from typing import Any, Final
from urllib.parse import urlsplit

import falcon
import falcon.asgi

from api.errors import PROBLEM_JSON, Problem
from api.web.pages import FILES, wants_page
from shared.config import Settings

_OPEN_TO_ANY_HOST: Final = frozenset({"/healthz", "/health", "/readyz"})
_PROXY_HEADERS: Final = ("FORWARDED", "VIA")
_ANSWERS: Final = (falcon.MEDIA_JSON, PROBLEM_JSON, "text/event-stream")
_EXPOSED: Final = "Location, Retry-After, Preference-Applied"
_ACCEPTED: Final = "Content-Type, Authorization, Prefer, Idempotency-Key, Last-Event-ID"
_LOOPBACK_V4 = re.compile(r"127(\.\d{1,3}){3}")
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[^\[\]:/@?#\s]+)(:(?P<port>\d{1,5}))?")


class Guards:
    """Middleware that refuses requests a browser was tricked into, or a proxy passed on."""

    def __init__(self, settings: Settings) -> None:
        self._allowed_hosts = frozenset(settings.allowed_hosts)
        self._allowed_origins = frozenset(settings.allowed_origins)
        self._behind_proxy = settings.allow_open or settings.api_keys_file is not None

    async def process_request(self, req: falcon.asgi.Request, _resp: Any) -> None:
        """Judge a request by its headers.

        Raises:
            Problem: 403, or 406 if no answer of ours would be accepted.
        """
        if req.path in _OPEN_TO_ANY_HOST:
            return
        self._check_host(req)
        self._check_origin(req)
        if not self._behind_proxy:
            self._check_proxy_headers(req)
        if req.path.startswith("//"):
            # The router would take it for the same path with one slash; nothing else here does.
            raise Problem(404, "not_found", "there is nothing here")
        if not _is_page(req) and not any(map(req.client_accepts, _ANSWERS)):
            raise Problem(406, "not_acceptable", "the answers here are application/json")

    async def process_response(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, _resource: Any, _ok: bool
    ) -> None:
        """Let pages of the listed origins read the answer (CORS); no others."""
        origin = req.get_header("Origin")
        if origin is None or origin.lower() not in self._allowed_origins:
            return
        resp.set_header("Access-Control-Allow-Origin", origin)
        resp.append_header("Vary", "Origin")
        resp.set_header("Access-Control-Expose-Headers", _EXPOSED)
        if req.method == "OPTIONS":
            resp.set_header("Access-Control-Allow-Methods", "GET, POST, DELETE")
            resp.set_header("Access-Control-Allow-Headers", _ACCEPTED)

    def _check_host(self, req: falcon.asgi.Request) -> None:
        host = _host_name(req.get_header("Host") or "")
        if host is None:
            raise Problem(403, "host_refused", "the Host header is missing or malformed")
        if not _is_loopback(host) and host not in self._allowed_hosts:
            raise Problem(403, "host_refused", "this Host is not in PALAVER_ALLOWED_HOSTS")

    def _check_origin(self, req: falcon.asgi.Request) -> None:
        origin = req.get_header("Origin")
        if origin is not None and origin.lower() in self._allowed_origins:
            return
        if (req.get_header("Sec-Fetch-Site") or "").lower() == "cross-site":
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
                    f"{name}: a proxy in front needs API keys, or PALAVER_ALLOW_OPEN=1",
                )


def _is_page(req: falcon.asgi.Request) -> bool:
    return req.method in ("GET", "HEAD") and (req.path.startswith(FILES) or wants_page(req))


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
