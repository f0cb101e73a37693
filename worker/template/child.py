"""`python -m worker.template.child PARENT`: renders one chat template for its parent.

Lines of JSON go in and out: first the template's source, then variables. What the template may
take is bounded, and the process ends with its parent.
"""

import json
import os
import resource
import sys
import threading
import time
from datetime import datetime
from typing import Any, Final

from worker.template.environment import TemplateError, TextTemplate

_MOST_MEMORY: Final = 1 << 30
"""Bytes, Python's own included."""
_MOST_TEXT: Final = 1 << 24
"""Characters of a prompt."""


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    threading.Thread(target=_end_with, args=(int(sys.argv[1]),), daemon=True).start()
    template: TextTemplate | None = None
    for line in sys.stdin.buffer:
        request = json.loads(line)
        try:
            if template is None:
                template = TextTemplate(request["source"])
                answer = {"text": ""}
            else:
                answer = {"text": _rendered(template, request)}
        except TemplateError as error:
            answer = {"error": str(error)}
        except MemoryError:
            answer = {"error": "it needs too much memory"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _rendered(template: TextTemplate, request: dict[str, Any]) -> str:
    text = template.render(request["variables"], now=datetime.fromisoformat(request["now"]))
    if len(text) > _MOST_TEXT:
        raise TemplateError(f"it makes a prompt of {len(text)} characters")
    return text


def _end_with(parent: int) -> None:
    """End when the parent has: a template that loops does not read that its input has ended."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(0)


if __name__ == "__main__":
    main()
