"""A client of the HTTP interface, as small as the standard library allows."""

import http.client
import json
import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared.wire.job_status import ENDED
from shared.wire.sse import EventDecoder

_ANSWER_S: Final = 30.0
_SILENCE_S: Final = 40.0
"""A stream says something every 15 s; one that is silent for longer is dead."""
_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 5.0
_PASSING: Final = frozenset({500, 502, 503, 504})
"""What a server that starts, stops or is full answers, and a proxy in front of one."""


class ServerError(Exception):
    """The server answered, but not with what was asked for."""

    def __init__(self, status: int, detail: str, retry_after_s: float) -> None:
        super().__init__(detail)
        self.status = status
        self.retry_after_s = retry_after_s


class Unreachable(Exception):
    """The server could not be reached, or went away in mid-answer."""


@dataclass(frozen=True, slots=True)
class JobEvent:
    """One of a job's events."""

    id: str
    kind: str
    data: Mapping[str, Any]


class Tries:
    """When something that failed is tried again.

    Args:
        waiting: told why.
        patience_s: after so long it is not; None for never.
    """

    def __init__(self, waiting: Callable[[str], None], patience_s: float | None) -> None:
        self._waiting = waiting
        self._until = None if patience_s is None else time.monotonic() + patience_s
        self._pause_s = _FIRST_PAUSE_S

    def again(self, error: Exception) -> None:
        """Return when it is time.

        Raises:
            Exception: this one, if it will not pass, or patience is at its end.
        """
        if isinstance(error, ServerError) and error.status not in _PASSING:
            raise error
        if self._until is not None and time.monotonic() > self._until:
            raise error
        self._waiting(str(error))
        time.sleep(max(self._pause_s, getattr(error, "retry_after_s", 0.0)))
        self._pause_s = min(_LONGEST_PAUSE_S, 2 * self._pause_s)


class Client:
    """Talks to one server.

    Args:
        url: such as http://127.0.0.1:3000.
        key: the API key, where one is needed.
        waiting: told why, each time something is tried again.
        patience_s: after so long without success `submit` and `events` give up; None for never.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        waiting: Callable[[str], None] = lambda _: None,
        patience_s: float | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._waiting = waiting
        self._patience_s = patience_s
        # Not through a proxy from the environment: the server is here, or where we were told.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(self, path: str) -> Any:
        """Raises: ServerError, Unreachable."""
        return self._json("GET", path)

    def delete(self, path: str) -> Any:
        """Raises: ServerError, Unreachable."""
        return self._json("DELETE", path)

    def submit(self, body: Mapping[str, Any]) -> Any:
        """A job for a prompt, accepted once, however often it has to be sent.

        Raises:
            ServerError: it is refused.
            Unreachable: patience is at its end.
        """
        headers = {"Idempotency-Key": secrets.token_hex(16)}
        tries = Tries(self._waiting, self._patience_s)
        while True:
            try:
                return self._json("POST", "/jobs", body, headers)
            except (Unreachable, ServerError) as error:
                tries.again(error)

    def events(self, job: str) -> Iterator[JobEvent]:
        """A job's events to its end; goes on behind the last one when the connection breaks.

        Raises:
            ServerError: there is no such job.
            Unreachable: patience is at its end.
        """
        last, tries = None, Tries(self._waiting, self._patience_s)
        while True:
            headers: dict[str, str] = {"Last-Event-ID": last} if last is not None else {}
            try:
                for event in self._stream(f"/jobs/{job}/events", headers):
                    last, tries = event.id, Tries(self._waiting, self._patience_s)
                    yield event
                    if event.kind in ENDED:
                        return
                error: Exception = Unreachable("the stream broke off")
            except (Unreachable, ServerError) as broken:
                error = broken
            tries.again(error)

    def _stream(self, path: str, headers: Mapping[str, str]) -> Iterator[JobEvent]:
        decoder = EventDecoder()
        with self._open("GET", path, None, headers, _SILENCE_S) as answer:
            try:
                for line in answer:
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
        with self._open(method, path, body, headers or {}, _ANSWER_S) as answer:
            try:
                data = answer.read()
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
            answer: http.client.HTTPResponse = self._opener.open(request, timeout=timeout_s)
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(error) from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise Unreachable(f"{self.url} does not answer ({reason})") from None
        return answer


def _refusal(error: urllib.error.HTTPError) -> ServerError:
    try:
        detail = str(json.loads(error.read())["detail"])
    except (ValueError, KeyError, TypeError, OSError):
        detail = f"the server answers {error.code}"
    after = error.headers.get("Retry-After", "0")
    return ServerError(error.code, detail, float(after) if after.isdigit() else 0.0)
