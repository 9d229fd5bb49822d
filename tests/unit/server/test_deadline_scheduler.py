"""Due aggregates are submitted in order, and in parts that delay other commands only briefly."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.domain.shared.deadlines import RecordDue
from quorate.eventlog.envelopes import CommandEnvelope
from quorate.projections.deadlines import OverdueInstance
from quorate.server.deadline_scheduler import (
    PART_EVENTS_MAX,
    DeadlineScheduler,
    split_into_parts,
)
from tests.conformance.eventlog.conformance import CountedIds, SetClock

sizes = st.lists(st.integers(1, 2 * PART_EVENTS_MAX), max_size=50)


@given(sizes)
def test_parts_contain_every_aggregate_and_are_bounded(events: list[int]) -> None:
    overdue = [
        OverdueInstance(
            tenant="acme", command=RecordDue(aggregate="agent", id=str(number)), events=size
        )
        for number, size in enumerate(events)
    ]

    parts = list(split_into_parts(overdue))

    assert [one for part in parts for one in part] == overdue
    assert all(
        len(part) == 1 or sum(one.events for one in part) <= PART_EVENTS_MAX for part in parts
    )
    joined = pairwise(parts)
    assert all(
        sum(one.events for one in part) + following[0].events > PART_EVENTS_MAX
        for part, following in joined
    )


@pytest.mark.parametrize(
    ("is_due_in_log", "repeats"), [(True, [True, True, True]), (False, [True, False, False])]
)
async def test_scheduler_pauses_when_an_aggregate_is_not_due_by_the_time_of_the_log(
    is_due_in_log: bool, repeats: list[bool]
) -> None:
    due = [
        OverdueInstance(tenant="acme", command=RecordDue(aggregate="agent", id=str(n)))
        for n in range(3)
    ]

    class CommandBus:
        async def submit(self, _envelope: CommandEnvelope) -> None:
            if is_due_in_log:
                del due[0]

    class DueAggregates:
        async def find(self, _now: object) -> list[OverdueInstance]:
            return due[:1]

    scheduler = DeadlineScheduler(CommandBus(), DueAggregates(), SetClock(), CountedIds("c00"))  # type: ignore[arg-type]

    assert [await scheduler._submit_due() for _ in range(3)] == repeats
