"""A reply that survives lost connections: submit once, stream, resume. Standard library only.

    python examples/resume.py "Write a haiku about Redis."

The idempotency key makes the submission safe to repeat; `Last-Event-ID` continues the stream after
the last event that arrived, on any API process. `PALAVER_URL` and `PALAVER_API_KEY` say where.
"""

import json
import os
import sys
import time
import uuid
from collections.abc import Iterator
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.request import Request, urlopen

BASE = os.environ.get("PALAVER_URL", "http://127.0.0.1:3000")
KEY = os.environ.get("PALAVER_API_KEY")
AUTHORIZATION = {"Authorization": f"Bearer {KEY}"} if KEY else {}
TERMINAL = ("completed", "failed", "cancelled")
PAUSE_S = 1.0


def submit(prompt: dict) -> dict:
    """The job for a prompt, with whatever else `POST /jobs` takes; sent until somebody answers."""
    body = json.dumps(prompt).encode()
    headers = {"Idempotency-Key": str(uuid.uuid4()), **AUTHORIZATION}
    while True:
        try:
            with urlopen(Request(f"{BASE}/jobs", body, headers)) as answer:
                return json.load(answer)
        except HTTPError as error:
            if error.code not in (429, 503):
                raise SystemExit(error.read().decode()) from None
            time.sleep(float(error.headers.get("Retry-After", PAUSE_S)))
        except (OSError, HTTPException):
            time.sleep(PAUSE_S)


def events(path: str) -> Iterator[tuple[str, dict]]:
    """A job's events to the last one, over as many connections as that takes."""
    last_id = None
    while True:
        headers = AUTHORIZATION | ({} if last_id is None else {"Last-Event-ID": last_id})
        try:
            with urlopen(Request(BASE + path, headers=headers), timeout=60) as stream:
                for event_id, kind, data in fields(stream):
                    last_id = event_id
                    yield kind, data
                    if kind in TERMINAL:
                        return
        except HTTPError as error:
            if error.code != 503:
                raise SystemExit(error.read().decode()) from None
        except (OSError, HTTPException):
            pass
        time.sleep(PAUSE_S)


def fields(stream: Iterator[bytes]) -> Iterator[tuple[str, str, dict]]:
    """Id, kind and data of each event; Palaver sends one line of each."""
    event: dict[str, str] = {}
    for line in stream:
        name, _, value = line.decode().strip().partition(": ")
        if name:
            event[name] = value
        elif "event" in event:
            yield event["id"], event["event"], json.loads(event["data"])
            event = {}


def main() -> None:
    job = submit({"prompt": " ".join(sys.argv[1:]) or "Who are you?"})
    for kind, data in events(job["links"]["events"]):
        if kind == "token":
            print(data["text"], end="", flush=True)
        elif kind == "queued":
            print(f"(position {data['position']})", file=sys.stderr)
        elif kind in TERMINAL:
            print() if kind == "completed" else print(f"\n{kind}: {data}", file=sys.stderr)


if __name__ == "__main__":
    main()
