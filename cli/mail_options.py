"""Options of `quorate serve` for mail: the SMTP relay, retries, limits and retention."""

from collections.abc import Callable, Mapping
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from quorate.cli.parameter_types import Duration
from quorate.runtime import service_defaults as defaults

if TYPE_CHECKING:
    from quorate.domain.mail.settings import SendingLimits
    from quorate.server.mail_options import MailOptions

F = TypeVar("F", bound=Callable[..., Any])
FILE = click.Path(dir_okay=False, path_type=Path)


def _check_url(
    _context: click.Context, _parameter: click.Parameter, given: str | None
) -> str | None:
    from quorate.server.mail_options import check_smtp_url

    try:
        return None if given is None else check_smtp_url(given)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from error


def _parse_limits(
    _context: click.Context, _parameter: click.Parameter, given: str
) -> "SendingLimits":
    from quorate.server.mail_options import parse_mail_limits

    try:
        return parse_mail_limits(given)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from error


def _retry_seconds(name: str, default: float, help_text: str) -> Callable[[F], F]:
    return click.option(
        name,
        type=Duration("s", defaults.MAIL_RETRY_SECONDS_MIN, defaults.MAIL_RETRY_SECONDS_MAX),
        default=f"{default:g}s",
        show_default=True,
        help=help_text,
    )


_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--smtp-url",
        default=None,
        callback=_check_url,
        help="SMTP relay for mail to people, e.g. smtp://user@relay.example:587, or smtps://..."
        " Without it such mail is held.",
    ),
    click.option(
        "--smtp-password-file", type=FILE, default=None, help="File with the SMTP password."
    ),
    click.option(
        "--smtp-ca-file",
        type=FILE,
        default=None,
        help="File with the certificate authorities for the relay, instead of the system's.",
    ),
    _retry_seconds(
        "--mail-retry-seconds-min",
        defaults.MAIL_RETRY_SECONDS_MIN_DEFAULT,
        "Wait before the first retry after a temporary failure; each further wait doubles.",
    ),
    _retry_seconds(
        "--mail-retry-seconds-max",
        defaults.MAIL_RETRY_SECONDS_MAX_DEFAULT,
        "Longest wait between two attempts.",
    ),
    click.option(
        "--mail-retry-hours",
        type=Duration("h", 0, defaults.MAIL_RETRY_HOURS_MAX),
        default=f"{defaults.MAIL_RETRY_HOURS_DEFAULT:g}h",
        show_default=True,
        help="How long delivery is attempted before a message becomes a dead letter.",
    ),
    click.option(
        "--mail-ack-minutes",
        type=Duration("m", defaults.MAIL_ACK_MINUTES_MIN, defaults.MAIL_ACK_MINUTES_MAX),
        default=f"{defaults.MAIL_ACK_MINUTES_DEFAULT:g}m",
        show_default=True,
        help="Time for a required acknowledgement before the recipient is reminded.",
    ),
    click.option(
        "--mail-retention-days",
        type=Duration("d", 0, defaults.MAIL_RETENTION_DAYS_MAX),
        default=f"{defaults.MAIL_RETENTION_DAYS_DEFAULT:g}d",
        show_default=True,
        help="Erase the body of a message after this time; 0 keeps it.",
    ),
    click.option(
        "--mail-limits",
        metavar="LIMITS",
        default=defaults.MAIL_LIMITS_DEFAULT,
        show_default=True,
        callback=_parse_limits,
        help="Messages that an agent may send in an hour and in a day (UTC), by tier.",
    ),
)


def delivery_options(command: F) -> F:
    """Add the options of this module to the command."""
    return reduce(lambda made, option: option(made), reversed(_OPTIONS), command)


def build_mail_options(chosen: Mapping[str, Any]) -> "MailOptions":
    """Return the options for mail; raises UsageError if they contradict each other."""
    from quorate.domain.mail.settings import RetryPolicy
    from quorate.server.mail_options import (
        ContradictoryMailOption,
        MailOptions,
        check_mail_options,
    )

    options = MailOptions(
        smtp_url=chosen["smtp_url"],
        smtp_password_file=chosen["smtp_password_file"],
        smtp_ca_file=chosen["smtp_ca_file"],
        retry=RetryPolicy(
            seconds_min=chosen["mail_retry_seconds_min"],
            seconds_max=chosen["mail_retry_seconds_max"],
            hours=chosen["mail_retry_hours"],
        ),
        limits=chosen["mail_limits"],
        ack_minutes=chosen["mail_ack_minutes"],
        retention_days=chosen["mail_retention_days"],
    )
    try:
        return check_mail_options(options)
    except ContradictoryMailOption as error:
        option = "--" + error.option.replace("_", "-")
        raise click.UsageError(f"{option} {error.why}.") from error
