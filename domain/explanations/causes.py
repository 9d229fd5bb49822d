"""Find the events on which a decision depended, by letting the rule decide without each of them.

* The causes are enough for the rule to decide the same, and none of them can be left out: without
  it, the rule decides otherwise, or cannot decide. Of several events that would each be enough,
  such as two registrations of an agent, the last one is a cause.
* A replay uses ``TenantState.apply``, as every other replay does.
* Of many events that replace each other, such as heartbeats, the first and the last two are
  replayed. Without the last one, the one before it counts, as it does in the whole history.
"""

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from quorate.domain.explanations.records import Account, Decide, History, LoggedEvent
from quorate.domain.registry import SCHEMA, new_state
from quorate.domain.shared.errors import DomainError
from quorate.domain.shared.records import changed
from quorate.domain.shared.state import TenantState

REPLAYED_EVENTS_MAX = 300  # Their number squared is the work of one explanation.
Outcome: TypeAlias = tuple[Any, ...] | str | None
# What a rule raises when the state that it needs was never recorded.
_IMPOSSIBLE = (AssertionError, AttributeError, LookupError, TypeError, ValueError)


def replay(history: Iterable[LoggedEvent]) -> TenantState:
    """Return the state after these events."""
    state = new_state()
    for one in history:
        state.apply(one.event, one.at)
    return state


def decide_again(decide: Decide, history: History, decision: LoggedEvent) -> Outcome:
    """Return the events that the rule records, the code of its rejection, or None if impossible."""
    try:
        return tuple([_essential(event) for event in decide(history, decision)])
    except DomainError as rejection:
        return rejection.code
    except _IMPOSSIBLE:
        return None


def is_reproduced(outcome: Outcome, decision: LoggedEvent) -> bool:
    return isinstance(outcome, tuple) and _essential(decision.event) in outcome


def find_causes(
    account: Account, history: History, decision: LoggedEvent
) -> Sequence[LoggedEvent] | None:
    """Return the causes in log order; None if the rule does not decide the same again."""
    needed = compact(history)
    expected = decide_again(account.decision, needed, decision)
    if not is_reproduced(expected, decision):
        return None
    size = 0
    while size != len(needed):  # An event may be left out only after a later one was.
        size = len(needed)
        for one in list(needed):  # The oldest first: of two that suffice, the later one is named.
            others = [other for other in needed if other is not one]
            if decide_again(account.decision, others, decision) == expected:
                needed = others
    return needed


def compact(history: History) -> list[LoggedEvent]:
    """Leave out events that later ones of their type replace, and those before the last ones."""
    places: dict[Any, list[int]] = {}
    for at, one in enumerate(history):
        places.setdefault(_place(one.event), []).append(at)
    kept = sorted({at for found in places.values() for at in (found[0], *found[-2:])})
    return [history[at] for at in kept[-REPLAYED_EVENTS_MAX:]]


def _place(event: Any) -> Any:  # noqa: ANN401 - an event of any aggregate.
    """Return the type of an event, and the instances and parts that it changes."""
    changes = [
        (aggregate.name, id_of(event), None if part_of is None else part_of(event))
        for aggregate, id_of, _, _, part_of in SCHEMA.effects[type(event)]
    ]
    return (type(event), *changes)


def _essential(event: Any) -> Any:  # noqa: ANN401 - an event of any aggregate.
    """Return the event without the contenders, who wait for the end but do not cause it."""
    return changed(event, contenders=None) if hasattr(event, "contenders") else event
