"""Whatever is due, it is handed over in order and in parts that nobody has to wait long for."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from quorate.api.timer import EVENTS_AT_ONCE_MAX, parts
from quorate.domain.agents import SettleAgent
from quorate.projections.overdue import Overdue

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
