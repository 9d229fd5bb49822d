"""The same agent with ``with`` and ``for``: heartbeats and renewals go on in a thread."""

# ruff: noqa: PT012 - what a whole block raises is the point.

import itertools
import threading
from collections.abc import Iterator

import pytest

from quorate.client import Agent as AsyncAgent
from quorate.client import (
    AgentRef,
    AlreadyVotedError,
    Client,
    LeaseConflictError,
    LeaseLostError,
    requests,
)
from quorate.client import Lease as AsyncLease
from quorate.client import Proposal as AsyncProposal
from quorate.client.blocking import Agent, Lease, Proposal, SyncProxy
from tests.e2e.client.agent_fleet import WAYS
from tests.e2e.service.service_process import Running

CONTACT = "user@example.com"
SHORT = 1 / 60
_NUMBERS = itertools.count(1)


@pytest.fixture(params=WAYS)
def nats_url(request: pytest.FixtureRequest, service: Running) -> str:
    return service.nats_url if request.param == "nats" else ""


@pytest.fixture
def caller(service: Running) -> Iterator[Client]:
    """An administrator's tenant, in which nobody was before."""
    with Client(service.url, service.admin_key) as admin:
        name = f"blocking-{next(_NUMBERS)}"
        admin.execute(requests.create_tenant(name))
        key = admin.execute(requests.issue_key("tenant", tenant_id=name)).key
        assert key is not None
    with Client(service.url, key) as caller:
        yield caller


@pytest.fixture
def key(caller: Client) -> str:
    key = caller.execute(requests.issue_key("agent", "outreach")).key
    assert key is not None
    return key


@pytest.fixture
def agent(service: Running, key: str, nats_url: str) -> Iterator[Agent]:
    with Agent.connect(service.url, key, nats_url=nats_url) as agent:
        yield agent
    assert [each for each in threading.enumerate() if each.name == "quorate.client"] == []


@pytest.mark.parametrize(
    ("face", "behind"), [(Agent, AsyncAgent), (Lease, AsyncLease), (Proposal, AsyncProposal)]
)
def test_everything_public_is_there_under_the_same_name(
    face: type[SyncProxy], behind: type
) -> None:
    public = {name for name in vars(behind) if not name.startswith("_")}

    assert public - {"begin", "finish"} <= set(vars(face))


def test_an_agent_acts(agent: Agent) -> None:
    assert (agent.name, agent.role, agent.incarnation) == ("outreach", "general", 1)
    assert agent.is_active
    with agent.lease(CONTACT) as lease:
        held = lease.is_held
        assert lease.remaining_seconds > 0
        assert lease.request_send().authorized
        assert lease.renew().fence == lease.fence
    assert (held, lease.is_held) == (True, False)
    assert agent.update_config({"humanizer_style": "dry"}) == agent.get_config()
    assert agent.heartbeat().agent_id == agent.id


def test_the_lease_is_given_back_when_the_block_raises(agent: Agent, caller: Client) -> None:
    with pytest.raises(LookupError, match="mine"), agent.lease(CONTACT):
        raise LookupError("mine")
    assert caller.execute(requests.list_leases()) == []


def test_a_conflict_is_raised_on_entering(agent: Agent, caller: Client) -> None:
    rival = caller.execute(requests.register("rival"))
    caller.execute(requests.acquire_lease(AgentRef(id=rival.id), CONTACT))
    with pytest.raises(LeaseConflictError), agent.lease(CONTACT):
        pass


def test_a_lost_lease_is_told_by_check_and_at_the_end(agent: Agent, caller: Client) -> None:
    lease = agent.lease(CONTACT)
    with pytest.raises(LeaseLostError, match="released"), lease:
        caller.execute(requests.release_lease(lease.id))
        while lease.is_held:  # Nothing interrupts a thread: it has to look.
            pass
        with pytest.raises(LeaseLostError):
            lease.check()
    assert lease.loss is None  # It was given back by now.


def test_the_lease_is_renewed_while_the_program_computes(agent: Agent) -> None:
    with agent.lease(CONTACT, duration_minutes=SHORT) as lease:
        first = lease.expires_at
        while lease.expires_at == first:
            assert lease.is_held


def test_proposals_are_decided(agent: Agent) -> None:
    proposal = agent.propose("pause", CONTACT, "why")
    vote = agent.vote(proposal.id, "approve")
    decided = proposal.wait_for_decision(timeout_seconds=20)

    assert vote.consensus_status == "approved"
    assert decided.status == "approved"
    assert decided == proposal.info == proposal.refresh() == agent.get_consensus(proposal.id)
    with pytest.raises(AlreadyVotedError):
        agent.vote(proposal.id, "reject")


def test_a_decision_is_awaited_no_longer_than_one_wants(agent: Agent, caller: Client) -> None:
    caller.execute(requests.register("somebody"))
    with pytest.raises(TimeoutError):
        agent.propose("pause", CONTACT, "why").wait_for_decision(timeout_seconds=0.05)


def test_notifications_are_read_with_for(agent: Agent) -> None:
    first = agent.propose("one", CONTACT, "why")
    second = agent.propose("two", CONTACT, "why")
    read = []
    for notification in agent.notifications():
        if notification.name == "consensus_requested":
            read.append(notification.data["requestId"])
        if len(read) == 2:
            break

    assert read == [first.id, second.id]
    assert agent.cursor >= notification.sequence


def test_an_agent_that_has_left_says_so(service: Running, key: str, nats_url: str) -> None:
    with Agent.connect(service.url, key, nats_url=nats_url) as agent:
        pass
    with pytest.raises(RuntimeError, match="left"):
        agent.heartbeat()
