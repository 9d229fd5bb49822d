"""Order of the command queue: first in, first out, with bounded priority for urgent commands."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from quorate.eventlog.command_queue import CommandQueue
from quorate.eventlog.envelopes import CommandEnvelope
from tests.unit.support.scenario import heartbeat

BATCH = 4
PLACES = 20


def order(
    name: str, *, urgent: bool = False, in_order: bool = False, of: str = ""
) -> CommandEnvelope:
    return CommandEnvelope(
        tenant="acme",
        actor=of or name,
        command_id=name,
        command=heartbeat("ann"),
        render=lambda _: b"",
        urgent=urgent,
        in_order=in_order,
    )


class Standing:
    """A line, and the names of those who leave it."""

    def __init__(self, urgent_capacity: int = 0) -> None:
        self.line = CommandQueue(
            batch_commands_max=BATCH, queue_commands_max=PLACES, urgent_capacity=urgent_capacity
        )
        self.came: list[CommandEnvelope] = []

    def join(self, *names: str, **more: Any) -> None:  # noqa: ANN401 - as an order has it.
        for name in names:
            one = order(name, **more)
            assert self.line.has_capacity_for(one)
            self.came.append(one)
            self.line.enqueue((one, None))  # type: ignore[arg-type]  # Nobody is answered here.

    def batch(self) -> list[str]:
        return [one.command_id for one, _ in self.line.take_batch()]

    def all(self) -> list[str]:
        left = []
        while self.line:
            left += self.batch()
        return left


def test_queue_is_first_in_first_out_below_one_batch() -> None:
    standing = Standing()
    standing.join("a", "b")
    standing.join("u", urgent=True)
    standing.join("c")

    assert standing.batch() == ["a", "b", "u", "c"]


def test_urgent_commands_go_first_when_more_than_one_batch_waits() -> None:
    standing = Standing()
    standing.join(*"abcdef")
    standing.join("u", "v", urgent=True)

    assert standing.batch() == ["u", "v", "a", "b"]
    assert standing.batch() == ["c", "d", "e", "f"]


def test_overtaking_is_bounded() -> None:
    standing = Standing(urgent_capacity=10)
    standing.join(*"abcdef")
    gone: list[str] = []
    for number in range(100):
        standing.join(f"u{number}", f"v{number}", f"w{number}", f"x{number}", urgent=True)
        gone += standing.batch()

    assert gone.index("a") <= PLACES
    assert gone.index("f") <= PLACES + 6


def test_ordered_commands_of_an_agent_keep_their_order() -> None:
    standing = Standing()
    standing.join(*"abcd")
    standing.join("acquire", in_order=True, of="ann")
    standing.join("release", urgent=True, in_order=True, of="ann")
    standing.join("heartbeat", urgent=True, in_order=True, of="bob")

    assert standing.all() == ["heartbeat", *"abcd", "acquire", "release"]


def test_urgent_command_overtakes_again_when_the_agents_ordered_commands_are_done() -> None:
    standing = Standing()
    standing.join("acquire", in_order=True, of="ann")
    standing.join(*"abcdefgh")
    standing.batch()
    standing.join("release", urgent=True, in_order=True, of="ann")

    assert standing.batch()[0] == "release"


def test_last_slots_are_reserved_for_urgent_commands() -> None:
    standing = Standing(urgent_capacity=2)
    standing.join(*(f"o{number}" for number in range(PLACES - 2)))

    assert not standing.line.has_capacity_for(order("one too many"))
    standing.join("u", "v", urgent=True)
    assert not standing.line.has_capacity_for(order("even so", urgent=True))


def test_drain_removes_all_commands() -> None:
    standing = Standing()
    standing.join(*"abcdef", in_order=True, of="ann")
    standing.join("u", urgent=True)

    assert sorted(one.command_id for one, _ in standing.line.drain()) == sorted("abcdefu")
    assert not standing.line
    standing.join(*"abcde")
    standing.join("u", urgent=True, in_order=True, of="ann")
    assert standing.batch()[0] == "u"


deeds = st.lists(
    st.one_of(st.just(None), st.tuples(st.sampled_from("ABC"), st.booleans(), st.booleans())),
    max_size=200,
)


@given(deeds)
def test_each_command_is_taken_once_and_in_order_per_agent(
    deeds: list[tuple[str, bool, bool] | None],
) -> None:
    standing, served = Standing(), list[str]()
    for number, deed in enumerate(deeds):
        if deed is None:
            served += standing.batch()
            continue
        actor, urgent, in_order = deed
        if standing.line.has_capacity_for(order("", urgent=urgent)):
            standing.join(str(number), urgent=urgent, in_order=in_order, of=actor)
    served += standing.all()

    came = {one.command_id: place for place, one in enumerate(standing.came)}
    assert sorted(served) == sorted(came)
    for actor in "ABC":
        own = [one for one in standing.came if one.actor == actor and one.in_order]
        expected = [one.command_id for one in own]
        assert [name for name in served if name in expected] == expected
