"""Given the past, when a command arrives, then these facts and no others.

A command goes the way it goes in a batch of the log: what is due among the things it names is
settled, then it is decided, and the tenant's sequence counts every fact. Each command is answered
twice: from the whole state of the tenant, and from what the command names and nothing else, which
is all that the log loads. Both must say the same, and note all that they changed, because only
that is written back. A refusal leaves everything as it was; but a lease remembers whom it kept out.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from quorate.domain import deadlines
from quorate.domain.commands import Command, Names, decide, names, outcome
from quorate.domain.coordination.consensus import ConsensusRequest
from quorate.domain.coordination.leases import LeaseAcquired
from quorate.domain.events import Event
from quorate.domain.shared.errors import DomainError
from quorate.domain.shared.quotas import UNLIMITED, Quotas
from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp, instant
from quorate.domain.tenant_state import DecisionContext, TenantState

NOON = instant("2026-03-01T12:00:00.000Z")
WINDOW = 300_000  # How long a heartbeat lasts, in milliseconds.


def after(
    *, hours: float = 0, minutes: float = 0, seconds: float = 0, milliseconds: int = 0
) -> Timestamp:
    """So long after noon, when most stories begin."""
    return Timestamp(NOON + round((hours * 60 + minutes) * 60_000 + seconds * 1_000) + milliseconds)


@record
class Fact:
    """An event, and when it was recorded."""

    at: Timestamp
    event: Event


@record
class Declined:
    kind: type[DomainError]
    facts: Mapping[str, Any]


@record
class Answer:
    """What one command brought about: first what was due, then what it decided or was refused."""

    settled: tuple[Event, ...]
    decided: tuple[Event, ...]
    declined: Declined | None = None
    outcome: Any = None

    @property
    def events(self) -> tuple[Event, ...]:
        return self.settled + self.decided


class Story:
    """One tenant's log so far, and the state that follows from it."""

    def __init__(self, *, window: int = WINDOW, quotas: Quotas = UNLIMITED) -> None:
        self.facts: list[Fact] = []
        self.tenant_state = TenantState()
        self.window = window
        self.quotas = quotas

    @property
    def now(self) -> Timestamp:
        return self.facts[-1].at if self.facts else NOON

    def tell(self, facts: Iterable[Fact]) -> None:
        for fact in facts:
            assert fact.at >= self.now, "a story is told in the order in which it happened"
            self.facts.append(fact)
            self.tenant_state.apply(fact.event, fact.at)

    def ask(self, command: Command, at: Timestamp) -> Answer:
        """Answer a command as a batch of the log does, and record what follows."""
        assert at >= self.now, "time never decreases"
        loaded = what_is_named(names(command), self.tenant_state, at)
        answer = self._answer(command, at, self.tenant_state)
        assert self._answer(command, at, loaded) == answer, "it looked at what it did not name"
        self.facts += [Fact(at=at, event=event) for event in answer.events]
        return answer

    def _answer(self, command: Command, at: Timestamp, tenant_state: TenantState) -> Answer:
        at_first = stands(tenant_state)
        settled = tuple(deadlines.settle(names(command), tenant_state, at))
        _apply(settled, at, tenant_state)
        sequence = len(self.facts) + len(settled) + 1
        before = stands(tenant_state)
        moment = DecisionContext(now=at, sequence=sequence, window=self.window, quotas=self.quotas)
        try:
            decided = decide(command, tenant_state, moment)
        except DomainError as refusal:
            assert stands(tenant_state) == before, "deciding changed something"
            _apply(refusal.recorded, at, tenant_state)
            now = stands(tenant_state)
            assert _but_for_contenders(now) == _but_for_contenders(before), "a refusal did more"
            _assert_noted(at_first, tenant_state)
            declined = Declined(kind=type(refusal), facts=refusal.facts)
            return Answer(settled=settled, decided=tuple(refusal.recorded), declined=declined)
        for position, event in enumerate(decided, start=sequence):
            assert not isinstance(event, LeaseAcquired) or event.fence == position
        _apply(decided, at, tenant_state)
        _assert_noted(at_first, tenant_state)
        said = outcome(command, tenant_state, decided)
        return Answer(settled=settled, decided=tuple(decided), outcome=said)

    # -- Given, when ---------------------------------------------------------

    def and_given(self, *facts: Fact) -> "Story":
        self.tell(facts)
        return self

    def when(self, command: Command, *, at: Timestamp | None = None) -> "When":
        """Ask, at the moment of the last fact unless another is named."""
        at = self.now if at is None else at
        return When(self, self.ask(command, at), at)


def given(*facts: Fact, window: int = WINDOW, quotas: Quotas = UNLIMITED) -> Story:
    return Story(window=window, quotas=quotas).and_given(*facts)


