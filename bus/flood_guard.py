"""Bound the messages that one agent may send over NATS, whether they are accepted or rejected.

A rejected command costs the service nearly as much as an accepted one. The rate limits alone
therefore do not protect other agents from one that never stops sending.

* Every message of an agent counts at its first line, before its payload is kept or parsed
  (bus/command_parser.py). The bound is FACTOR times the agent's rate limit, and BYTES_PER_SECOND.
* An agent that was rejected too often for its speed gets no more responses for a moment: beyond
  REJECTIONS_PER_SECOND its messages are dropped. The service thus reads a flood much faster than it
  could reject it, and sees that the bound is exceeded.
* An agent above the bound floods: its messages are dropped for BLOCKED_SECONDS, without responses.
  ``on_flood`` disconnects it (bus/service.py), and again each REPEAT_SECONDS while messages arrive.
* The messages of a tenant are bounded too. Above that bound each message is dropped, and counts
  TENANT_FACTOR times against the bound of its agent. Agents that send most are thus disconnected.
* Each process counts separately, as the rate limits do.
"""

import time
from collections.abc import Callable
from typing import TypeAlias, TypeVar

from prometheus_client import CollectorRegistry, Counter

from quorate.application.rate_limiter import UNBOUNDED, Rates
from quorate.bus.command_parser import Verdict
from quorate.contracts.operations import BODY_BYTES_MAX
from quorate.domain.shared.records import record
from quorate.runtime.log_throttle import ThrottledWarning

FACTOR = 2  # An agent that sends up to twice its rate limit only gets rejections.
# Lower bounds are no protection: so few rejections cost nothing.
MESSAGES_PER_SECOND_MIN = 1_000.0
BURST_MIN = 2_000.0
BYTES_PER_SECOND = 8 * 1024 * 1024
BURST_BYTES = 4 * 1024 * 1024
# Parsing is what a large payload costs most. A part of these bounds is enough for payloads that are
# parsed; a command beyond it is rejected without its payload.
PAYLOADS_SHARE = 1 / 4
TENANT_BYTES_FACTOR = 4
TENANT_FACTOR = 4
BLOCKED_SECONDS = 30.0
REPEAT_SECONDS = 1.0
REJECTIONS_PER_SECOND = 500
REJECTIONS_BURST = 256
SENDERS_MAX = 65_536
TOLERANCE_SECONDS = 1e-6  # Absorbs rounding errors of floating-point times.

FLOOD, OVER_RATE, TENANT = REASONS = ("flood", "over_rate", "tenant")
# Gets the tenant and the agent that floods, and the seconds for which it stays blocked.
OnFlood: TypeAlias = Callable[[str, str, float], None]

HEADERS_BYTES_MAX = 16 * 1024

_dropped = ThrottledWarning("nats.messages_dropped")


@record
class Bound:
    """What one sender may send: messages per second (0 for any number) and bytes per second."""

    rate: float
    burst: float
    bytes_factor: int = 1


class Usage:
    """How far a sender is ahead of a bound, as the times at which it would be level with it."""

    __slots__ = (
        *("blocked_until", "bytes_until", "messages_until"),
        *("rejections_until", "reported_at"),
    )

    def __init__(self) -> None:
        self.messages_until = self.bytes_until = self.rejections_until = 0.0
        self.blocked_until = 0.0
        self.reported_at = -REPEAT_SECONDS

    def omits_payload(self, now: float) -> bool:
        """Return whether a payload beyond the sender's share of bytes is not read."""
        return self.bytes_until - now > PAYLOADS_SHARE * BURST_BYTES / BYTES_PER_SECOND

    def add(self, bound: Bound, count: int, size: int, now: float) -> bool:
        """Count messages; return whether the sender is within the bound."""
        bytes_per_second = BYTES_PER_SECOND * bound.bytes_factor
        self.bytes_until = max(self.bytes_until, now) + size / bytes_per_second
        if self.bytes_until - now > BURST_BYTES / BYTES_PER_SECOND:
            return False
        if not bound.rate:
            return True
        self.messages_until = max(self.messages_until, now) + count / bound.rate
        return self.messages_until - now <= bound.burst / bound.rate + TOLERANCE_SECONDS

    def add_rejection(self, now: float) -> None:
        self.rejections_until = max(self.rejections_until, now) + 1 / REJECTIONS_PER_SECOND

    def gets_responses(self, now: float) -> bool:
        return (
            self.rejections_until - now + TOLERANCE_SECONDS
            < REJECTIONS_BURST / REJECTIONS_PER_SECOND
        )

    def is_idle(self, now: float) -> bool:
        times = self.messages_until, self.bytes_until, self.rejections_until, self.blocked_until
        return max(times) <= now


