"""In whose name a request is made: by its API key, or by nobody's where there are none."""

import time
from collections import OrderedDict
from typing import Any, Final

import falcon.asgi

from api.http.errors import Problem
from api.http.keys import KeyRing
from api.routes import OPEN_ROUTES, PAGES, ids_in
from api.web.pages import FILES
from shared.wire.limits import Caller

_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="palaver"'}
_MISSES_A_MINUTE: Final = 120
_PEERS: Final = 10_000


class Misses:
    """Guesses of ids and keys: each guesser has so many a minute.

    A guesser is a key's owner, or an address where no valid key was shown. What exists is found
    also by who has none left: behind a proxy all share one address. Kept in this process; of those
    that missed longest ago nothing is known any more.
    """

    def __init__(self, a_minute: int = _MISSES_A_MINUTE) -> None:
        self._a_minute = a_minute
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def check(self, req: falcon.asgi.Request) -> None:
        """Before a miss is told as one.

        Raises:
            Problem: 429, there were too many guesses.
        """
        left, _ = self._now(_guesser(req))
        if left < 1:
            wait_s = int((1 - left) * 60 / self._a_minute) + 1
            detail = "too many requests for what does not exist"
            raise Problem(429, "too_many_misses", detail, retry_after_s=wait_s)

    def count(self, req: falcon.asgi.Request) -> None:
        """It does not exist."""
        peer = _guesser(req)
        left, now = self._now(peer)
        self._left[peer] = max(0.0, left - 1), now
        self._left.move_to_end(peer)
        while len(self._left) > _PEERS:
            self._left.popitem(last=False)

    def _now(self, peer: str) -> tuple[float, float]:
        now = time.monotonic()
        left, then = self._left.get(peer, (float(self._a_minute), now))
        return min(self._a_minute, left + (now - then) * self._a_minute / 60), now


class Access:
    """Middleware that finds out who calls.

    Args:
        keys: None where everybody may do everything.
        misses: of ids and keys.
    """

    def __init__(self, keys: KeyRing | None, misses: Misses) -> None:
        self._keys = keys
        self.misses = misses

    @property
    def is_open(self) -> bool:
        """Whether there are no keys."""
        return self._keys is None

    async def process_request(self, req: falcon.asgi.Request, _resp: Any) -> None:
        """Find the caller.

        Raises:
            Problem: 401, there is no such key; 429, too many guesses.
        """
        if req.path in OPEN_ROUTES or (req.method in ("GET", "HEAD") and _is_open_to_get(req.path)):
            return
        if req.method == "OPTIONS":
            return
        req.context.caller = self.identify(req)

    async def process_resource(
        self, req: falcon.asgi.Request, _resp: Any, _resource: Any, params: dict[str, Any]
    ) -> None:
        """Note whether the path names something by an id."""
        if ids_in(params):
            names_an_id(req)

    async def process_response(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, _resource: Any, _ok: bool
    ) -> None:
        """Count ids and keys that do not exist; nothing else that is not there.

        Raises:
            Problem: 429 in place of a 404, there were too many.
        """
        guess = getattr(req.context, "guess", None)
        if guess == "key":
            self.misses.count(req)
        elif guess == "id" and resp.status_code == 404:
            self.misses.check(req)
            self.misses.count(req)

    def identify(self, req: falcon.asgi.Request) -> Caller:
        """Who shows this request's key.

        Raises:
            Problem: 401, 429.
        """
        if self._keys is None:
            return Caller()
        scheme, _, secret = (req.get_header("Authorization") or "").partition(" ")
        key = self._keys.find(secret.strip()) if scheme.lower() == "bearer" else None
        if key is not None:
            req.context.guesser = key.id
            return Caller(owner_id=key.id, limits=key.limits)
        if scheme.lower() != "bearer" or not secret.strip():
            detail = "an API key is needed: Authorization: Bearer …"
            raise Problem(401, "unauthorized", detail, headers=_CHALLENGE)
        # Who has a key is not kept out by others at the same address who have none.
        self.misses.check(req)
        req.context.guess = "key"
        raise Problem(401, "unauthorized", "there is no such API key", headers=_CHALLENGE)


def caller_of(req: falcon.asgi.Request) -> Caller:
    """Who makes this request."""
    caller: Caller = req.context.caller
    return caller


def names_an_id(req: falcon.asgi.Request) -> None:
    """Something is looked up by a well-formed id: if it is not there, that was a guess."""
    req.context.guess = "id"


def _is_open_to_get(path: str) -> bool:
    return path in PAGES or path.startswith(FILES)


def _guesser(req: falcon.asgi.Request) -> str:
    # The address never from a header: anybody can write one.
    client = req.scope.get("client") or ("",)
    return str(getattr(req.context, "guesser", f"address {client[0]}"))
