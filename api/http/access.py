"""In whose name a request is made: its API key's, or everybody's where there are no keys."""

import time
from collections import OrderedDict
from typing import Any, Final

import falcon.asgi

from api.http.errors import Problem
from api.http.keys import KeyRing
from api.http.paths import Paths
from shared.cells import Cells
from shared.wire.limits import Caller

_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="palaver"'}
_MISSES_PER_MINUTE: Final = 120
_GUESSERS: Final = 10_000


class Misses:
    """Limits how many ids and keys can be guessed per minute.

    A guesser is a key's owner, or an address if no valid key was sent. A guesser with no guesses
    left still finds what exists, because behind a proxy all clients share one address. Guessers are
    remembered in this process alone; those whose last miss was longest ago are forgotten first.
    """

    def __init__(self, per_minute: int = _MISSES_PER_MINUTE) -> None:
        self._per_minute = per_minute
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def check(self, req: falcon.asgi.Request) -> None:
        """Check that a guesser may learn of another miss.

        Raises:
            Problem: 429, there were too many.
        """
        left, _ = self._left_now(_guesser(req))
        if left < 1:
            wait_s = int((1 - left) * 60 / self._per_minute) + 1
            detail = "too many requests for ids or keys that do not exist"
            raise Problem(429, "too_many_misses", detail, retry_after_s=wait_s)

    def count(self, req: falcon.asgi.Request) -> None:
        """Count one miss."""
        guesser = _guesser(req)
        left, now = self._left_now(guesser)
        self._left[guesser] = max(0.0, left - 1), now
        self._left.move_to_end(guesser)
        while len(self._left) > _GUESSERS:
            self._left.popitem(last=False)

    def _left_now(self, guesser: str) -> tuple[float, float]:
        now = time.monotonic()
        left, then = self._left.get(guesser, (float(self._per_minute), now))
        return min(self._per_minute, left + (now - then) * self._per_minute / 60), now


class Access:
    """Middleware that identifies the caller.

    Args:
        keys: None if the server is open to everybody.
        cells: each of a key's counts its share of the key's limits.
        shows_turns: whether everybody is an operator where there are no keys.
    """

    def __init__(
        self,
        keys: KeyRing | None,
        cells: Cells,
        misses: Misses,
        paths: Paths,
        *,
        shows_turns: bool = False,
    ) -> None:
        self._keys = keys
        self._cells = cells
        self._shows_turns = shows_turns
        self._misses = misses
        self._paths = paths

    @property
    def is_open(self) -> bool:
        """Whether the server is open to everybody, because there are no keys."""
        return self._keys is None

    async def process_request(self, req: falcon.asgi.Request, _resp: Any) -> None:
        """Identify the caller, unless the path is public.

        Raises:
            Problem: 401, there is no such key; 429, too many guesses.
        """
        if not self._is_public(req):
            req.context.caller = self.identify(req)

    def _is_public(self, req: falcon.asgi.Request) -> bool:
        paths = self._paths
        if req.path in paths.public or req.method == "OPTIONS":
            return True
        is_shown = req.path in paths.pages or req.path.startswith((paths.files, *paths.shared))
        return is_shown and req.method in ("GET", "HEAD")

    async def process_resource(
        self, req: falcon.asgi.Request, _resp: Any, _resource: Any, params: dict[str, Any]
    ) -> None:
        """Check that operators alone do what is theirs; note whether the path has a well-formed id.

        Raises:
            Problem: 403, the key is not an operator's; 404, without keys, for everybody elsewhere.
        """
        self._check_operator(req)
        if params and self._paths.ids_in(params):
            note_lookup(req)

    def _check_operator(self, req: falcon.asgi.Request) -> None:
        if req.method == "OPTIONS":
            return
        if req.uri_template in self._paths.operated and self.is_open and not self._shows_turns:
            raise Problem(404, "not_found", "this is shown to operators only: make API keys")
        if req.uri_template in self._paths.figures | self._paths.operated:
            self.check_operator(caller_of(req))

    def check_operator(self, caller: Caller) -> None:
        """Check that a caller may see everybody's use, as all may where there are no keys.

        Raises:
            Problem: 403.
        """
        if not self.is_open and not caller.is_operator:
            detail = "this needs an operator's key: palaver keys role NAME operator"
            raise Problem(403, "operator_required", detail)

    async def process_response(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, _resource: Any, _ok: bool
    ) -> None:
        """Count ids and keys that do not exist; unknown routes are not counted.

        Raises:
            Problem: 429 in place of a 404, there were too many.
        """
        guess = getattr(req.context, "guess", None)
        if guess == "key":
            self._misses.count(req)
        elif guess == "id" and resp.status_code == 404 and not _lacks_a_model(req):
            self._misses.check(req)
            self._misses.count(req)

    def identify(self, req: falcon.asgi.Request) -> Caller:
        """The owner of this request's key.

        Raises:
            Problem: 401, 429.
        """
        if self._keys is None:
            return Caller(is_operator=self._shows_turns)
        secret = _secret(req)
        key = self._keys.find(secret) if secret else None
        if key is not None:
            req.context.guesser = key.id
            return Caller(
                owner_id=key.id,
                limits=key.limits.shared_by(len(self._cells.spread_of(key.id))),
                is_operator=key.role == "operator",
            )
        if not secret:
            detail = "an API key is required: Authorization: Bearer …, or x-api-key: …"
            raise Problem(401, "unauthorized", detail, headers=_CHALLENGE)
        # Only here: a valid key is not locked out by others at the same address.
        self._misses.check(req)
        req.context.guess = "key"
        raise Problem(401, "unauthorized", "there is no such API key", headers=_CHALLENGE)


def _lacks_a_model(req: falcon.asgi.Request) -> bool:
    """Whether what was not found is the model: names of models are no secret."""
    return getattr(req.context, "problem", None) == "model_not_found"


def _secret(req: falcon.asgi.Request) -> str:
    """The key that a request brings; Anthropic's clients have a header of their own for it."""
    scheme, _, secret = (req.get_header("Authorization") or "").partition(" ")
    if scheme.lower() == "bearer" and secret.strip():
        return secret.strip()
    return (req.get_header("X-Api-Key") or "").strip()


def caller_of(req: falcon.asgi.Request) -> Caller:
    """The owner in whose name this request is made, and its limits."""
    caller: Caller = req.context.caller
    return caller


def note_lookup(req: falcon.asgi.Request) -> None:
    """Note that the request looks something up by a well-formed id: a 404 counts as a guess."""
    req.context.guess = "id"


def note_hit(req: falcon.asgi.Request) -> None:
    """Note that what the id names is there, or that nothing was looked for: a 404 is no guess."""
    req.context.guess = None


def _guesser(req: falcon.asgi.Request) -> str:
    # The address is never taken from a header: anybody can write one.
    client = req.scope.get("client") or ("",)
    return str(getattr(req.context, "guesser", f"address {client[0]}"))
