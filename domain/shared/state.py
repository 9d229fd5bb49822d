"""The state that one tenant's commands are decided on.

* The same class is the working state of a transaction (filled with what its commands read) and the
  whole state of a tenant (replayed from its log).
* ``TenantState.apply`` is the only way in which it changes. It notes what changed, so that the
  caller that filled it knows what to store.
* No aggregate is known here by name: a ``Schema`` compiles their declarations.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from quorate.domain.shared.aggregates import ID, Aggregate, Event, Read, Reads
from quorate.domain.shared.daily_quotas import DailyUsage
from quorate.domain.shared.notifications import EVERYONE
from quorate.domain.shared.quotas import COUNTED, UNLIMITED, Owned, Quotas
from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp

S = TypeVar("S")
OwnedKey: TypeAlias = tuple[str, str]  # A counter of owners, and the owner's id.
_OF_TENANT: frozenset[str] = frozenset(COUNTED)


@record
class DecisionContext:
    """When a decision is made: the server's time, and the sequence that its first event has."""

    now: Timestamp
    sequence: int
    window: int  # How long a heartbeat is valid, in milliseconds.
    quotas: Quotas = UNLIMITED

    @property
    def active_until(self) -> Timestamp:
        return Timestamp(self.now + self.window)


class Command(Protocol):
    """A request of a caller. A command names its reads, decides, and returns a result."""

    def reads(self) -> Reads:
        """Name all that the decision depends on; it is loaded before."""

    def decide(self, state: "TenantState", context: DecisionContext) -> Sequence[Event]:
        """Return the events that follow; raise DomainError to reject. Changes nothing."""

    def result(self, state: "TenantState", events: Sequence[Event]) -> Any:  # noqa: ANN401 - its own.
        """Return the result, from the state after the events were applied."""


class RepeatableCommand(Command, Protocol):
    """A command whose response states a right in time, such as a lease.

    The response is stored under the idempotency key. When the request is repeated, ``repeat``
    decides whether the right still exists, at the time of the repetition.

    ``granted`` is what the stored response grants; its type is the command's own. What ``repeat``
    depends on besides ``reads``, the command names in ``reads_of_repeat(granted)``.
    """

    def repeat(
        self,
        granted: Any,  # noqa: ANN401 - its own.
        state: "TenantState",
        context: DecisionContext,
    ) -> Sequence[Event] | None:
        """Return None if the stored response is true, or the events of another decision.

        Without events, the response is the present result of the command. Raises DomainError when
        the right is over, or when there is none for another reason.
        """


# How an event changes an aggregate: what ``apply`` needs of it, in the order of its loop.
Applied: TypeAlias = tuple[
    Aggregate[Any],
    Callable[[Any], str | None],
    Callable[[Any, Any, Timestamp], Any],
    Callable[[Any], Any] | None,
    Callable[[Any], str | None] | None,
]


def _applied(
    aggregate: Aggregate[Any],
    id_of: Callable[[Any], str | None],
    evolve: Callable[[Any, Any, Timestamp], Any],
) -> Applied:
    depends = aggregate.indexes or aggregate.counters or aggregate.owner is not None
    phase_of = aggregate.phase_of if depends else _only_phase
    return (aggregate, id_of, evolve, phase_of, aggregate.part_of)


def _only_phase(_state: object) -> None:
    """Return the phase where nothing depends on the state."""


class Schema:
    """The declarations of all aggregates, compiled for dispatch."""

    def __init__(self, aggregates: Sequence[Aggregate[Any]]) -> None:
        self.effects: dict[type[Any], tuple[Applied, ...]] = {}
        self.stream_of: dict[type[Any], Callable[[Any], str]] = {}
        self.reactions: dict[type[Any], tuple[Callable[..., Sequence[Event]], ...]] = {}
        self.checks: dict[type[Any], Callable[[Any, int], None]] = {}
        self.erases: dict[type[Any], Callable[[Any], str]] = {}
        self.indexes: dict[str, tuple[Aggregate[Any], str]] = {}  # By the name of a read.
        self.owned: dict[Aggregate[Any], tuple[Aggregate[Any], ...]] = {}
        for aggregate in aggregates:
            self._add(aggregate)
        for aggregate in aggregates:
            for one in aggregate.follows:
                applied = _applied(aggregate, one.id_of, one.evolve)
                self.effects[one.event] = (*self.effects[one.event], applied)

    def _add(self, aggregate: Aggregate[Any]) -> None:
        for event in aggregate.events:
            self.stream_of[event] = aggregate.stream
            effects = []
            if aggregate.evolve is not None:
                effects.append(_applied(aggregate, aggregate.id_of, aggregate.evolve))
            effects += [
                _applied(one.aggregate, one.id_of, one.evolve)
                for one in aggregate.effects
                if one.event is event
            ]
            self.effects[event] = tuple(effects)
            if aggregate.check is not None:
                self.checks[event] = aggregate.check
        self.erases |= aggregate.erases
        for event, reaction in aggregate.reacts_to.items():
            self.reactions[event] = (*self.reactions.get(event, ()), reaction)
        for index in (ID, *aggregate.indexes):
            self.indexes[f"{aggregate.name}.{index}"] = (aggregate, index)
        if aggregate.owner is not None:
            owner = aggregate.owner.aggregate
            self.owned[owner] = (*self.owned.get(owner, ()), aggregate)


