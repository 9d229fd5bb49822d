"""An agent reads exactly the events of which it was told, and is told where some are left out."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from quorate.domain.identity.agents import AgentRef, Heartbeat
from quorate.domain.identity.api_keys import IssueKey
from quorate.domain.registry import recipients_of
from quorate.domain.shared.notifications import EVERYONE
from quorate.eventlog.envelopes import Accepted
from quorate.eventlog.event_store import Filter, Gap
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.projections.notifications import NotificationQueries
from quorate.projections.queries import Reader
from tests.conformance.eventlog.conformance import OTHER_TENANT, TENANT
from tests.conformance.projections.random_history import EVENTS_MAX, NOON, TENANTS, Town
from tests.conformance.projections.scene import DATABASES, RETENTION_HOURS, Scene, opened
from tests.unit.support.scenario import (
    ADMIN_KEY,
    KIM,
    LEE,
    TENANT_KEY,
    acquire,
    heartbeat,
    id_of,
    key_of,
    propose,
    register,
    release,
)

ALL = 1_000
LONG = RETENTION_HOURS * 60  # In minutes.


@pytest.fixture(params=DATABASES)
async def scene(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Scene]:
    async with opened(request.param, tmp_path) as scene:
        yield scene


async def told(scene: Scene, name: str, after: int = 0) -> list[int]:
    """The sequences of one page that holds all."""
    page = await scene.noticed.page(TENANT, id_of(name), after, ALL)
    return [event.sequence for event in page.events]


async def last_notification(scene: Scene, name: str, by_name: bool = False) -> int:
    """As a heartbeat is answered."""
    command = heartbeat(name)
    if by_name:
        command = Heartbeat(caller=TENANT_KEY, agent=AgentRef(name=name.upper()))
    answers: list[int] = []
    answer = await scene.submit(command, render=lambda heard: _noted(answers, heard.last_notification))
    assert isinstance(answer, Accepted)
    return answers[-1]


def _noted(answers: list[int], last: int) -> bytes:
    answers.append(last)
    return b"{}"


# -- Which ones ----------------------------------------------------------------


def expected(events: Sequence[RecordedEvent], agent_id: str) -> list[int]:
    return [
        event.sequence
        for event in events
        if recipients_of(event.type, json.loads(event.data)) & {agent_id, EVERYONE}
    ]


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_happens_each_agent_reads_what_it_was_told(
    tmp_path: Path, seed: int
) -> None:
    async with Town(tmp_path / "quorate.db", seed) as town:
        await town.live(rounds=40)
        noticed = NotificationQueries(town.log, lambda: town.now, retention_hours=10_000)
        reader = Reader(town.log, lambda: town.now)
        for tenant in TENANTS:
            events = (await town.log.page(tenant, 0, EVENTS_MAX, Filter())).events
            for row in (await reader.agents(tenant, "", ALL)).found:
                right = expected(events, row.agent.id)
                assert right
                for limit in (1, 7, len(right), ALL):
                    assert await in_pages(noticed, tenant, row.agent.id, limit) == right
    assert town.now > NOON


async def in_pages(
    noticed: NotificationQueries, tenant: str, agent_id: str, limit: int
) -> list[int]:
    found: list[int] = []
    after = 0
    while True:
        page = await noticed.page(tenant, agent_id, after, limit)
        assert len(page.events) <= limit
        assert page.next == page.head or len(page.events) == limit
        assert page.gap is None
        found += [event.sequence for event in page.events]
        after = page.next
        if after == page.head:
            return found


async def test_after_the_end_there_is_nothing_yet(scene: Scene) -> None:
    await scene.create_agents("ann")
    for after in (2, 3, 1_000):
        page = await scene.noticed.page(TENANT, id_of("ann"), after, ALL)
        assert (page.events, page.next, page.head, page.gap) == ([], after, 2, None)


async def test_a_page_after_the_last_notification_goes_on_at_the_head(scene: Scene) -> None:
    """So that whoever has seen all of its own does not look through all of the others' again."""
    await scene.create_agents("ann", "bob")
    await scene.execute(acquire("ann"))
    page = await scene.noticed.page(TENANT, id_of("bob"), 0, ALL)

    assert ([event.sequence for event in page.events], page.next, page.head) == ([2, 3], 4, 4)


