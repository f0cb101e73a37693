"""The process that runs a chat template: `python -m worker.template.rendering_child`.

It reads a line of JSON with the template, answers, and then answers one line for each line with
variables. It ends with its input, so it never outlives the worker: what it does meanwhile has a
limit of CPU time.
"""

import contextlib
import json
import resource
import signal
import sys
from datetime import datetime
from typing import Any, BinaryIO, Final

from worker.template.environment import TemplateError, TemplateLimit, TextTemplate

_MOST_MEMORY: Final = 1 << 30
"""Bytes of address space."""


def main() -> None:
    """Answer until the input ends."""
    _set_up()
    cpu_s = float(sys.argv[1])
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    template: TextTemplate | None = None
    for line in requests:
        signal.setitimer(signal.ITIMER_PROF, cpu_s)  # its signal ends the process
        try:
            if template is None:
                template = TextTemplate(json.loads(line))
                _answer(answers, text="")
            else:
                _answer(answers, text=_rendered(template, json.loads(line)))
        except TemplateError as error:
            _answer(answers, error=str(error), is_limit=isinstance(error, TemplateLimit))
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)


def _set_up() -> None:
    # The worker decides when this ends, also where a terminal signals all its processes.
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
    for kind, limit in ((resource.RLIMIT_AS, _MOST_MEMORY), (resource.RLIMIT_CORE, 0)):
        with contextlib.suppress(ValueError, OSError):  # macOS knows no limit of address space
            resource.setrlimit(kind, (limit, limit))


def _rendered(template: TextTemplate, request: dict[str, Any]) -> str:
    return template.render(request["variables"], now=datetime.fromisoformat(request["now"]))


def _answer(answers: BinaryIO, **fields: Any) -> None:
    answers.write(json.dumps(fields).encode() + b"\n")
    answers.flush()


if __name__ == "__main__":
    main()
