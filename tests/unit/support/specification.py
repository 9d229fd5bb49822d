"""Test commands on a tenant's state: given these events, when a command, then exactly these events.

* A command is executed as in a transaction of the log: passed deadlines of the instances that it
  reads are recorded, then it is decided, and the tenant's sequence counts every event.
* Each command is executed twice: on the complete state of the tenant, and on only what it reads,
  which is all that the log loads. Both outcomes must be equal, and both must note every change,
  because only noted changes are stored.
  What was changed must be equal too: a change of an instance that was not loaded would replace it.
* A rejection leaves the state unchanged, except that a lease stores the rejected agents.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from quorate.domain.coordination.consensus import CONSENSUS, ConsensusRequest
from quorate.domain.coordination.leases import LEASES, LeaseAcquired, live_lease
from quorate.domain.identity.agent_settings import AGENT_SETTINGS
from quorate.domain.identity.agents import AGENTS, active_agents, find_agent_by_name
from quorate.domain.identity.api_keys import API_KEYS
from quorate.domain.identity.tenants import TENANTS
from quorate.domain.mail.domains import MAIL_DOMAINS
from quorate.domain.registry import AGGREGATES, new_state
from quorate.domain.sessions.presets import PRESETS
from quorate.domain.sessions.schedules import SCHEDULES
from quorate.domain.shared import deadlines
from quorate.domain.shared.aggregates import Aggregate, Event, Reads
from quorate.domain.shared.errors import DomainError
from quorate.domain.shared.quotas import UNLIMITED, Owned, Quotas
from quorate.domain.shared.records import record
from quorate.domain.shared.state import Command, DecisionContext, TenantState
from quorate.domain.shared.timestamps import Timestamp, instant
from tests.unit.support.list_reads import put_items_of, put_lists
from tests.unit.support.mail_reads import put_mail
from tests.unit.support.session_reads import put_sessions
from tests.unit.support.task_reads import put_tasks

NOON = instant("2026-03-01T12:00:00.000Z")
WINDOW = 300_000  # How long a heartbeat lasts, in milliseconds.


def after(
    *, hours: float = 0, minutes: float = 0, seconds: float = 0, milliseconds: int = 0
) -> Timestamp:
    """Return a time after noon, when most scenarios begin."""
    return Timestamp(NOON + round((hours * 60 + minutes) * 60_000 + seconds * 1_000) + milliseconds)


@record
class TimedEvent:
    """An event and the time at which it was recorded."""

    at: Timestamp
    event: Event


@record
class Rejection:
    kind: type[DomainError]
    details: Mapping[str, Any]


@record
class Outcome:
    """The events of one command: passed deadlines first, then its decision or its rejection."""

    recorded_first: tuple[Event, ...]
    decided: tuple[Event, ...]
    rejection: Rejection | None = None
    result: Any = None

    @property
    def events(self) -> tuple[Event, ...]:
        return self.recorded_first + self.decided


class Scenario:
    """The log of one tenant so far, and the state that follows from it."""

    def __init__(self, *, window: int = WINDOW, quotas: Quotas = UNLIMITED) -> None:
        self.events: list[TimedEvent] = []
        self.tenant_state = new_state()
        self.window = window
        self.quotas = quotas

    @property
    def now(self) -> Timestamp:
        return self.events[-1].at if self.events else NOON

    def append(self, events: Iterable[TimedEvent]) -> None:
        for entry in events:
            assert entry.at >= self.now, "events must be given in the order of time"
            self.events.append(entry)
            self.tenant_state.apply(entry.event, entry.at)

    def execute(self, command: Command, at: Timestamp) -> Outcome:
        """Execute a command like a transaction of the log, and record its events."""
        assert at >= self.now, "time never decreases"
        loaded = load_reads(command.reads(), self.tenant_state, at)
        outcome = self._execute(command, at, self.tenant_state)
        assert self._execute(command, at, loaded) == outcome, "it used state that it did not read"
        _assert_same_changes(loaded, self.tenant_state)
        self.events += [TimedEvent(at=at, event=event) for event in outcome.events]
        return outcome

    def _execute(self, command: Command, at: Timestamp, tenant_state: TenantState) -> Outcome:
        at_first = snapshot(tenant_state)
        recorded_first = tuple(deadlines.due_events(command.reads(), tenant_state, at))
        _apply(recorded_first, at, tenant_state)
        sequence = len(self.events) + len(recorded_first) + 1
        before = snapshot(tenant_state)
        context = DecisionContext(now=at, sequence=sequence, window=self.window, quotas=self.quotas)
        try:
            decided = command.decide(tenant_state, context)
        except DomainError as error:
            assert snapshot(tenant_state) == before, "a decision changed the state"
            _apply(error.recorded, at, tenant_state)
            now = snapshot(tenant_state)
            assert _without_contenders(now) == _without_contenders(before), "a rejection changed it"
            _assert_changes_noted(at_first, tenant_state)
            rejection = Rejection(kind=type(error), details=error.details)
            return Outcome(
                recorded_first=recorded_first, decided=tuple(error.recorded), rejection=rejection
            )
        for position, event in enumerate(decided, start=sequence):
            assert not isinstance(event, LeaseAcquired) or event.fence == position
        followed = _apply_with_reactions(decided, at, tenant_state)
        _assert_changes_noted(at_first, tenant_state)
        result = command.result(tenant_state, decided)
        return Outcome(recorded_first=recorded_first, decided=followed, result=result)

    # -- Given, when ---------------------------------------------------------

    def and_given(self, *events: TimedEvent) -> "Scenario":
        self.append(events)
        return self

    def when(self, command: Command, *, at: Timestamp | None = None) -> "Execution":
        """Execute a command, by default at the time of the last event."""
        at = self.now if at is None else at
        return Execution(self, self.execute(command, at), at)


def given(*events: TimedEvent, window: int = WINDOW, quotas: Quotas = UNLIMITED) -> Scenario:
    return Scenario(window=window, quotas=quotas).and_given(*events)


class Execution:
    """An executed command; each comparison returns the scenario to continue it."""

    def __init__(self, scenario: Scenario, outcome: Outcome, at: Timestamp) -> None:
        self.outcome = outcome
        self._at = at
        self._scenario = scenario

    @property
    def events(self) -> list[TimedEvent]:
        return [TimedEvent(at=self._at, event=event) for event in self.outcome.events]

    def then(self, *expected: TimedEvent) -> Scenario:
        assert self.outcome.rejection is None
        assert self.events == list(expected)
        return self._scenario

    def then_nothing(self) -> Scenario:
        return self.then()

    def then_recorded_first(self, *expected: TimedEvent) -> Scenario:
        """Compare only the passed deadlines that were recorded before the decision."""
        assert self.events[: len(self.outcome.recorded_first)] == list(expected)
        return self._scenario

    def then_rejected(
        self, error: DomainError, *, recorded_first: Sequence[TimedEvent] = ()
    ) -> Scenario:
        """Expect exactly this rejection, after these passed deadlines were recorded."""
        assert self.outcome.rejection == Rejection(kind=type(error), details=error.details)
        assert self.outcome.decided == tuple(error.recorded)
        return self.then_recorded_first(*recorded_first)


def load_reads(reads: Reads, complete: TenantState, now: Timestamp) -> TenantState:
    """Return the part of a tenant's state that the log loads for a command.

    Implemented without the read models: a second definition of what each read loads.
    """
    part = new_state()
    keys: dict[str, list[tuple[str, ...]]] = {}
    for name, *key in reads:
        keys.setdefault(name, []).append(tuple(key))
    acting = [complete[AGENTS].get(one) for (one,) in keys.pop("agent.id", [])]
    acting += [find_agent_by_name(complete, name) for (name,) in keys.pop("agent.name", [])]
    voters = {agent.id for agent in filter(None, acting)}
    found = list(filter(None, acting))
    if keys.pop("agent.active", None):
        found += [complete[AGENTS][one] for one in active_agents(complete, now)]
    leases = [live_lease(complete, key) for (key,) in keys.pop("lease.live_contact", [])]
    leases += [complete[LEASES].get(one) for (one,) in keys.pop("lease.id", [])]
    for lease in filter(None, leases):
        part[LEASES].put(lease.id, lease)
        found.append(complete[AGENTS][lease.agent_id])
    ending = voters if keys.keys() & {"held_leases.id", "held_leases.name"} else ()
    put_tasks(part, complete, keys, found, ending, now)
    found += put_lists(part, complete, keys, voters)
    for agent in found:
        part[AGENTS].put(agent.id, agent)
        if agent.is_overdue(now):
            put_items_of(part, complete, agent.id)
        for lease in complete[LEASES].owned_by(agent.id) if agent.is_overdue(now) else ():
            part[LEASES].put(lease.id, lease)
    for name in ("held_leases.id", "held_leases.name"):
        for agent_id in voters if keys.pop(name, None) else ():
            for lease in complete[LEASES].owned_by(agent_id):
                part[LEASES].put(lease.id, lease)
    put_mail(part, complete, keys, now)
    put_sessions(part, complete, keys)
    for (agent_id,) in keys.pop("keys_of_agent", []):
        for each in complete[API_KEYS].values():
            if each.agent_id == agent_id and each.revoked_at is None:
                part[API_KEYS].put(each.id, each)
    _put_requests(part, complete, keys, voters)
    others: tuple[Aggregate[Any], ...] = (
        *(AGENT_SETTINGS, API_KEYS, MAIL_DOMAINS, PRESETS, SCHEDULES, TENANTS),
    )
    for aggregate in others:
        for (one,) in keys.pop(f"{aggregate.name}.id", []):
            if (known := complete[aggregate].get(one)) is not None:
                part[aggregate].put(one, known)
    for (tenant,) in keys.pop("mail_domain.tenant", []):
        if (domain := complete[MAIL_DOMAINS].find("tenant", tenant)) is not None:
            part[MAIL_DOMAINS].put(domain.domain, domain)
    counted: Sequence[tuple[Owned, str]]
    counted = (("live_leases", "owned_count"), ("open_tasks", "open_task_count"))
    for counter, read in counted:
        for name in (f"{read}.id", f"{read}.name"):
            for agent_id in voters if keys.pop(name, None) else ():
                part.put_owned_count(counter, agent_id, complete.owned_count(counter, agent_id))
    part.put_counts(complete.counts if keys.pop("counts", None) else {})
    assert keys.keys() <= {"last_notification.id", "last_notification.name"}, "an unknown read"
    return part


def _put_requests(
    part: TenantState,
    complete: TenantState,
    keys: dict[str, list[tuple[str, ...]]],
    voters: Container[str],
) -> None:
    """Put proposals with all votes; only the voter's own vote has its reason."""
    has_reason = keys.pop("vote.id", []) + keys.pop("vote.name", [])
    for (one,) in keys.pop("consensus.id", []):
        if (request := complete[CONSENSUS].get(one)) is not None:
            own = voters if has_reason else ()
            part[CONSENSUS].put(one, _without_reasons_of_others(request, own))