async def test_of_another_tenant_nothing_is_read(scene: Scene) -> None:
    await scene.create_agents("ann")
    await scene.create_agents("bob", "cid", tenant=OTHER_TENANT)

    assert await told(scene, "ann") == [2]
    page = await scene.noticed.page(TENANT, id_of("bob"), 0, ALL)
    assert [event.tenant for event in page.events] == [TENANT], "what all of this tenant hear"


async def test_what_was_said_before_contenders_is_read_after_a_restart(scene: Scene) -> None:
    await scene.create_agents("ann", "bob")
    await scene.execute(acquire("ann", lease="lease"))
    await scene.submit(acquire("bob"))
    await scene.execute(release("lease", by=key_of("ann")))
    await scene.restart()

    assert await told(scene, "ann") == await told(scene, "bob") == [2, 3, 5, 6]


# -- Who is meant --------------------------------------------------------------


async def test_an_agent_is_found_by_its_id_or_by_its_name_in_any_case(scene: Scene) -> None:
    await scene.create_agents("ann")
    for ref in (
        AgentRef(id="agent_ann"),
        AgentRef(name="Ann"),
        AgentRef(id="agent_ann", name="ANN"),
    ):
        assert await scene.noticed.agent_id(TENANT, ref) == "agent_ann"


async def test_an_agent_that_has_a_key_and_has_not_registered_yet_is_found(scene: Scene) -> None:
    await scene.create_agents()
    issued = IssueKey(
        caller=ADMIN_KEY,
        key_id="0" * 16,
        role="agent",
        secret_hash="5e" * 32,
        agent_name="dee",
        new_agent_id="agent_dee",
    )
    await scene.execute(issued)

    assert await scene.noticed.agent_id(TENANT, AgentRef(name="dee")) == "agent_dee"


async def test_what_names_nobody_finds_nobody(scene: Scene) -> None:
    await scene.create_agents("ann", "bob")
    await scene.create_agents("eve", tenant=OTHER_TENANT)
    for ref in (
        AgentRef(),
        AgentRef(id=EVERYONE),
        AgentRef(id="agent_eve"),
        AgentRef(name="eve"),
        AgentRef(id="agent_ann", name="bob"),
    ):
        assert await scene.noticed.agent_id(TENANT, ref) is None


# -- The last one ----------------------------------------------------------------


@pytest.mark.parametrize("by_name", [False, True])
async def test_a_heartbeat_is_told_the_last_sequence_that_concerns_the_agent(
    scene: Scene, by_name: bool
) -> None:
    await scene.create_agents("ann", "bob", "cid")
    assert await last_notification(scene, "ann", by_name) == 4, "Cid's coming was told to all"
    await scene.execute(acquire("ann"))
    await scene.submit(acquire("bob"))
    sequences = [event.sequence for event in await scene.events() if event.type[:5] == "Lease"]

    assert await last_notification(scene, "ann", by_name) == sequences[-1]
    assert await last_notification(scene, "bob", by_name) == sequences[-1]
    assert await last_notification(scene, "cid", by_name) == 4
    assert await last_notification(scene, "ann", by_name) == sequences[-1], (
        "its own are no notifications"
    )


