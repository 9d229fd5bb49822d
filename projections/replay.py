"""A whole log folded into rows, with no more in memory than what may still change.

The state is the domain's own ``Situation``, one per tenant, and each event goes through the same
``apply`` as in the transaction that appended it: there is no second implementation of the rules.
What can never change again (an ended lease, a closed request) is written once and forgotten.
"""

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from sqlalchemy import Table

from quorate.domain.notifications import NOTICED_TYPES, concerned
from quorate.domain.shared.timestamps import Timestamp
from quorate.domain.tenant_state import TenantState, Touched
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.serialization import UnknownEvent, event_of, lifted
from quorate.eventlog.tables import events
from quorate.projections import rows, tables

RowsOf: TypeAlias = dict[Table, list[rows.Values]]
# What the fold needs of a recorded event, and where in the table it stands.
Folded: TypeAlias = tuple[int, str, int, str, int, Timestamp, str]
FOLDED = (
    *(events.c.position, events.c.tenant, events.c.sequence),
    *(events.c.type, events.c.version, events.c.at, events.c.data),
)


def folded(event: RecordedEvent) -> Folded:
    """The same of an event that was not read from the table."""
    data = event.data.decode()
    return (
        *(event.position, event.tenant, event.sequence),
        *(event.type, event.version, event.at, data),
    )


class Unfoldable(Exception):
    """An event that does not follow from those before it, or that a newer Quorate wrote."""


class Replay:
    """The state of all tenants after the events applied so far."""

    def __init__(self) -> None:
        self._situations: dict[str, TenantState] = {}

    def apply(self, page: Iterable[Folded]) -> None:
        """Apply events in the order of the log; raises Unfoldable."""
        tenant_states = self._situations
        position, type_ = 0, ""
        try:
            with _without_pauses():
                for position, tenant, sequence, type_, version, at, data in page:  # noqa: B007
                    tenant_state = tenant_states.get(tenant)
                    if tenant_state is None:
                        tenant_state = tenant_states[tenant] = TenantState()
                    said = lifted(type_, version, data)
                    tenant_state.apply(event_of(type_, said), at)
                    if type_ in NOTICED_TYPES:
                        tenant_state.tell(concerned(type_, said), sequence)
        except UnknownEvent as error:
            raise Unfoldable(f"position {position}: {error}") from error
        except (AssertionError, LookupError, TypeError, ValueError) as error:
            why = f"position {position}: {type_} does not follow from the events before it"
            raise Unfoldable(why) from error

    def settled(self) -> RowsOf:
        """The rows that no later event can change; they are forgotten here."""
        settled = _no_rows()
        for tenant, tenant_state in self._situations.items():
            for lease_id in tenant_state.touched.leases:
                if tenant_state.leases[lease_id].status != "active":
                    lease = tenant_state.leases.pop(lease_id)
                    settled[tables.leases].append(rows.lease_row(tenant, lease))
            for request_id in tenant_state.touched.requests:
                if tenant_state.requests[request_id].status != "pending":
                    _add_request(settled, tenant, tenant_state, request_id)
                    del tenant_state.requests[request_id]
            _add_notifications(settled, tenant, tenant_state)
            tenant_state.touched = Touched()
        return settled

    def rest(self) -> RowsOf:
        """The rows of all that is still remembered."""
        rest = _no_rows()
        for tenant, tenant_state in self._situations.items():
            if tenant_state.tenant is not None:
                rest[tables.tenants].append(rows.tenant_row(tenant_state.tenant))
            rest[tables.agents] += [
                rows.agent_row(tenant, one) for one in tenant_state.agents.values()
            ]
            rest[tables.leases] += [
                rows.lease_row(tenant, one) for one in tenant_state.leases.values()
            ]
            rest[tables.keys] += [rows.key_row(tenant, one) for one in tenant_state.keys.values()]
            rest[tables.configs] += [
                rows.config_row(tenant, agent_id, one)
                for agent_id, one in tenant_state.settings.items()
            ]
            rest[tables.holdings] += [
                rows.holding_row(tenant, one) for one in tenant_state.holdings.items()
            ]
            if tenant_state.counts:
                rest[tables.counts].append(rows.counts_row(tenant, tenant_state.counts))
            for request_id in tenant_state.requests:
                _add_request(rest, tenant, tenant_state, request_id)
            _add_notifications(rest, tenant, tenant_state)
        return rest


def _no_rows() -> RowsOf:
    return {table: [] for table in tables.metadata.sorted_tables}


def _add_notifications(found: RowsOf, tenant: str, tenant_state: TenantState) -> None:
    """Those since the last time: nobody can be untold of anything."""
    found[tables.notices] += [
        rows.notification_row(tenant, one) for one in tenant_state.touched.notifications
    ]


def _add_request(found: RowsOf, tenant: str, tenant_state: TenantState, request_id: str) -> None:
    request = tenant_state.requests[request_id]
    found[tables.requests].append(rows.request_row(tenant, request))
    found[tables.votes] += [rows.vote_row(tenant, vote) for vote in request.votes.values()]


@contextmanager
def _without_pauses() -> Iterator[None]:
    """Nothing in a fold refers back to itself; looking for cycles takes a sixth of its time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
