"""Readers take turns, tenant by tenant, and read no more bytes than their rate permits."""

import asyncio

import pytest

from quorate.application import read_budget as read_budget_module
from quorate.application.rate_limiter import Rates
from quorate.application.read_budget import (
    BURST_SECONDS,
    READS_AT_ONCE_MAX,
    ReadBudget,
    ReadTurns,
    in_parts,
)
from quorate.contracts.problems import Problem
from quorate.domain.identity.principals import Principal, Role
from tests.conformance.eventlog.conformance import until
from tests.e2e.client.clocks import SetClock

RATE = 100.0


def principal(role: Role = "agent", tenant: str = "acme", name: str = "ann") -> Principal:
    return Principal(key_id="k", role=role, tenant=tenant, agent_id=name, agent_name=name)


class Readers:
    """Readers that hold their turn until the test ends it."""

    def __init__(self, turns: ReadTurns) -> None:
        self.admitted: list[str] = []
        self._turns = turns
        self._ends: list[asyncio.Event] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def start(self, *tenants: str) -> None:
        for tenant in tenants:
            self.tasks.append(asyncio.create_task(self._read(tenant)))
            await asyncio.sleep(0)

    async def _read(self, tenant: str) -> None:
        async with self._turns.turn(tenant):
            self.admitted.append(tenant)
            self._ends.append(ended := asyncio.Event())
            await ended.wait()

    async def end_one(self) -> None:
        self._ends.pop(0).set()
        count = len(self.admitted)
        await until(lambda: len(self.admitted) > count)

    async def end_all(self) -> None:
        while not all(task.done() for task in self.tasks):
            for ended in self._ends:
                ended.set()
            await asyncio.sleep(0)


async def test_few_readers_read_at_a_time_and_tenants_take_turns() -> None:
    readers = Readers(ReadTurns(2))
    await readers.start("acme", "acme", "acme", "acme", "acme", "globex", "initech")
    assert readers.admitted == ["acme", "acme"]
    for _ in range(5):
        await readers.end_one()
    await readers.end_all()

    assert readers.admitted == ["acme", "acme", "acme", "globex", "initech", "acme", "acme"]


async def test_cancelled_reader_passes_on_its_turn() -> None:
    readers = Readers(ReadTurns(1))
    await readers.start("acme", "acme", "globex", "initech")
    waiting, admitted = readers.tasks[1], readers.tasks[2]
    waiting.cancel()
    readers._ends.pop(0).set()
    for _ in range(2):  # The first task ends, and globex is given the turn but does not run yet.
        await asyncio.sleep(0)
    admitted.cancel()
    await until(lambda: "initech" in readers.admitted)
    await readers.end_all()

    assert "acme" in readers.admitted
    assert readers.admitted.count("acme") == 1


async def test_number_of_waiting_readers_of_a_tenant_is_limited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(read_budget_module, "WAITING_PER_TENANT_MAX", 2)
    turns = ReadTurns(1)
    readers = Readers(turns)
    await readers.start("acme", "acme", "acme")
    with pytest.raises(Problem, match="rate_limited"):
        async with turns.turn("acme"):
            pass
    await readers.start("globex")
    await readers.end_all()

    assert sorted(readers.admitted) == ["acme", "acme", "acme", "globex"]


async def read(budget: ReadBudget, reader: Principal, size: int) -> None:
    async with budget.turn(reader):
        budget.charge(reader, size)


@pytest.mark.parametrize(
    ("rates", "other", "limited_by"),
    [
        (Rates(read_bytes_per_key=RATE), principal(name="bob"), "key"),
        (Rates(read_bytes_per_tenant=RATE), principal(tenant="globex"), "tenant"),
    ],
    ids=["caller", "tenant"],
)
async def test_reader_waits_for_the_bytes_that_it_has_read(
    rates: Rates, other: Principal, limited_by: str
) -> None:
    clock = SetClock()
    budget = ReadBudget(rates, clock)
    burst = RATE * BURST_SECONDS
    await read(budget, principal(), round(burst + 10 * RATE))  # A page may exceed the rest.

    with pytest.raises(Problem) as rejected:
        await read(budget, principal(), 1)
    await read(budget, other, 1)
    clock.now += 10 + 2 / RATE
    await read(budget, principal(), 1)

    assert rejected.value.details["limitedBy"] == limited_by
    assert rejected.value.details["retryAfterSeconds"] == pytest.approx(10, abs=0.1)


async def test_readers_that_wait_at_once_read_no_more_than_the_rate() -> None:
    budget = ReadBudget(Rates(read_bytes_per_key=RATE), SetClock())
    page = round(RATE * BURST_SECONDS)
    read_at_once = asyncio.Event()

    async def read_page() -> None:
        async with budget.turn(principal()):
            await read_at_once.wait()
        budget.charge(principal(), page + 1)

    readers = [asyncio.create_task(read_page()) for _ in range(20)]
    await asyncio.sleep(0)
    read_at_once.set()
    ended = await asyncio.gather(*readers, return_exceptions=True)

    assert sum(isinstance(one, Problem) for one in ended) == 20 - READS_AT_ONCE_MAX


async def test_stream_that_waited_for_its_turn_pauses_when_others_have_read() -> None:
    clock = SetClock()
    budget = ReadBudget(Rates(read_bytes_per_key=RATE), clock)
    waits = asyncio.Event()
    order: list[str] = []

    async def read_page() -> None:
        async with budget.turn(principal()):
            await waits.wait()
        budget.charge(principal(), round(RATE * (BURST_SECONDS + 100)))
        order.append("charged")

    async def stream() -> None:
        async with budget.turn_of_stream(principal()):
            order.append("stream")

    readers = [asyncio.create_task(read_page()) for _ in range(READS_AT_ONCE_MAX)]
    await asyncio.sleep(0)
    streaming = asyncio.create_task(stream())
    await asyncio.sleep(0)
    waits.set()
    await asyncio.gather(*readers)
    for _ in range(5):
        await asyncio.sleep(0)
    assert order == ["charged"] * READS_AT_ONCE_MAX
    async with budget.turn(principal(name="bob")):  # The stream holds no turn meanwhile.
        pass
    streaming.cancel()
    await asyncio.gather(streaming, return_exceptions=True)


async def test_tenant_key_counts_against_the_tenant_only() -> None:
    budget = ReadBudget(Rates(read_bytes_per_key=RATE), SetClock())
    await read(budget, principal("tenant"), 10**9)
    await read(budget, principal("tenant"), 1)


async def test_stream_pauses_instead_of_being_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    clock = SetClock()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.now += seconds + 2 / RATE

    monkeypatch.setattr(asyncio, "sleep", sleep)
    budget = ReadBudget(Rates(read_bytes_per_key=RATE), clock)
    burst = RATE * BURST_SECONDS
    await budget.count_of_stream(principal(), round(burst / 2))
    assert slept == []
    await budget.count_of_stream(principal(), round(burst / 2 + 5 * RATE))
    budget.charge(principal(), round(5 * RATE))
    async with budget.turn_of_stream(principal()):
        pass

    assert slept == [pytest.approx(5, abs=0.1)] * 2


async def test_other_work_runs_between_the_parts() -> None:
    order: list[str] = []

    async def other() -> None:
        order.append("other")

    def make(item: int) -> int:
        order.append("item")
        return item

    task = asyncio.create_task(other())
    items = [one async for one in in_parts(range(3 * read_budget_module.PART_MAX), make)]
    await task

    assert items == list(range(3 * read_budget_module.PART_MAX))
    assert order.index("other") == read_budget_module.PART_MAX
