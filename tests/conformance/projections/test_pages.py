"""Lists are read in pages; unknown rows and rows of other tenants are not found."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from quorate.domain.coordination.consensus import STATUSES
from quorate.domain.identity.agent_settings import ConfigureAgent, Settings
from quorate.domain.identity.api_keys import IssueKey
from quorate.domain.shared.email_addresses import EmailAddress
from quorate.projections.snapshots import QueryResult
from tests.conformance.eventlog.conformance import OTHER_TENANT, TENANT
from tests.conformance.projections.projection_stage import DATABASES, ProjectionStage, open_stage
from tests.unit.support.sample_commands import (
    ADMIN_KEY,
    KIM,
    LEE,
    acquire,
    cancel,
    id_of,
    key_of,
    propose,
    register,
    release,
    vote,
)

MANY = 11
AGENTS = [f"agent{number:02}" for number in range(MANY)]
LIMITS = [1, 2, 5, MANY, MANY + 1]
Page = Callable[[str, int], Awaitable[QueryResult[Any]]]


@pytest.fixture(params=DATABASES)
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ProjectionStage]:
    async with open_stage(request.param, tmp_path) as stage:
        yield stage


def contact(number: int) -> EmailAddress:
    return EmailAddress(email=f"C{number:02}@example.com", key=f"c{number:02}@example.com")


def issue(number: int) -> IssueKey:
    return IssueKey(
        caller=ADMIN_KEY,
        key_id=f"{number:016x}",
        role="agent",
        secret_hash="5e" * 32,
        agent_name=f"reserved{number}",
        new_agent_id=f"agent_reserved{number}",
    )


async def read_all(page: Page, limit: int, key: Callable[[Any], str]) -> list[str]:
    """Follow the pages to the end; no page may exceed the limit."""
    result: list[str] = []
    while True:
        found: Sequence[Any] = (await page(result[-1] if result else "", limit)).found
        assert len(found) <= limit
        if not found:
            return result
        result += [key(one) for one in found]


async def create_everything(stage: ProjectionStage) -> None:
    """Create two tenants, each with many rows of every kind."""
    for tenant in (TENANT, OTHER_TENANT):
        await stage.create_agents(*AGENTS, tenant=tenant)
        for number, name in enumerate(AGENTS):
            acquisition = acquire(name, contact(number), lease=f"{tenant}-l{MANY - number:02}")
            await stage.execute(acquisition, tenant=tenant)
            proposal = propose(name, request=f"{tenant}-r{number:02}")
            await stage.execute(proposal, tenant=tenant)
            ballot = vote(name, "approve", request=f"{tenant}-r00")
            await stage.submit(ballot, tenant=tenant)
            await stage.execute(issue(number + (100 if tenant == TENANT else 0)), tenant=tenant)


# -- Pages ---------------------------------------------------------------------


@pytest.mark.parametrize("limit", LIMITS)
async def test_pages_of_every_list_are_complete_and_ordered(
    stage: ProjectionStage, limit: int
) -> None:
    await create_everything(stage)
    reader = stage.reader

    agents = await read_all(
        lambda after, limit: reader.agents(TENANT, after, limit), limit, lambda row: row.agent.id
    )
    assert agents == [id_of(name) for name in AGENTS]
    requests = await read_all(
        lambda after, limit: reader.requests(TENANT, after, limit, None),
        limit,
        lambda r: r.request.id,
    )
    assert requests == [f"{TENANT}-r{number:02}" for number in range(MANY)]
    keys = await read_all(
        lambda after, limit: reader.keys(TENANT, after, limit), limit, lambda key: key.id
    )
    assert keys == [f"{number + 100:016x}" for number in range(MANY)]
    voters = await read_all(
        lambda after, limit: reader.votes(TENANT, f"{TENANT}-r00", after, limit),
        limit,
        lambda one: one.agent_id,
    )
    assert voters == [id_of(name) for name in AGENTS[:6]]  # Six of eleven decide.


@pytest.mark.parametrize("limit", LIMITS)
async def test_leases_are_ordered_by_contact(stage: ProjectionStage, limit: int) -> None:
    await create_everything(stage)
    leases = await read_all(
        lambda after, limit: stage.reader.live_leases(TENANT, after, limit, None, None),
        limit,
        lambda lease: lease.id,
    )

    assert leases == [f"{TENANT}-l{MANY - number:02}" for number in range(MANY)]


async def test_cursor_of_an_ended_lease_stays_valid(stage: ProjectionStage) -> None:
    await create_everything(stage)
    first = await stage.reader.live_leases(TENANT, "", 3, None, None)
    last = first.found[-1]
    await stage.execute(release(last.id, by=key_of("agent02")))
    second = await stage.reader.live_leases(TENANT, last.id, 1, None, None)

    assert [lease.contact_key for lease in second.found] == [contact(3).key]


async def test_leases_are_filtered_by_holder_and_contact(stage: ProjectionStage) -> None:
    await stage.create_agents("ann", "bob")
    await stage.execute(
        acquire("ann", KIM, lease="l1"),
        acquire("ann", LEE, lease="l2"),
        acquire("bob", contact(1), lease="l3"),
    )

    async def leases(agent: str | None, key: str | None) -> list[str]:
        result = await stage.reader.live_leases(TENANT, "", 9, agent, key)
        return [lease.id for lease in result.found]

    assert await leases(None, None) == ["l3", "l1", "l2"]
    assert await leases(id_of("ann"), None) == ["l1", "l2"]
    assert await leases(None, LEE.key) == ["l2"]
    assert await leases(id_of("ann"), LEE.key) == ["l2"]
    assert await leases(id_of("bob"), LEE.key) == []
    assert await leases(id_of("unknown"), None) == []


async def test_proposals_are_filtered_by_status(stage: ProjectionStage) -> None:
    await stage.create_agents("ann", "bob", "cid")
    for name in ("pending", "approved", "rejected", "cancelled"):
        await stage.execute(propose("ann", request=name, minutes=9))
    await stage.execute(propose("ann", request="expired", minutes=1))
    for voter in ("ann", "bob"):
        await stage.execute(vote(voter, "approve", request="approved"))
        await stage.execute(vote(voter, "reject", request="rejected"))
    await stage.execute(cancel("ann", request="cancelled"))
    stage.clock.move(minutes=1)
    await stage.record_due()

    for status in STATUSES:
        result = await stage.reader.requests(TENANT, "", 9, status)
        assert [row.request.id for row in result.found] == [status]
        assert [row.request.status for row in result.found] == [status]


async def test_proposal_has_vote_counts_and_no_long_parts(
    stage: ProjectionStage,
) -> None:
    await stage.create_agents("ann", "bob", "cid", "dan", "eve", "fay")
    await stage.execute(propose("ann", electorate="snapshot"), propose("ann", request="another"))
    await stage.execute(
        *(vote(voter, "reject") for voter in ("bob", "cid")), vote("ann", "approve")
    )
    await stage.execute(vote("bob", "approve", request="another"))
    one = (await stage.reader.request(TENANT, "request")).found
    _, listed = (await stage.reader.requests(TENANT, "", 9, None)).found

    assert one is not None
    assert one == listed
    assert (one.approvals, one.rejections) == (1, 2)
    assert not one.request.votes
    assert not one.request.members


# -- Unknown rows and other tenants --------------------------------------------


async def test_unknown_ids_are_not_found(stage: ProjectionStage) -> None:
    await stage.create_agents("ann")
    reader = stage.reader

    assert (await reader.agent(TENANT, "agent_unknown")).found is None
    assert (await reader.settings(TENANT, "agent_unknown")).found is None
    assert (await reader.lease(TENANT, "nothing")).found is None
    assert (await reader.request(TENANT, "nothing")).found is None
    assert (await reader.votes(TENANT, "nothing", "", 9)).found == []
    assert await reader.key("nothing") is None
    assert not await reader.has_tenant("unknown")


async def test_rows_of_another_tenant_are_not_found(stage: ProjectionStage) -> None:
    await create_everything(stage)
    reader = stage.reader
    ours, theirs = f"{TENANT}-l01", f"{OTHER_TENANT}-l01"

    assert (await reader.lease(TENANT, ours)).found is not None
    assert (await reader.lease(TENANT, theirs)).found is None
    assert (await reader.request(TENANT, f"{OTHER_TENANT}-r00")).found is None
    assert (await reader.votes(TENANT, f"{OTHER_TENANT}-r00", "", 9)).found == []
    leases = (await reader.live_leases(TENANT, "", 99, None, None)).found
    requests = (await reader.requests(TENANT, "", 99, None)).found
    ids = [*(lease.id for lease in leases), *(row.request.id for row in requests)]
    assert all(one.startswith(TENANT) for one in ids)


async def test_cursor_of_another_tenant_reveals_nothing(stage: ProjectionStage) -> None:
    await create_everything(stage)
    result = await stage.reader.live_leases(TENANT, f"{OTHER_TENANT}-l05", 99, None, None)

    assert all(lease.id.startswith(TENANT) for lease in result.found)


async def test_reserved_agent_is_not_shown(stage: ProjectionStage) -> None:
    await stage.create_agents("ann")
    await stage.execute(issue(1))
    reserved = (await stage.reader.agent(TENANT, "agent_reserved1")).found
    listed = (await stage.reader.agents(TENANT, "", 9)).found
    await stage.execute(register("reserved1"))
    shown = (await stage.reader.agents(TENANT, "", 9)).found

    assert reserved is None
    assert [row.agent.name for row in listed] == ["ann"]
    assert [row.agent.name for row in shown] == ["ann", "reserved1"]


async def test_agent_without_settings_has_empty_settings(stage: ProjectionStage) -> None:
    await stage.create_agents("ann")
    before = (await stage.reader.settings(TENANT, id_of("ann"))).found
    settings: Settings = {"humanizer_enabled": True, "humanizer_style": "dry"}
    await stage.execute(
        ConfigureAgent(caller=key_of("ann"), agent_id=id_of("ann"), settings=settings)
    )
    after = (await stage.reader.settings(TENANT, id_of("ann"))).found

    assert (before, after) == ({}, settings)


async def test_agent_is_returned_with_its_number_of_leases(stage: ProjectionStage) -> None:
    await stage.create_agents("ann", "bob")
    await stage.execute(acquire("ann", KIM, lease="l1"), acquire("ann", LEE, lease="l2"))
    await stage.execute(release("l1", by=key_of("ann")))

    listed = (await stage.reader.agents(TENANT, "", 9)).found
    assert {row.agent.name: row.leases_held for row in listed} == {"ann": 1, "bob": 0}


async def test_key_of_any_tenant_is_found_with_its_tenant(stage: ProjectionStage) -> None:
    await stage.create_agents("ann", tenant=OTHER_TENANT)
    await stage.execute(issue(7), tenant=OTHER_TENANT)
    found = await stage.reader.key(f"{7:016x}")

    assert found is not None
    assert (found.tenant, found.key.agent_name) == (OTHER_TENANT, "reserved7")
    assert await stage.reader.has_tenant(OTHER_TENANT)
