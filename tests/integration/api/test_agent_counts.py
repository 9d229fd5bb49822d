"""Reads of agents count what each of them has, and the console shows their names."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from quorate.cli.audit.history import Until, replay_events
from quorate.cli.output.tenant_snapshot import take_snapshot
from tests.integration.api.console.test_console import log_in, page
from tests.integration.api.in_process import InProcess, run_in_process
from tests.integration.api.mail_service import DOMAIN
from tests.integration.api.task_agents import Json, TaskAgent, create_agent

LEASE = "/v1/agent/coordination/lease"
LEASES = "/v1/agent/coordination/leases"
AGENTS = "/v1/agent/agents"
COUNTS = ("leasesHeld", "tasksClaimed", "unreadMail")
# A replay does not print them.
NOT_IN_REPLAY = {"tenantId", "heartbeatWindowSeconds"}


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[InProcess]:
    async with run_in_process(tmp_path / "data") as service:
        yield service


async def agents_of(service: InProcess) -> dict[str, Json]:
    return {one["agentName"]: one for one in (await service.get(AGENTS)).json}


def counts(agent: Json) -> tuple[int, ...]:
    return tuple(agent[name] for name in COUNTS)


async def work(service: InProcess) -> tuple[TaskAgent, TaskAgent]:
    """Return an agent with 2 leases, a claimed task and 3 unread messages, and one without."""
    ann, bob = await create_agent(service, "ann"), await create_agent(service, "bob")
    for contact in ("kim@example.com", "lee@example.com"):
        await ann.call("POST", LEASE, {"contactEmail": contact})
    await bob.spawn("report")
    await bob.spawn("not claimed")
    assert await ann.claim() is not None
    for _ in range(3):
        mail = {"to": [f"ann@{DOMAIN}"], "subject": "s"}
        assert (await bob.request("POST", "/email/send", mail)).status == 200
    return ann, bob


async def test_agents_have_numbers_of_leases_claimed_tasks_and_unread_messages(
    service: InProcess,
) -> None:
    ann, _ = await work(service)
    before = await agents_of(service)
    one = (await service.get(f"{AGENTS}/{ann.id}")).json
    newest = (await ann.call("GET", "/email/inbox"))["messages"][0]
    await ann.call("GET", f"/email/message/{newest['message_id']}")
    lease = (await service.get(f"{LEASES}?contactEmail=kim@example.com")).json[0]
    assert (await service.call("DELETE", f"{LEASE}/{lease['id']}")).status == 200
    after = await agents_of(service)

    assert (counts(before["ann"]), counts(before["bob"])) == ((2, 1, 3), (0, 0, 0))
    assert one == before["ann"]
    assert counts(after["ann"]) == (1, 1, 2)


async def test_list_without_counts_has_the_same_agents(service: InProcess) -> None:
    await work(service)
    listed = (await service.get(AGENTS)).json
    without = (await service.get(f"{AGENTS}?withCounts=false")).json

    assert without == [
        {name: value for name, value in one.items() if name not in COUNTS} for one in listed
    ]


async def test_replay_has_the_same_agents(service: InProcess) -> None:
    await work(service)
    events = (await service.get("/v1/events?limit=1000")).json["events"]
    expected = take_snapshot(replay_events(events, Until()))["agents"]
    agents = (await service.get(AGENTS)).json

    known = set(expected[0])
    assert [{name: one[name] for name in known} for one in agents] == expected
    assert set(agents[0]) - known <= NOT_IN_REPLAY


@pytest.mark.parametrize("path", ["leases", "tasks", "agents", "contacts/kim@example.com"])
async def test_pages_of_the_console_name_agents(service: InProcess, path: str) -> None:
    ann, bob = await work(service)
    cookie = await log_in(service, service.key)

    html = (await page(service, f"/{path}", cookie)).body.decode()

    assert f'title="{ann.id}">ann</a>' in html
    assert f">{ann.id}<" not in html
    assert f">{bob.id}<" not in html
