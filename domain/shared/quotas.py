"""How many of each thing a tenant may have, decided where more of it would come to be.

* Only what would be more is refused: what is there stays, is renewed and ends as ever, also when
  the limit was lowered below it.
* What a tenant has follows from its log alone. It is read in the transaction that adds to it, so
  the limit holds to the last one, whichever replica decides.
* The limits are what an operator has set today. They are handed in and never recorded, so a log
  can be replayed without knowing them. They bind tenants, not operators.
* A lease or a request counts until its end is recorded, at most a second after its time.
* The leases of one agent are limited beside those of its tenant because they end in one piece when
  it lapses: nobody else's command is decided meanwhile.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias, get_args

from quorate.domain.shared.errors import Conflict
from quorate.domain.shared.records import record

if TYPE_CHECKING:
    from quorate.domain.tenant_state import DecisionContext

# What is counted for a tenant as a whole, and all that is limited.
Counted: TypeAlias = Literal["agents", "live_leases", "open_requests", "keys", "settings_bytes"]
COUNTED: tuple[Counted, ...] = get_args(Counted)
Counts: TypeAlias = Mapping[Counted, int]
Quota: TypeAlias = Literal[Counted, "live_leases_per_agent"]
QUOTAS: tuple[Quota, ...] = get_args(Quota)


@record
class Quotas:
    """None: as many as one likes. Agents count by their names, keys until they are revoked."""

    agents: int | None = None
    live_leases: int | None = None
    open_requests: int | None = None
    keys: int | None = None
    settings_bytes: int | None = None  # Of all of a tenant's agents together.
    live_leases_per_agent: int | None = None


UNLIMITED = Quotas()


@dataclass(eq=False)
class QuotaExceeded(Conflict):
    """The tenant, or one of its agents, may have ``limit`` of these and no more."""

    code: ClassVar[str] = "quota_exceeded"
    quota: Quota
    limit: int


def check(quota: Quota, has: int, moment: "DecisionContext", *, more: int = 1) -> None:
    """So many more than there are now are about to come to be; raises QuotaExceeded."""
    limit: int | None = getattr(moment.quotas, quota)
    if limit is not None and more > 0 and has + more > limit:
        raise QuotaExceeded(quota, limit)
