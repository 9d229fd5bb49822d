"""A second implementation of the rules of leases and votes, as simple as possible.

* It shares no code with ``domain/``. It stores lists of what happened and computes every result
  from them. It is slow and meant to be obviously correct.
* Times are integers in milliseconds. Agents, contacts, leases and proposals are names.
* A result is a tuple: what happened, or the code of the rejection, then its data.
"""

from dataclasses import dataclass

BEATS_PER_WINDOW_MAX = 300
HUNDREDTHS = 100

Observation = tuple[object, ...]


@dataclass
class HeartbeatEntry:
    """A heartbeat or a registration."""

    position: int  # In the history.
    at: int


@dataclass
class Departure:
    """A deregistration."""

    position: int
    at: int


@dataclass
class Grant:
    at: int
    agent: str
    contact: str
    lease: str
    until: int
    holder: str | None = None
    incarnation: int = 1
    position: int = 0


@dataclass
class Renewal:
    lease: str
    until: int


@dataclass
class Release:
    at: int
    lease: str


@dataclass
class Rejection:
    agent: str
    lease: str


@dataclass
class Proposal:
    at: int
    agent: str
    request: str
    until: int
    snapshot: bool = False
    proposer_votes: bool = True
    floor: int = 0  # In hundredths.
    position: int = 0


@dataclass
class Vote:
    position: int
    at: int
    agent: str
    request: str
    choice: str


@dataclass
class Decision:
    """The outcome of a proposal, with its counts."""

    status: str
    approvals: int
    rejections: int
    size: int
    electorate: list[str]


