"""Options of `quorate serve` for rate limits, quotas, mail and HTTP; a limit of 0 means no limit.

* The defaults are for one replica on a small machine, which executes some thousands of commands
  per second. One agent cannot use all of that capacity.
* A tenant can use it while other tenants are idle: urgent commands of others go first. With many
  tenants, lower the limits per tenant.
"""

from collections.abc import Callable, Mapping
from functools import reduce
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any, TypeVar

import click

from quorate.cli.parameter_types import IntegerRange
from quorate.runtime.service_defaults import (
    CONNECTION_LIMITS,
    LIMIT_MAX,
    LIMITS_DEFAULT,
    MAIL_DOMAIN_DEFAULT,
    RATE_LIMITS,
    is_origin,
)

if TYPE_CHECKING:
    from quorate.application.failed_login_limiter import Network
    from quorate.application.rate_limiter import Rates
    from quorate.domain.shared.quotas import Quotas
    from quorate.server.connection_table import ConnectionLimits

F = TypeVar("F", bound=Callable[..., Any])

QUOTA = "quota_"
_LIMITS: Mapping[str, str] = {
    "rate_per_key": "Requests per second of one agent or auditor key.",
    "burst_per_key": "Burst size for --rate-per-key, in requests.",
    "rate_per_tenant": "Requests per second of one tenant.",
    "burst_per_tenant": "Burst size for --rate-per-tenant, in requests.",
    "read_bytes_per_key": "Bytes per second that one agent or auditor key reads from lists.",
    "read_bytes_per_tenant": "Bytes per second that the callers of one tenant read from lists.",
    "failed_keys_per_minute": "Failed authentication attempts per source address per minute.",
    "connections_max": "Open HTTP connections.",
    "connections_per_address": "Open HTTP connections of one source address, except of a"
    " --trusted-proxy.",
    "connections_per_key": "Open HTTP connections of one agent or key.",
    "unread_bytes_max": "Bytes of HTTP responses that clients have not read; one address or key"
    " may use half of them.",
    "quota_agents": "Registered agents per tenant.",
    "quota_live_leases": "Active leases per tenant.",
    "quota_open_requests": "Pending proposals per tenant.",
    "quota_keys": "Keys per tenant; revoked keys do not count.",
    "quota_settings_bytes": "Total config size of all agents of a tenant, in bytes.",
    "quota_mailbox_bytes": "Total size of message bodies of a tenant, in bytes.",
    "quota_session_bytes": "Total size of the sessions of a tenant, in bytes.",
    "quota_live_leases_per_agent": "Active leases per agent.",
    "quota_mailbox_bytes_per_agent": "Total size of the messages an agent keeps, in bytes.",
    "quota_open_tasks_per_agent": "Tasks that an agent submitted and that have not ended.",
    "quota_events_per_day": "Events per tenant and day (UTC).",
    "quota_bytes_per_day": "Bytes of events per tenant and day (UTC).",
    "quota_events_per_day_per_agent": "Events per agent and day (UTC).",
    "quota_bytes_per_day_per_agent": "Bytes of events per agent and day (UTC).",
}
assert _LIMITS.keys() == LIMITS_DEFAULT.keys()


def limit_options(command: F) -> F:
    """Add the options of this module to the command."""
    proxies = click.option(
        "--trusted-proxy",
        multiple=True,
        metavar="NETWORK",
        callback=_parse_networks,
        help="Reverse proxy whose X-Forwarded-For header is trusted, e.g. 10.0.0.7 or "
        "10.0.0.0/24; repeatable.",
    )
    options = [*(_limit_option(*each) for each in _LIMITS.items()), proxies]
    return reduce(lambda made, option: option(made), reversed(options), command)


def http_options(command: F) -> F:
    """Add the options of the HTTP server to the command."""
    origins = click.option(
        "--cors-origin",
        multiple=True,
        metavar="ORIGIN",
        callback=_check_origins,
        help="Origin of web pages that may send requests (CORS), e.g. https://app.example.com, or "
        "* for every origin; repeatable.",
    )
    lane = click.option(
        "--fast-lane/--no-fast-lane",
        default=True,
        show_default=True,
        help="Serve the most frequent operations without FastAPI. The responses are the same.",
    )
    return origins(lane(command))


def mail_options(command: F) -> F:
    """Add the options of agent mail to the command."""
    domain = click.option(
        "--mail-domain",
        metavar="DOMAIN",
        default=MAIL_DOMAIN_DEFAULT,
        show_default=True,
        callback=_parse_mail_domain,
        help="Mail domain of the tenant 'default'; other tenants have TENANT.DOMAIN.",
    )
    return domain(command)


def _parse_mail_domain(_context: click.Context, _parameter: click.Parameter, given: str) -> str:
    from quorate.application.contact_emails import parse_mail_domain

    try:
        return parse_mail_domain(given)
    except ValueError as error:
        raise click.BadParameter(f"{given}: {error}.") from error


def build_rates(chosen: Mapping[str, Any]) -> "Rates":
    from quorate.application.rate_limiter import Rates

    return Rates(**{name.removeprefix("rate_"): chosen[name] for name in RATE_LIMITS})


def build_connection_limits(chosen: Mapping[str, Any]) -> "ConnectionLimits":
    from quorate.server.connection_table import ConnectionLimits

    return ConnectionLimits(**{name: chosen[name] for name in CONNECTION_LIMITS})


def build_quotas(chosen: Mapping[str, Any]) -> "Quotas":
    from quorate.domain.shared.quotas import QUOTAS, Quotas

    return Quotas(**{quota: chosen[f"{QUOTA}{quota}"] or None for quota in QUOTAS})


def _limit_option(name: str, help_text: str) -> Callable[[F], F]:
    return click.option(
        f"--{name.replace('_', '-')}",
        type=IntegerRange(0, LIMIT_MAX),
        metavar="N",
        default=LIMITS_DEFAULT[name],
        show_default=True,
        help=f"{help_text} 0 = no limit.",
    )


def _check_origins(
    _context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]
) -> tuple[str, ...]:
    for one in given:
        if not is_origin(one):
            raise click.BadParameter(f"{one} is not an origin such as https://app.example.com.")
    return given


def _parse_networks(
    _context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]
) -> "tuple[Network, ...]":
    try:
        return tuple(ip_network(one) for one in given)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