class FloodGuard:
    """Decides for each message whether it is read; ``CommandParser`` asks it."""

    payload_bytes_max = BODY_BYTES_MAX
    headers_bytes_max = HEADERS_BYTES_MAX

    def __init__(
        self,
        rates: Rates = UNBOUNDED,
        *,
        on_flood: OnFlood,
        registry: CollectorRegistry | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._agent_bound = bound_of(rates.per_key, rates.burst_per_key)
        self._tenant_bound = bound_of(
            rates.per_tenant, rates.burst_per_tenant, bytes_factor=TENANT_BYTES_FACTOR
        )
        self._on_flood = on_flood
        self._monotonic = monotonic
        self._agents: dict[tuple[bytes, bytes], Usage] = {}
        self._tenants: dict[bytes, Usage] = {}
        dropped = Counter(
            "quorate_nats_messages_dropped",
            "Messages over NATS that were dropped without a response, by reason.",
            ("reason",),
            registry=registry,
        )
        self._counters = {reason: dropped.labels(reason) for reason in REASONS}
        self._dropped = dict.fromkeys(self._counters, 0)

    def judge(self, subject: bytes, size: int) -> Verdict:
        """Count a message by its subject and its size in bytes, and decide what becomes of it."""
        agent, now, reason = self._count(subject, size, 1)
        if reason is not None:
            return Verdict.DROP
        return Verdict.OMIT if agent.omits_payload(now) else Verdict.PASS

    def drop(self, subject: bytes, size: int, count: int) -> None:
        """Count messages that follow a dropped one of the same sender, of ``size`` bytes in all."""
        self._count(subject, size, count, reason=OVER_RATE)

    def _count(
        self, subject: bytes, size: int, count: int, reason: str | None = None
    ) -> tuple[Usage, float, str | None]:
        """Return the usage of the agent, the time, and the reason to drop the messages, if any."""
        _, tenant, _, agent_id, _ = subject.split(b".", 4)
        now = self._monotonic()
        agent = _usage_of(self._agents, (tenant, agent_id), now)
        if agent.blocked_until <= now:
            tenant_usage = _usage_of(self._tenants, tenant, now)
            weight = 1
            if not tenant_usage.add(self._tenant_bound, count, size, now):
                weight, reason = TENANT_FACTOR, TENANT
            elif not agent.gets_responses(now):
                reason = OVER_RATE
            if not agent.add(self._agent_bound, weight * count, weight * size, now):
                agent.blocked_until = now + BLOCKED_SECONDS
        if agent.blocked_until > now:
            reason = FLOOD
            if now - agent.reported_at >= REPEAT_SECONDS:
                agent.reported_at = now
                self._on_flood(tenant.decode(), agent_id.decode(), agent.blocked_until - now)
        elif reason is not None:
            _dropped.warn(tenant=tenant.decode(), agent_id=agent_id.decode(), reason=reason)
        if reason is not None:
            self._dropped[reason] += count
        return agent, now, reason

    def record_rejection(self, tenant: str, agent_id: str) -> None:
        """Count a command that was rejected because its agent sends too many."""
        usage = self._agents.get((tenant.encode(), agent_id.encode()))
        if usage is not None:
            usage.add_rejection(self._monotonic())

    def end_turn(self) -> None:
        """Add what was dropped to the metrics, once for each part of the stream."""
        for reason, count in self._dropped.items():
            if count:
                self._counters[reason].inc(count)
                self._dropped[reason] = 0


def bound_of(rate: float, burst: float, *, bytes_factor: int = 1) -> Bound:
    """Return the bound of a caller with this rate limit; a rate of 0 means no limit."""
    if not rate:
        return Bound(rate=0.0, burst=0.0, bytes_factor=bytes_factor)
    bounded = max(FACTOR * rate, MESSAGES_PER_SECOND_MIN)
    return Bound(rate=bounded, burst=max(burst, BURST_MIN), bytes_factor=bytes_factor)


K = TypeVar("K")


def _usage_of(usages: dict[K, Usage], name: K, now: float) -> Usage:
    usage = usages.get(name)
    if usage is None:
        if len(usages) >= SENDERS_MAX:
            for idle in [each for each, usage in usages.items() if usage.is_idle(now)]:
                del usages[idle]
        usage = Usage()
        if len(usages) < SENDERS_MAX:
            usages[name] = usage
    return usage
