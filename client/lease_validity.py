"""How long a grant of the service is valid, by the agent's own clock. No I/O.

The service grants for a duration that begins with its decision. The agent counts the duration from
the moment at which it *began to send* the request, which is never later. It subtracts DRIFT_SHARE
and DRIFT_SECONDS for clocks of different speed. So the agent stops relying on a grant before the
service gives the contact to another agent. Delays of responses and wall clocks do not matter.

Guarantees:

* A lease depends on its agent: when the agent times out, the service ends all its leases. So a
  ``LeaseValidity`` ends no later than the ``AgentLiveness`` of its agent.
* A loss is final. An agent that becomes active again has other leases, or none. A process that was
  suspended finds its earlier leases lost when it resumes, whatever response arrives next.
"""

from typing import Literal, TypeAlias

from quorate.client.clock import Clock
from quorate.domain.identity.agents import HEARTBEATS_PER_WINDOW_MAX

DRIFT_SHARE = 0.01
DRIFT_SECONDS = 0.05
SECONDS_PER_MINUTE = 60.0

LossReason: TypeAlias = Literal[
    "expired",  # The service reports that the lease has expired.
    "revoked",  # The service revoked the lease.
    "released",  # Another process of the same agent released it.
    "unreachable",  # No renewal was confirmed in time.
    "agent_inactive",  # No heartbeat was confirmed in time.
    "left",  # The agent has disconnected.
]
LOSS_REASONS_BY_STATUS: dict[str, LossReason] = {  # By the status of an ended lease.
    "released": "released",
    "expired": "expired",
    "revoked": "revoked",
}


def valid_until(sent_at: float, seconds: float) -> float:
    """Return the time until which a grant is certainly valid.

    ``sent_at`` is when the request for a grant of ``seconds`` was sent, by the agent's clock.
    """
    return sent_at + seconds * (1 - DRIFT_SHARE) - DRIFT_SECONDS


class AgentLiveness:
    """Until when the agent is guaranteed to be considered active by the service.

    ``epoch`` counts how often that guarantee began. A lease that was granted in an earlier epoch is
    lost.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last_sent_at = float("-inf")
        self.until = float("-inf")
        self.epoch = 0

    @property
    def is_active(self) -> bool:
        return self._clock() < self.until

    def mark_inactive(self) -> None:
        """Record that the service considers the agent inactive."""
        self.until = float("-inf")

    def confirm(self, sent_at: float, window_seconds: float) -> None:
        """Record the response to a registration or heartbeat that was sent at ``sent_at``.

        The service combines heartbeats that are close together and responds with the first of
        them. So its response may be about a heartbeat that is older by that interval.
        """
        if not self.is_active:
            self.epoch += 1
        if sent_at >= self._last_sent_at:
            self._last_sent_at = sent_at
            counted_from = sent_at - window_seconds / HEARTBEATS_PER_WINDOW_MAX
            self.until = valid_until(counted_from, window_seconds)


class LeaseValidity:
    """Until when one lease is guaranteed to be held; ``loss_reason`` is None while it is."""

    def __init__(self, liveness: AgentLiveness, clock: Clock, epoch: int) -> None:
        self._liveness = liveness
        self._clock = clock
        self._epoch = epoch
        self._granted_until = float("-inf")
        self.loss_reason: LossReason | None = None

    def extend(self, sent_at: float, seconds: float) -> None:
        """Record a grant or a renewal. A renewal never shortens, and never revives a lost lease."""
        until = max(self._granted_until, valid_until(sent_at, seconds))
        if self._granted_until == float("-inf") or self.is_held:
            self._granted_until = until

    @property
    def until(self) -> float:
        return min(self._granted_until, self._liveness.until)

    @property
    def is_held(self) -> bool:
        """Whether the lease is held now, by the clock. A loss that was seen once is final."""
        if self.loss_reason is None:
            if self._epoch != self._liveness.epoch or not self._liveness.is_active:
                self.loss_reason = "agent_inactive"
            elif self._clock() >= self._granted_until:
                self.loss_reason = "unreachable"
        return self.loss_reason is None

    @property
    def needs_release(self) -> bool:
        """Whether neither the service has ended the lease nor the agent releases all its leases."""
        return self.loss_reason not in {*LOSS_REASONS_BY_STATUS, "left"}

    @property
    def remaining_seconds(self) -> float:
        return max(0.0, self.until - self._clock()) if self.is_held else 0.0

    def mark_lost(self, reason: LossReason) -> None:
        """Record the loss of the lease. The first reason is kept."""
        if self.loss_reason is None:
            self.loss_reason = reason
