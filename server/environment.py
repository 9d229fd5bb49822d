"""Read the options of the service from environment variables, for other ASGI servers.

The names are those of the command line: ``--data-dir`` is ``QUORATE_DATA_DIR``. A test compares
names and defaults with the options of ``quorate serve``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import TypeVar

from quorate.application.contact_emails import parse_mail_domain
from quorate.application.rate_limiter import Rates
from quorate.domain.mail.settings import LIMITS_DEFAULT, RetryPolicy
from quorate.domain.shared.quotas import QUOTAS, Quotas
from quorate.domain.shared.records import record
from quorate.runtime import service_defaults as defaults
from quorate.server.connection_table import ConnectionLimits
from quorate.server.mail_options import (
    ContradictoryMailOption,
    MailOptions,
    check_mail_options,
    check_smtp_url,
    parse_mail_limits,
)
from quorate.server.options import Options

T = TypeVar("T")

PREFIX = "QUORATE_"
_TRUE = frozenset({"1", "true", "t", "yes", "y", "on"})
_FALSE = frozenset({"0", "false", "f", "no", "n", "off"})


@record
class Environment:
    """The options, and what only the ASGI server and the logs need."""

    options: Options
    host: str
    port: int
    log_level: str


@dataclass(eq=False)
class InvalidVariable(Exception):
    """An environment variable has an invalid value."""

    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.name} {self.why}"


def read_environment(variables: Mapping[str, str]) -> Environment:
    """Raise InvalidVariable for a value that ``quorate serve`` rejects too."""
    read = _Reader(variables)
    limits = {
        name: read.number(name, default, 0, defaults.LIMIT_MAX)
        for name, default in defaults.LIMITS_DEFAULT.items()
    }
    options = Options(
        data_dir=(read.path("data_dir") or defaults.default_data_dir()).expanduser().resolve(),
        database_url=read.text("database_url"),
        database_password_file=read.path("database_password_file"),
        nats_port=read.number("nats_port", defaults.NATS_PORT_DEFAULT, 0, defaults.PORT_MAX),
        nats_host=read.text("nats_host") or defaults.HOST_DEFAULT,
        nats_url=read.converted("nats_url", _nats_url),
        nats_keys_file=read.path("nats_keys_file"),
        nats_stream_replicas=read.number(
            "nats_stream_replicas", 1, 1, defaults.STREAM_REPLICAS_MAX
        ),
        admin_key_file=read.path("admin_key_file"),
        api_key_file=read.path("api_key_file"),
        window_seconds=read.fraction(
            "heartbeat_window_seconds",
            defaults.WINDOW_SECONDS_DEFAULT,
            defaults.WINDOW_SECONDS_MIN,
            defaults.WINDOW_SECONDS_MAX,
        ),
        notification_retention_hours=read.fraction(
            "notification_retention_hours",
            defaults.RETENTION_HOURS_DEFAULT,
            defaults.RETENTION_HOURS_MIN,
            defaults.RETENTION_HOURS_MAX,
        ),
        agent_retention_hours=read.fraction(
            "agent_retention_hours",
            defaults.AGENT_RETENTION_HOURS_DEFAULT,
            0.0,
            defaults.RETENTION_HOURS_MAX,
        ),
        task_retention_days=read.fraction(
            "task_retention_days",
            defaults.TASK_RETENTION_DAYS_DEFAULT,
            defaults.TASK_RETENTION_DAYS_MIN,
            defaults.TASK_RETENTION_DAYS_MAX,
        ),
        rates=Rates(**{name.removeprefix("rate_"): limits[name] for name in defaults.RATE_LIMITS}),
        connection_limits=ConnectionLimits(
            **{name: limits[name] for name in defaults.CONNECTION_LIMITS}
        ),
        quotas=Quotas(**{quota: limits[f"quota_{quota}"] or None for quota in QUOTAS}),
        trusted_proxies=read.several("trusted_proxy", ip_network),
        otel_endpoint=read.text("otel_endpoint"),
        fast_lane=read.flag("fast_lane", default=True),
        allow_newer_schema=read.flag("allow_newer_schema", default=False),
        mail_domain=read.converted("mail_domain", parse_mail_domain)
        or defaults.MAIL_DOMAIN_DEFAULT,
        mail=_read_mail(read),
        cors_origins=read.several("cors_origin", _origin),
    )
    return Environment(
        options=options,
        host=read.text("host") or defaults.HOST_DEFAULT,
        port=read.number("port", defaults.PORT_DEFAULT, 0, defaults.PORT_MAX),
        log_level=read.one_of("log_level", defaults.LOG_LEVELS) or defaults.LOG_LEVEL_DEFAULT,
    )


def _read_mail(read: "_Reader") -> MailOptions:
    retry = RetryPolicy(
        seconds_min=read.fraction(
            "mail_retry_seconds_min",
            defaults.MAIL_RETRY_SECONDS_MIN_DEFAULT,
            *(defaults.MAIL_RETRY_SECONDS_MIN, defaults.MAIL_RETRY_SECONDS_MAX),
        ),
        seconds_max=read.fraction(
            "mail_retry_seconds_max",
            defaults.MAIL_RETRY_SECONDS_MAX_DEFAULT,
            *(defaults.MAIL_RETRY_SECONDS_MIN, defaults.MAIL_RETRY_SECONDS_MAX),
        ),
        hours=read.fraction(
            "mail_retry_hours",
            *(defaults.MAIL_RETRY_HOURS_DEFAULT, 0.0, defaults.MAIL_RETRY_HOURS_MAX),
        ),
    )
    options = MailOptions(
        smtp_url=read.converted("smtp_url", check_smtp_url),
        smtp_password_file=read.path("smtp_password_file"),
        smtp_ca_file=read.path("smtp_ca_file"),
        retry=retry,
        limits=read.converted("mail_limits", parse_mail_limits) or LIMITS_DEFAULT,
        ack_minutes=read.fraction(
            "mail_ack_minutes",
            defaults.MAIL_ACK_MINUTES_DEFAULT,
            *(defaults.MAIL_ACK_MINUTES_MIN, defaults.MAIL_ACK_MINUTES_MAX),
        ),
        retention_days=read.fraction(
            "mail_retention_days",
            *(defaults.MAIL_RETENTION_DAYS_DEFAULT, 0.0, defaults.MAIL_RETENTION_DAYS_MAX),
        ),
    )
    try:
        return check_mail_options(options)
    except ContradictoryMailOption as error:
        raise InvalidVariable(_variable(error.option), error.why) from None


def _nats_url(text: str) -> str:
    if not defaults.has_nats_scheme(text):
        raise ValueError(f"{text} is not a URL such as nats://localhost:4222")
    return text


def _origin(text: str) -> str:
    if not defaults.is_origin(text):
        raise ValueError(f"{text} is not an origin such as https://app.example.com")
    return text


class _Reader:
    """Reads variables; an empty value is the same as none."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    def text(self, option: str) -> str | None:
        return self._variables.get(_variable(option)) or None

    def path(self, option: str) -> Path | None:
        return self.converted(option, Path)

    def number(self, option: str, default: int, minimum: int, maximum: int) -> int:
        found = self.converted(option, int)
        return default if found is None else self._bounded(option, found, minimum, maximum)

    def fraction(self, option: str, default: float, minimum: float, maximum: float) -> float:
        found = self.converted(option, float)
        return default if found is None else self._bounded(option, found, minimum, maximum)

    def flag(self, option: str, *, default: bool) -> bool:
        found = (self.text(option) or ("true" if default else "false")).lower()
        if found not in _TRUE | _FALSE:
            raise InvalidVariable(_variable(option), "must be true or false")
        return found in _TRUE

    def one_of(self, option: str, choices: tuple[str, ...]) -> str | None:
        found = self.text(option)
        if found is not None and found not in choices:
            raise InvalidVariable(_variable(option), f"must be one of {', '.join(choices)}")
        return found

    def several(self, option: str, convert: Callable[[str], T]) -> tuple[T, ...]:
        """Convert the values of a repeatable option, which white space separates."""
        found = self.converted(option, lambda text: tuple(map(convert, text.split())))
        return found or ()

    def converted(self, option: str, convert: Callable[[str], T]) -> T | None:
        text = self.text(option)
        try:
            return None if text is None else convert(text)
        except ValueError as error:
            raise InvalidVariable(_variable(option), f"is invalid: {error}") from error

    @staticmethod
    def _bounded(option: str, value: T, minimum: T, maximum: T) -> T:
        if not minimum <= value <= maximum:  # type: ignore[operator]  # Also rejects NaN.
            raise InvalidVariable(_variable(option), f"must be from {minimum} to {maximum}")
        return value


def _variable(option: str) -> str:
    return PREFIX + option.upper()
