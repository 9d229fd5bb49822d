"""Why a call brought no answer that can be used.

* CallFailed       the service declined, or what answered is not Quorate
  - Unauthorized     the key is missing, wrong, revoked, or not allowed to do this
  - NotFound         there is nothing at this address for this key
  - Conflicted       the key may do this, but not now: the present state says no
  - Unavailable      nobody answered in time, or the service cannot serve now: try again later

What the service itself declined, with a code, is a ``Refused`` as well (client/rejections.py).

``LeaseLost`` is none of these: no call failed, but what was held is held no more.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quorate.client.lease_validity import Reason


class CallFailed(Exception):
    """Says in one sentence what went wrong."""


class Unauthorized(CallFailed):
    """Another key may help; trying again with this one does not."""


class NotFound(CallFailed):
    """Unknown and foreign are told apart nowhere."""


class Conflicted(CallFailed):
    """Ask again when the state has changed."""


class Unavailable(CallFailed):
    """Whether a command was taken is unknown; reading again is always safe.

    ``retry_after_seconds`` is how long the service asked to be left alone, if it did.
    """

    retry_after_seconds: float | None = None


class LeaseLost(Exception):
    """The lease that guarded a block is gone, or cannot be relied on any longer; stop acting.

    ``reason`` is ``expired``, ``revoked`` or ``released`` when the service said so;
    ``unreachable`` when no renewal was confirmed in time, ``agent_inactive`` when no heartbeat
    was, both by the agent's own clock; ``left`` when the agent itself has left.
    """

    def __init__(self, reason: "Reason", lease_id: str, contact_email: str, fence: int) -> None:
        super().__init__(reason, lease_id, contact_email, fence)
        self.reason = reason
        self.lease_id = lease_id
        self.contact_email = contact_email
        self.fence = fence

    def __str__(self) -> str:
        return f"the lease on {self.contact_email} is lost ({self.reason})"