class ReferenceModel:
    """Lists of what happened, each in the order of time."""

    def __init__(self, window: int) -> None:
        self.window = window
        self.length = 0  # Of the whole history.
        self.heartbeats: dict[str, list[HeartbeatEntry]] = {}
        self.grants: list[Grant] = []
        self.renewals: list[Renewal] = []
        self.releases: list[Release] = []
        self.superseded: list[Release] = []
        self.registrations: dict[str, int] = {}
        self.rejections: list[Rejection] = []
        self.proposals: list[Proposal] = []
        self.votes: list[Vote] = []
        self.departures: dict[str, list[Departure]] = {}
        self.cancellations: dict[str, int] = {}  # By the proposal: when.

    def next_position(self) -> int:
        self.length += 1
        return self.length

    # -- Agents --------------------------------------------------------------

    def last_heartbeat(self, agent: str, before: int | None = None) -> int | None:
        """Return the time of the last heartbeat before this position in the history."""
        for entry in reversed(self.heartbeats.get(agent, [])):
            if before is None or entry.position < before:
                return entry.at
        return None

    def is_active(self, agent: str, at: int, before: int | None = None) -> bool:
        latest = self.last_heartbeat(agent, before)
        if latest is None or self.has_left(agent, before):
            return False
        return at - latest <= self.window

    def has_left(self, agent: str, before: int | None = None) -> bool:
        """Return whether the agent deregistered and did not register since."""
        left = [one.position for one in self.departures.get(agent, [])]
        came = [one.position for one in self.heartbeats.get(agent, [])]
        known = [one for one in (*left, *came) if before is None or one < before]
        return bool(known) and max(known) in left

    def active_agents(self, at: int, before: int | None = None) -> list[str]:
        return sorted(agent for agent in self.heartbeats if self.is_active(agent, at, before))

    def times_out_at(self, agent: str, since: int) -> int:
        """Return the first time after ``since`` at which the agent has timed out."""
        times = [entry.at for entry in self.heartbeats[agent]]
        for latest, following in zip(times, [*times[1:], None], strict=True):
            timeout = latest + self.window + 1
            if timeout > since and (following is None or following >= timeout):
                return timeout
        raise AssertionError("the last heartbeat must time out at some time")

    def register(self, agent: str, at: int) -> Observation:
        again = agent in self.heartbeats
        self.heartbeats.setdefault(agent, []).append(HeartbeatEntry(self.next_position(), at))
        self.registrations[agent] = self.registrations.get(agent, 0) + 1
        return ("reregistered",) if again else ("registered",)

    def heartbeat(self, agent: str, at: int) -> Observation:
        latest = self.last_heartbeat(agent)
        if latest is None or self.has_left(agent):
            return ("agent_not_found",)
        if at - latest < self.window // BEATS_PER_WINDOW_MAX:
            return ("coalesced",)
        self.heartbeats[agent].append(HeartbeatEntry(self.next_position(), at))
        return ("recorded",)

    def deregister(self, agent: str, at: int) -> Observation:
        if agent not in self.heartbeats:
            return ("agent_not_found",)
        if self.has_left(agent):
            return ("left before",)
        self.departures.setdefault(agent, []).append(Departure(self.next_position(), at))
        return ("left",)

    def check_active(self, agent: str, at: int) -> str:
        """Return the code of the rejection, or an empty string."""
        if agent not in self.heartbeats or self.has_left(agent):
            return "agent_not_found"
        return "" if self.is_active(agent, at) else "agent_inactive"

    # -- Leases --------------------------------------------------------------

    def expires_at(self, grant: Grant) -> int:
        renewals = [one.until for one in self.renewals if one.lease == grant.lease]
        return max([grant.until, *renewals])

    def find_end(self, grant: Grant) -> tuple[int, str]:
        """Return when and how the lease ends, if nothing else happens."""
        for release in self.releases:
            if release.lease == grant.lease:
                return release.at, "released"
        for revocation in self.superseded:
            if revocation.lease == grant.lease:
                return revocation.at, "revoked"
        expiry, timeout = self.expires_at(grant), self.times_out_at(grant.agent, grant.at)
        for departure in self.departures.get(grant.agent, []):
            if departure.position > grant.position and departure.at < min(expiry, timeout):
                return departure.at, "revoked"
        return (expiry, "expired") if expiry < timeout else (timeout, "revoked")

    def lease_status(self, grant: Grant, at: int) -> str:
        end, status = self.find_end(grant)
        return status if at >= end else "active"

    def live_grant(self, contact: str, at: int) -> Grant | None:
        grants = [grant for grant in self.grants if grant.contact == contact]
        live = [grant for grant in grants if self.lease_status(grant, at) == "active"]
        assert len(live) <= 1
        return live[0] if live else None

    def contenders(self, lease: str) -> list[str]:
        """Return the agents rejected because of this lease, each once, in order of rejection."""
        found: list[str] = []
        for rejection in self.rejections:
            if rejection.lease == lease and rejection.agent not in found:
                found.append(rejection.agent)
        return found

    def acquire(  # noqa: PLR0917 - a command of the model.
        self,
        agent: str,
        contact: str,
        duration: int,
        lease: str,
        at: int,
        holder: str | None = None,
    ) -> Observation:
        if rejection := self.check_active(agent, at):
            return (rejection,)
        held = self.live_grant(contact, at)
        if held is not None and (held.agent != agent or held.holder not in (None, holder)):
            return self._reject(agent, held)
        incarnation = self.registrations[agent]
        if held is not None and (held.incarnation, held.holder) == (incarnation, holder):
            return self._extend(held, at, duration)
        if held is not None:
            self.superseded.append(Release(at, held.lease))
        position = self.next_position()
        self.grants.append(
            Grant(at, agent, contact, lease, at + duration, holder, incarnation, position)
        )
        return ("granted", lease, at + duration)

    def _reject(self, agent: str, held: Grant) -> Observation:
        self.rejections.append(Rejection(agent, held.lease))
        return ("lease_conflict", held.agent, held.holder, held.lease, self.expires_at(held))

    def renew(
        self,
        lease: str,
        requester: str | None,
        duration: int,
        at: int,
        holder: str | None = None,
    ) -> Observation:
        """Renew a lease; ``requester`` is None when the tenant's key is used."""
        grant = self._grant_of(lease)
        if grant is None:
            return ("lease_not_found",)
        if requester not in (None, grant.agent):
            return ("acting_as_another",)
        if self.lease_status(grant, at) != "active":
            return ("lease_ended", self.lease_status(grant, at))
        if holder is not None and holder != grant.holder:
            return self._reject(grant.agent, grant)
        return self._extend(grant, at, duration)

    def _extend(self, grant: Grant, at: int, duration: int) -> Observation:
        until = max(self.expires_at(grant), at + duration)
        self.renewals.append(Renewal(grant.lease, until))
        return ("held", grant.lease, until)

    def release(self, lease: str, requester: str | None, at: int) -> Observation:
        grant = self._grant_of(lease)
        if grant is None:
            return ("lease_not_found",)
        if requester not in (None, grant.agent):
            return ("acting_as_another",)
        if self.lease_status(grant, at) == "active":
            self.releases.append(Release(at, lease))
            return ("ended", "released")
        return ("ended", self.lease_status(grant, at))

    def send(self, agent: str, contact: str, named: str | None, at: int) -> Observation:
        """Request a send; ``named`` is the lease whose fence the agent names, if any."""
        if agent not in self.heartbeats or self.has_left(agent):
            return ("agent_not_found",)
        held = self.live_grant(contact, at)
        if held is not None and held.agent != agent:
            return ("blocked", "lease_conflict", held.agent, self.expires_at(held))
        if named is not None and (held is None or held.lease != named):
            return ("blocked", "stale_fence", None, None)
        return ("authorized", held.lease if held else None)

    def _grant_of(self, lease: str) -> Grant | None:
        return next((grant for grant in self.grants if grant.lease == lease), None)

    # -- Votes ---------------------------------------------------------------

    def propose(self, proposal: Proposal) -> Observation:
        if rejection := self.check_active(proposal.agent, proposal.at):
            return (rejection,)
        proposal.position = self.next_position()
        self.proposals.append(proposal)
        size = len(self.electorate(proposal, proposal.at, proposal.position))
        return ("proposed", proposal.request, proposal.until, size, self.minimum(proposal))

    def electorate(self, proposal: Proposal, at: int, before: int) -> list[str]:
        """Return the agents that may vote at this position in the history."""
        if proposal.snapshot:
            at, before = proposal.at, proposal.position
        return [
            agent
            for agent in self.active_agents(at, before)
            if proposal.proposer_votes or agent != proposal.agent
        ]

    def minimum(self, proposal: Proposal) -> int:
        size = len(self.electorate(proposal, proposal.at, proposal.position))
        return -(-proposal.floor * size // HUNDREDTHS)

    def decision(self, proposal: Proposal) -> Decision | None:
        """Count all votes after each vote; the first majority is the decision."""
        cast_votes: list[Vote] = []
        for vote in self.votes:
            if vote.request != proposal.request:
                continue
            cast_votes.append(vote)
            electorate = self.electorate(proposal, vote.at, vote.position)
            choices = [one.choice for one in cast_votes if one.agent in electorate]
            size = max(len(electorate), self.minimum(proposal))
            approvals, rejections = choices.count("approve"), choices.count("reject")
            if approvals > size / 2:
                return Decision("approved", approvals, rejections, size, electorate)
            if rejections > size / 2:
                return Decision("rejected", approvals, rejections, size, electorate)
        return None

    def proposal_status(self, proposal: Proposal, at: int) -> str:
        decision = self.decision(proposal)
        if decision is not None:
            return decision.status
        if proposal.request in self.cancellations:
            return "cancelled"
        return "expired" if at >= proposal.until else "pending"

    def vote(self, agent: str, request: str, choice: str, at: int) -> Observation:
        proposal = next((one for one in self.proposals if one.request == request), None)
        if proposal is None:
            return ("consensus_not_found",)
        if rejection := self.check_active(agent, at):
            return (rejection,)
        for first in self.votes:
            if (first.agent, first.request) == (agent, request):
                again = ("counted before", self.proposal_status(proposal, at))
                return again if first.choice == choice else ("already_voted", first.choice)
        if self.proposal_status(proposal, at) != "pending":
            return ("consensus_closed", self.proposal_status(proposal, at))
        position = self.next_position()
        if agent not in self.electorate(proposal, at, position):
            return ("not_eligible",)
        self.votes.append(Vote(position, at, agent, request, choice))
        return ("counted", self.proposal_status(proposal, at))

    def cancel(self, agent: str | None, request: str, at: int) -> Observation:
        """Cancel a proposal; ``agent`` is None when only the tenant's key is used."""
        proposal = next((one for one in self.proposals if one.request == request), None)
        if proposal is None:
            return ("consensus_not_found",)
        if agent is not None and (agent not in self.heartbeats or self.has_left(agent)):
            return ("agent_not_found",)
        if agent not in {None, proposal.agent}:
            return ("not_proposer",)
        status = self.proposal_status(proposal, at)
        if status == "cancelled":
            return ("cancelled before",)
        if status != "pending":
            return ("consensus_closed", status)
        self.cancellations[request] = at
        return ("cancelled",)

    # -- Time ----------------------------------------------------------------

    def deadlines(self, after: int) -> list[int]:
        """Return the future times at which something expires or times out."""
        deadlines = {times[-1].at + self.window for times in self.heartbeats.values()}
        deadlines |= {self.find_end(grant)[0] for grant in self.grants}
        deadlines |= {proposal.until for proposal in self.proposals}
        return sorted(deadline for deadline in deadlines if deadline > after)
