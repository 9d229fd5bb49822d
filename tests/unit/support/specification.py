"""Given the past, when a command arrives, then these events and no others.

* A command is handled as in a transaction of the log: what is due among the instances that it reads
  is recorded, then it is decided, and the tenant's sequence counts every event.
* Each command is answered twice: from the whole state of the tenant, and from only what it reads,
  which is all that the log loads. Both answers must be equal, and both must note every change,
  because only noted changes are stored.
* A rejection leaves the state unchanged; but a lease remembers the agents that were rejected.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from quorate.domain.coordination.consensus import CONSENSUS, ConsensusRequest
from quorate.domain.coordination.leases import LEASES, LeaseAcquired, live_lease
from quorate.domain.identity.agent_settings import AGENT_SETTINGS
from quorate.domain.identity.agents import AGENTS, active_agents, agent_named
from quorate.domain.identity.api_keys import API_KEYS
from quorate.domain.identity.tenants import TENANTS
from quorate.domain.registry import AGGREGATES, new_state
from quorate.domain.shared import deadlines
from quorate.domain.shared.aggregates import Aggregate, Event, Reads
from quorate.domain.shared.errors import DomainError
from quorate.domain.shared.quotas import UNLIMITED, Quotas
from quorate.domain.shared.records import record
from quorate.domain.shared.state import Command, DecisionContext, TenantState
from quorate.domain.shared.timestamps import Timestamp, instant

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
        self.tenant_state = new_state()
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
        loaded = what_is_read(command.reads(), self.tenant_state, at)
        answer = self._answer(command, at, self.tenant_state)
        assert self._answer(command, at, loaded) == answer, "it looked at what it did not name"
        self.facts += [Fact(at=at, event=event) for event in answer.events]
        return answer

    def _answer(self, command: Command, at: Timestamp, tenant_state: TenantState) -> Answer:
        at_first = snapshot(tenant_state)
        settled = tuple(deadlines.due_events(command.reads(), tenant_state, at))
        _apply(settled, at, tenant_state)
        sequence = len(self.facts) + len(settled) + 1
        before = snapshot(tenant_state)
        moment = DecisionContext(now=at, sequence=sequence, window=self.window, quotas=self.quotas)
        try:
            decided = command.decide(tenant_state, moment)
        except DomainError as refusal:
            assert snapshot(tenant_state) == before, "deciding changed something"
            _apply(refusal.recorded, at, tenant_state)
            now = snapshot(tenant_state)
            assert _but_for_contenders(now) == _but_for_contenders(before), "a refusal did more"
            _assert_noted(at_first, tenant_state)
            declined = Declined(kind=type(refusal), facts=refusal.details)
            return Answer(settled=settled, decided=tuple(refusal.recorded), declined=declined)
        for position, event in enumerate(decided, start=sequence):
            assert not isinstance(event, LeaseAcquired) or event.fence == position
        _apply(decided, at, tenant_state)
        _assert_noted(at_first, tenant_state)
        said = command.result(tenant_state, decided)
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
        assert self.answer.declined == Declined(kind=type(refusal), facts=refusal.details)
        assert self.answer.decided == tuple(refusal.recorded)
        return self.then_settled(*settled)


def what_is_read(reads: Reads, whole: TenantState, now: Timestamp) -> TenantState:
    """The part of a tenant's state that the log loads for a command.

    Written without the read models: an independent account of what each read brings.
    """
    part = new_state()
    keys: dict[str, list[tuple[str, ...]]] = {}
    for name, *key in reads:
        keys.setdefault(name, []).append(tuple(key))
    acting = [whole[AGENTS].get(one) for (one,) in keys.pop("agent.id", [])]
    acting += [agent_named(whole, name) for (name,) in keys.pop("agent.name", [])]
    voters = {agent.id for agent in filter(None, acting)}
    found = list(filter(None, acting))
    if keys.pop("agent.active", None):
        found += [whole[AGENTS][one] for one in active_agents(whole, now)]
    leases = [live_lease(whole, key) for (key,) in keys.pop("lease.live_contact", [])]
    leases += [whole[LEASES].get(one) for (one,) in keys.pop("lease.id", [])]
    for lease in filter(None, leases):
        part[LEASES].put(lease.id, lease)
        found.append(whole[AGENTS][lease.agent_id])
    for agent in found:
        part[AGENTS].put(agent.id, agent)
        for lease in whole[LEASES].owned_by(agent.id) if agent.is_overdue(now) else ():
            part[LEASES].put(lease.id, lease)
    _put_requests(part, whole, keys, voters)
    others: tuple[Aggregate[Any], ...] = (AGENT_SETTINGS, API_KEYS, TENANTS)
    for aggregate in others:
        for (one,) in keys.pop(f"{aggregate.name}.id", []):
            if (known := whole[aggregate].get(one)) is not None:
                part[aggregate].put(one, known)
    for name in ("owned_count.id", "owned_count.name"):
        for agent_id in voters if keys.pop(name, None) else ():
            part.put_owned_count(agent_id, whole.owned_count(agent_id))
    part.put_counts(whole.counts if keys.pop("counts", None) else {})
    assert keys.keys() <= {"last_notification.id", "last_notification.name"}, "an unknown read"
    return part


def _put_requests(
    part: TenantState,
    whole: TenantState,
    keys: dict[str, list[tuple[str, ...]]],
    voters: Container[str],
) -> None:
    """Proposals with all their votes, of which only the voter's own has its reason."""
    has_reason = keys.pop("vote.id", []) + keys.pop("vote.name", [])
    for (one,) in keys.pop("consensus.id", []):
        if (request := whole[CONSENSUS].get(one)) is not None:
            own = voters if has_reason else ()
            part[CONSENSUS].put(one, _but_for_others_reasons(request, own))


