"""Port: load the state that a transaction needs, and store what it changed.

The event log does not know what the state is made of. The composition root passes in the adapter
(``projections/state_store.py``).
"""

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias

from quorate.domain.shared.state import TenantState
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.transactions import DatabaseTransaction, Lookup

# What the commands of one batch read: by the name of the lookup, the tenants and their keys.
ReadKeys: TypeAlias = Mapping[str, Mapping[tuple[str, ...], None]]


class StateStore(Protocol):
    def lookups(self, states: Mapping[str, TenantState], reads: ReadKeys) -> Sequence[Lookup]:
        """Return the lookups that fill the state of each tenant with what is read."""

    def overdue_lookups(
        self, states: Mapping[str, TenantState], now: Timestamp
    ) -> Sequence[Lookup]:
        """Return the lookups of what overdue owners own, such as the leases of inactive agents."""

    async def save(
        self, transaction: DatabaseTransaction, states: Mapping[str, TenantState]
    ) -> None:
        """Store everything that changed, in bulk."""
