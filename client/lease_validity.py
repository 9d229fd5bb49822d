"""Until when an agent may believe in what it was granted, by its own clock. No I/O.

The service grants for a duration that begins when it decides; the agent counts it from the moment
in which it *began to ask*, which is never later, and takes DRIFT off for clocks that differ in
speed. So the agent stops believing before the service lets anyone else in, however long the
answer took and whatever the clocks say.

* A lease depends on its agent: when the agent's heartbeats stop for longer than the window, the
  service ends all its leases. So a ``Tenure`` ends no later than its agent's ``Standing``.
* Lost once is lost for good. An agent that is active again has other leases, or none: a process
  that was stopped and goes on finds its old tenures ended, whatever it hears next.
"""

from typing import Literal, TypeAlias

from quorate.client.clock import Clock
from quorate.domain.identity.agents import HEARTBEATS_PER_WINDOW_MAX

DRIFT_SHARE = 0.01
DRIFT_SECONDS = 0.05

Reason: TypeAlias = Literal[
    "expired",  # The service says that its time was over.
    "revoked",  # The service took it back.
    "released",  # Another process of the same agent gave it back.
    "unreachable",  # No renewal was confirmed in time.
    "agent_inactive",  # No heartbeat was confirmed in time.
    "left",  # The agent has left.
]


def believed_until(asked_at: float, seconds: float) -> float:
    """The moment until which a grant of ``seconds``, asked for at ``asked_at``, surely lasts."""
    return asked_at + seconds * (1 - DRIFT_SHARE) - DRIFT_SECONDS


class AgentLiveness:
    """Until when the service surely takes the agent for active.

    ``epoch`` counts how often that was in doubt: what was granted in an earlier epoch is lost.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._asked_at = float("-inf")
        self.until = float("-inf")
        self.epoch = 0

    @property
    def active(self) -> bool:
        return self._clock() < self.until

    def denied(self) -> None:
        """The service says that the agent is not active."""
        self.until = float("-inf")

    def confirmed(self, asked_at: float, window_seconds: float) -> None:
        """The service answered a registration or heartbeat that was asked for at ``asked_at``.

        Heartbeats close together are one to the service, which then answers with the first of
        them: the answer may be older than the question by that much.
        """
        if not self.active:
            self.epoch += 1
        if asked_at >= self._asked_at:
            self._asked_at = asked_at
            answered_for = asked_at - window_seconds / HEARTBEATS_PER_WINDOW_MAX
            self.until = believed_until(answered_for, window_seconds)


class LeaseValidity:
    """Until when one lease is surely held; ``lost`` says why it is not any more."""

    def __init__(self, standing: AgentLiveness, clock: Clock, epoch: int) -> None:
        self._standing = standing
        self._clock = clock
        self._epoch = epoch
        self._granted_until = float("-inf")
        self.lost: Reason | None = None

    def granted(self, asked_at: float, seconds: float) -> None:
        """The service granted or renewed it; a renewal never shortens."""
        until = max(self._granted_until, believed_until(asked_at, seconds))
        if self._granted_until == float("-inf") or self.held:
            self._granted_until = until

    @property
    def until(self) -> float:
        return min(self._granted_until, self._standing.until)

    @property
    def held(self) -> bool:
        """Whether it is held at this moment; asks the clock, and never takes a loss back."""
        if self.lost is None:
            if self._epoch != self._standing.epoch or not self._standing.active:
                self.lost = "agent_inactive"
            elif self._clock() >= self._granted_until:
                self.lost = "unreachable"
        return self.lost is None

    @property
    def remaining_seconds(self) -> float:
        return max(0.0, self.until - self._clock()) if self.held else 0.0

    def lose(self, reason: Reason) -> None:
        """The first reason stands."""
        if self.lost is None:
            self.lost = reason
