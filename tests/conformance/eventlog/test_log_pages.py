"""Pages of a log: contiguous, limited in size, with filters, and counted by what they read."""

from itertools import chain
from typing import Any

import pytest

from quorate.eventlog import event_store as log_module
from quorate.eventlog import pages as event_pages
from quorate.eventlog.event_filter import Filter
from tests.conformance.eventlog.conformance import OTHER_TENANT, TENANT, Stage
from tests.unit.support.sample_commands import KIM, LEE, acquire, propose, register
from tests.unit.support.specification import NOON, after

EVERYTHING = Filter()

# -- Pages ---------------------------------------------------------------------


async def test_pages_are_contiguous(stage: Stage) -> None:
    await stage.create_agents(*(f"agent{number}" for number in range(9)))
    await stage.create_agents("stranger", tenant=OTHER_TENANT)

    seen, after, head = [], 0, 10
    while after < head:
        page = await stage.log.page(TENANT, after, limit=4, conditions=EVERYTHING)
        seen += [event.sequence for event in page.events]
        after, head = page.scanned_to, page.head

    assert seen == list(range(1, 11))


async def test_page_is_read_in_parts_up_to_its_size_limit(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stage.create_agents(*(f"agent{number}" for number in range(8)))
    monkeypatch.setattr(event_pages, "FIRST_PART_MAX", 2)
    monkeypatch.setattr(event_pages, "PART_MAX", 2)

    async def pages(limit: int) -> list[list[int]]:
        read, after = list[list[int]](), 0
        while after < 9:
            page = await stage.log.page(TENANT, after, limit, EVERYTHING)
            read.append([event.sequence for event in page.events])
            after = page.scanned_to
        return read

    assert await pages(5) == [[1, 2, 3, 4, 5], [6, 7, 8, 9]]
    largest = max(len(event.data) for event in await stage.events())
    monkeypatch.setattr(event_pages, "PAGE_BYTES_MAX", 2 * largest + 1)
    read = await pages(9)
    assert list(chain.from_iterable(read)) == [*range(1, 10)]
    assert max(map(len, read)) < 9
    size = {event.sequence: len(event.data) for event in await stage.events()}
    assert all(sum(size[one] for one in page[:-1]) <= 2 * largest for page in read), "one too many"


async def test_page_beyond_the_end_is_empty_and_does_not_advance(stage: Stage) -> None:
    await stage.create_agents("ann")
    page = await stage.log.page(TENANT, after=7, limit=4, conditions=EVERYTHING)

    assert (page.events, page.head, page.scanned_to) == ([], 2, 7)


async def test_page_can_be_filtered_by_type(stage: Stage) -> None:
    await stage.create_agents("ann", "bob")
    await stage.execute(acquire("ann"))
    page = await stage.log.page(TENANT, 0, limit=9, conditions=Filter(type="AgentRegistered"))

    assert [event.sequence for event in page.events] == [2, 3]
    assert page.scanned_to == page.head == 4


async def test_page_can_be_filtered_by_agent(stage: Stage) -> None:
    await stage.create_agents("ann", "bob")
    await stage.execute(acquire("ann"))
    await stage.submit(acquire("bob"))
    await stage.submit(register("cid"), actor="agent_bob")
    page = await stage.log.page(TENANT, 0, limit=9, conditions=Filter(agent_id="agent_bob"))

    assert [event.sequence for event in page.events] == [3, 5, 6]


@pytest.mark.parametrize("agent_id", ["agent_%", "%", "agent__nn", "Kim@example.com\\"])
async def test_agent_filter_matches_complete_ids_only(stage: Stage, agent_id: str) -> None:
    await stage.create_agents("ann")
    page = await stage.log.page(TENANT, 0, limit=9, conditions=Filter(agent_id=agent_id))

    assert page.events == []


async def test_agent_filter_ignores_ids_in_user_text(stage: Stage) -> None:
    await stage.create_agents("ann", "bob")
    await stage.execute(acquire("ann", intent='call "agent_bob", quoted'))
    page = await stage.log.page(TENANT, 3, limit=9, conditions=Filter(agent_id="agent_bob"))

    assert page.events == []


async def test_empty_page_reports_how_far_it_scanned(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "SCAN_EVENTS_MAX", 4)
    await stage.create_agents(*(f"agent{number}" for number in range(9)))
    await stage.execute(acquire("agent0"))
    wanted = Filter(type="LeaseAcquired")

    looked_to = []
    page = await stage.log.page(TENANT, 0, limit=9, conditions=wanted)
    while page.scanned_to < page.head:
        assert page.events == []
        looked_to.append(page.scanned_to)
        page = await stage.log.page(TENANT, page.scanned_to, limit=9, conditions=wanted)

    assert looked_to == [4, 8]
    assert [event.sequence for event in page.events] == [11]


async def test_page_counts_the_events_that_were_read(stage: Stage) -> None:
    await stage.create_agents(*(f"agent{number}" for number in range(5)))
    stage.clock.move(minutes=1)
    since = stage.clock.now
    await stage.execute(register("late"), register("later"))
    stage.clock.move(minutes=1)
    future = stage.clock.now

    async def scanned(after: int, limit: int = 9, **conditions: Any) -> int:  # noqa: ANN401
        return (await stage.log.page(TENANT, after, limit, Filter(**conditions))).scanned

    assert await scanned(0, type="AgentRegistered") == 8
    assert await scanned(0, limit=3) == 3
    assert await scanned(6) == 2
    assert await scanned(8) == await scanned(100) == 0
    assert await scanned(0, since=since) == 2, "the time is found by index"
    assert await scanned(0, since=future) == 0
    assert await scanned(0, until=since) <= 7


# -- Filters -------------------------------------------------------------------


async def sequences(stage: Stage, **conditions: Any) -> list[int]:  # noqa: ANN401 - of Filter.
    """Return the sequences of all pages of a filtered log."""
    found, seen, head = [], 0, -1
    while seen != head:
        page = await stage.log.page(TENANT, seen, limit=2, conditions=Filter(**conditions))
        assert page.scanned_to > seen or page.scanned_to == page.head
        found += [event.sequence for event in page.events]
        seen, head = page.scanned_to, page.head
    return found


async def test_events_are_filtered_by_time(stage: Stage) -> None:
    await stage.create_agents("a1", "a2")  # Sequences 1 to 3, at noon.
    for _ in range(7):
        stage.clock.move(minutes=1)
        await stage.execute(register("a1"), register("a2"))  # Two events each minute.

    assert await sequences(stage, since=after(minutes=3)) == list(range(8, 18))
    assert await sequences(stage, until=after(minutes=1)) == [1, 2, 3]
    assert await sequences(stage, since=after(minutes=2), until=after(minutes=4)) == [*(6, 7, 8, 9)]
    assert await sequences(stage, since=after(minutes=3.5), until=after(minutes=4)) == []
    assert await sequences(stage, since=after(hours=1)) == []
    assert await sequences(stage, until=NOON) == []
    assert await sequences(stage, since=NOON, until=after(hours=1)) == list(range(1, 18))
    assert await sequences(stage, since=after(minutes=4), until=after(minutes=2)) == []


async def test_filter_by_time_applies_to_a_tenant_without_events(stage: Stage) -> None:
    page = await stage.log.page("unknown", 0, limit=5, conditions=Filter(since=NOON, until=NOON))

    assert (page.events, page.head, page.scanned_to) == ([], 0, 0)


async def test_events_are_filtered_by_actor(stage: Stage) -> None:
    await stage.create_agents("a1")
    await stage.submit(register("a1"), actor="agent_a1")

    assert await sequences(stage, actor="agent_a1") == [3]


async def test_events_are_filtered_by_contact(stage: Stage) -> None:
    await stage.create_agents("ann")
    await stage.execute(acquire("ann", KIM, lease="l1"), acquire("ann", LEE, lease="l2"))
    await stage.execute(propose("ann"))

    assert await sequences(stage, contact_key=KIM.key) == [
        event.sequence
        for event in await stage.events(TENANT)
        if f'"{KIM.key}"'.encode() in event.data
    ]
    assert await sequences(stage, contact_key=LEE.key) == [4]
    assert await sequences(stage, contact_key="im@example.com") == []
    assert await sequences(stage, contact_key="%") == []