class Store(Generic[S]):
    """The loaded instances of one aggregate, and which of them changed."""

    __slots__ = ("_by", "_indexes", "_owned", "_owner_of", "by_id", "changed", "changed_parts")

    def __init__(self, aggregate: Aggregate[S]) -> None:
        self.by_id: dict[str, S] = {}
        self._by: dict[str, dict[str, str]] = {name: {} for name in aggregate.indexes}
        self._indexes = [(self._by[name], key_of) for name, key_of in aggregate.indexes.items()]
        self._owner_of = aggregate.owner.id_of if aggregate.owner is not None else None
        self._owned: dict[str, dict[str, None]] = {}
        self.changed: set[str] = set()
        self.changed_parts: set[tuple[str, str]] = set()  # Instance and part.

    def __getitem__(self, id_: str) -> S:
        return self.by_id[id_]

    def __contains__(self, id_: str) -> bool:
        return id_ in self.by_id

    def __iter__(self) -> Iterator[str]:
        return iter(self.by_id)

    def __len__(self) -> int:
        return len(self.by_id)

    def get(self, id_: str) -> S | None:
        return self.by_id.get(id_)

    def values(self) -> Iterable[S]:
        return self.by_id.values()

    def items(self) -> Iterable[tuple[str, S]]:
        return self.by_id.items()

    def find(self, index: str, key: str) -> S | None:
        """Return the instance that an index lists under this key."""
        id_ = self._by[index].get(key)
        return None if id_ is None else self.by_id[id_]

    def owned_by(self, owner_id: str) -> list[S]:
        """Return the loaded instances of one owner that have not ended, oldest first."""
        return [self.by_id[id_] for id_ in self._owned.get(owner_id, ())]

    def put(self, id_: str, item: S) -> None:
        before = self.by_id.get(id_)
        self.by_id[id_] = item
        self.list_again(id_, before, item)

    def list_again(self, id_: str, before: S | None, item: S) -> None:
        """Bring indexes and owners up to date with an instance that was put or has changed."""
        for ids, key_of in self._indexes:
            key = key_of(item)
            old = None if before is None else key_of(before)
            if key != old:
                if old is not None and ids.get(old) == id_:
                    del ids[old]
                if key is not None:
                    ids[key] = id_
        if self._owner_of is not None:
            owner = self._owner_of(item)
            last = None if before is None else self._owner_of(before)
            if owner != last:
                if last is not None:
                    self._owned[last].pop(id_, None)
                if owner is not None:
                    self._owned.setdefault(owner, {})[id_] = None

    def forget(self, id_: str) -> None:
        """Drop an instance that has ended: no index lists it any more."""
        del self.by_id[id_]


