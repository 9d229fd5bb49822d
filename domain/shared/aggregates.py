"""Declare aggregates: their events, how events change them, and how they are found.

* An aggregate is one declaration. The working state, the unit of work, replay, deadlines and the
  read models are driven by it; none of them knows an aggregate by name.
* ``evolve`` is the only way in which state changes. It is pure and returns the same object when
  an event changes nothing.
* A read names what a command depends on, for example ``("lease.live_contact", "kim@example.com")``.
  Reads that name an instance (an id or an index) also bring its deadline into force.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar

from quorate.domain.shared.timestamps import Timestamp

S = TypeVar("S")  # The state of one instance.
Event: TypeAlias = Any
Read: TypeAlias = tuple[str, ...]  # The name of a lookup, and its key.
Reads: TypeAlias = tuple[Read, ...]
# From the tenant's state before an event, and the event, to the events that follow from it.
Reaction: TypeAlias = Callable[[Any, Event], Sequence[Event]]
ID = "id"


@dataclass(frozen=True, eq=False, kw_only=True)
class Counter(Generic[S]):
    """How much one instance adds to a quota: for its tenant, and for its owner if it names one.

    A counter that ``quotas.COUNTED`` does not name is one of owners only.
    """

    amount: Callable[[S], int]
    owner: Callable[[S], str] | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Deadline(Generic[S]):
    """When an instance ends without a command, and the events that record it.

    ``rank`` orders deadlines at the same instant, the lowest first.
    """

    at: Callable[[S], Timestamp]
    has_passed: Callable[[S, Timestamp], bool]
    events: Callable[[S], Sequence[Event]]
    rank: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Owner(Generic[S]):
    """The instance on whose life this one depends; ``id_of`` is None once it has ended.

    When the owner's deadline passes, only instances with an earlier deadline end by their own. What
    happens to the others is a reaction to the owner's event.
    """

    aggregate: "Aggregate[Any]"
    id_of: Callable[[S], str | None]


@dataclass(frozen=True, eq=False, kw_only=True)
class Effect(Generic[S]):
    """How an event of one aggregate changes an instance of another one."""

    event: type[Any]
    aggregate: "Aggregate[S]"
    id_of: Callable[[Any], str | None]
    evolve: Callable[[S | None, Any, Timestamp], S]


@dataclass(frozen=True, eq=False, kw_only=True)
class Followed(Generic[S]):
    """How an event, of the same or an earlier aggregate, changes an instance of this one."""

    event: type[Any]
    id_of: Callable[[Any], str | None]
    evolve: Callable[[S | None, Any, Timestamp], S]


@dataclass(frozen=True, eq=False, kw_only=True)
class Aggregate(Generic[S]):
    """The declaration of one kind of instance.

    * ``events``: the events that it records; ``stream`` names the stream of each of them.
    * ``effects``: how its events change other aggregates.
    * ``follows``: how events of others, or its own, change further instances of it.
    * ``id_of``: the instance that an event belongs to, or None if it concerns none.
    * ``indexes``: unique keys besides the id; None while an instance is not listed.
    * ``part_of``: the part of an instance that an event changes, where parts are stored apart.
    * ``phase_of``: the part of a state that its indexes, owner and counters depend on. While it
      stays equal, they are not computed again. Without it they are computed for every event.
    * ``is_final``: no later event can change the instance. A replay stores it and forgets it.
    * ``reacts_to``: the events that follow when an event of another aggregate is recorded.
    * ``check``: raise AssertionError if an event must not be recorded with this sequence.
    * ``erases``: the id whose contents (``contents.py``) an event erases.
    """

    name: str
    events: tuple[type[Any], ...]
    stream: Callable[[Any], str]
    commands: tuple[type[Any], ...] = ()
    id_of: Callable[[Any], str | None] = lambda _event: None
    evolve: Callable[[S | None, Any, Timestamp], S] | None = None
    effects: tuple[Effect[Any], ...] = ()
    follows: tuple[Followed[S], ...] = ()
    indexes: Mapping[str, Callable[[S], str | None]] = field(default_factory=dict)
    counters: Mapping[str, Counter[S]] = field(default_factory=dict)
    part_of: Callable[[Any], str | None] | None = None
    owner: Owner[S] | None = None
    deadline: Deadline[S] | None = None
    phase_of: Callable[[S], Any] | None = None
    is_final: Callable[[S], bool] = lambda _state: False
    reacts_to: Mapping[type[Any], Reaction] = field(default_factory=dict)
    check: Callable[[Any, int], None] | None = None
    erases: Mapping[type[Event], Callable[[Any], str]] = field(default_factory=dict)

    def by(self, index: str, key: str) -> Reads:
        """Read the instance with this key, where there is one."""
        return ((f"{self.name}.{index}", key),)
