"""A client for the HTTP API that needs nothing but the standard library."""

import http.client
import json
import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared.errors import PalaverError
from shared.wire.job_status import ENDED
from shared.wire.sse import EventDecoder

_RESPONSE_TIMEOUT_S: Final = 30.0
_PAGE: Final = 500
"""Messages that the server returns at once, at most."""
_STREAM_TIMEOUT_S: Final = 40.0
"""The server writes to every stream at least every 15 s; one silent for longer is dead."""
_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 5.0
_TEMPORARY: Final = frozenset({500, 502, 503, 504})
"""From a server that is starting, stopping or full, or from a proxy in front of it."""


class ClientError(PalaverError):
    """A request failed."""


class ServerError(ClientError):
    """The server responded with an error.

    Attributes:
        status: of the HTTP response.
        retry_after_s: how long the server asks clients to wait; 0 if it does not say.
    """

    def __init__(self, status: int, detail: str, retry_after_s: float) -> None:
        super().__init__(detail)
        self.status = status
        self.retry_after_s = retry_after_s


class Unreachable(ClientError):
    """The server could not be reached, or the connection broke."""


@dataclass(frozen=True, slots=True)
class JobEvent:
    """An event of a job, its data decoded."""

    id: str
    kind: str
    data: Mapping[str, Any]


class Retries:
    """Decides whether and when to retry after an error, with growing pauses.

    Args:
        on_retry: called with the reason before each pause.
        patience_s: no retries after this long; None for no limit.
    """

    def __init__(self, on_retry: Callable[[str], None], patience_s: float | None) -> None:
        self._on_retry = on_retry
        self._until = None if patience_s is None else time.monotonic() + patience_s
        self._pause_s = _FIRST_PAUSE_S

    def wait(self, error: Exception) -> None:
        """Return when it is time to retry.

        Raises:
            Exception: `error`, if it is not temporary or patience has run out.
        """
        if isinstance(error, ServerError) and error.status not in _TEMPORARY:
            raise error
        if self._until is not None and time.monotonic() > self._until:
            raise error
        self._on_retry(str(error))
        time.sleep(max(self._pause_s, getattr(error, "retry_after_s", 0.0)))
        self._pause_s = min(_LONGEST_PAUSE_S, 2 * self._pause_s)


class PalaverClient:
    """A client for one server.

    Args:
        url: such as http://127.0.0.1:3000.
        key: the API key, if the server needs one.
        on_retry: called with the reason before each retry.
        patience_s: `submit` and `events` give up after this long without success; None for never.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        on_retry: Callable[[str], None] = lambda _: None,
        patience_s: float | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._on_retry = on_retry
        self._patience_s = patience_s
        # Proxies in the environment are for other sites: the address is used as it was given.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(self, path: str) -> Any:
        """Raises: ServerError, Unreachable."""
        return self._json("GET", path)

    def post(self, path: str) -> Any:
        """Raises: ServerError, Unreachable."""
        return self._json("POST", path)

    def delete(self, path: str) -> Any:
        """Raises: ServerError, Unreachable."""
        return self._json("DELETE", path)

    def submit(self, body: Mapping[str, Any]) -> Any:
        """Submit a prompt and return its job. Retries are idempotent: it is accepted once.

        Raises:
            ServerError: the server refuses it.
            Unreachable: patience has run out.
        """
        headers = {"Idempotency-Key": secrets.token_hex(16)}
        retries = Retries(self._on_retry, self._patience_s)
        while True:
            try:
                return self._json("POST", "/jobs", body, headers)
            except ClientError as error:
                retries.wait(error)

    def messages(self, conversation_id: int, limit: int | None) -> list[Any]:
        """The newest messages of a conversation, oldest first; None for all."""
        messages: list[Any] = []
        before = ""
        while True:
            path = f"/conversations/{conversation_id}/messages"
            page = self.get(f"{path}?limit={limit or _PAGE}{before}")
            messages = page["messages"] + messages
            if limit is not None or page["next"] is None:
                return messages
            before = f"&before={page['next']}"

    def events(self, job_id: str) -> Iterator[JobEvent]:
        """A job's events until it ends; a broken stream is resumed after the last event.

        Raises:
            ServerError: there is no such job.
            Unreachable: patience has run out.
        """
        last_id, retries = None, Retries(self._on_retry, self._patience_s)
        while True:
            headers: dict[str, str] = {"Last-Event-ID": last_id} if last_id is not None else {}
            try:
                for event in self._stream(f"/jobs/{job_id}/events", headers):
                    last_id, retries = event.id, Retries(self._on_retry, self._patience_s)
                    yield event
                    if event.kind in ENDED:
                        return
                error: Exception = Unreachable("the stream ended early")
            except ClientError as broken:
                error = broken
            retries.wait(error)

    def _stream(self, path: str, headers: Mapping[str, str]) -> Iterator[JobEvent]:
        decoder = EventDecoder()
        with self._open("GET", path, None, headers, _STREAM_TIMEOUT_S) as response:
            try:
                for line in response:
                    for event in decoder.feed(line):
                        yield JobEvent(event.id, event.name, json.loads(event.data))
            except (OSError, http.client.HTTPException) as error:
                raise Unreachable(f"the connection broke ({type(error).__name__})") from None

    def _json(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        with self._open(method, path, body, headers or {}, _RESPONSE_TIMEOUT_S) as response:
            try:
                data = response.read()
            except (OSError, http.client.HTTPException) as error:
                raise Unreachable(f"the connection broke ({type(error).__name__})") from None
        return json.loads(data) if data else None

    def _open(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str],
        timeout_s: float,
    ) -> http.client.HTTPResponse:
        request = urllib.request.Request(
            self.url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={**self._headers, **headers, "Content-Type": "application/json"},
            method=method,
        )
        try:
            response: http.client.HTTPResponse = self._opener.open(request, timeout=timeout_s)
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(error) from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise Unreachable(f"{self.url} is not reachable ({reason})") from None
        return response


def _refusal(error: urllib.error.HTTPError) -> ServerError:
    try:
        detail = str(json.loads(error.read())["detail"])
    except (ValueError, KeyError, TypeError, OSError):
        detail = f"the server responded with status {error.code}"
    after = error.headers.get("Retry-After", "0")
    return ServerError(error.code, detail, float(after) if after.isdigit() else 0.0)
