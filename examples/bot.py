"""A bot that answers line by line and remembers: standard library only.

    python examples/bot.py "You are a pirate."

Its conversation survives restarts of everything but itself: each prompt is sent under an
idempotency key until somebody accepts it, and a broken stream goes on where it was.
"""

import json
import os
import sys
import time
import urllib.request
import uuid
from http.client import HTTPException
from urllib.error import HTTPError

BASE = os.environ.get("PALAVER_URL", "http://127.0.0.1:3000")


def ask(path, body=None, headers=()):
    """An open answer; tried until the server is there."""
    text = json.dumps(body).encode() if body else None
    request = urllib.request.Request(BASE + path, text, dict(headers))
    if key := os.environ.get("PALAVER_API_KEY"):
        request.add_header("Authorization", f"Bearer {key}")
    while True:
        try:
            return urllib.request.urlopen(request, timeout=60)
        except OSError as error:
            if getattr(error, "code", 503) not in (429, 503):
                raise
            time.sleep(1)


def reply(job):
    """The pieces of a reply, over as many connections as it takes."""
    event = {"event": "", "id": "0-0"}
    while event["event"] not in ("completed", "failed", "cancelled"):
        fields = {}
        try:
            for line in ask(f"/jobs/{job}/events", headers={"Last-Event-ID": event["id"]}):
                name, _, value = line.decode().strip().partition(": ")
                if name:
                    fields[name] = value
                elif "data" in fields:  # a blank line: the event is whole
                    event, fields = fields, {}
                    if event["event"] == "token":
                        yield json.loads(event["data"])["text"]
        except HTTPError:
            raise
        except (OSError, HTTPException):
            time.sleep(1)


conversation = {"context": " ".join(sys.argv[1:]) or "You are a friendly bot."}
for line in filter(str.strip, sys.stdin):
    key = {"Idempotency-Key": str(uuid.uuid4())}
    accepted = json.load(ask("/jobs", {"prompt": line, **conversation}, key))
    conversation = {"id": accepted["id"]}
    for piece in reply(accepted["job"]):
        print(piece, end="", flush=True)
    print()
