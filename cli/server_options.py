"""Options of `quorate serve` for rate limits and quotas; 0 means no limit.

* The defaults are for one replica on a small machine, which executes some thousands of commands
  per second. One agent cannot use all of that capacity.
* A tenant can use it while other tenants are idle: urgent commands of others go first. With many
  tenants, lower the limits per tenant.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from quorate.application.failed_login_limiter import Network
    from quorate.application.rate_limiter import Rates
    from quorate.domain.shared.quotas import Quotas

F = TypeVar("F", bound=Callable[..., Any])

RATE_PER_KEY_DEFAULT = 2_000
BURST_PER_KEY_DEFAULT = 4_000
RATE_PER_TENANT_DEFAULT = 10_000
BURST_PER_TENANT_DEFAULT = 20_000
FAILED_KEYS_PER_MINUTE_DEFAULT = 100
QUOTA_AGENTS_DEFAULT = 10_000
QUOTA_LIVE_LEASES_DEFAULT = 1_000_000
QUOTA_OPEN_REQUESTS_DEFAULT = 10_000
QUOTA_KEYS_DEFAULT = 100_000
QUOTA_SETTINGS_BYTES_DEFAULT = 10_000_000
QUOTA_LIVE_LEASES_PER_AGENT_DEFAULT = 10_000
_LIMIT_MAX = 1_000_000_000

_LIMITS: Sequence[tuple[str, int, str]] = (
    ("--rate-per-key", RATE_PER_KEY_DEFAULT, "Requests per second of one agent or auditor key."),
    ("--burst-per-key", BURST_PER_KEY_DEFAULT, "Burst size for --rate-per-key, in requests."),
    ("--rate-per-tenant", RATE_PER_TENANT_DEFAULT, "Requests per second of one tenant."),
    (
        "--burst-per-tenant",
        BURST_PER_TENANT_DEFAULT,
        "Burst size for --rate-per-tenant, in requests.",
    ),
    (
        "--failed-keys-per-minute",
        FAILED_KEYS_PER_MINUTE_DEFAULT,
        "Failed authentication attempts per source address per minute.",
    ),
    ("--quota-agents", QUOTA_AGENTS_DEFAULT, "Registered agents per tenant."),
    ("--quota-live-leases", QUOTA_LIVE_LEASES_DEFAULT, "Active leases per tenant."),
    ("--quota-open-requests", QUOTA_OPEN_REQUESTS_DEFAULT, "Pending proposals per tenant."),
    ("--quota-keys", QUOTA_KEYS_DEFAULT, "Keys per tenant; revoked keys do not count."),
    (
        "--quota-settings-bytes",
        QUOTA_SETTINGS_BYTES_DEFAULT,
        "Total config size of all agents of a tenant, in bytes.",
    ),
    (
        "--quota-live-leases-per-agent",
        QUOTA_LIVE_LEASES_PER_AGENT_DEFAULT,
        "Active leases per agent.",
    ),
)


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
    options = [*(_limit_option(*each) for each in _LIMITS), proxies]
    return reduce(lambda made, option: option(made), reversed(options), command)


def build_rates(chosen: Mapping[str, Any]) -> "Rates":
    from quorate.application.rate_limiter import Rates

    return Rates(
        per_key=chosen["rate_per_key"],
        burst_per_key=chosen["burst_per_key"],
        per_tenant=chosen["rate_per_tenant"],
        burst_per_tenant=chosen["burst_per_tenant"],
        failed_keys_per_minute=chosen["failed_keys_per_minute"],
    )


def build_quotas(chosen: Mapping[str, Any]) -> "Quotas":
    from quorate.domain.shared.quotas import QUOTAS, Quotas

    return Quotas(**{quota: chosen[f"quota_{quota}"] or None for quota in QUOTAS})


def _limit_option(option: str, default: int, help_text: str) -> Callable[[F], F]:
    kind = click.IntRange(0, _LIMIT_MAX)
    return click.option(
        option, type=kind, default=default, show_default=True, help=f"{help_text} 0 = no limit."
    )


def _parse_networks(
    _context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]
) -> "tuple[Network, ...]":
    try:
        return tuple(ip_network(one) for one in given)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
