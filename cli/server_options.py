"""The options of `quorate serve` that say how much is too much. 0 is always: no limit.

The defaults are for one replica on a small machine, which carries out some thousands of commands a
second: one agent cannot take all of that. A tenant may, while nobody else wants any: what is urgent
for others goes first all the same. Whoever has many tenants gives each of them less.
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
_NUMBER_MAX = 1_000_000_000

_NUMBERS: Sequence[tuple[str, int, str]] = (
    ("--rate-per-key", RATE_PER_KEY_DEFAULT, "Requests a second of one agent, or auditor."),
    ("--burst-per-key", BURST_PER_KEY_DEFAULT, "... and how many of them at once."),
    ("--rate-per-tenant", RATE_PER_TENANT_DEFAULT, "Requests a second of all of a tenant."),
    ("--burst-per-tenant", BURST_PER_TENANT_DEFAULT, "... and how many of them at once."),
    (
        "--failed-keys-per-minute",
        FAILED_KEYS_PER_MINUTE_DEFAULT,
        "Keys that are none, from one address.",
    ),
    ("--quota-agents", QUOTA_AGENTS_DEFAULT, "Agents that a tenant may have."),
    ("--quota-live-leases", QUOTA_LIVE_LEASES_DEFAULT, "Leases that it may hold at once."),
    ("--quota-open-requests", QUOTA_OPEN_REQUESTS_DEFAULT, "Votes that may be open at once."),
    ("--quota-keys", QUOTA_KEYS_DEFAULT, "Keys that it may have, not counting revoked ones."),
    (
        "--quota-settings-bytes",
        QUOTA_SETTINGS_BYTES_DEFAULT,
        "Bytes of the settings of all of its agents.",
    ),
    (
        "--quota-live-leases-per-agent",
        QUOTA_LIVE_LEASES_PER_AGENT_DEFAULT,
        "Leases that one agent may hold at once.",
    ),
)


def limits(verb: F) -> F:
    """The verb with these options."""
    proxies = click.option(
        "--trusted-proxy",
        multiple=True,
        metavar="NETWORK",
        callback=_networks,
        help="A proxy in front, as 10.0.0.7 or 10.0.0.0/24: its X-Forwarded-For is believed.",
    )
    options = [*(_number(*each) for each in _NUMBERS), proxies]
    return reduce(lambda made, option: option(made), reversed(options), verb)


def rates(chosen: Mapping[str, Any]) -> "Rates":
    from quorate.application.rate_limiter import Rates

    return Rates(
        per_key=chosen["rate_per_key"],
        burst_per_key=chosen["burst_per_key"],
        per_tenant=chosen["rate_per_tenant"],
        burst_per_tenant=chosen["burst_per_tenant"],
        failed_keys_per_minute=chosen["failed_keys_per_minute"],
    )


def quotas(chosen: Mapping[str, Any]) -> "Quotas":
    from quorate.domain.shared.quotas import QUOTAS, Quotas

    return Quotas(**{quota: chosen[f"quota_{quota}"] or None for quota in QUOTAS})


def _number(option: str, default: int, told: str) -> Callable[[F], F]:
    kind = click.IntRange(0, _NUMBER_MAX)
    return click.option(option, type=kind, default=default, show_default=True, help=told)


def _networks(
    _context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]
) -> "tuple[Network, ...]":
    try:
        return tuple(ip_network(one) for one in given)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
