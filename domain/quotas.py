"""How many of each thing a tenant may have, decided where the next one would come to be.

* Only what would be one more is refused: what is there stays, is renewed and ends as ever, also
  when the limit was lowered below it.
* A tenant's counts follow from its log alone. They are read in the transaction that adds to them,
  so the limit holds to the last one, whichever replica decides.
* The limits are what an operator has set today. They are handed in and never recorded, so a log
  can be replayed without knowing them. They bind tenants, not operators.
* A lease or a request counts until its end is recorded, at most a second after its time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias, get_args

from quorate.domain.record import record
from quorate.domain.refusal import Conflict

if TYPE_CHECKING:
    from quorate.domain.situation import Moment, Situation

Quota: TypeAlias = Literal["agents", "live_leases", "open_requests", "keys"]
QUOTAS: tuple[Quota, ...] = get_args(Quota)
Counts: TypeAlias = Mapping[Quota, int]


@record
class Quotas:
    """None: as many as one likes. Agents count by their names, keys until they are revoked."""

    agents: int | None = None
    live_leases: int | None = None
    open_requests: int | None = None
    keys: int | None = None


UNLIMITED = Quotas()


@dataclass(eq=False)
class QuotaExceeded(Conflict):
    """The tenant has ``limit`` of these, and may have no more."""

    code: ClassVar[str] = "quota_exceeded"
    quota: Quota
    limit: int


def check(quota: Quota, situation: "Situation", moment: "Moment") -> None:
    """One more is about to come to be; raises QuotaExceeded."""
    limit: int | None = getattr(moment.quotas, quota)
    if limit is not None and situation.counts.get(quota, 0) >= limit:
        raise QuotaExceeded(quota, limit)
