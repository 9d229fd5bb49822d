"""Which moment a request names, and which moments cannot be read."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from quorate.contracts.as_of import WITHOUT_PAST, has_past
from quorate.contracts.registry import OPERATIONS
from quorate.domain.coordination import lease_grants, leases
from quorate.domain.identity import agent_departures, agents, tenants
from quorate.domain.identity.agents import AgentRef
from quorate.domain.identity.principals import Principal
from quorate.domain.shared.email_addresses import EmailAddress
from quorate.domain.shared.timestamps import Timestamp, iso
from quorate.eventlog.envelopes import Accepted, Unavailable
from quorate.eventlog.moments import current_moment
from quorate.projections.history import moments as moments_module
from tests.conformance.eventlog.conformance import OTHER_TENANT, PLATFORMS, TENANT
from tests.conformance.projections.projection_stage import ProjectionStage
from tests.integration.history.past_services import Answer, Read, ReadingService, follow

CONTACT = EmailAddress(email="kim@example.com", key="kim@example.com")
MINUTE = 60_000


class Past:
    """A log of two tenants, and what its operations answered then."""

    def __init__(self, stage: ProjectionStage) -> None:
        self.stage = stage
        self.service = ReadingService(stage.log, lambda: stage.clock.now)

    async def submit(self, command: Any, tenant: str = TENANT) -> int:  # noqa: ANN401 - any command.
        """Return the sequence of the tenant after the command."""
        answer = await self.stage.submit(command, tenant=tenant)
        assert isinstance(answer, Accepted), answer
        return answer.sequence

    async def register(self, name: str, tenant: str = TENANT) -> int:
        command = agents.RegisterAgent(
            caller=_key(tenant), agent_name=name, agent_role="r", new_agent_id=f"agent_{name}"
        )
        return await self.submit(command, tenant)

    async def acquire(self, name: str, lease_id: str) -> int:
        return await self.submit(
            lease_grants.AcquireLease(
                caller=_key(TENANT),
                agent=AgentRef(id=f"agent_{name}"),
                contact=CONTACT,
                intent=None,
                duration_minutes=1,
                new_lease_id=lease_id,
                holder=None,
            )
        )

    async def read(
        self,
        operation: str,
        as_of: int | str | None = None,
        *,
        tenant: str = TENANT,
        **path: str,
    ) -> Answer:
        await follow(self.stage.log, 3)
        read = Read(operation=operation, principal=_key(tenant), path=path, query={})
        return await self.service.answer(read, as_of)

    async def ids(self, operation: str, as_of: int | str | None = None) -> list[str]:
        answer = await self.read(operation, as_of)
        return [one["id"] for one in orjson.loads(answer.body)]


def _key(tenant: str) -> Principal:
    return Principal(key_id="keytenant", role="tenant", tenant=tenant)


@pytest.fixture(params=sorted(PLATFORMS))
async def past(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Past]:
    stage = ProjectionStage(PLATFORMS[request.param](tmp_path))
    await stage.open()
    try:
        yield Past(stage)
    finally:
        await stage.close()


def test_every_operation_that_reads_has_a_past_or_a_reason() -> None:
    reading = {one.name for one in OPERATIONS if one.method == "GET"}
    with_past = {one.name for one in OPERATIONS if has_past(one)}

    assert with_past | WITHOUT_PAST.keys() == reading
    assert not with_past & WITHOUT_PAST.keys()
    for one in OPERATIONS:
        names = {field.alias for field in one.query.model_fields.values()} if one.query else set()
        assert ("asOf" in names) == (one.name in with_past), one.name


async def test_state_is_that_of_each_sequence(past: Past) -> None:
    before = await past.register("ann")
    granted = await past.acquire("ann", "lease-1")
    ended = await past.submit(leases.ReleaseLease(caller=_key(TENANT), lease_id="lease-1"))

    assert await past.ids("listLeases", before) == []
    assert await past.ids("listLeases", granted) == ["lease-1"]
    assert await past.ids("listLeases", ended) == []
    assert (await past.read("getLease", granted, lease_id="lease-1")).as_of == b"%d" % granted
    then = await past.read("getLease", before, lease_id="lease-1")
    assert then.body.startswith(b"lease_not_found")
    assert then.as_of == b"%d" % before


async def test_time_between_two_events_is_the_earlier_event_with_later_deadlines(
    past: Past,
) -> None:
    start = past.stage.clock.now
    await past.register("ann")
    granted = await past.acquire("ann", "lease-1")
    past.stage.clock.now = Timestamp(start + 10 * MINUTE)
    await past.register("bob")

    just_after = iso(Timestamp(start + MINUTE // 2))
    expired = iso(Timestamp(start + 2 * MINUTE))
    assert await past.ids("listLeases", just_after) == ["lease-1"]
    assert await past.ids("listLeases", expired) == []
    assert (await past.read("listLeases", expired)).as_of == b"%d" % granted


async def test_future_and_malformed_moments_are_invalid(past: Past) -> None:
    head = await past.register("ann")
    tomorrow = iso(Timestamp(past.stage.clock.now + 24 * 60 * MINUTE))

    for as_of in (head + 1, tomorrow, "soon", "0", "-1", "1.5", "2026-03-01", "9" * 30, ""):
        answer = await past.read("listAgents", as_of)
        assert answer.body.startswith(b"invalid_request"), (as_of, answer)
    assert (await past.read("listAgents", head)).as_of == b"%d" % head


async def test_moment_before_the_first_event_is_a_gap(past: Past) -> None:
    await past.register("ann")
    answer = await past.read("listAgents", "2020-01-01T00:00:00Z")

    assert answer.body.startswith(b"gap"), answer


async def test_rows_that_were_removed_later_are_there_before(past: Past) -> None:
    await past.register("ann")
    present = await past.submit(
        agent_departures.DeregisterAgent(
            caller=_key(TENANT), agent=AgentRef(id="agent_ann"), only_if_idle=False
        )
    )
    removed = await past.submit(agent_departures.RemoveAgent(agent_id="agent_ann"))
    again = await past.submit(
        agents.RegisterAgent(
            caller=_key(TENANT), agent_name="ann", agent_role="r", new_agent_id="agent_ann2"
        )
    )

    then = await past.read("getAgent", present, agent_id="agent_ann")
    assert orjson.loads(then.body)["status"] == "deregistered"
    for moment in (removed, again):
        gone = await past.read("getAgent", moment, agent_id="agent_ann")
        assert gone.body.startswith(b"agent_not_found")
    assert await past.ids("listAgents", removed) == []
    assert await past.ids("listAgents", again) == ["agent_ann2"]


async def test_tenants_do_not_see_the_past_of_each_other(past: Past) -> None:
    await past.submit(tenants.CreateTenant(tenant_id=OTHER_TENANT), OTHER_TENANT)
    await past.register("ann")
    theirs = await past.register("eve", OTHER_TENANT)
    ours = await past.register("bob")

    assert await past.ids("listAgents", ours) == ["agent_ann", "agent_bob"]
    there = await past.read("listAgents", theirs, tenant=OTHER_TENANT)
    assert [one["id"] for one in orjson.loads(there.body)] == ["agent_eve"]
    hidden = await past.read("getAgent", ours, agent_id="agent_eve")
    assert hidden.body.startswith(b"agent_not_found")


async def test_history_that_lags_behind_is_waited_for_and_then_unavailable(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moments_module, "WAIT_SECONDS", 0.1)
    first = await past.register("ann")
    await follow(past.stage.log, 100)
    last = await past.register("bob")
    read = Read(operation="listAgents", principal=_key(TENANT), path={}, query={})

    with pytest.raises(Unavailable):
        await past.service.answer(read, last)
    assert (await past.service.answer(read, first)).as_of == b"%d" % first
    monkeypatch.setattr(moments_module, "WAIT_SECONDS", 20.0)
    waiting = asyncio.create_task(past.service.answer(read, last))
    await asyncio.sleep(0)
    await follow(past.stage.log, 100)
    assert (await waiting).as_of == b"%d" % last


async def test_requests_of_the_present_are_not_changed_by_those_of_the_past(past: Past) -> None:
    first = await past.register("ann")
    await past.register("bob")
    await follow(past.stage.log, 100)
    read = Read(operation="listAgents", principal=_key(TENANT), path={}, query={})

    then, now = await asyncio.gather(past.service.answer(read, first), past.service.answer(read))

    assert len(orjson.loads(then.body)) == 1
    assert len(orjson.loads(now.body)) == 2
    assert current_moment() is None
