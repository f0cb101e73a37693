"""`python -m api`: keeps one API process (`api.server`) alive."""

import sys

from shared.process.supervisor import supervise_module

sys.exit(supervise_module("api.server", name="api"))
