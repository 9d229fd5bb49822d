"""Decide again what an instance records at its deadline."""

from collections.abc import Sequence
from typing import Any

from quorate.domain.explanations.causes import replay
from quorate.domain.explanations.records import History, LoggedEvent
from quorate.domain.shared.aggregates import Aggregate


def due(
    aggregate: Aggregate[Any], id_: str, history: History, decision: LoggedEvent
) -> Sequence[Any]:
    """Return the events of the deadline of an instance, if it has passed at the decision."""
    deadline = aggregate.deadline
    assert deadline is not None
    instance = replay(history)[aggregate][id_]
    return deadline.events(instance) if deadline.has_passed(instance, decision.at) else ()