def _without_reasons_of_others(
    request: ConsensusRequest, voters: Container[str]
) -> ConsensusRequest:
    votes = {
        voter: vote if voter in voters else replace(vote, reason=None)
        for voter, vote in request.votes.items()
    }
    return replace(request, votes=votes)


def snapshot(state: TenantState) -> dict[str, Any]:
    """Return everything that a state contains and has noted, for a comparison."""
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


def _without_contenders(found: Mapping[str, Any]) -> dict[str, Any]:
    leases = {one: replace(lease, contenders=()) for one, lease in found["lease"].items()}
    changed = {**found["changed"], "lease": frozenset()}
    return {**found, "lease": leases, "changed": changed}


def _apply(events: Sequence[Event], at: Timestamp, tenant_state: TenantState) -> None:
    for event in events:
        tenant_state.apply(event, at)


def _apply_with_reactions(
    events: Sequence[Event], at: Timestamp, tenant_state: TenantState
) -> tuple[Event, ...]:
    """Apply each event and those that follow from it; return all of them."""
    applied: list[Event] = []
    for event in events:
        _apply([event], at, tenant_state)
        reactions = tenant_state.reactions_to(event)
        _apply(reactions, at, tenant_state)
        applied += (event, *reactions)
    return tuple(applied)


def _assert_same_changes(loaded: TenantState, complete: TenantState) -> None:
    """Check that what is stored was computed from what was stored before."""
    for aggregate in AGGREGATES:
        if aggregate is not CONSENSUS:  # Votes are loaded without the reasons of others.
            for id_ in loaded[aggregate].changed:
                assert loaded[aggregate][id_] == complete[aggregate][id_], "it was not loaded"


def _assert_changes_noted(before: Mapping[str, Any], tenant_state: TenantState) -> None:
    now = snapshot(tenant_state)
    noted = {**now["changed"], "votes": now["changed_parts"]}
    for kind, noted_ids in noted.items():
        changed = {one for one, state in now[kind].items() if before[kind].get(one) != state}
        assert changed <= noted_ids, "a change would not be stored"
    for counts, changes in (
        ("counts", "count_changes"),
        ("owned_counts", "owned_count_changes"),
    ):
        for counted, count in now[counts].items():
            more = now[changes].get(counted, 0) - before[changes].get(counted, 0)
            assert count == before[counts].get(counted, 0) + more, "a wrong count would be stored"
