"""An agent reads exactly the events of which it is notified; gaps are reported."""

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
from quorate.eventlog.event_filter import Filter
from quorate.eventlog.event_store import Gap
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.projections.notifications import NotificationQueries
from quorate.projections.queries import Reader
from tests.conformance.eventlog.conformance import OTHER_TENANT, TENANT
from tests.conformance.projections.projection_stage import (
    DATABASES,
    RETENTION_HOURS,
    ProjectionStage,
    open_stage,
)
from tests.conformance.projections.random_history import EVENTS_MAX, NOON, TENANTS, RandomHistory
from tests.unit.support.sample_commands import (
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
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ProjectionStage]:
    async with open_stage(request.param, tmp_path) as stage:
        yield stage


async def sequences_for(stage: ProjectionStage, name: str, after: int = 0) -> list[int]:
    """Return the sequences of one page that contains all notifications."""
    page = await stage.notifications.page(TENANT, id_of(name), after, ALL)
    return [event.sequence for event in page.events]


async def last_notification(stage: ProjectionStage, name: str, by_name: bool = False) -> int:
    """Return the last notification in the result of a heartbeat."""
    command = heartbeat(name)
    if by_name:
        command = Heartbeat(caller=TENANT_KEY, agent=AgentRef(name=name.upper()))
    noted: list[int] = []
    answer = await stage.submit(
        command, render=lambda result: _note(noted, result.last_notification)
    )
    assert isinstance(answer, Accepted)
    return noted[-1]


def _note(noted: list[int], last: int) -> bytes:
    noted.append(last)
    return b"{}"


# -- Recipients ----------------------------------------------------------------


def expected(events: Sequence[RecordedEvent], agent_id: str) -> list[int]:
    return [
        event.sequence
        for event in events
        if recipients_of(event.type, json.loads(event.data)) & {agent_id, EVERYONE}
    ]


@pytest.mark.parametrize("seed", range(3))
async def test_agent_reads_exactly_its_notifications_in_random_histories(
    tmp_path: Path, seed: int
) -> None:
    async with RandomHistory(tmp_path / "quorate.db", seed) as random_history:
        await random_history.run(rounds=40)
        notifications = NotificationQueries(
            random_history.log, lambda: random_history.now, retention_hours=10_000
        )
        reader = Reader(random_history.log, lambda: random_history.now)
        for tenant in TENANTS:
            events = (await random_history.log.page(tenant, 0, EVENTS_MAX, Filter())).events
            for row in (await reader.agents(tenant, "", ALL)).found:
                sequences = expected(events, row.agent.id)
                assert sequences
                for limit in (1, 7, len(sequences), ALL):
                    assert (
                        await read_in_pages(notifications, tenant, row.agent.id, limit) == sequences
                    )
    assert random_history.now > NOON


async def read_in_pages(
    notifications: NotificationQueries, tenant: str, agent_id: str, limit: int
) -> list[int]:
    found: list[int] = []
    after = 0
    while True:
        page = await notifications.page(tenant, agent_id, after, limit)
        assert len(page.events) <= limit
        assert page.next == page.head or len(page.events) == limit
        assert page.gap is None
        found += [event.sequence for event in page.events]
        after = page.next
        if after == page.head:
            return found


async def test_page_after_the_head_is_empty(stage: ProjectionStage) -> None:
    await stage.create_agents("ann")
    for after in (2, 3, 1_000):
        page = await stage.notifications.page(TENANT, id_of("ann"), after, ALL)
        assert (page.events, page.next, page.head, page.gap) == ([], after, 2, None)


async def test_next_is_the_head_after_the_last_notification(stage: ProjectionStage) -> None:
    """An agent without further notifications does not read those of others again."""
    await stage.create_agents("ann", "bob")
    await stage.execute(acquire("ann"))
    page = await stage.notifications.page(TENANT, id_of("bob"), 0, ALL)

    assert ([event.sequence for event in page.events], page.next, page.head) == ([2, 3], 4, 4)


async def test_notifications_of_another_tenant_are_not_read(stage: ProjectionStage) -> None:
    await stage.create_agents("ann")
    await stage.create_agents("bob", "cid", tenant=OTHER_TENANT)

    assert await sequences_for(stage, "ann") == [2]
    page = await stage.notifications.page(TENANT, id_of("bob"), 0, ALL)
    assert [event.tenant for event in page.events] == [TENANT], "only notifications for all"


async def test_notifications_of_contenders_are_read_after_a_restart(stage: ProjectionStage) -> None:
    await stage.create_agents("ann", "bob")
    await stage.execute(acquire("ann", lease="lease"))
    await stage.submit(acquire("bob"))
    await stage.execute(release("lease", by=key_of("ann")))
    await stage.restart()

    assert await sequences_for(stage, "ann") == await sequences_for(stage, "bob") == [2, 3, 5, 6]


# -- Agent references ----------------------------------------------------------


async def test_agent_is_found_by_id_or_by_name_in_any_case(stage: ProjectionStage) -> None:
    await stage.create_agents("ann")
    for ref in (
        AgentRef(id="agent_ann"),
        AgentRef(name="Ann"),
        AgentRef(id="agent_ann", name="ANN"),
    ):
        assert await stage.notifications.agent_id(TENANT, ref) == "agent_ann"


async def test_reserved_agent_is_found(stage: ProjectionStage) -> None:
    await stage.create_agents()
    issued = IssueKey(
        caller=ADMIN_KEY,
        key_id="0" * 16,
        role="agent",
        secret_hash="5e" * 32,
        agent_name="dee",
        new_agent_id="agent_dee",
    )
    await stage.execute(issued)

    assert await stage.notifications.agent_id(TENANT, AgentRef(name="dee")) == "agent_dee"


