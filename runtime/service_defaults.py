"""Defaults and bounds of the service's options, for the command line and the environment."""

from collections.abc import Mapping
from pathlib import Path

PORT_DEFAULT = 8420
NATS_PORT_DEFAULT = 4222
HOST_DEFAULT = "127.0.0.1"
MAIL_DOMAIN_DEFAULT = "agents.localhost"
WINDOW_SECONDS_DEFAULT = 300.0
WINDOW_SECONDS_MIN = 0.1
WINDOW_SECONDS_MAX = 86_400.0
RETENTION_HOURS_DEFAULT = 168.0
RETENTION_HOURS_MIN = 1 / 3_600
RETENTION_HOURS_MAX = 24 * 365 * 100.0
AGENT_RETENTION_HOURS_DEFAULT = 0.0  # Names of inactive agents are kept.
MAIL_RETRY_SECONDS_MIN = 0.1
MAIL_RETRY_SECONDS_MAX = 86_400.0
MAIL_RETRY_SECONDS_MIN_DEFAULT = 60.0
MAIL_RETRY_SECONDS_MAX_DEFAULT = 3_600.0
MAIL_RETRY_HOURS_MAX = 24 * 365.0
MAIL_RETRY_HOURS_DEFAULT = 24.0
MAIL_ACK_MINUTES_MIN = 1 / 60
MAIL_ACK_MINUTES_MAX = 60 * 24 * 365.0
MAIL_ACK_MINUTES_DEFAULT = 30.0
MAIL_RETENTION_DAYS_MAX = 36_500.0
MAIL_RETENTION_DAYS_DEFAULT = 0.0  # Bodies are kept.
TASK_RETENTION_DAYS_DEFAULT = 7.0  # After the end of a task.
TASK_RETENTION_DAYS_MIN = 1 / 86_400
TASK_RETENTION_DAYS_MAX = 36_500.0
MAIL_LIMITS_DEFAULT = "provisional=100/500,active=1000/10000,trusted=10000/100000"
STREAM_REPLICAS_MAX = 5  # The maximum of JetStream.
PORT_MAX = 65_535
NATS_SCHEMES = ("nats", "tls", "ws", "wss")
LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_LEVEL_DEFAULT = "info"

# Rate limits and quotas by option; 0 means no limit.
LIMIT_MAX = 1_000_000_000_000_000
LIMITS_DEFAULT: Mapping[str, int] = {
    "rate_per_key": 2_000,
    "burst_per_key": 4_000,
    "rate_per_tenant": 10_000,
    "burst_per_tenant": 20_000,
    "read_bytes_per_key": 10_000_000,
    "read_bytes_per_tenant": 40_000_000,
    "failed_keys_per_minute": 100,
    "connections_max": 4_000,
    "connections_per_address": 2_000,
    "connections_per_key": 2_000,
    "unread_bytes_max": 64 * 1024 * 1024,
    "quota_agents": 10_000,
    "quota_live_leases": 1_000_000,
    "quota_open_requests": 10_000,
    "quota_keys": 100_000,
    "quota_settings_bytes": 10_000_000,
    "quota_mailbox_bytes": 20_000_000_000,
    "quota_session_bytes": 20_000_000_000,
    "quota_live_leases_per_agent": 10_000,
    "quota_mailbox_bytes_per_agent": 2_000_000_000,
    "quota_open_tasks_per_agent": 1_000,
    "quota_events_per_day": 20_000_000,
    "quota_bytes_per_day": 20_000_000_000,
    "quota_events_per_day_per_agent": 2_000_000,
    "quota_bytes_per_day_per_agent": 2_000_000_000,
}
RATE_LIMITS = tuple(
    name for name in LIMITS_DEFAULT if name.startswith(("rate_", "burst_", "failed_", "read_"))
)
CONNECTION_LIMITS = tuple(
    name for name in LIMITS_DEFAULT if name.startswith(("connections_", "unread_"))
)


def default_data_dir() -> Path:
    """Return the default data directory of a local service."""
    import platformdirs  # noqa: PLC0415 - few commands need it.

    return Path(platformdirs.user_data_dir("quorate"))


def find_default_data_dir() -> Path | None:
    """Return the default data directory, or None for a user without a home directory."""
    try:
        found = default_data_dir()
    except RuntimeError:
        return None
    return found if found.is_absolute() else None  # platformdirs before 4.4 returns "~/...".


def has_nats_scheme(urls: str) -> bool:
    """Whether each of these URLs, which commas separate, has a host and a scheme of NATS."""
    for url in urls.split(","):
        scheme, separator, host = url.strip().partition("://")
        if scheme not in NATS_SCHEMES or not separator or not host:
            return False
    return True


def is_origin(text: str) -> bool:
    """Whether the text is an origin as browsers send it, or ``*`` for every origin."""
    scheme, separator, host = text.partition("://")
    known = scheme in {"http", "https"} and bool(separator and host)
    return text == "*" or (known and not set(host) & set("/?#@ "))


LAST_BACKUP = "last_backup"  # Touched in the data directory by each backup that succeeds.
