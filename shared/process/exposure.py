"""Whether a server may listen where its settings say."""

from shared.config import Settings, is_loopback
from shared.errors import ConfigError


def check_exposure(settings: Settings) -> None:
    """Refuse to listen on a network without API keys, unless the settings allow it.

    Raises:
        ConfigError: `HOST` is not a loopback address, there are no keys, and `PALAVER_ALLOW_OPEN`
            is not set.
    """
    if settings.allow_open or settings.api_keys_file is not None:
        return
    if not is_loopback(settings.host):
        raise ConfigError(
            f"HOST={settings.host}: without API keys only a loopback address is allowed, "
            "unless PALAVER_ALLOW_OPEN=1 says that everybody may use this server"
        )