async def test_reference_to_no_agent_finds_none(stage: ProjectionStage) -> None:
    await stage.create_agents("ann", "bob")
    await stage.create_agents("eve", tenant=OTHER_TENANT)
    for ref in (
        AgentRef(),
        AgentRef(id=EVERYONE),
        AgentRef(id="agent_eve"),
        AgentRef(name="eve"),
        AgentRef(id="agent_ann", name="bob"),
    ):
        assert await stage.notifications.agent_id(TENANT, ref) is None


# -- The last notification -------------------------------------------------------


@pytest.mark.parametrize("by_name", [False, True])
async def test_heartbeat_returns_the_last_notification_of_the_agent(
    stage: ProjectionStage, by_name: bool
) -> None:
    await stage.create_agents("ann", "bob", "cid")
    assert await last_notification(stage, "ann", by_name) == 4, (
        "all agents are notified of the registration of cid"
    )
    await stage.execute(acquire("ann"))
    await stage.submit(acquire("bob"))
    sequences = [event.sequence for event in await stage.events() if event.type[:5] == "Lease"]

    assert await last_notification(stage, "ann", by_name) == sequences[-1]
    assert await last_notification(stage, "bob", by_name) == sequences[-1]
    assert await last_notification(stage, "cid", by_name) == 4
    assert await last_notification(stage, "ann", by_name) == sequences[-1], (
        "an agent is not notified of its own heartbeat"
    )


async def test_heartbeat_includes_notifications_of_its_own_batch(
    stage: ProjectionStage,
) -> None:
    await stage.create_agents("ann", "bob")
    await stage.execute(acquire("ann"))
    noted: list[int] = []
    commits = stage.database.commits
    with stage.database.hold():
        first = stage.start(acquire("ann", LEE, lease="first"))
        await stage.database.held.wait()
        together = [
            stage.start(
                heartbeat("bob"), render=lambda result: _note(noted, result.last_notification)
            ),
            stage.start(acquire("bob", KIM)),
            stage.start(
                heartbeat("bob"), render=lambda result: _note(noted, result.last_notification)
            ),
        ]
        await asyncio.sleep(0)
    await asyncio.gather(first, *together)

    (conflict,) = stage.committed[-1]
    assert stage.database.commits == commits + 2, "the commands after the first form one batch"
    assert (conflict.type, noted) == ("LeaseConflicted", [3, conflict.sequence])


async def test_last_notification_survives_a_restart(stage: ProjectionStage) -> None:
    await stage.create_agents("ann", "bob")
    await stage.restart()

    assert await last_notification(stage, "ann") == 3


# -- Retention -------------------------------------------------------------------


async def test_notifications_older_than_the_retention_are_reported_as_a_gap(
    stage: ProjectionStage,
) -> None:
    await stage.create_agents("ann", "bob")
    stage.clock.move(minutes=LONG, milliseconds=1)
    await stage.execute(register("cid"))
    page = await stage.notifications.page(TENANT, id_of("ann"), 0, ALL)

    assert page.gap == Gap(after=0, until=3)
    assert [event.type for event in page.events] == ["AgentRegistered"]
    assert [event.sequence for event in page.events] == [4]


async def test_notification_as_old_as_the_retention_is_served(stage: ProjectionStage) -> None:
    await stage.create_agents("ann", "bob")
    stage.clock.move(minutes=LONG)
    page = await stage.notifications.page(TENANT, id_of("ann"), 0, ALL)

    assert (page.gap, len(page.events)) == (None, 2)


async def test_no_gap_is_reported_when_nothing_was_left_out(stage: ProjectionStage) -> None:
    await stage.create_agents("ann", "bob", "cid")
    await stage.execute(acquire("ann", lease="lease"))
    await stage.submit(acquire("bob"))
    stage.clock.move(minutes=LONG, milliseconds=1)
    for name, after, gap in (
        ("bob", 4, Gap(after=4, until=6)),
        ("bob", 5, Gap(after=5, until=6)),
        ("bob", 6, None),
        ("cid", 4, None),
        ("cid", 3, Gap(after=3, until=4)),
        ("cid", 1_000, None),
    ):
        page = await stage.notifications.page(TENANT, id_of(name), after, ALL)
        assert (page.gap, page.events) == (gap, []), (name, after)


async def test_gap_ends_at_the_last_notification_of_the_agent(stage: ProjectionStage) -> None:
    """Later notifications of others do not move it; reading on from the gap misses nothing."""
    await stage.create_agents("ann", "bob")
    await stage.execute(acquire("ann", lease="lease"), release("lease", by=key_of("ann")))
    stage.clock.move(minutes=LONG, milliseconds=1)
    await stage.execute(register("bob"), propose("bob"))
    page = await stage.notifications.page(TENANT, id_of("bob"), 0, ALL)
    again = await stage.notifications.page(TENANT, id_of("bob"), 3, ALL)

    assert page.gap == Gap(after=0, until=3)
    assert (again.gap, again.events) == (None, page.events)
    assert [event.type for event in page.events] == ["AgentLapsed", "ConsensusRequested"]


@pytest.mark.parametrize("limit", [1, 2, 3, ALL])
async def test_gap_does_not_depend_on_the_limit_of_a_page(
    stage: ProjectionStage, limit: int
) -> None:
    names = [f"agent{number}" for number in range(10)]
    await stage.create_agents(*names[:7])
    stage.clock.move(minutes=LONG, milliseconds=1)
    await stage.execute(*map(register, names[7:]))
    page = await stage.notifications.page(TENANT, id_of("agent0"), 2, limit)

    assert page.gap == Gap(after=2, until=8)
    assert [event.sequence for event in page.events] == [9, 10, 11][:limit]
