"""Daily quotas: limit the events and bytes that a tenant, or one agent, adds to the log in a day.

* A day is a day of UTC, by the times of the events. What was used follows from the log alone, so
  each replica and each replay counts the same.
* A command is rejected only if it would record events after a quota is used up. One command may
  therefore exceed the quota, by its own events.
* Urgent commands keep or free what exists: heartbeats, renewals and releases. They go on until the
  use is a quarter above the quota, so a full quota does not end the leases of an agent.
* The bytes of an event are those of its data, and EVENT_BYTES for everything else that it adds to
  the database, with a response kept for an idempotency key. Only a command that recorded an event
  has one, so these quotas limit the kept responses as well.
* Events count for the tenant and for the agent whose key caused them. Those of a tenant key, of an
  operator or of the service itself count for the tenant only.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from quorate.domain.shared.errors import LimitReached
from quorate.domain.shared.quotas import Daily, Quotas
from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import (
    MILLISECONDS_PER_DAY,
    MILLISECONDS_PER_SECOND,
    Timestamp,
)

# Measured with SQLite: events of acquisitions and releases, with 229 bytes of data, add 1,204 bytes
# each with a kept response, and 660 without one.
EVENT_BYTES = 1_000
URGENT_SHARE = 4  # Urgent commands may use one more part of so many.
USAGE = "daily_usage"  # The name of the lookup, whose keys are a tenant and an owner.
WHOLE_TENANT = ""  # The owner under which a tenant's own use is counted.
_AGENT_PREFIX = "agent_"  # Of the ids of agents; ids of keys have no underscore.


@record
class Usage:
    """What one owner added in one day; the day is counted from 1970."""

    day: int
    events: int
    bytes: int


@dataclass(eq=False)
class DailyQuotaExceeded(LimitReached):
    """The tenant, or one of its agents, has added ``limit`` in this day, which ends at a time."""

    code, title = "daily_quota_exceeded", "Daily quota exceeded"
    reason = "{quota} is limited to {limit} a day, which ends at {resets_at}"
    quota: Daily
    limit: int
    resets_at: Timestamp
    retry_after_seconds: int


class DailyUsage:
    """The use of a tenant and of its agents, as far as it is loaded, and whose use has changed."""

    __slots__ = ("_by_owner", "changed")

    def __init__(self) -> None:
        self._by_owner: dict[str, Usage] = {}
        self.changed: set[str] = set()

    def put(self, owner: str, usage: Usage) -> None:
        self._by_owner[owner] = usage

    def get(self, owner: str, at: Timestamp) -> Usage:
        """Return the use of an owner in the day of this time."""
        day = day_of(at)
        usage = self._by_owner.get(owner)
        if usage is None or usage.day != day:
            return Usage(day=day, events=0, bytes=0)
        return usage

    def items(self) -> Iterator[tuple[str, Usage]]:
        """Return the use of each owner in the last day in which it added something."""
        return iter(self._by_owner.items())

    def changes(self) -> Iterator[tuple[str, Usage]]:
        return ((owner, self._by_owner[owner]) for owner in self.changed)

    def add(self, actor: str, data_bytes: int, at: Timestamp) -> None:
        """Count one event that an actor caused."""
        size = data_bytes + EVENT_BYTES
        self._add(WHOLE_TENANT, size, at)
        if is_agent(actor):
            self._add(actor, size, at)

    def _add(self, owner: str, size: int, at: Timestamp) -> None:
        used = self.get(owner, at)
        self._by_owner[owner] = Usage(day=used.day, events=used.events + 1, bytes=used.bytes + size)
        self.changed.add(owner)


def day_of(at: Timestamp) -> int:
    return at // MILLISECONDS_PER_DAY


def end_of_day(at: Timestamp) -> Timestamp:
    return Timestamp((day_of(at) + 1) * MILLISECONDS_PER_DAY)


def is_agent(actor: str) -> bool:
    return actor.startswith(_AGENT_PREFIX)


def check(usage: DailyUsage, actor: str, quotas: Quotas, now: Timestamp, *, urgent: bool) -> None:
    """Raise DailyQuotaExceeded if the tenant or the acting agent has used up a daily quota."""
    tenant = usage.get(WHOLE_TENANT, now)
    used: tuple[tuple[Daily, int], ...] = (
        ("events_per_day", tenant.events),
        ("bytes_per_day", tenant.bytes),
    )
    if is_agent(actor):
        agent = usage.get(actor, now)
        used = (
            *used,
            ("events_per_day_per_agent", agent.events),
            ("bytes_per_day_per_agent", agent.bytes),
        )
    for quota, amount in used:
        limit: int | None = getattr(quotas, quota)
        if limit is not None and amount >= limit + (limit // URGENT_SHARE if urgent else 0):
            resets_at = end_of_day(now)
            wait_seconds = -((now - resets_at) // MILLISECONDS_PER_SECOND)
            raise DailyQuotaExceeded(quota, limit, resets_at, wait_seconds)
