"""The rules of leases and votes once more, said as simply as they can be.

This shares no code with ``domain/``, and remembers nothing but what happened: every answer is
worked out anew from the whole history. It is slow, and it should be obvious. Times are integers
(milliseconds), agents, contacts, leases and requests are names. An answer is a tuple: what
happened or the code of the refusal, then what goes with it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeVar

BEATS_PER_WINDOW_MAX = 300
HUNDREDTHS = 100

Told = tuple[object, ...]
T = TypeVar("T")


@dataclass
class Beat:
    """An agent registered or was heard of."""

    at: int
    agent: str


@dataclass
class Grant:
    at: int
    agent: str
    contact: str
    lease: str
    until: int


@dataclass
class Renewal:
    at: int
    lease: str
    until: int


@dataclass
class Release:
    at: int
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


@dataclass
class Ballot:
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


@dataclass
class Naive:
    window: int
    history: list[object] = field(default_factory=list)

    def said(self, kind: type[T], before: int | None = None) -> Iterator[tuple[int, T]]:
        """What happened of one kind, with its place in the history, oldest first."""
        for place, one in enumerate(self.history[:before]):
            if isinstance(one, kind):
                yield place, one

    # -- Agents --------------------------------------------------------------

    def beats(self, agent: str, before: int | None = None) -> list[int]:
        return [beat.at for _, beat in self.said(Beat, before) if beat.agent == agent]

    def active(self, agent: str, at: int, before: int | None = None) -> bool:
        beats = self.beats(agent, before)
        return beats != [] and at - max(beats) <= self.window

    def all_active(self, at: int, before: int | None = None) -> list[str]:
        known = {beat.agent for _, beat in self.said(Beat, before)}
        return sorted(agent for agent in known if self.active(agent, at, before))

    def silent_from(self, agent: str, since: int) -> int:
        """The first instant after ``since`` at which its last heartbeat was out of date."""
        beats = self.beats(agent)
        silences = [
            last + self.window + 1
            for last in beats
            if not any(last < beat <= last + self.window for beat in beats)
        ]
        return min(silence for silence in silences if silence > since)

    def register(self, agent: str, at: int) -> Told:
        again = self.beats(agent) != []
        self.history.append(Beat(at, agent))
        return ("reregistered",) if again else ("registered",)

    def heartbeat(self, agent: str, at: int) -> Told:
        if not self.beats(agent):
            return ("agent_not_found",)
        since_the_last = at - max(self.beats(agent))
        if since_the_last < self.window // BEATS_PER_WINDOW_MAX:
            return ("nothing",)
        self.history.append(Beat(at, agent))
        return ("heard",)

    def may_act(self, agent: str, at: int) -> str:
        """The code of the refusal, or nothing."""
        if not self.beats(agent):
            return "agent_not_found"
        return "" if self.active(agent, at) else "agent_inactive"

    # -- Leases --------------------------------------------------------------

    def grants(self) -> list[Grant]:
        return [grant for _, grant in self.said(Grant)]

    def runs_until(self, grant: Grant) -> int:
        renewals = [one.until for _, one in self.said(Renewal) if one.lease == grant.lease]
        return max([grant.until, *renewals])

    def end(self, grant: Grant) -> tuple[int, str]:
        """When the lease ends or ended, as far as anybody can tell now, and how."""
        for _, release in self.said(Release):
            if release.lease == grant.lease:
                return release.at, "released"
        out, silent = self.runs_until(grant), self.silent_from(grant.agent, grant.at)
        return (out, "expired") if out < silent else (silent, "revoked")

    def fate(self, grant: Grant, at: int) -> str:
        instant, how = self.end(grant)
        return how if at >= instant else "active"

    def holding(self, contact: str, at: int) -> Grant | None:
        live = [g for g in self.grants() if g.contact == contact and self.fate(g, at) == "active"]
        assert len(live) <= 1
        return live[0] if live else None

    def acquire(self, agent: str, contact: str, length: int, lease: str, at: int) -> Told:
        if refusal := self.may_act(agent, at):
            return (refusal,)
        held = self.holding(contact, at)
        if held is None:
            self.history.append(Grant(at, agent, contact, lease, at + length))
            return ("granted", lease, at + length)
        if held.agent != agent:
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
        self.history.append(Renewal(at, grant.lease, until))
        return ("held", grant.lease, until)

    def release(self, lease: str, by: str | None, at: int) -> Told:
        grant = self._of(lease)
        if grant is None:
            return ("lease_not_found",)
        if by not in (None, grant.agent):
            return ("acting_as_another",)
        if self.fate(grant, at) == "active":
            self.history.append(Release(at, lease))
            return ("ended", "released")
        return ("ended", self.fate(grant, at))

    def send(self, agent: str, contact: str, shown: str | None, at: int) -> Told:
        """``shown`` is the lease whose fence is shown, if any is."""
        if not self.beats(agent):
            return ("agent_not_found",)
        held = self.holding(contact, at)
        if held is not None and held.agent != agent:
            return ("blocked", "lease_conflict", held.agent, self.runs_until(held))
        if shown is not None and (held is None or held.lease != shown):
            return ("blocked", "stale_fence", None, None)
        return ("authorized", held.lease if held else None)

    def _of(self, lease: str) -> Grant | None:
        return next((grant for grant in self.grants() if grant.lease == lease), None)

    # -- Votes ---------------------------------------------------------------

    def questions(self) -> list[Question]:
        return [question for _, question in self.said(Question)]

    def ask(self, question: Question) -> Told:
        if refusal := self.may_act(question.agent, question.at):
            return (refusal,)
        self.history.append(question)
        return ("asked", question.request, question.until)

    def electorate(self, question: Question, at: int, before: int) -> list[str]:
        """Who may vote at that place in the history."""
        if question.snapshot:
            at, before = question.at, self.history.index(question)
        return [
            agent
            for agent in self.all_active(at, before)
            if question.proposer_votes or agent != question.agent
        ]

    def least(self, question: Question) -> int:
        asked = len(self.electorate(question, question.at, self.history.index(question)))
        return -(-question.floor * asked // HUNDREDTHS)

    def ballots(self, question: Question, before: int | None = None) -> list[tuple[int, Ballot]]:
        said = self.said(Ballot, before)
        return [(place, one) for place, one in said if one.request == question.request]

    def decision(self, question: Question) -> Count | None:
        """Count anew after each vote; the first majority is the decision."""
        for place, ballot in self.ballots(question):
            electorate = self.electorate(question, ballot.at, place)
            counted = [
                one.choice
                for _, one in self.ballots(question, place + 1)
                if one.agent in electorate
            ]
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
        question = next((one for one in self.questions() if one.request == request), None)
        if question is None:
            return ("consensus_not_found",)
        if refusal := self.may_act(agent, at):
            return (refusal,)
        for _, first in self.ballots(question):
            if first.agent == agent:
                again = ("counted before", self.status(question, at))
                return again if first.choice == choice else ("already_voted", first.choice)
        if self.status(question, at) != "pending":
            return ("consensus_closed", self.status(question, at))
        if agent not in self.electorate(question, at, len(self.history)):
            return ("not_eligible",)
        self.history.append(Ballot(at, agent, request, choice))
        return ("counted", self.status(question, at))

    # -- Time ----------------------------------------------------------------

    def moments(self, after: int) -> list[int]:
        """The instants to come at which something changes by itself."""
        agents = {beat.agent for _, beat in self.said(Beat)}
        moments = {max(self.beats(agent)) + self.window for agent in agents}
        moments |= {self.end(grant)[0] for grant in self.grants()}
        moments |= {question.until for question in self.questions()}
        return sorted(moment for moment in moments if moment > after)
