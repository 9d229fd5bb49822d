"""The options of an operator, from the command line or from environment variables."""

from collections.abc import Sequence
from pathlib import Path

from quorate.application.failed_login_limiter import Network
from quorate.application.rate_limiter import UNBOUNDED, Rates
from quorate.domain.shared.quotas import UNLIMITED, Quotas
from quorate.domain.shared.records import record
from quorate.eventlog.database_url import sqlite_path
from quorate.runtime.service_defaults import MAIL_DOMAIN_DEFAULT, TASK_RETENTION_DAYS_DEFAULT
from quorate.server.connection_table import ConnectionLimits
from quorate.server.mail_options import MailOptions
from quorate.server.roles import WHOLE, Role

SECONDS_PER_DAY = 86_400
COMMAND_SOCKET = "commands.sock"
DATABASE = "quorate.db"


@record
class Options:
    """Options of the operator. Port 0 means any free port."""

    data_dir: Path
    database_url: str | None = None  # None: a SQLite file in the data directory.
    database_password_file: Path | None = None
    nats_port: int = 4222
    nats_host: str = "127.0.0.1"
    nats_url: str | None = None  # One URL, or several separated by commas.
    holds_nats_logins: bool = False  # In a worker: the server of ``nats_url`` is embedded.
    nats_keys_file: Path | None = None  # None: keys in the data directory.
    nats_stream_replicas: int = 1
    admin_key_file: Path | None = None  # Keys created elsewhere. If either is given, the service
    api_key_file: Path | None = None  # issues no keys.
    window_seconds: float = 300.0
    notification_retention_hours: float = 168.0
    agent_retention_hours: float = 0.0  # 0: names of inactive agents are kept.
    task_retention_days: float = TASK_RETENTION_DAYS_DEFAULT  # After the end of a task.
    rates: Rates = UNBOUNDED
    quotas: Quotas = UNLIMITED
    connection_limits: ConnectionLimits = ConnectionLimits()
    trusted_proxies: Sequence[Network] = ()
    workers_dir: Path | None = None  # Workers on one port share their metrics here.
    role: Role = WHOLE  # What this process does.
    otel_endpoint: str | None = None  # The OTLP collector; standard variables also work.
    fast_lane: bool = True  # Serve the hot operations without FastAPI.
    allow_newer_schema: bool = False  # Start on a SQLite file of a newer version.
    mail_domain: str = MAIL_DOMAIN_DEFAULT  # Of the tenant "default"; others are below it.
    mail: MailOptions = MailOptions()
    cors_origins: Sequence[str] = ()  # Web pages of these origins may send requests.

    @property
    def database_file(self) -> Path | None:
        """The SQLite file; None with PostgreSQL."""
        if self.database_url is None:
            return self.data_dir / DATABASE
        return sqlite_path(self.database_url)

    @property
    def command_socket(self) -> Path:
        """Where the writer takes the commands of the other processes."""
        assert self.workers_dir is not None
        return self.workers_dir / COMMAND_SOCKET

    @property
    def task_retention_seconds(self) -> int:
        return round(self.task_retention_days * SECONDS_PER_DAY)
