"""`python -m worker`: keeps one worker process (`worker.child`) alive."""

import sys

from shared.process.supervisor import supervise_module

sys.exit(supervise_module("worker.child", name="worker"))
