"""The rules of leases and votes once more, said as simply as they can be.

This shares no code with ``domain/``, and keeps nothing but lists of what happened: every answer
is worked out anew from them. It is slow, and it should be obvious. Times are integers
(milliseconds), agents, contacts, leases and requests are names. An answer is a tuple: what
happened or the code of the refusal, then what goes with it.
"""

from dataclasses import dataclass

BEATS_PER_WINDOW_MAX = 300
HUNDREDTHS = 100

Told = tuple[object, ...]


@dataclass
class Beat:
    """An agent registered or was heard of."""

    place: int  # In the history.
    at: int


@dataclass
class Grant:
    at: int
    agent: str
    contact: str
    lease: str
    until: int


@dataclass
class Renewal:
    lease: str
    until: int


@dataclass
class Release:
    at: int
    lease: str


@dataclass
class Refusal:
    agent: str
    lease: str


@dataclass
class Question:
    at: int
    agent: str
    request: str
    until: int
    snapshot: bool = False
    proposer_votes: bool = True
    floor: int = 0  # In hundredths.
    place: int = 0


@dataclass
class Ballot:
    place: int
    at: int
    agent: str
    request: str
    choice: str


@dataclass
class Count:
    """How a request was decided."""

    status: str
    approvals: int
    rejections: int
    size: int
    electorate: list[str]


