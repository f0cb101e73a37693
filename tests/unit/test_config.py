"""Settings: every wrong one is named with its value and what is allowed, before anything starts."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.config import Settings, load_settings, unknown_settings
from shared.errors import EX_CONFIG, ConfigError
from shared.lora import Lora
from shared.process.start import settings_or_exit
from shared.store.connection import connect

SetEnv = Callable[..., None]


@pytest.fixture(autouse=True)
def set_env(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SetEnv:
    """Sets variables in an environment that has no setting and no `.env` otherwise."""
    for name in os.environ:
        if name.startswith("PALAVER_") or name in ("PORT", "HOST", "REDIS_URL"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def set_variables(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_variables


def complaint() -> str:
    with pytest.raises(ConfigError) as refusal:
        load_settings()
    return str(refusal.value)


def test_the_defaults_are_the_documented_ones() -> None:
    settings = load_settings()
    assert (settings.host, settings.port, settings.redis_url) == ("127.0.0.1", 3000, None)
    assert (settings.context_length, settings.trim_to, settings.max_tokens) == (3500, 0.6, 512)
    assert (settings.slots, settings.gpu_layers, settings.threads) == (8, -1, None)
    assert (settings.sync_timeout, settings.job_timeout) == (120, 600)
    assert (settings.queue_limit, settings.pending_turns) == (1000, 8)
    assert (settings.job_ttl, settings.events_ttl, settings.conversation_ttl) == (86400, 300, 0)
    assert (settings.lease, settings.heartbeat, settings.max_attempts) == (30, 10, 3)
    assert (settings.grace, settings.max_body_bytes) == (30, 1048576)
    assert (settings.convert, settings.allow_open, settings.log_level) == ("auto", False, "info")
    assert (settings.kv_type, settings.flash_attention) == ("f16", "auto")
    assert (settings.split, settings.cpu_moe) == ("none", 0)
    assert (settings.load_mode, settings.loras) == ("auto", ())
    assert settings.speculation == "auto"
    assert settings.data_dir == Path("data")
    assert settings.max_tokens_limit == 3500


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("PORT", "0", "greater than or equal to 1"),
        ("PORT", "65536", "less than or equal to 65535"),
        ("PORT", "http", "valid integer"),
        ("PALAVER_NAMESPACE", "a b", "pattern"),
        ("PALAVER_KV_TYPE", "q4_0", "'f16' or 'q8_0'"),
        ("PALAVER_FLASH_ATTENTION", "yes", "'auto', 'on' or 'off'"),
        ("PALAVER_SPLIT", "tensor", "'none', 'layer' or 'row'"),
        ("PALAVER_CPU_MOE", "-2", "greater than or equal to -1"),
        ("PALAVER_LOAD_MODE", "dio", "'mmap', 'mlock'"),
        ("PALAVER_SPECULATION", "on", "'auto' or 'off'"),
        ("PALAVER_LORA", "there.gguf:high", "a file, a colon and its scale"),
        ("PALAVER_LORA", "there.gguf:nan", "a file, a colon and its scale"),
        ("PALAVER_LORA", ":0.5", "a file, a colon and its scale"),
        ("PALAVER_LORA", "nowhere.gguf", "there is no such file"),
        ("PALAVER_NAMESPACE", "x" * 33, "pattern"),
        ("PALAVER_CONTEXT_LENGTH", "63", "allowed are 0 (the model's own) and 64 or more"),
        ("PALAVER_CONTEXT_LENGTH", "-1", "greater than or equal to 0"),
        ("PALAVER_CONTEXT_LENGTH", "3500.5", "valid integer"),
        ("PALAVER_TRIM_TO", "0", "greater than 0"),
        ("PALAVER_TRIM_TO", "1.1", "less than or equal to 1"),
        ("PALAVER_TRIM_TO", "nan", ""),
        ("PALAVER_MAX_TOKENS", "0", "greater than or equal to 1"),
        ("PALAVER_SLOTS", "0", "greater than or equal to 1"),
        ("PALAVER_SLOTS", "257", "less than or equal to 256"),
        ("PALAVER_GPU_LAYERS", "-2", "greater than or equal to -1"),
        ("PALAVER_THREADS", "0", "greater than or equal to 1"),
        ("PALAVER_CONVERT", "on", "'auto' or 'off'"),
        ("PALAVER_PARK_BYTES", "-1", "greater than or equal to 0"),
        ("PALAVER_SYNC_TIMEOUT", "0", "greater than 0"),
        ("PALAVER_SYNC_TIMEOUT", "2m", "valid number"),
        ("PALAVER_JOB_TIMEOUT", "-1", "greater than 0"),
        ("PALAVER_JOB_TIMEOUT", "inf", ""),
        ("PALAVER_JOB_TIMEOUT", "nan", "finite"),
        ("PALAVER_QUEUE_LIMIT", "0", "greater than or equal to 1"),
        ("PALAVER_PENDING_TURNS", "0", "greater than or equal to 1"),
        ("PALAVER_JOB_TTL", "0", "greater than 0"),
        ("PALAVER_EVENTS_TTL", "0", "greater than 0"),
        ("PALAVER_CONVERSATION_TTL", "-1", "greater than or equal to 0"),
        ("PALAVER_CONVERSATION_TTL", "inf", "finite"),
        ("PALAVER_HISTORY_LIMIT", "-1", "greater than or equal to 0"),
        ("PALAVER_LEASE", "0", "greater than 0"),
        ("PALAVER_HEARTBEAT", "0", "greater than 0"),
        ("PALAVER_MAX_ATTEMPTS", "0", "greater than or equal to 1"),
        ("PALAVER_GRACE", "-0.1", "greater than or equal to 0"),
        ("PALAVER_MAX_BODY_BYTES", "1023", "greater than or equal to 1024"),
        ("PALAVER_ALLOW_OPEN", "maybe", "valid boolean"),
        ("PALAVER_LOG_LEVEL", "loud", "'debug', 'info', 'warning' or 'error'"),
        ("PALAVER_MODEL_PATH", "/no/such/model.gguf", "no such file"),
        ("PALAVER_CHAT_TEMPLATE", "/no/such/template", "no such file"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value_and_what_is_allowed(
    set_env: SetEnv, name: str, value: str, allowed: str
) -> None:
    set_env(**{name: value})
    text = complaint()
    assert text.startswith(f"{name}={value}: ")
    assert allowed in text
    assert len(text.splitlines()) == 1


def test_every_wrong_setting_has_a_line(set_env: SetEnv) -> None:
    set_env(PORT="0", PALAVER_SLOTS="many", PALAVER_LEASE="nan")
    assert [line.partition("=")[0] for line in complaint().splitlines()] == [
        "PORT",
        "PALAVER_SLOTS",
        "PALAVER_LEASE",
    ]


@pytest.mark.parametrize("url", ["localhost:6379", "http://localhost", "/run/redis.sock"])
def test_a_redis_url_of_another_scheme_is_refused(set_env: SetEnv, url: str) -> None:
    set_env(REDIS_URL=url)
    assert complaint() == (
        "REDIS_URL: allowed are redis://, rediss://, unix://, sentinel://, sentinels://, "
        "redis+cluster://, rediss+cluster://"
    )


def test_a_redis_url_that_is_no_url_is_named(set_env: SetEnv) -> None:
    set_env(REDIS_URL="redis://[::1")
    assert "REDIS_URL" in complaint()


def test_a_complaint_about_the_redis_url_does_not_tell_its_password(set_env: SetEnv) -> None:
    set_env(REDIS_URL="http://user:secret@localhost")
    assert "secret" not in complaint()


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost:6379/0",
        "rediss://user:password@redis.example:6380",
        "unix:///run/redis.sock",
        "sentinel://a:1,b:2/primary",
        "sentinels://a/primary?db=1",
    ],
)
def test_every_kind_of_redis_url_is_taken(set_env: SetEnv, url: str) -> None:
    set_env(REDIS_URL=url)
    assert load_settings().redis_url == url


def test_the_heartbeat_is_a_third_of_the_lease_unless_set(set_env: SetEnv) -> None:
    set_env(PALAVER_LEASE="12")
    assert load_settings().heartbeat == 4
    set_env(PALAVER_HEARTBEAT="1.5")
    assert load_settings().heartbeat == 1.5


def test_a_heartbeat_of_half_the_lease_is_allowed_and_more_is_not(set_env: SetEnv) -> None:
    set_env(PALAVER_LEASE="12", PALAVER_HEARTBEAT="6")
    assert load_settings().heartbeat == 6
    set_env(PALAVER_HEARTBEAT="6.1")
    assert complaint() == "PALAVER_HEARTBEAT=6.1: allowed is at most half of PALAVER_LEASE=12"


def test_lists_are_separated_by_commas(set_env: SetEnv) -> None:
    set_env(PALAVER_ALLOWED_HOSTS=" a.example, b.example:80 ,,", PALAVER_ALLOWED_ORIGINS="")
    settings = load_settings()
    assert settings.allowed_hosts == ("a.example", "b.example")
    assert settings.allowed_origins == ()


def test_an_empty_variable_is_as_good_as_none(set_env: SetEnv) -> None:
    set_env(PORT="", REDIS_URL="", PALAVER_THREADS="", PALAVER_MODEL_PATH="")
    assert load_settings() == Settings()


def test_empty_default_instructions_are_none_at_all(set_env: SetEnv, tmp_path: Path) -> None:
    assert load_settings().default_context
    (tmp_path / ".env").write_text("PALAVER_DEFAULT_CONTEXT=\n")
    assert load_settings().default_context == ""
    set_env(PALAVER_DEFAULT_CONTEXT="Be kind.")
    assert load_settings().default_context == "Be kind."
    set_env(PALAVER_DEFAULT_CONTEXT="")
    assert load_settings().default_context == ""


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hush#hush@localhost:6379/0",
        "redis://user:hu/sh@localhost:6379/0",
        "rediss://:hu?sh@localhost",
        "redis://:hush@localhost:port",
        "sentinel://user:hu#sh@host:26379/service",
        "redis://localhost:6379?password=hush&nonsense=1",
    ],
)
def test_no_message_about_an_address_has_any_of_its_password(set_env: SetEnv, url: str) -> None:
    set_env(REDIS_URL=url)
    message = ""
    try:
        connect(load_settings())
    except ConfigError as error:
        message = str(error)
    assert "hu" not in message


def test_fractions_of_seconds_are_allowed(set_env: SetEnv) -> None:
    set_env(PALAVER_LEASE="0.75", PALAVER_GRACE="0")
    settings = load_settings()
    assert (settings.lease, settings.heartbeat, settings.grace) == (0.75, 0.25, 0)


def test_the_limit_of_max_tokens_is_eight_times_the_default_within_the_window(
    set_env: SetEnv,
) -> None:
    set_env(PALAVER_MAX_TOKENS="100")
    assert load_settings().max_tokens_limit == 800
    set_env(PALAVER_CONTEXT_LENGTH="500")
    assert load_settings().max_tokens_limit == 500
    # How large the model's own window is only workers know.
    set_env(PALAVER_CONTEXT_LENGTH="0")
    assert load_settings().max_tokens_limit == 800


def test_the_env_file_keeps_spaces_and_number_signs_in_quotes(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        'PALAVER_DEFAULT_CONTEXT="You are # 1,  be brief."  # a comment\n'
        "PALAVER_DATA_DIR='/srv/my data'\n"
        "export PORT=8080 # a comment\n"
        "\n# PALAVER_SLOTS=5\n",
        encoding="utf-8",
    )
    settings = load_settings()
    assert settings.default_context == "You are # 1,  be brief."
    assert settings.data_dir == Path("/srv/my data")
    assert (settings.port, settings.slots) == (8080, 8)


def test_the_environment_wins_over_the_env_file(set_env: SetEnv, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT=8080\nPALAVER_SLOTS=5\n")
    set_env(PORT="9090")
    settings = load_settings()
    assert (settings.port, settings.slots) == (9090, 5)


def test_a_wrong_setting_in_the_env_file_is_named_too(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PALAVER_SLOTS=many\n")
    assert complaint().startswith("PALAVER_SLOTS=many: ")


def test_an_env_file_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"PALAVER_DEFAULT_CONTEXT=caf\xe9\n")
    assert complaint().startswith(".env is not UTF-8")


def test_misspelt_names_are_found_and_told(
    set_env: SetEnv, capsys: pytest.CaptureFixture[str]
) -> None:
    set_env(PALAVER_SLOT="4", PALAVER_SLOTS="4", PALAVER_LEESE="1", SOMETHING_ELSE="1")
    assert unknown_settings() == ["PALAVER_LEESE", "PALAVER_SLOT"]
    load_settings()
    assert capsys.readouterr().err.splitlines() == [
        "palaver: warning: there is no setting PALAVER_LEESE",
        "palaver: warning: there is no setting PALAVER_SLOT",
    ]


def test_what_make_run_sets_itself_is_not_called_misspelt(set_env: SetEnv) -> None:
    set_env(PALAVER_RELOAD="1")
    assert unknown_settings() == []


def test_a_wrong_setting_ends_the_process_with_its_own_status(
    set_env: SetEnv, capsys: pytest.CaptureFixture[str]
) -> None:
    set_env(PORT="0", PALAVER_SLOTS="0")
    with pytest.raises(SystemExit) as end:
        settings_or_exit()
    assert end.value.code == EX_CONFIG
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("palaver: cannot start: PORT=0: ")


def test_overrides_replace_the_environment(set_env: SetEnv) -> None:
    set_env(PORT="9090")
    assert load_settings(PORT=8080).port == 8080


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PALAVER_ALLOWED_HOSTS", "https://chat.example"),
        ("PALAVER_ALLOWED_HOSTS", "fe80::1"),
        ("PALAVER_ALLOWED_ORIGINS", "chat.example"),
        ("PALAVER_ALLOWED_ORIGINS", "https://chat.example/path"),
    ],
)
def test_what_could_never_match_is_refused(set_env: SetEnv, name: str, value: str) -> None:
    set_env(**{name: value})
    with pytest.raises(ConfigError, match=rf"{name}.*{re.escape(value)}"):
        load_settings()


def test_origins_are_compared_as_browsers_write_them(set_env: SetEnv) -> None:
    set_env(PALAVER_ALLOWED_ORIGINS="HTTPS://Chat.Example:8443/")
    assert load_settings().allowed_origins == ("https://chat.example:8443",)


def test_a_quantized_cache_without_flash_attention_is_refused(set_env: SetEnv) -> None:
    set_env(PALAVER_KV_TYPE="q8_0")
    assert load_settings().kv_type == "q8_0"
    set_env(PALAVER_FLASH_ATTENTION="off")
    assert complaint() == (
        "PALAVER_KV_TYPE=q8_0: needs flash attention; PALAVER_FLASH_ATTENTION may be auto or on"
    )


def test_lora_files_are_listed_with_their_scales(set_env: SetEnv, tmp_path: Path) -> None:
    for name in ("style.gguf", "a:b.gguf"):
        (tmp_path / name).touch()
    set_env(PALAVER_LORA=f"style.gguf, {tmp_path}/a:b.gguf:-0.5")
    assert load_settings().loras == (
        Lora(path=Path("style.gguf")),
        Lora(path=tmp_path / "a:b.gguf", scale=-0.5),
    )
