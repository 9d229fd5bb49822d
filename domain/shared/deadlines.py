"""Record passed deadlines: expired leases, agents that timed out, expired proposals.

* Before a command is decided, the passed deadlines of the instances that it reads are recorded. The
  deadline scheduler and a command therefore record the same events, each at most once.
* Events are recorded in the order in which they fell due. A lease that expired before its holder
  timed out has expired; a lease that was still valid then is revoked.
* An instance with an overdue owner ends by its own deadline only if that is not later than the
  owner's. Otherwise the owner's event decides (``Aggregate.reacts_to``).
"""

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from quorate.domain.shared.aggregates import ID, Aggregate, Event, Reads
from quorate.domain.shared.records import record
from quorate.domain.shared.state import DecisionContext, TenantState
from quorate.domain.shared.timestamps import Timestamp

# When it fell due; its rank at that instant; its id; the events.
Due: TypeAlias = tuple[Timestamp, int, str, list[Event]]
Named: TypeAlias = tuple[Aggregate[Any], Any]


@record
class RecordDue:
    """Record what is due of one instance: the command of the deadline scheduler."""

    aggregate: str
    id: str

    def reads(self) -> Reads:
        return ((f"{self.aggregate}.{ID}", self.id),)

    def decide(self, _state: TenantState, _context: DecisionContext) -> Sequence[Event]:
        return ()  # What is due is recorded before every decision.

    def result(self, _state: TenantState, _events: Sequence[Event]) -> None:
        return None


def due_events(reads: Reads, state: TenantState, now: Timestamp) -> list[Event]:
    """Return the events that are due among the instances that are read, the earliest first."""
    due = [one for one in _named(reads, state) if _has_passed(one, now)]
    return _in_order(due, state, now) if due else []


def _named(reads: Reads, state: TenantState) -> Iterator[Named]:
    """Yield the instances that are read, and their owners; an instance may occur twice."""
    for read in reads:
        if (found := state.find(read)) is None:
            continue
        yield found
        if (owner := _owner_of(found, state)) is not None:
            yield owner


def _owner_of(named: Named, state: TenantState) -> Named | None:
    aggregate, instance = named
    if (owner := aggregate.owner) is None or (owner_id := owner.id_of(instance)) is None:
        return None
    owning = state[owner.aggregate].get(owner_id)
    return None if owning is None else (owner.aggregate, owning)


def _has_passed(named: Named, now: Timestamp) -> bool:
    aggregate, instance = named
    return aggregate.deadline is not None and aggregate.deadline.has_passed(instance, now)


def _in_order(due: list[Named], state: TenantState, now: Timestamp) -> list[Event]:
    owned = [
        (aggregate, instance)
        for owner, owning in due
        for aggregate in state.owned_aggregates(owner)
        for instance in state[aggregate].owned_by(owning.id)
        if _has_passed((aggregate, instance), now)
    ]
    found: dict[tuple[str, str], Due] = {}
    for aggregate, instance in (*due, *owned):
        deadline = aggregate.deadline
        assert deadline is not None
        at = deadline.at(instance)
        owner = _owner_of((aggregate, instance), state)
        if owner is not None and _has_passed(owner, now) and at > _deadline_of(owner):
            continue  # The owner's event ends it.
        events: list[Event] = []
        for event in deadline.events(instance):
            events += (event, *state.reactions_to(event))
        found[aggregate.name, instance.id] = (at, deadline.rank, instance.id, events)
    ordered = sorted(found.values(), key=lambda one: one[:3])
    return [event for *_, events in ordered for event in events]


def _deadline_of(named: Named) -> Timestamp:
    aggregate, instance = named
    assert aggregate.deadline is not None
    return aggregate.deadline.at(instance)
