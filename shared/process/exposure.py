"""Whether a server may listen where its settings say."""

import logging

from shared.config import Settings, is_loopback
from shared.errors import ConfigError

log = logging.getLogger(__name__)


def check_exposure(settings: Settings) -> None:
    """Refuse to listen on a network without API keys, unless the settings allow it; that is told.

    Raises:
        ConfigError: `HOST` is not a loopback address, there are no keys, and `PALAVER_ALLOW_OPEN`
            is not set.
    """
    if settings.api_keys_file is not None:
        return
    if settings.allow_open:
        log.warning(
            "PALAVER_ALLOW_OPEN=1 without API keys: everybody who reaches this server may use it, "
            "through a proxy, too"
        )
        return
    if not is_loopback(settings.host):
        raise ConfigError(
            f"HOST={settings.host}: without API keys only a loopback address is allowed, "
            "unless PALAVER_ALLOW_OPEN=1 says that everybody may use this server"
        )
