"""A bot that answers line by line and remembers. Standard library only, and resume.py beside it.

    python examples/bot.py "You are a pirate."

Its conversation survives restarts of everything but itself: resume.py sends each prompt until
somebody accepts it, and goes on with a stream that broke where it was.
"""

import sys

from resume import events, submit

conversation = {"context": " ".join(sys.argv[1:]) or "You are a friendly bot."}
for line in filter(str.strip, sys.stdin):
    job = submit({"prompt": line, **conversation})
    conversation = {"id": job["id"]}
    for kind, data in events(job["links"]["events"]):
        if kind == "token":
            print(data["text"], end="", flush=True)
        elif kind in ("failed", "cancelled"):
            print(f"({kind}: {data})", file=sys.stderr)
    print()
