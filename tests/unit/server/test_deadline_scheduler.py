"""Whatever is due, it is handed over in order and in parts that nobody has to wait long for."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.domain.identity.agents import SettleAgent
from quorate.eventlog.envelopes import CommandEnvelope
from quorate.projections.deadlines import Overdue
from quorate.server.deadline_scheduler import EVENTS_AT_ONCE_MAX, DeadlineScheduler, parts
from tests.conformance.eventlog.conformance import CountedIds, SetClock

sizes = st.lists(st.integers(1, 2 * EVENTS_AT_ONCE_MAX), max_size=50)


@given(sizes)
def test_nothing_is_left_out_and_no_part_is_large_but_of_one(events: list[int]) -> None:
    overdue = [
        Overdue(tenant="acme", command=SettleAgent(agent_id=str(number)), events=size)
        for number, size in enumerate(events)
    ]

    made = list(parts(overdue))

    assert [one for part in made for one in part] == overdue
    assert all(
        len(part) == 1 or sum(one.events for one in part) <= EVENTS_AT_ONCE_MAX for part in made
    )
    joined = pairwise(made)
    assert all(
        sum(one.events for one in part) + following[0].events > EVENTS_AT_ONCE_MAX
        for part, following in joined
    )


@pytest.mark.parametrize(
    ("by_the_logs_time", "at_once"), [(True, [True, True, True]), (False, [True, False, False])]
)
async def test_what_is_not_due_by_the_logs_own_time_is_not_asked_for_again_at_once(
    by_the_logs_time: bool, at_once: list[bool]
) -> None:
    due = [Overdue(tenant="acme", command=SettleAgent(agent_id=str(n))) for n in range(3)]

    class Door:
        async def submit(self, _order: CommandEnvelope) -> None:
            if by_the_logs_time:
                del due[0]

    class Work:
        async def find(self, _now: object) -> list[Overdue]:
            return due[:1]

    timer = DeadlineScheduler(Door(), Work(), SetClock(), CountedIds("c00"))  # type: ignore[arg-type]

    assert [await timer._settled_some() for _ in range(3)] == at_once
