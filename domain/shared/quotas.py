"""Quotas: limit what a tenant may have, checked by the command that would add to it.

* Only what would be added is rejected. What exists stays, is renewed and ends as usual, also when
  the limit was lowered below it.
* The counts follow from the log alone. They are read in the transaction that adds to them, so the
  limit is exact, whichever replica decides.
* The limits are what the operator has configured now, or has set for the tenant. They are passed
  in, so a log can be replayed without them. They bind tenants, not operators.
* A lease or a proposal counts until its end is recorded, at most a second after its time.
* The leases of one agent are limited as well as those of its tenant: they end in one transaction
  when the agent times out, and no other command is decided meanwhile.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from quorate.domain.shared.aggregates import Read
from quorate.domain.shared.errors import LimitReached
from quorate.domain.shared.records import changed, record

# The counters that aggregates declare for a tenant as a whole, and everything that is limited.
Counted: TypeAlias = Literal[
    "agents",
    "live_leases",
    "open_requests",
    "keys",
    "settings_bytes",
    "mailbox_bytes",
    "session_bytes",
]
COUNTED: tuple[Counted, ...] = get_args(Counted)
Counts: TypeAlias = Mapping[Counted, int]
# The counters that aggregates declare for one owner.
Owned: TypeAlias = Literal["live_leases", "open_tasks"]
OWNED: tuple[Owned, ...] = get_args(Owned)
Daily: TypeAlias = Literal[
    "events_per_day", "bytes_per_day", "events_per_day_per_agent", "bytes_per_day_per_agent"
]
Quota: TypeAlias = Literal[
    Counted, "live_leases_per_agent", "mailbox_bytes_per_agent", "open_tasks_per_agent", Daily
]
QUOTAS: tuple[Quota, ...] = get_args(Quota)
# Reads of a tenant's counts, and of one agent's leases and open tasks (owned_count.id and
# owned_count.name, open_task_count.id and open_task_count.name).
COUNTS: Read = ("counts",)
OWNED_COUNT = "owned_count"
OPEN_TASK_COUNT = "open_task_count"


@record
class Quotas:
    """None is unlimited. Agents count by their names, keys until they are revoked."""

    agents: int | None = None
    live_leases: int | None = None
    open_requests: int | None = None
    keys: int | None = None
    settings_bytes: int | None = None  # Of all agents of a tenant together.
    mailbox_bytes: int | None = None  # Of all bodies of a tenant, each once.
    session_bytes: int | None = None  # Of all sessions, their messages and values.
    live_leases_per_agent: int | None = None
    mailbox_bytes_per_agent: int | None = None  # Of the messages that an agent received.
    open_tasks_per_agent: int | None = None  # Those that it submitted and that have not ended.
    events_per_day: int | None = None  # See domain/shared/daily_quotas.py.
    bytes_per_day: int | None = None
    events_per_day_per_agent: int | None = None
    bytes_per_day_per_agent: int | None = None


UNLIMITED = Quotas()


@dataclass(eq=False)
class QuotaExceeded(LimitReached):
    """The tenant, or one of its agents, has reached ``limit``."""

    code, title = "quota_exceeded", "Quota exceeded"
    reason = "{quota} is limited to {limit}"
    quota: Quota
    limit: int


def check(quota: Quota, count: int, quotas: Quotas, *, more: int = 1) -> None:
    """Raise QuotaExceeded if ``more`` than the present ``count`` would be over the limit."""
    limit: int | None = getattr(quotas, quota)
    if limit is not None and more > 0 and count + more > limit:
        raise QuotaExceeded(quota, limit)


def with_limits(quotas: Quotas, limits: Quotas) -> Quotas:
    """Return the quotas with the limits that the operator set for one tenant; 0 is unlimited."""
    own = {
        quota: limit or None for quota in QUOTAS if (limit := getattr(limits, quota)) is not None
    }
    return changed(quotas, **own) if own else quotas