class When:
    """An answer to be compared; each comparison goes on with the story."""

    def __init__(self, story: Story, answer: Answer, at: Timestamp) -> None:
        self.answer = answer
        self._at = at
        self._story = story

    @property
    def facts(self) -> list[Fact]:
        return [Fact(at=self._at, event=event) for event in self.answer.events]

    def then(self, *expected: Fact) -> Story:
        assert self.answer.declined is None
        assert self.facts == list(expected)
        return self._story

    def then_nothing(self) -> Story:
        return self.then()

    def then_settled(self, *expected: Fact) -> Story:
        """What was due was recorded first, whatever was decided then."""
        assert self.facts[: len(self.answer.settled)] == list(expected)
        return self._story

    def then_refused(self, refusal: DomainError, *, settled: Sequence[Fact] = ()) -> Story:
        """Refused so and not otherwise, after what was due had been recorded."""
        assert self.answer.declined == Declined(kind=type(refusal), facts=refusal.facts)
        assert self.answer.decided == tuple(refusal.recorded)
        return self.then_settled(*settled)


def what_is_named(about: Names, whole: TenantState, now: Timestamp) -> TenantState:
    """The part of a tenant's state that the log loads for a command."""
    part = TenantState()
    acting = [whole.agents.get(one) for one in about.agents]
    acting += [whole.agent_named(name) for name in about.agent_names]
    voters = {agent.id for agent in filter(None, acting)}
    for agent_id in voters if about.holdings else ():
        part.put_holding(agent_id, whole.holding(agent_id))
    electorate = whole.active_agents(now) if about.electorate else ()
    found = [*acting, *(whole.agents[one] for one in electorate)]
    leases = [whole.lease_on(key) for key in about.contacts]
    leases += [whole.leases.get(one) for one in about.leases]
    for lease in filter(None, leases):
        part.put_lease(lease)
        found.append(whole.agents[lease.agent_id])
    for agent in filter(None, found):
        part.put_agent(agent)
    for agent in part.agents.values():
        for lease in whole.leases_of(agent.id) if agent.overdue(now) else ():
            part.put_lease(lease)
    part.requests = {
        one: _but_for_others_reasons(whole.requests[one], voters)
        for one in about.requests
        if one in whole.requests
    }
    part.settings = {one: whole.settings[one] for one in about.settings if one in whole.settings}
    part.keys = {one: whole.keys[one] for one in about.keys if one in whole.keys}
    part.tenant = whole.tenant if about.tenant else None
    part.put_counts(whole.counts if about.counts else {})
    return part


def _but_for_others_reasons(request: ConsensusRequest, voters: Container[str]) -> ConsensusRequest:
    votes = {
        voter: vote if voter in voters else replace(vote, reason=None)
        for voter, vote in request.votes.items()
    }
    return replace(request, votes=votes)


def stands(tenant_state: TenantState) -> dict[str, Any]:
    """All that a state says and has noted, to be compared later."""
    touched = tenant_state.touched
    return {
        "tenant": tenant_state.tenant,
        "agents": dict(tenant_state.agents),
        "leases": dict(tenant_state.leases),
        "requests": dict(tenant_state.requests),
        "settings": dict(tenant_state.settings),
        "keys": dict(tenant_state.keys),
        "counts": dict(tenant_state.counts),
        "holdings": dict(tenant_state.holdings),
        "votes": {
            (request.id, voter): vote
            for request in tenant_state.requests.values()
            for voter, vote in request.votes.items()
        },
        "touched": {name: touched_ids(getattr(touched, name)) for name in touched.__slots__},
    }


def _but_for_contenders(stood: Mapping[str, Any]) -> dict[str, Any]:
    leases = {one: replace(lease, contenders=()) for one, lease in stood["leases"].items()}
    return {**stood, "leases": leases, "touched": {**stood["touched"], "leases": frozenset()}}


def touched_ids(ids: "set[Any] | dict[Any, int] | bool") -> frozenset[Any]:
    if isinstance(ids, dict):
        return frozenset(ids.items())
    return frozenset(ids) if isinstance(ids, set) else frozenset({ids})


def _apply(events: Sequence[Event], at: Timestamp, tenant_state: TenantState) -> None:
    for event in events:
        tenant_state.apply(event, at)


def _assert_noted(before: Mapping[str, Any], tenant_state: TenantState) -> None:
    now = stands(tenant_state)
    for kind in ("agents", "leases", "requests", "settings", "keys", "votes"):
        changed = {one for one, state in now[kind].items() if before[kind].get(one) != state}
        assert changed <= getattr(tenant_state.touched, kind), "a change would not be written back"
    assert tenant_state.touched.tenant or before["tenant"] == now["tenant"]
    for counted in ("counts", "holdings"):
        noted = getattr(tenant_state.touched, counted), dict(before["touched"][counted])
        for what, count in now[counted].items():
            more = noted[0].get(what, 0) - noted[1].get(what, 0)
            assert count == before[counted].get(what, 0) + more, "it would be written back wrong"
