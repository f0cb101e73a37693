"""A server without API keys listens on loopback addresses, unless it is said to be open."""

from pathlib import Path

import pytest

from shared.config import load_settings
from shared.errors import ConfigError
from shared.process.exposure import check_exposure


@pytest.fixture(autouse=True)
def without_env_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_loopback_needs_no_keys(host: str) -> None:
    check_exposure(load_settings(HOST=host))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "chat.example"])
def test_a_network_needs_keys_or_permission(host: str) -> None:
    with pytest.raises(ConfigError, match=f"^HOST={host}: without API keys"):
        check_exposure(load_settings(HOST=host))
    check_exposure(load_settings(HOST=host, PALAVER_API_KEYS_FILE="keys.json"))
    check_exposure(load_settings(HOST=host, PALAVER_ALLOW_OPEN="1"))


def test_a_server_that_is_open_on_purpose_says_so(caplog: pytest.LogCaptureFixture) -> None:
    check_exposure(load_settings())
    check_exposure(load_settings(HOST="0.0.0.0", PALAVER_API_KEYS_FILE="k", PALAVER_ALLOW_OPEN="1"))
    assert caplog.messages == []
    check_exposure(load_settings(PALAVER_ALLOW_OPEN="1"))
    assert "everybody who reaches this server" in caplog.text
