"""Replay a log into rows, keeping in memory only what later events can still change.

* The state is the domain's ``TenantState``, one per tenant, and each event goes through the same
  ``apply`` as in the transaction that appended it. The rules exist once.
* An instance that can never change again (an ended lease, a closed proposal) is written once and
  dropped from memory.
"""

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from sqlalchemy import Table

from quorate.domain.registry import NOTIFYING_EVENTS, new_state, recipients_of
from quorate.domain.shared.state import TenantState
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.serialization import UnknownEvent, event_of, upcast_data
from quorate.eventlog.tables import events
from quorate.projections.metadata import Values, metadata
from quorate.projections.registry import READ_MODELS
from quorate.projections.repository import TableRows

RowsOf: TypeAlias = dict[Table, list[Values]]
# The columns of a recorded event that a replay needs, in this order.
ReplayRow: TypeAlias = tuple[int, str, int, str, int, Timestamp, str, str]
REPLAY_COLUMNS = (
    *(events.c.position, events.c.tenant, events.c.sequence),
    *(events.c.type, events.c.version, events.c.at, events.c.actor, events.c.data),
)


def replay_row(event: RecordedEvent) -> ReplayRow:
    """Return the same columns of an event from an archive file."""
    return (
        *(event.position, event.tenant, event.sequence),
        *(event.type, event.version, event.at, event.actor, event.data.decode()),
    )


class ReplayFailed(Exception):
    """An event does not follow from those before it, or a newer version of Quorate wrote it."""


class Replay:
    """The state of all tenants after the events applied so far."""

    def __init__(self) -> None:
        self._states: dict[str, TenantState] = {}

    def apply(self, page: Iterable[ReplayRow]) -> None:
        """Apply events in the order of the log; raise ReplayFailed."""
        states, notifying = self._states, NOTIFYING_EVENTS
        position, type_ = 0, ""
        try:
            with _without_cycle_collection():
                for position, tenant, sequence, type_, version, at, actor, data in page:  # noqa: B007
                    state = states.get(tenant)
                    if state is None:
                        state = states[tenant] = new_state()
                    public = upcast_data(type_, version, data)
                    state.apply(event_of(type_, public), at)
                    state.usage.add(actor, len(data.encode()), at)
                    if type_ in notifying:
                        state.note_notified(recipients_of(type_, public), sequence)
        except UnknownEvent as error:
            raise ReplayFailed(f"position {position}: {error}") from error
        except (AssertionError, LookupError, TypeError, ValueError) as error:
            why = f"position {position}: {type_} does not follow from the events before it"
            raise ReplayFailed(why) from error

    def final_rows(self) -> RowsOf:
        """Return the rows that no later event can change, and drop their instances from memory."""
        found = _no_rows()
        for tenant, state in self._states.items():
            for model in READ_MODELS:
                _add(found, model.final(tenant, state))
            state.clear_changes()
        return found

    def remaining_rows(self) -> RowsOf:
        """Return the rows of all instances that are still in memory."""
        found = _no_rows()
        for tenant, state in self._states.items():
            for model in READ_MODELS:
                _add(found, model.all(tenant, state))
        return found


def _no_rows() -> RowsOf:
    return {table: [] for table in metadata.sorted_tables}


def _add(found: RowsOf, more: TableRows) -> None:
    for table, rows in more:
        found[table] += rows


@contextmanager
def _without_cycle_collection() -> Iterator[None]:
    """A replay makes no reference cycles; the search for them takes a sixth of its time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
