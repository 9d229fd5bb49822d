"""What one tenant's decisions may look at: everything, or just what a batch of commands named.

The same class is the working state of a batch (filled with what its commands name) and the whole
state of a tenant (folded from its log). ``apply`` is the only way it changes, and notes what it
touched, so that whoever filled it knows what to write back.
"""

from collections.abc import Iterable
from typing import assert_never

from quorate.domain.coordination import consensus, leases, send_gate
from quorate.domain.coordination.consensus import ConsensusRequest
from quorate.domain.coordination.leases import Lease
from quorate.domain.events import Event
from quorate.domain.identity import agent_settings, agents, api_keys, tenants
from quorate.domain.identity.agent_settings import size_bytes
from quorate.domain.identity.agents import Agent, AgentRef, folded
from quorate.domain.identity.api_keys import Key, Principal
from quorate.domain.identity.tenants import Tenant
from quorate.domain.notifications import EVERYONE
from quorate.domain.shared.quotas import UNLIMITED, Counted, Counts, Quotas
from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp


@record
class DecisionContext:
    """When a decision is made: the server's time, and the sequence its first event will have."""

    now: Timestamp
    sequence: int
    window: int  # How long a heartbeat lasts, in milliseconds.
    quotas: Quotas = UNLIMITED

    @property
    def active_until(self) -> Timestamp:
        return Timestamp(self.now + self.window)


class Touched:
    """Ids of what changed since the situation was filled."""

    __slots__ = (
        "agents",
        "counts",
        "holdings",
        "keys",
        "leases",
        "notifications",
        "requests",
        "settings",
        "tenant",
        "votes",
    )

    def __init__(self) -> None:
        self.agents: set[str] = set()
        self.counts: dict[Counted, int] = {}  # How many more there are, or fewer.
        self.holdings: dict[str, int] = {}  # By how many an agent's live leases changed.
        self.keys: set[str] = set()
        self.leases: set[str] = set()
        self.notifications: set[tuple[str, int]] = set()  # Who was told, and of which sequence.
        self.requests: set[str] = set()
        self.settings: set[str] = set()
        self.votes: set[tuple[str, str]] = set()  # Request and voter.
        self.tenant = False