class Naive:
    """Lists of what happened, each in the order in which it did."""

    def __init__(self, window: int) -> None:
        self.window = window
        self.length = 0  # Of the whole history.
        self.beats: dict[str, list[Beat]] = {}
        self.grants: list[Grant] = []
        self.renewals: list[Renewal] = []
        self.releases: list[Release] = []
        self.refusals: list[Refusal] = []
        self.questions: list[Question] = []
        self.ballots: list[Ballot] = []

    def next_place(self) -> int:
        self.length += 1
        return self.length

    # -- Agents --------------------------------------------------------------

    def last_heard(self, agent: str, before: int | None = None) -> int | None:
        """When it was last heard of, as far as was known at that place in the history."""
        for beat in reversed(self.beats.get(agent, [])):
            if before is None or beat.place < before:
                return beat.at
        return None

    def active(self, agent: str, at: int, before: int | None = None) -> bool:
        last = self.last_heard(agent, before)
        return last is not None and at - last <= self.window

    def all_active(self, at: int, before: int | None = None) -> list[str]:
        return sorted(agent for agent in self.beats if self.active(agent, at, before))

    def silent_from(self, agent: str, since: int) -> int:
        """The first instant after ``since`` at which its last heartbeat was out of date."""
        heard = [beat.at for beat in self.beats[agent]]
        for last, following in zip(heard, [*heard[1:], None], strict=True):
            silent = last + self.window + 1
            if silent > since and (following is None or following >= silent):
                return silent
        raise AssertionError("the last heartbeat is out of date one day")

    def register(self, agent: str, at: int) -> Told:
        again = agent in self.beats
        self.beats.setdefault(agent, []).append(Beat(self.next_place(), at))
        return ("reregistered",) if again else ("registered",)

    def heartbeat(self, agent: str, at: int) -> Told:
        last = self.last_heard(agent)
        if last is None:
            return ("agent_not_found",)
        if at - last < self.window // BEATS_PER_WINDOW_MAX:
            return ("nothing",)
        self.beats[agent].append(Beat(self.next_place(), at))
        return ("heard",)

    def may_act(self, agent: str, at: int) -> str:
        """The code of the refusal, or nothing."""
        if agent not in self.beats:
            return "agent_not_found"
        return "" if self.active(agent, at) else "agent_inactive"

    # -- Leases --------------------------------------------------------------

    def runs_until(self, grant: Grant) -> int:
        renewals = [one.until for one in self.renewals if one.lease == grant.lease]
        return max([grant.until, *renewals])

    def end(self, grant: Grant) -> tuple[int, str]:
        """When the lease ends or ended, as far as anybody can tell now, and how."""
        for release in self.releases:
            if release.lease == grant.lease:
                return release.at, "released"
        out, silent = self.runs_until(grant), self.silent_from(grant.agent, grant.at)
        return (out, "expired") if out < silent else (silent, "revoked")

    def fate(self, grant: Grant, at: int) -> str:
        instant, how = self.end(grant)
        return how if at >= instant else "active"

    def holding(self, contact: str, at: int) -> Grant | None:
        live = [g for g in self.grants if g.contact == contact and self.fate(g, at) == "active"]
        assert len(live) <= 1
        return live[0] if live else None

    def contenders(self, lease: str) -> list[str]:
        """Who was refused because of this lease: each once, the first one first."""
        found: list[str] = []
        for refusal in self.refusals:
            if refusal.lease == lease and refusal.agent not in found:
                found.append(refusal.agent)
        return found

    def acquire(self, agent: str, contact: str, length: int, lease: str, at: int) -> Told:
        if refusal := self.may_act(agent, at):
            return (refusal,)
        held = self.holding(contact, at)
        if held is None:
            self.grants.append(Grant(at, agent, contact, lease, at + length))
            return ("granted", lease, at + length)
        if held.agent != agent:
            self.refusals.append(Refusal(agent, held.lease))
            return ("lease_conflict", held.agent, held.lease, self.runs_until(held))
        return self._longer(held, at, length)

    def renew(self, lease: str, by: str | None, length: int, at: int) -> Told:
        """``by`` is the agent that asks, or nobody when the tenant does."""
        grant = self._of(lease)
        if grant is None:
            return ("lease_not_found",)
        if by not in (None, grant.agent):
            return ("acting_as_another",)
        if self.fate(grant, at) != "active":
            return ("lease_ended", self.fate(grant, at))
        return self._longer(grant, at, length)

    def _longer(self, grant: Grant, at: int, length: int) -> Told:
        until = max(self.runs_until(grant), at + length)
        self.renewals.append(Renewal(grant.lease, until))
        return ("held", grant.lease, until)

    def release(self, lease: str, by: str | None, at: int) -> Told:
        grant = self._of(lease)
        if grant is None:
            return ("lease_not_found",)
        if by not in (None, grant.agent):
            return ("acting_as_another",)
        if self.fate(grant, at) == "active":
            self.releases.append(Release(at, lease))
            return ("ended", "released")
        return ("ended", self.fate(grant, at))

    def send(self, agent: str, contact: str, shown: str | None, at: int) -> Told:
        """``shown`` is the lease whose fence is shown, if any is."""
        if agent not in self.beats:
            return ("agent_not_found",)
        held = self.holding(contact, at)
        if held is not None and held.agent != agent:
            return ("blocked", "lease_conflict", held.agent, self.runs_until(held))
        if shown is not None and (held is None or held.lease != shown):
            return ("blocked", "stale_fence", None, None)
        return ("authorized", held.lease if held else None)

    def _of(self, lease: str) -> Grant | None:
        return next((grant for grant in self.grants if grant.lease == lease), None)

    # -- Votes ---------------------------------------------------------------

    def ask(self, question: Question) -> Told:
        if refusal := self.may_act(question.agent, question.at):
            return (refusal,)
        question.place = self.next_place()
        self.questions.append(question)
        asked = len(self.electorate(question, question.at, question.place))
        return ("asked", question.request, question.until, asked, self.least(question))

    def electorate(self, question: Question, at: int, before: int) -> list[str]:
        """Who may vote at that place in the history."""
        if question.snapshot:
            at, before = question.at, question.place
        return [
            agent
            for agent in self.all_active(at, before)
            if question.proposer_votes or agent != question.agent
        ]

    def least(self, question: Question) -> int:
        asked = len(self.electorate(question, question.at, question.place))
        return -(-question.floor * asked // HUNDREDTHS)

    def decision(self, question: Question) -> Count | None:
        """Count anew after each vote; the first majority is the decision."""
        cast: list[Ballot] = []
        for ballot in self.ballots:
            if ballot.request != question.request:
                continue
            cast.append(ballot)
            electorate = self.electorate(question, ballot.at, ballot.place)
            counted = [one.choice for one in cast if one.agent in electorate]
            size = max(len(electorate), self.least(question))
            approvals, rejections = counted.count("approve"), counted.count("reject")
            if approvals > size / 2:
                return Count("approved", approvals, rejections, size, electorate)
            if rejections > size / 2:
                return Count("rejected", approvals, rejections, size, electorate)
        return None

    def status(self, question: Question, at: int) -> str:
        decision = self.decision(question)
        if decision is not None:
            return decision.status
        return "expired" if at >= question.until else "pending"

    def vote(self, agent: str, request: str, choice: str, at: int) -> Told:
        question = next((one for one in self.questions if one.request == request), None)
        if question is None:
            return ("consensus_not_found",)
        if refusal := self.may_act(agent, at):
            return (refusal,)
        for first in self.ballots:
            if (first.agent, first.request) == (agent, request):
                again = ("counted before", self.status(question, at))
                return again if first.choice == choice else ("already_voted", first.choice)
        if self.status(question, at) != "pending":
            return ("consensus_closed", self.status(question, at))
        place = self.next_place()
        if agent not in self.electorate(question, at, place):
            return ("not_eligible",)
        self.ballots.append(Ballot(place, at, agent, request, choice))
        return ("counted", self.status(question, at))

    # -- Time ----------------------------------------------------------------

    def moments(self, after: int) -> list[int]:
        """The instants to come at which something changes by itself."""
        moments = {heard[-1].at + self.window for heard in self.beats.values()}
        moments |= {self.end(grant)[0] for grant in self.grants}
        moments |= {question.until for question in self.questions}
        return sorted(moment for moment in moments if moment > after)
