"""The port by which the log reaches what readers see, without knowing what that is.

In the transaction that appends, the present state of everything a batch names is loaded, and
what the batch changed is saved. The composition root hands in who does it.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Protocol

from quorate.domain.commands import Names
from quorate.domain.shared.timestamps import Timestamp
from quorate.domain.tenant_state import TenantState
from quorate.eventlog.transactions import DatabaseTransaction, Lookup


class Wanted:
    """All that the commands of one batch name, for one tenant."""

    __slots__ = (
        "agent_names",
        "agents",
        "contacts",
        "counts",
        "electorate",
        "holdings",
        "holdings_by_name",
        "keys",
        "last_notifications",
        "last_notifications_by_name",
        "leases",
        "requests",
        "settings",
        "tenant",
        "votes",
        "votes_by_name",
    )

    def __init__(self) -> None:
        self.agents: set[str] = set()
        self.agent_names: set[str] = set()
        self.contacts: set[str] = set()
        self.holdings: set[str] = set()
        self.holdings_by_name: set[str] = set()
        self.last_notifications: set[str] = set()
        self.last_notifications_by_name: set[str] = set()
        self.leases: set[str] = set()
        self.requests: set[str] = set()
        self.settings: set[str] = set()
        self.keys: set[str] = set()
        self.votes: set[tuple[str, str]] = set()  # Request and voter.
        self.votes_by_name: set[tuple[str, str]] = set()
        self.tenant = False
        self.electorate = False
        self.counts = False

    def add(self, names: Names) -> None:
        self.agents.update(names.agents)
        self.agent_names.update(names.agent_names)
        self.contacts.update(names.contacts)
        self.leases.update(names.leases)
        self.requests.update(names.requests)
        self.settings.update(names.settings)
        self.keys.update(names.keys)
        self.tenant |= names.tenant
        self.electorate |= names.electorate
        self.counts |= names.counts
        self.votes.update(product(names.requests, names.agents))
        self.votes_by_name.update(product(names.requests, names.agent_names))
        if names.holdings:
            self.holdings.update(names.agents)
            self.holdings_by_name.update(names.agent_names)
        if names.last_notifications:
            self.last_notifications.update(names.agents)
            self.last_notifications_by_name.update(names.agent_names)


class Projections(Protocol):
    def looks(
        self, tenant_states: Mapping[str, TenantState], wanted: Mapping[str, Wanted]
    ) -> Sequence[Lookup]:
        """What to ask in order to fill the situation of each tenant with: what is wanted, the
        holders of those leases, every agent that counts as active where an electorate is, the
        last notification to everyone where the last one to anybody is, and what quotas count. The votes
        of a request come without their reasons, but for those of agents that are named with it.
        """

    def looks_for_what_lapses(
        self, tenant_states: Mapping[str, TenantState], now: Timestamp
    ) -> Sequence[Lookup]:
        """... and every live lease of those agents that are due to lapse: they end together."""

    async def save(
        self, session: DatabaseTransaction, tenant_states: Mapping[str, TenantState]
    ) -> None:
        """Write what was touched, in bulk."""
