"""The synchronous agent: heartbeats and renewals run in a background thread."""

# ruff: noqa: PT012 - the tests are about the exception of a whole block.

import inspect
import itertools
import re
import threading
from collections.abc import Iterator

import pytest

from quorate.client import Agent as AsyncAgent
from quorate.client import (
    AgentRef,
    AlreadyVotedError,
    Client,
    ConsensusRequested,
    LeaseConflictError,
    LeaseLostError,
    requests,
)
from quorate.client import Lease as AsyncLease
from quorate.client import Mailbox as AsyncMailbox
from quorate.client import Proposal as AsyncProposal
from quorate.client import SpawnedTask as AsyncSpawnedTask
from quorate.client import Task as AsyncTask
from quorate.client import Worker as AsyncWorker
from quorate.client.blocking import (
    Agent,
    Lease,
    Mailbox,
    Proposal,
    Schedules,
    Sessions,
    SpawnedTask,
    Spawner,
    Task,
    TaskLists,
    Worker,
)
from quorate.client.schedules import Schedules as AsyncSchedules
from quorate.client.sessions import Sessions as AsyncSessions
from quorate.client.spawned_tasks import Spawner as AsyncSpawner
from quorate.client.sync_proxy import SyncProxy
from quorate.client.task_lists import TaskLists as AsyncTaskLists
from tests.e2e.client.agent_fleet import TRANSPORTS
from tests.e2e.service.service_process import ServiceProcess

CONTACT = "user@example.com"
SHORT = 1 / 60
OF_THE_LOOP = {"acquire", "close", "background", "send_located"}  # Used by the SDK itself.
_NUMBERS = itertools.count(1)


@pytest.fixture(params=TRANSPORTS)
def nats_url(request: pytest.FixtureRequest, service: ServiceProcess) -> str:
    return service.nats_url if request.param == "nats" else ""


@pytest.fixture
def client(service: ServiceProcess) -> Iterator[Client]:
    """A client with the key of a new tenant."""
    with Client(service.url, service.admin_key) as admin:
        name = f"blocking-{next(_NUMBERS)}"
        admin.execute(requests.create_tenant(name))
        key = admin.execute(requests.issue_key("tenant", tenant_id=name)).key
        assert key is not None
    with Client(service.url, key) as client:
        yield client


@pytest.fixture
def key(client: Client) -> str:
    key = client.execute(requests.issue_key("agent", "outreach")).key
    assert key is not None
    return key


@pytest.fixture
def agent(service: ServiceProcess, key: str, nats_url: str) -> Iterator[Agent]:
    with Agent.connect(service.url, key, nats_url=nats_url) as agent:
        yield agent
    assert [each for each in threading.enumerate() if each.name == "quorate.client"] == []


@pytest.mark.parametrize(
    ("proxy_type", "target_type"),
    [
        *((Agent, AsyncAgent), (Lease, AsyncLease), (Proposal, AsyncProposal)),
        *((Worker, AsyncWorker), (Task, AsyncTask), (SpawnedTask, AsyncSpawnedTask)),
        *((Spawner, AsyncSpawner), (Mailbox, AsyncMailbox), (Sessions, AsyncSessions)),
        *((TaskLists, AsyncTaskLists), (Schedules, AsyncSchedules)),
    ],
)
def test_proxy_has_every_public_name_of_its_target(
    proxy_type: type[SyncProxy], target_type: type
) -> None:
    """Attributes that the constructor sets count as well, such as the parts of an agent."""
    assigned = set(re.findall(r"self\.(\w+)[ ,]", inspect.getsource(target_type.__init__)))  # type: ignore[misc]
    public = {name for name in {*vars(target_type), *assigned} if not name.startswith("_")}

    assert public - OF_THE_LOOP <= set(vars(proxy_type))


def test_agent_acquires_sends_and_renews(agent: Agent) -> None:
    assert (agent.name, agent.role, agent.incarnation) == ("outreach", "general", 1)
    assert agent.is_active
    with agent.lease(CONTACT) as lease:
        was_held = lease.is_held
        assert lease.remaining_seconds > 0
        assert lease.request_send().authorized
        assert lease.renew().fence == lease.fence
    assert (was_held, lease.is_held) == (True, False)
    assert agent.update_config({"humanizer_style": "dry"}) == agent.get_config()
    assert agent.heartbeat().agent_id == agent.id


def test_lease_is_released_when_the_block_raises(agent: Agent, client: Client) -> None:
    with pytest.raises(LookupError, match="mine"), agent.lease(CONTACT):
        raise LookupError("mine")
    assert client.execute(requests.list_leases()) == []


def test_entering_raises_a_conflict(agent: Agent, client: Client) -> None:
    rival = client.execute(requests.register("rival"))
    client.execute(requests.acquire_lease(AgentRef(id=rival.id), CONTACT))
    with pytest.raises(LeaseConflictError), agent.lease(CONTACT):
        pass


def test_lost_lease_is_raised_by_check_and_at_the_end_of_the_block(
    agent: Agent, client: Client
) -> None:
    lease = agent.lease(CONTACT)
    with pytest.raises(LeaseLostError, match="released"), lease:
        client.execute(requests.release_lease(lease.id))
        while lease.is_held:  # Nothing interrupts a thread, so it polls.
            pass
        with pytest.raises(LeaseLostError):
            lease.check()
    assert lease.loss is None  # The end of the block released it.


def test_lease_is_renewed_while_the_program_computes(agent: Agent) -> None:
    with agent.lease(CONTACT, duration_minutes=SHORT) as lease:
        first = lease.expires_at
        while lease.expires_at == first:
            assert lease.is_held


def test_proposal_is_decided(agent: Agent) -> None:
    proposal = agent.propose("pause", CONTACT, "why")
    vote = agent.vote(proposal.id, "approve")
    decided = proposal.wait_for_decision(timeout_seconds=20)

    assert vote.consensus_status == "approved"
    assert decided.status == "approved"
    assert decided == proposal.info == proposal.refresh() == agent.get_consensus(proposal.id)
    with pytest.raises(AlreadyVotedError):
        agent.vote(proposal.id, "reject")


def test_wait_for_decision_ends_at_its_timeout(agent: Agent, client: Client) -> None:
    client.execute(requests.register("voter"))
    with pytest.raises(TimeoutError):
        agent.propose("pause", CONTACT, "why").wait_for_decision(timeout_seconds=0.05)


def test_notifications_are_iterable(agent: Agent) -> None:
    first = agent.propose("one", CONTACT, "why")
    second = agent.propose("two", CONTACT, "why")
    read = []
    for notification in agent.notifications():
        if isinstance(notification.data, ConsensusRequested):
            read.append(notification.data.request_id)
        if len(read) == 2:
            break

    assert read == [first.id, second.id]
    assert agent.cursor >= notification.sequence


def test_disconnected_agent_raises_runtime_error(
    service: ServiceProcess, key: str, nats_url: str
) -> None:
    with Agent.connect(service.url, key, nats_url=nats_url) as agent:
        pass
    with pytest.raises(RuntimeError, match="disconnected"):
        agent.heartbeat()
