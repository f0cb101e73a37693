from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.processes import Palaver, running_palaver


@pytest.fixture(scope="module")
def palaver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Palaver]:
    """Two workers with the bundled model, a 400-token window and short leases."""
    data_dir: Path = tmp_path_factory.mktemp("palaver")
    with running_palaver(
        data_dir,
        workers=2,
        PALAVER_CONTEXT_LENGTH="400",
        PALAVER_LEASE="2",
        PALAVER_MAX_TOKENS="60",
    ) as palaver:
        yield palaver
