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


class QueueDriver:
    """A command queue, and the names of the commands taken from it."""

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
    driver = QueueDriver()
    driver.join("a", "b")
    driver.join("u", urgent=True)
    driver.join("c")

    assert driver.batch() == ["a", "b", "u", "c"]


def test_urgent_commands_go_first_when_more_than_one_batch_waits() -> None:
    driver = QueueDriver()
    driver.join(*"abcdef")
    driver.join("u", "v", urgent=True)

    assert driver.batch() == ["u", "v", "a", "b"]
    assert driver.batch() == ["c", "d", "e", "f"]


def test_overtaking_is_bounded() -> None:
    driver = QueueDriver(urgent_capacity=10)
    driver.join(*"abcdef")
    gone: list[str] = []
    for number in range(100):
        driver.join(f"u{number}", f"v{number}", f"w{number}", f"x{number}", urgent=True)
        gone += driver.batch()

    assert gone.index("a") <= PLACES
    assert gone.index("f") <= PLACES + 6


def test_ordered_commands_of_an_agent_keep_their_order() -> None:
    driver = QueueDriver()
    driver.join(*"abcd")
    driver.join("acquire", in_order=True, of="ann")
    driver.join("release", urgent=True, in_order=True, of="ann")
    driver.join("heartbeat", urgent=True, in_order=True, of="bob")

    assert driver.all() == ["heartbeat", *"abcd", "acquire", "release"]


def test_urgent_command_overtakes_again_when_the_agents_ordered_commands_are_done() -> None:
    driver = QueueDriver()
    driver.join("acquire", in_order=True, of="ann")
    driver.join(*"abcdefgh")
    driver.batch()
    driver.join("release", urgent=True, in_order=True, of="ann")

    assert driver.batch()[0] == "release"


def test_last_slots_are_reserved_for_urgent_commands() -> None:
    driver = QueueDriver(urgent_capacity=2)
    driver.join(*(f"o{number}" for number in range(PLACES - 2)))

    assert not driver.line.has_capacity_for(order("one too many"))
    driver.join("u", "v", urgent=True)
    assert not driver.line.has_capacity_for(order("even so", urgent=True))


def test_drain_removes_all_commands() -> None:
    driver = QueueDriver()
    driver.join(*"abcdef", in_order=True, of="ann")
    driver.join("u", urgent=True)

    assert sorted(one.command_id for one, _ in driver.line.drain()) == sorted("abcdefu")
    assert not driver.line
    driver.join(*"abcde")
    driver.join("u", urgent=True, in_order=True, of="ann")
    assert driver.batch()[0] == "u"


deeds = st.lists(
    st.one_of(st.just(None), st.tuples(st.sampled_from("ABC"), st.booleans(), st.booleans())),
    max_size=200,
)


@given(deeds)
def test_each_command_is_taken_once_and_in_order_per_agent(
    deeds: list[tuple[str, bool, bool] | None],
) -> None:
    driver, served = QueueDriver(), list[str]()
    for number, deed in enumerate(deeds):
        if deed is None:
            served += driver.batch()
            continue
        actor, urgent, in_order = deed
        if driver.line.has_capacity_for(order("", urgent=urgent)):
            driver.join(str(number), urgent=urgent, in_order=in_order, of=actor)
    served += driver.all()

    came = {one.command_id: place for place, one in enumerate(driver.came)}
    assert sorted(served) == sorted(came)
    for actor in "ABC":
        own = [one for one in driver.came if one.actor == actor and one.in_order]
        expected = [one.command_id for one in own]
        assert [name for name in served if name in expected] == expected
