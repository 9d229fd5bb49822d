"""An interval is found by the nodes on the path to each position in it, and only once."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from quorate.projections.history.nodes import OPEN, node_of, path_to

HEAD_MAX = 2**40
PATH_MAX = 64
_positions = st.integers(1, HEAD_MAX)


@st.composite
def intervals(draw: st.DrawFn) -> tuple[int, int]:
    first = draw(_positions)
    return first, draw(st.one_of(st.just(OPEN), st.integers(first + 1, first + 2**20)))


@given(intervals(), st.data())
def test_interval_is_at_a_node_on_the_path_to_each_of_its_positions(
    interval: tuple[int, int], data: st.DataObject
) -> None:
    first, until = interval
    last = min(until - 1, HEAD_MAX + 2**20)
    position = data.draw(st.integers(first, last))
    head = data.draw(st.integers(last, last + 1_000))

    path = path_to(position, head)

    assert node_of(first, until) in path
    assert len(path) == len(set(path)) < PATH_MAX


@given(st.lists(st.integers(1, 2_000), min_size=2, unique=True))
def test_versions_of_one_row_are_at_different_nodes(changes: list[int]) -> None:
    changes.sort()
    spans = [*pairwise(changes), (changes[-1], OPEN)]

    nodes = [node_of(*span) for span in spans]

    assert len(set(nodes)) == len(nodes)
    for (first, until), node in zip(spans, nodes, strict=True):
        assert node == OPEN if until == OPEN else first <= node < until
