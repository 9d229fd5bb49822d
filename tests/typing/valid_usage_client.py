"""Valid uses of the blocking client: each group, `call` and iterators. Never run."""

from collections.abc import Iterator
from typing import Literal, assert_type

from quorate.client import (
    AgentInfo,
    AgentRef,
    Client,
    ConsensusInfo,
    EventInfo,
    EventsInfo,
    HeartbeatInfo,
    IssuedKeyInfo,
    KeyInfo,
    LeaseInfo,
    ListTask,
    Notification,
    NotificationPage,
    ScheduleInfo,
    SendVerdict,
    TenantInfo,
    VoteInfo,
    requests,
)
from quorate.contracts.coordination.leases import GET_LEASE
from quorate.contracts.identity.agents import REGISTER
from quorate.contracts.sessions.sessions import SessionInfo
from quorate.contracts.sessions.task_models import TaskInfo

ME = AgentRef(name="ann")


def read(client: Client) -> None:
    assert_type(client.agents.get("agent_1"), AgentInfo)
    assert_type(client.agents.list(limit=10), list[AgentInfo])
    assert_type(client.agents.iterate(), Iterator[AgentInfo])
    assert_type(client.agents.get_config("agent_1"), dict[str, bool | str])
    assert_type(client.leases.list(agent_id="agent_1", contact_email="a@b.c"), list[LeaseInfo])
    assert_type(client.leases.iterate(limit=500), Iterator[LeaseInfo])
    assert_type(client.consensus.list(status="pending"), list[ConsensusInfo])
    assert_type(client.consensus.votes("id"), list[VoteInfo])
    assert_type(client.consensus.iterate_votes("id"), Iterator[VoteInfo])
    assert_type(client.notifications.list(ME, after=0), NotificationPage)
    assert_type(client.notifications.iterate(ME, after=0), Iterator[Notification])
    assert_type(client.keys.own(), KeyInfo)
    assert_type(client.keys.iterate(), Iterator[KeyInfo])
    assert_type(client.events(after=3, follow=True), Iterator[EventInfo])
    assert_type(client.events.list(type="VoteCast"), EventsInfo)
    assert_type(client.events.pages(), Iterator[EventsInfo])
    assert_type(client.sessions.iterate(ME), Iterator[SessionInfo])
    assert_type(client.tasks.status(ME, "task_1"), TaskInfo)
    assert_type(client.tasks.iterate(ME, status="running"), Iterator[TaskInfo])
    assert_type(client.task_lists.iterate(ME, "ops"), Iterator[ListTask])
    assert_type(client.schedules.list(ME).schedules, list[ScheduleInfo] | None)


def command(client: Client) -> None:
    assert_type(client.agents.register("ann", "outbound"), AgentInfo)
    assert_type(client.agents.heartbeat(ME), HeartbeatInfo)
    assert_type(client.leases.acquire(ME, "a@b.c", duration_minutes=5), LeaseInfo)
    assert_type(client.leases.renew("id", duration_minutes=5), LeaseInfo)
    assert_type(client.leases.release("id").released, Literal[True])
    assert_type(client.send_gate.request(ME, "a@b.c", fence=7), SendVerdict)
    assert_type(client.consensus.vote(ME, "id", "approve", "why"), VoteInfo)
    assert_type(client.keys.issue("agent", "ann"), IssuedKeyInfo)
    assert_type(client.tenants.create("acme"), TenantInfo)
    assert_type(client.call(REGISTER, {"agentName": "ann"}, idempotency_key="key"), AgentInfo)
    assert_type(client.call(GET_LEASE, lease_id="id", timeout_seconds=5), LeaseInfo)
    assert_type(client.execute(requests.get_agent("agent_1")), AgentInfo)