async def test_a_heartbeat_knows_of_what_happened_before_it_in_its_own_batch(
    scene: Scene,
) -> None:
    await scene.create_agents("ann", "bob")
    await scene.execute(acquire("ann"))
    answers: list[int] = []
    commits = scene.database.commits
    with scene.database.hold():
        first = scene.start(acquire("ann", LEE, lease="first"))
        await scene.database.held.wait()
        together = [
            scene.start(
                heartbeat("bob"), render=lambda heard: _noted(answers, heard.last_notification)
            ),
            scene.start(acquire("bob", KIM)),
            scene.start(
                heartbeat("bob"), render=lambda heard: _noted(answers, heard.last_notification)
            ),
        ]
        await asyncio.sleep(0)
    await asyncio.gather(first, *together)

    (conflict,) = scene.committed[-1]
    assert scene.database.commits == commits + 2, "those after the first fell into one batch"
    assert (conflict.type, answers) == ("LeaseConflicted", [3, conflict.sequence])


async def test_the_last_notification_outlives_a_restart(scene: Scene) -> None:
    await scene.create_agents("ann", "bob")
    await scene.restart()

    assert await last_notification(scene, "ann") == 3


# -- What is too old -------------------------------------------------------------


async def test_what_is_older_than_is_kept_is_left_out_and_said_to_be(scene: Scene) -> None:
    await scene.create_agents("ann", "bob")
    scene.clock.move(minutes=LONG, milliseconds=1)
    await scene.execute(register("cid"))
    page = await scene.noticed.page(TENANT, id_of("ann"), 0, ALL)

    assert page.gap == Gap(after=0, until=3)
    assert [event.type for event in page.events] == ["AgentRegistered"]
    assert [event.sequence for event in page.events] == [4]


async def test_what_is_just_as_old_as_is_kept_is_served(scene: Scene) -> None:
    await scene.create_agents("ann", "bob")
    scene.clock.move(minutes=LONG)
    page = await scene.noticed.page(TENANT, id_of("ann"), 0, ALL)

    assert (page.gap, len(page.events)) == (None, 2)


async def test_nothing_is_said_to_whom_nothing_was_left_out(scene: Scene) -> None:
    await scene.create_agents("ann", "bob", "cid")
    await scene.execute(acquire("ann", lease="lease"))
    await scene.submit(acquire("bob"))
    scene.clock.move(minutes=LONG, milliseconds=1)
    for name, after, gap in (
        ("bob", 4, Gap(after=4, until=6)),
        ("bob", 5, Gap(after=5, until=6)),
        ("bob", 6, None),
        ("cid", 4, None),
        ("cid", 3, Gap(after=3, until=4)),
        ("cid", 1_000, None),
    ):
        page = await scene.noticed.page(TENANT, id_of(name), after, ALL)
        assert (page.gap, page.events) == (gap, []), (name, after)


async def test_a_gap_ends_with_the_last_that_concerned_the_agent(scene: Scene) -> None:
    """Not with what others were told after it; and whoever goes on from there misses nothing."""
    await scene.create_agents("ann", "bob")
    await scene.execute(acquire("ann", lease="lease"), release("lease", by=key_of("ann")))
    scene.clock.move(minutes=LONG, milliseconds=1)
    await scene.execute(register("bob"), propose("bob"))
    page = await scene.noticed.page(TENANT, id_of("bob"), 0, ALL)
    again = await scene.noticed.page(TENANT, id_of("bob"), 3, ALL)

    assert page.gap == Gap(after=0, until=3)
    assert (again.gap, again.events) == (None, page.events)
    assert [event.type for event in page.events] == ["AgentLapsed", "ConsensusRequested"]


@pytest.mark.parametrize("limit", [1, 2, 3, ALL])
async def test_where_the_old_end_does_not_depend_on_the_length_of_a_page(
    scene: Scene, limit: int
) -> None:
    names = [f"agent{number}" for number in range(10)]
    await scene.create_agents(*names[:7])
    scene.clock.move(minutes=LONG, milliseconds=1)
    await scene.execute(*map(register, names[7:]))
    page = await scene.noticed.page(TENANT, id_of("agent0"), 2, limit)

    assert page.gap == Gap(after=2, until=8)
    assert [event.sequence for event in page.events] == [9, 10, 11][:limit]
