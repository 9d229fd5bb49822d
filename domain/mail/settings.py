"""What an operator has configured for mail. Commands carry it, so that rules read no options."""

from typing import Literal, TypeAlias, get_args

from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import MILLISECONDS_PER_DAY, Timestamp

Tier: TypeAlias = Literal["provisional", "active", "trusted"]
TIERS: tuple[Tier, ...] = get_args(Tier)
TIER_DEFAULT: Tier = "active"


@record
class SendingLimit:
    """How many messages an agent may send in an hour and in a day of UTC."""

    hourly: int
    daily: int


@record
class SendingLimits:
    """The limits of each tier."""

    provisional: SendingLimit = SendingLimit(hourly=100, daily=500)
    active: SendingLimit = SendingLimit(hourly=1_000, daily=10_000)
    trusted: SendingLimit = SendingLimit(hourly=10_000, daily=100_000)

    def of(self, tier: Tier) -> SendingLimit:
        limit: SendingLimit = getattr(self, tier)
        return limit


LIMITS_DEFAULT = SendingLimits()


@record
class RetryPolicy:
    """When delivery is attempted again after a temporary failure, and when that ends."""

    seconds_min: float = 60.0
    seconds_max: float = 3_600.0
    hours: float = 24.0


@record
class MailSettings:
    """The settings for one tenant.

    * ``domain``: the tenant's mail domain.
    * ``has_relay``: whether an SMTP relay is configured; without one, mail to people is held.
    * ``ack_minutes``: how long an acknowledgement may take before the recipient is reminded.
    * ``retention_days``: when a body is erased; 0 keeps it.
    """

    domain: str
    has_relay: bool = False
    limits: SendingLimits = LIMITS_DEFAULT
    ack_minutes: float = 30.0
    retention_days: float = 0.0

    def erase_at(self, sent_at: Timestamp) -> Timestamp | None:
        """Return when the body of a message is erased; None if it is kept."""
        if not self.retention_days:
            return None
        return Timestamp(sent_at + round(self.retention_days * MILLISECONDS_PER_DAY))
