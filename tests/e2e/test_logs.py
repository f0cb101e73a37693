"""What the processes log: one line for each request and each job, with ids, without texts."""

import json
from typing import Any

from tests.e2e.processes import Palaver

CANARY = "xylophonequartz"


def lines(palaver: Palaver) -> list[dict[str, Any]]:
    """The JSON lines, without honcho's prefix."""
    found = []
    for line in palaver.text.splitlines():
        _, brace, rest = line.partition("{")
        if brace and line.count('"logger"'):
            found.append(json.loads(brace + rest))
    return found


def test_a_prompt_is_followed_from_request_to_reply(palaver: Palaver) -> None:
    with palaver.client() as client:
        answer = client.post(
            "/", json={"prompt": f"Say {CANARY}.", "context": f"You like {CANARY}."}
        )
        request_id = answer.headers["x-request-id"]
        reply = answer.json()
        client.get("/healthz")
        client.get(f"/jobs/{CANARY}")
    palaver.wait_for(rf'"message":"job {reply["job"]} completed')
    palaver.wait_for(f'"request":"{request_id}"')
    about = [line for line in lines(palaver) if line.get("job") == reply["job"]]
    [request] = [line for line in about if line["logger"] == "api.http.tracing"]
    [job] = [line for line in about if line["logger"] == "worker.turn_closer"]
    assert request["message"] == "POST / 200"
    assert request["request"] == request_id
    assert request["took_ms"] > 0
    for line in (request, job):
        assert line["level"] == "info"
        assert line["conversation"] == str(reply["id"])
    assert job["start"] == 1
    assert job["prompt_tokens"] == reply["usage"]["prompt_tokens"]
    assert job["completion_tokens"] == reply["usage"]["completion_tokens"]
    assert job["generation_ms"] == reply["timings"]["generation_ms"]
    assert "healthz" not in palaver.text
    assert CANARY not in palaver.text
    assert not reply["reply"] or reply["reply"] not in palaver.text