def _but_for_others_reasons(request: ConsensusRequest, voters: Container[str]) -> ConsensusRequest:
    votes = {
        voter: vote if voter in voters else replace(vote, reason=None)
        for voter, vote in request.votes.items()
    }
    return replace(request, votes=votes)


def snapshot(state: TenantState) -> dict[str, Any]:
    """All that a state contains and has noted, to be compared later."""
    stores = {one.name: dict(state[one].items()) for one in AGGREGATES}
    votes = {
        (request.id, voter): vote
        for request in state[CONSENSUS].values()
        for voter, vote in request.votes.items()
    }
    return {
        **stores,
        "votes": votes,
        "counts": dict(state.counts),
        "owned_counts": dict(state.owned_counts),
        "changed": {one.name: frozenset(state[one].changed) for one in AGGREGATES},
        "changed_parts": frozenset(state[CONSENSUS].changed_parts),
        "count_changes": dict(state.count_changes),
        "owned_count_changes": dict(state.owned_count_changes),
    }


def _but_for_contenders(found: Mapping[str, Any]) -> dict[str, Any]:
    leases = {one: replace(lease, contenders=()) for one, lease in found["lease"].items()}
    changed = {**found["changed"], "lease": frozenset()}
    return {**found, "lease": leases, "changed": changed}


def _apply(events: Sequence[Event], at: Timestamp, tenant_state: TenantState) -> None:
    for event in events:
        tenant_state.apply(event, at)


def _assert_noted(before: Mapping[str, Any], tenant_state: TenantState) -> None:
    now = snapshot(tenant_state)
    noted = {**now["changed"], "votes": now["changed_parts"]}
    for kind in noted:
        changed = {one for one, state in now[kind].items() if before[kind].get(one) != state}
        assert changed <= noted[kind], "a change would not be stored"
    for counts, changes in (
        ("counts", "count_changes"),
        ("owned_counts", "owned_count_changes"),
    ):
        for counted, count in now[counts].items():
            more = now[changes].get(counted, 0) - before[changes].get(counted, 0)
            assert count == before[counts].get(counted, 0) + more, "a wrong count would be stored"
