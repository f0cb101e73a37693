"""What `palaver doctor` learns of a model's file and its chat template, in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.servers import environment

ROOT = Path(__file__).resolve().parents[2]
THINKS = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.reasoning_content and loop.last %}<think>\n{{ m.reasoning_content }}\n</think>\n\n"
    "{% endif %}{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n"
    "{% endif %}{% endif %}"
)
ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"


def checked(tmp_path: Path, template: str) -> subprocess.CompletedProcess[str]:
    path = tmp_path / "template.jinja"
    path.write_text(template, encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", "worker.check"],
        cwd=ROOT, env=environment(PALAVER_CHAT_TEMPLATE=str(path)),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_a_model_that_thinks_is_recognised(tmp_path: Path) -> None:
    done = checked(tmp_path, THINKS)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["abilities"] == ["chats", "thinks"]
    assert "enable_thinking" in report["template"]
    assert report["replies"].startswith("thoughts in <think>")
    assert (report["window"], report["longest_window"]) == (3500, 8192)
    assert "it chats, it does not know" in report["demo"]
    assert report["memory"]["remark"].startswith("with 8 slots the model takes ")


def test_a_template_that_cannot_be_used_is_refused_by_name(tmp_path: Path) -> None:
    for template in ("{% for %}", ENDLESS, "always the same"):
        done = checked(tmp_path, template)
        assert done.returncode == 1, template
        reason = done.stderr.strip().splitlines()[-1]
        assert reason.startswith("its chat template cannot be used"), reason
        assert "PALAVER_CHAT_TEMPLATE names another" in reason
