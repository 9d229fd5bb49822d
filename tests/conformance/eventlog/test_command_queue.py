"""Order of the command queue: first in, first out, with bounded priority for urgent commands."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from quorate.domain.shared.state import Command
from quorate.eventlog.command_queue import CommandQueue
from quorate.eventlog.envelopes import CommandEnvelope
from tests.unit.support.sample_commands import heartbeat
from tests.unit.support.sample_contents import WithContents, content, with_contents

BATCH = 4
CAPACITY = 20


def make_envelope(
    name: str,
    *,
    urgent: bool = False,
    in_order: bool = False,
    of: str = "",
    command: Command | None = None,
) -> CommandEnvelope:
    return CommandEnvelope(
        tenant="acme",
        actor=of or name,
        command_id=name,
        command=command or heartbeat("ann"),
        render=lambda _: b"",
        urgent=urgent,
        in_order=in_order,
    )


class QueueDriver:
    """A command queue, and the names of the commands taken from it."""

    def __init__(self, urgent_capacity: int = 0) -> None:
        self.queue = CommandQueue(
            batch_commands_max=BATCH, queue_commands_max=CAPACITY, urgent_capacity=urgent_capacity
        )
        self.arrived: list[CommandEnvelope] = []

    def enqueue(self, *names: str, **more: Any) -> None:  # noqa: ANN401 - fields of an envelope.
        for name in names:
            item = make_envelope(name, **more)
            assert self.queue.has_capacity_for(item)
            self.arrived.append(item)
            self.queue.enqueue((item, None))  # type: ignore[arg-type]  # Without a caller.

    def batch(self) -> list[str]:
        return [item.command_id for item, _ in self.queue.take_batch()]

    def all(self) -> list[str]:
        left = []
        while self.queue:
            left += self.batch()
        return left


def test_queue_is_first_in_first_out_below_one_batch() -> None:
    driver = QueueDriver()
    driver.enqueue("a", "b")
    driver.enqueue("u", urgent=True)
    driver.enqueue("c")

    assert driver.batch() == ["a", "b", "u", "c"]


def test_urgent_commands_go_first_when_more_than_one_batch_waits() -> None:
    driver = QueueDriver()
    driver.enqueue(*"abcdef")
    driver.enqueue("u", "v", urgent=True)

    assert driver.batch() == ["u", "v", "a", "b"]
    assert driver.batch() == ["c", "d", "e", "f"]


def test_overtaking_is_bounded() -> None:
    driver = QueueDriver(urgent_capacity=10)
    driver.enqueue(*"abcdef")
    gone: list[str] = []
    for number in range(100):
        driver.enqueue(f"u{number}", f"v{number}", f"w{number}", f"x{number}", urgent=True)
        gone += driver.batch()

    assert gone.index("a") <= CAPACITY
    assert gone.index("f") <= CAPACITY + 6


def test_ordered_commands_of_an_agent_keep_their_order() -> None:
    driver = QueueDriver()
    driver.enqueue(*"abcd")
    driver.enqueue("acquire", in_order=True, of="ann")
    driver.enqueue("release", urgent=True, in_order=True, of="ann")
    driver.enqueue("heartbeat", urgent=True, in_order=True, of="bob")

    assert driver.all() == ["heartbeat", *"abcd", "acquire", "release"]


def test_urgent_command_overtakes_again_when_the_agents_ordered_commands_are_done() -> None:
    driver = QueueDriver()
    driver.enqueue("acquire", in_order=True, of="ann")
    driver.enqueue(*"abcdefgh")
    driver.batch()
    driver.enqueue("release", urgent=True, in_order=True, of="ann")

    assert driver.batch()[0] == "release"


def test_last_slots_are_reserved_for_urgent_commands() -> None:
    driver = QueueDriver(urgent_capacity=2)
    driver.enqueue(*(f"o{number}" for number in range(CAPACITY - 2)))

    assert not driver.queue.has_capacity_for(make_envelope("one too many"))
    driver.enqueue("u", "v", urgent=True)
    assert not driver.queue.has_capacity_for(make_envelope("even so", urgent=True))


def test_drain_removes_all_commands() -> None:
    driver = QueueDriver()
    driver.enqueue(*"abcdef", in_order=True, of="ann")
    driver.enqueue("u", urgent=True)

    assert sorted(item.command_id for item, _ in driver.queue.drain()) == sorted("abcdefu")
    assert not driver.queue
    driver.enqueue(*"abcde")
    driver.enqueue("u", urgent=True, in_order=True, of="ann")
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
        if driver.queue.has_capacity_for(make_envelope("", urgent=urgent)):
            driver.enqueue(str(number), urgent=urgent, in_order=in_order, of=actor)
    served += driver.all()

    arrived = {item.command_id: place for place, item in enumerate(driver.arrived)}
    assert sorted(served) == sorted(arrived)
    for actor in "ABC":
        own = [item for item in driver.arrived if item.actor == actor and item.in_order]
        expected = [item.command_id for item in own]
        assert [name for name in served if name in expected] == expected


# -- Contents ------------------------------------------------------------------

BATCH_BYTES, QUEUE_BYTES = 100, 250


def letter(size: int) -> WithContents:
    return with_contents(heartbeat("ann"), content(data=b"x" * size))


def heavy_queue() -> QueueDriver:
    driver = QueueDriver()
    driver.queue = CommandQueue(
        batch_commands_max=BATCH,
        queue_commands_max=CAPACITY,
        urgent_capacity=0,
        batch_content_bytes_max=BATCH_BYTES,
        queue_content_bytes_max=QUEUE_BYTES,
    )
    return driver


def test_batch_ends_before_its_contents_are_too_large() -> None:
    driver = heavy_queue()
    driver.enqueue(*"abcde", command=letter(50))

    assert driver.queue.has_full_batch()
    assert [driver.batch() for _ in range(3)] == [["a", "b"], ["c", "d"], ["e"]]
    assert not driver.queue


def test_command_with_more_than_a_batch_of_contents_is_taken_alone() -> None:
    driver = heavy_queue()
    driver.enqueue("large", command=letter(BATCH_BYTES + 1))
    driver.enqueue("small", command=letter(1))

    assert [driver.batch(), driver.batch()] == [["large"], ["small"]]


def test_commands_without_contents_do_not_wait_for_large_ones() -> None:
    driver = heavy_queue()
    driver.enqueue("m1", "m2", "m3", command=letter(80))
    driver.enqueue("a", "b")

    assert [driver.batch() for _ in range(3)] == [["m1", "a", "b"], ["m2"], ["m3"]]


def test_urgent_command_overtakes_large_commands_when_more_than_a_batch_waits() -> None:
    driver = heavy_queue()
    driver.enqueue("m1", "m2", "m3", command=letter(80))
    driver.enqueue("a")
    driver.enqueue("u", urgent=True)

    assert driver.batch() == ["u", "m1", "a"]


def test_large_command_is_not_overtaken_for_ever() -> None:
    driver = heavy_queue()
    driver.enqueue("m1", "m2", command=letter(80))
    driver.batch()
    driver.enqueue("m3", command=letter(1))

    assert driver.batch() == ["m2", "m3"]


def test_ordered_command_does_not_overtake_a_large_one_of_its_agent() -> None:
    driver = heavy_queue()
    driver.enqueue("m0", command=letter(80))
    driver.enqueue("m1", command=letter(80), in_order=True, of="ann")
    driver.enqueue("after m1", in_order=True, of="ann")
    driver.enqueue("of bob", in_order=True, of="bob")

    assert driver.batch() == ["m0", "of bob"]
    assert driver.batch() == ["m1", "after m1"]


def test_contents_that_wait_are_limited() -> None:
    driver = heavy_queue()
    assert driver.queue.has_capacity_for(make_envelope("huge", command=letter(QUEUE_BYTES + 1)))
    driver.enqueue("a", "b", command=letter(QUEUE_BYTES // 2))

    assert not driver.queue.has_capacity_for(make_envelope("more", command=letter(1)))
    assert driver.queue.has_capacity_for(make_envelope("light"))

    driver.all()
    assert driver.queue.has_capacity_for(make_envelope("more", command=letter(QUEUE_BYTES)))