class TenantState:
    """The instances of all aggregates of one tenant, as far as they are loaded."""

    __slots__ = (
        "_last_notifications",
        "_schema",
        "_stores",
        "count_changes",
        "counts",
        "limits",
        "notified",
        "owned_count_changes",
        "owned_counts",
        "paused_at",
        "usage",
    )

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._stores: dict[Aggregate[Any], Store[Any]] = {}
        self._last_notifications: dict[str, int] = {}
        self.counts: dict[str, int] = {}  # Empty until something was counted.
        self.count_changes: dict[str, int] = {}
        self.owned_counts: dict[OwnedKey, int] = {}
        self.owned_count_changes: dict[OwnedKey, int] = {}
        self.notified: set[tuple[str, int]] = set()  # Recipient, and the event's sequence.
        self.usage = DailyUsage()
        self.limits: Quotas | None = None  # Those that the operator set for this tenant.
        self.paused_at: Timestamp | None = None  # As it is stored; see identity/tenants.py.

    def __getitem__(self, aggregate: Aggregate[S]) -> Store[S]:
        store = self._stores.get(aggregate)
        if store is None:
            store = self._stores[aggregate] = Store(aggregate)
        return store

    # -- Loading -------------------------------------------------------------

    def put_last_notification(self, agent_id: str, sequence: int) -> None:
        self._last_notifications[agent_id] = sequence

    def put_counts(self, counts: Mapping[str, int]) -> None:
        self.counts = dict(counts)

    def put_owned_count(self, counter: Owned, owner_id: str, count: int) -> None:
        self.owned_counts[counter, owner_id] = count

    # -- Reading -------------------------------------------------------------

    def find(self, read: Read) -> tuple[Aggregate[Any], Any] | None:
        """Return the instance that a read names, or None."""
        index = self._schema.indexes.get(read[0])
        if index is None:
            return None
        aggregate, name = index
        store = self._stores.get(aggregate)
        if store is None:
            return None
        found = store.by_id.get(read[1]) if name == ID else store.find(name, read[1])
        return None if found is None else (aggregate, found)

    def last_notification(self, agent_id: str) -> int:
        """Return the last sequence of which an agent was notified, alone or with all; or 0."""
        last = self._last_notifications
        return max(last.get(agent_id, 0), last.get(EVERYONE, 0))

    def count(self, counter: str) -> int:
        return self.counts.get(counter, 0)

    def owned_count(self, counter: Owned, owner_id: str) -> int:
        """Return the count of one owner, including instances that are not loaded."""
        return self.owned_counts.get((counter, owner_id), 0)

    def owned_aggregates(self, owner: Aggregate[Any]) -> tuple[Aggregate[Any], ...]:
        return self._schema.owned.get(owner, ())

    def reactions_to(self, event: Event) -> list[Event]:
        """Return the events that other aggregates record after this one, before it is applied.

        A reaction to a reaction follows it in the list.
        """
        found: list[Event] = []
        reactions = self._schema.reactions.get(type(event))
        if reactions is None:
            return found
        for reaction in reactions:
            for follows in reaction(self, event):
                found += (follows, *self.reactions_to(follows))
        return found

    # -- Changing ------------------------------------------------------------

    def note_notified(self, agent_ids: Iterable[str], sequence: int) -> None:
        """Note that these agents are notified of the event with this sequence."""
        for agent_id in agent_ids:
            self._last_notifications[agent_id] = sequence
            self.notified.add((agent_id, sequence))

    def apply(self, event: Event, at: Timestamp) -> None:
        """Change the state by an event that is or was recorded at this time.

        A rebuild spends most of its time here, so it uses local variables and checks the phase.
        """
        stores = self._stores
        for aggregate, id_of, evolve, phase_of, part_of in self._schema.effects[type(event)]:
            id_ = id_of(event)
            if id_ is None:
                continue
            store = stores.get(aggregate)
            if store is None:
                store = self[aggregate]
            by_id = store.by_id
            before = by_id.get(id_)
            after = evolve(before, event, at)
            if after is before:
                continue
            by_id[id_] = after
            store.changed.add(id_)
            if part_of is not None and (part := part_of(event)) is not None:
                store.changed_parts.add((id_, part))
            if before is None or phase_of is None or phase_of(before) != phase_of(after):
                store.list_again(id_, before, after)
                self._count_again(aggregate, before, after)

    def _count_again(self, aggregate: Aggregate[S], before: S | None, after: S) -> None:
        for name, counter in aggregate.counters.items():
            more = counter.amount(after)
            if before is not None:
                more -= counter.amount(before)
            if more:
                owner_id = None if counter.owner is None else counter.owner(after)
                self._count(name, owner_id, more)

    def _count(self, name: str, owner_id: str | None, more: int) -> None:
        if name in _OF_TENANT:
            self.counts[name] = self.counts.get(name, 0) + more
            self.count_changes[name] = self.count_changes.get(name, 0) + more
        if owner_id is not None:
            key, changes = (name, owner_id), self.owned_count_changes
            self.owned_counts[key] = self.owned_counts.get(key, 0) + more
            changes[key] = changes.get(key, 0) + more

    def clear_changes(self) -> None:
        """Forget which instances changed, once they are stored."""
        for store in self._stores.values():
            store.changed.clear()
            store.changed_parts.clear()
        self.count_changes = {}
        self.owned_count_changes = {}
        self.notified = set()
        self.usage.changed.clear()