class TenantState:
    """One tenant's agents, leases, requests, settings and keys, as far as they are known."""

    __slots__ = (
        "_agent_ids_by_name",
        "_last_notifications",
        "_live_by_agent",
        "_live_by_contact",
        "agents",
        "counts",
        "holdings",
        "keys",
        "leases",
        "requests",
        "settings",
        "tenant",
        "touched",
    )

    def __init__(self) -> None:
        self.tenant: Tenant | None = None
        self.agents: dict[str, Agent] = {}
        self.leases: dict[str, Lease] = {}
        self.requests: dict[str, ConsensusRequest] = {}
        self.settings: dict[str, agent_settings.Settings] = {}
        self.keys: dict[str, Key] = {}
        self.counts: dict[Counted, int] = {}  # Empty until there was anything to count.
        self.holdings: dict[str, int] = {}  # How many live leases an agent has.
        self.touched = Touched()
        self._agent_ids_by_name: dict[str, str] = {}
        self._last_notifications: dict[str, int] = {}
        self._live_by_contact: dict[str, str] = {}
        self._live_by_agent: dict[str, dict[str, None]] = {}

    # -- Filling -------------------------------------------------------------

    def put_agent(self, agent: Agent) -> None:
        if agent.id not in self.agents:  # A name never changes, but for upper and lower case.
            self._agent_ids_by_name[folded(agent.name)] = agent.id
        self.agents[agent.id] = agent

    def put_lease(self, lease: Lease) -> None:
        self.leases[lease.id] = lease
        if lease.status == "active":
            self._live_by_contact[lease.contact_key] = lease.id
            self._live_by_agent.setdefault(lease.agent_id, {})[lease.id] = None
        elif self._live_by_contact.get(lease.contact_key) == lease.id:
            del self._live_by_contact[lease.contact_key]
            self._live_by_agent.get(lease.agent_id, {}).pop(lease.id, None)

    def put_last_notification(self, agent_id: str, sequence: int) -> None:
        self._last_notifications[agent_id] = sequence

    def put_counts(self, counts: Counts) -> None:
        self.counts = dict(counts)

    def put_holding(self, agent_id: str, live_leases: int) -> None:
        self.holdings[agent_id] = live_leases

    # -- Looking -------------------------------------------------------------

    def agent(self, ref: AgentRef) -> Agent | None:
        if ref.id is not None:
            return self.agents.get(ref.id)
        return self.agent_named(ref.name) if ref.name is not None else None

    def agent_named(self, name: str) -> Agent | None:
        agent_id = self._agent_ids_by_name.get(folded(name))
        return self.agents[agent_id] if agent_id is not None else None

    def acting_id(self, caller: Principal, ref: AgentRef) -> str:
        """The id of an agent that has just acted, and so is known."""
        return agents.acting(caller, ref, self).id

    def active_agents(self, at: Timestamp) -> frozenset[str]:
        return frozenset(agent.id for agent in self.agents.values() if agent.active(at))

    def lease_on(self, contact_key: str) -> Lease | None:
        lease_id = self._live_by_contact.get(contact_key)
        return self.leases[lease_id] if lease_id is not None else None

    def leases_of(self, agent_id: str) -> list[Lease]:
        return [self.leases[lease_id] for lease_id in self._live_by_agent.get(agent_id, ())]

    def last_notification(self, agent_id: str) -> int:
        """The last sequence of which an agent was told, alone or with all others."""
        last = self._last_notifications
        return max(last.get(agent_id, 0), last.get(EVERYONE, 0))

    def count(self, what: Counted) -> int:
        return self.counts.get(what, 0)

    def holding(self, agent_id: str) -> int:
        """How many live leases an agent has, the ones that are not loaded included."""
        return self.holdings.get(agent_id, 0)

    # -- Changing ------------------------------------------------------------

    def tell(self, concerned: Iterable[str], sequence: int) -> None:
        """Note who was told of the event with this sequence."""
        for agent_id in concerned:
            self._last_notifications[agent_id] = sequence
            self.touched.notifications.add((agent_id, sequence))

    def apply(self, event: Event, at: Timestamp) -> None:
        match event:
            case (
                agents.HeartbeatReceived()
                | agents.AgentRegistered()
                | agents.AgentReregistered()
                | agents.AgentLapsed()
            ):
                self._apply_to_agent(event, at)
            case (
                leases.LeaseAcquired()
                | leases.LeaseReleased()
                | leases.LeaseRenewed()
                | leases.LeaseExpired()
                | leases.LeaseRevoked()
                | leases.LeaseConflicted()
            ):
                self._apply_to_lease(event, at)
            case send_gate.SendAuthorized() | send_gate.SendBlocked():
                pass  # Recorded for those who listen and audit; no state follows from it.
            case (
                consensus.VoteCast()
                | consensus.ConsensusRequested()
                | consensus.ConsensusDecided()
                | consensus.ConsensusExpired()
            ):
                self._apply_to_request(event, at)
            case agent_settings.AgentConfigured():
                self._apply_to_settings(event)
            case api_keys.KeyIssued() | api_keys.KeyRevoked():
                self._apply_to_key(event, at)
            case tenants.TenantCreated():
                self.tenant = tenants.evolve(event, at)
                self.touched.tenant = True
            case _:
                assert_never(event)

    def _apply_to_agent(self, event: agents.Event | api_keys.KeyIssued, at: Timestamp) -> None:
        assert event.agent_id is not None
        before = self.agents.get(event.agent_id)
        self.put_agent(agents.evolve(before, event, at))
        self.touched.agents.add(event.agent_id)
        if before is None:
            self._count("agents", 1)

    def _apply_to_lease(self, event: leases.Event, at: Timestamp) -> None:
        before = self.leases.get(event.lease_id)
        lease = leases.evolve(before, event, at)
        if lease is not before:  # Who is refused again and again changes nothing.
            self.put_lease(lease)
            self.touched.leases.add(lease.id)
            if before is None or lease.status != before.status:
                self._count_lease(lease.agent_id, 1 if before is None else -1)

    def _apply_to_request(self, event: consensus.Event, at: Timestamp) -> None:
        before = self.requests.get(event.request_id)
        request = consensus.evolve(before, event, at)
        self.requests[request.id] = request
        self.touched.requests.add(request.id)
        if before is None or request.status != before.status:
            self._count("open_requests", 1 if before is None else -1)
        if isinstance(event, consensus.VoteCast):
            self.touched.votes.add((event.request_id, event.agent_id))

    def _apply_to_settings(self, event: agent_settings.AgentConfigured) -> None:
        before = self.settings.get(event.agent_id, {})
        self.settings[event.agent_id] = event.settings
        self.touched.settings.add(event.agent_id)
        self._count("settings_bytes", size_bytes(event.settings) - size_bytes(before))

    def _apply_to_key(self, event: api_keys.Event, at: Timestamp) -> None:
        self.keys[event.key_id] = api_keys.evolve(self.keys.get(event.key_id), event, at)
        self.touched.keys.add(event.key_id)
        self._count("keys", 1 if isinstance(event, api_keys.KeyIssued) else -1)
        if isinstance(event, api_keys.KeyIssued) and event.agent_id is not None:
            self._apply_to_agent(event, at)

    def _count_lease(self, agent_id: str, more: int) -> None:
        self._count("live_leases", more)
        self.holdings[agent_id] = self.holdings.get(agent_id, 0) + more
        touched = self.touched.holdings
        touched[agent_id] = touched.get(agent_id, 0) + more

    def _count(self, what: Counted, more: int) -> None:
        self.counts[what] = self.counts.get(what, 0) + more
        self.touched.counts[what] = self.touched.counts.get(what, 0) + more
