"""The options of an operator for mail to and from people."""

from dataclasses import dataclass
from pathlib import Path

from quorate.domain.mail.settings import (
    LIMITS_DEFAULT,
    TIERS,
    RetryPolicy,
    SendingLimit,
    SendingLimits,
)
from quorate.domain.shared.records import changed, record
from quorate.runtime.service_defaults import LIMIT_MAX
from quorate.server.smtp_url import parse_smtp_url

EXAMPLE = "provisional=100/500,active=1000/10000,trusted=10000/100000"


@record
class MailOptions:
    smtp_url: str | None = None  # None: mail to people is held.
    smtp_password_file: Path | None = None
    smtp_ca_file: Path | None = None  # None: the certificate authorities of the system.
    retry: RetryPolicy = RetryPolicy()
    limits: SendingLimits = LIMITS_DEFAULT
    ack_minutes: float = 30.0
    retention_days: float = 0.0  # 0: bodies are kept.


@dataclass(eq=False)
class ContradictoryMailOption(Exception):
    """An option does not fit to another one."""

    option: str
    why: str


def check_mail_options(options: MailOptions) -> MailOptions:
    """Return the options; raises ContradictoryMailOption."""
    if options.retry.seconds_min > options.retry.seconds_max:
        raise ContradictoryMailOption(
            "mail_retry_seconds_min", "is greater than the longest wait (mail-retry-seconds-max)"
        )
    if options.smtp_url is None:
        for name in ("smtp_password_file", "smtp_ca_file"):
            if getattr(options, name) is not None:
                raise ContradictoryMailOption(name, "has no effect without smtp-url")
        return options
    relay = parse_smtp_url(options.smtp_url)
    if (relay.user is None) != (options.smtp_password_file is None):
        raise ContradictoryMailOption(
            "smtp_url", "names a user without smtp-password-file, or the reverse"
        )
    return options


def check_smtp_url(text: str) -> str:
    """Return the URL; raises ValueError if it is none of an SMTP relay."""
    parse_smtp_url(text)
    return text


def parse_mail_limits(text: str) -> SendingLimits:
    """Parse ``tier=hourly/daily`` for some tiers; raises ValueError. Others keep their defaults."""
    found: dict[str, SendingLimit] = {}
    for part in text.split(","):
        tier, _, limits = part.strip().partition("=")
        hourly, slash, daily = limits.partition("/")
        if tier not in TIERS or tier in found or not slash or not _are_numbers(hourly, daily):
            raise ValueError(f"{part.strip()!r} is not a limit such as active=1000/10000")
        found[tier] = SendingLimit(hourly=int(hourly), daily=int(daily))
    return changed(LIMITS_DEFAULT, **found)


def _are_numbers(*texts: str) -> bool:
    return all(
        text.isascii() and text.isdigit() and len(text) <= len(str(LIMIT_MAX)) for text in texts
    )
