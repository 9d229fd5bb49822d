"""Leases agree with the reference model for random commands at random times."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from quorate.domain.coordination import lease_grants, leases
from quorate.domain.coordination.lease_grants import AcquireLease, RenewLease
from quorate.domain.coordination.leases import (
    LEASES,
    Event,
    Lease,
    LeaseAcquired,
    LeaseConflicted,
    LeaseHeld,
    LeaseRenewed,
    LeaseRevoked,
    ReleaseLease,
    live_lease,
)
from quorate.domain.coordination.send_gate import RequestSend, SendAuthorized, SendBlocked
from quorate.domain.coordination.status import lease_status
from quorate.domain.identity.agents import AGENTS
from quorate.domain.identity.principals import Principal
from quorate.domain.registry import new_state
from quorate.domain.shared import deadlines
from quorate.domain.shared.deadlines import RecordDue
from quorate.domain.shared.email_addresses import EmailAddress
from quorate.domain.shared.state import DecisionContext, Store, TenantState
from quorate.domain.shared.timestamps import Timestamp
from tests.unit.support import log_checks
from tests.unit.support.reference_model import Observation
from tests.unit.support.sample_commands import (
    KIM,
    LEE,
    TENANT_KEY,
    acquire,
    id_of,
    key_of,
    release,
    renew,
    send,
)
from tests.unit.support.search_budget import find_failure, run_machine
from tests.unit.support.specification import Outcome
from tests.unit.support.state_machines import (
    ABSENT_COUNTS,
    AGENTS_MAX,
    CHOICES,
    HALF,
    WINDOW,
    ModelComparison,
    choices,
    rejection_code,
)

CONTACTS = (KIM, LEE)
MINUTE = 60_000

DURATIONS = [1_000, 20_000, 40_000, WINDOW, WINDOW + 1, 3 * WINDOW]
REQUESTERS = ["the holder", "the holder", "the tenant", "another"]
HOLDERS = [None, None, "first", "second"]
contacts, durations, requesters = map(st.sampled_from, (CONTACTS, DURATIONS, REQUESTERS))
holders = st.sampled_from(HOLDERS)


class LeaseMachine(ModelComparison):
    """Agents acquire, renew, release and send, time advances, and agents time out and return."""

    def __init__(self) -> None:
        super().__init__()
        self.fences: dict[str, int] = {}

    def requesting_agent(self, who: str, lease: str) -> str | None:
        """Return the name of the requesting agent, or None for the tenant."""
        grant = self.scenario.tenant_state[LEASES].get(lease)
        if who == "the tenant":
            return None
        holder = grant.agent_id.removeprefix("agent_") if grant else self.names[0]
        return holder if who == "the holder" else f"not-{holder}"

    @initialize(n=st.integers(1, AGENTS_MAX), absent=st.sampled_from(ABSENT_COUNTS))
    def begin_without_leases(self, n: int, absent: int) -> None:
        self.begin(n, absent)

    # -- Rules ---------------------------------------------------------------

    @rule(who=choices, contact=contacts, duration=durations, holder=holders)
    def acquire_contact(
        self, who: int, contact: EmailAddress, duration: int, holder: str | None
    ) -> None:
        name, lease = self.actor(who), f"lease{len(self.fences)}"
        minutes = duration / MINUTE
        command = acquire(name, contact, lease=lease, minutes=minutes, holder=holder)
        actual = self.describe(outcome := self.execute(command), lease)
        assert actual == self.model.acquire(name, contact.key, duration, lease, self.now, holder)
        if actual[0] == "granted":
            self.fences[lease] = outcome.result.fence

    @rule(first=choices, contact=contacts, duration=durations)
    def acquire_by_all(self, first: int, contact: EmailAddress, duration: int) -> None:
        for place in range(len(self.names)):
            self.acquire_contact(first + place, contact, duration, None)

    @precondition(lambda self: self.fences)
    @rule(selector=choices, requester=requesters, duration=durations, holder=holders)
    def renew_lease(self, selector: int, requester: str, duration: int, holder: str | None) -> None:
        lease = self.choose_recent(self.fences, selector)
        by = self.requesting_agent(requester, lease)
        key = key_of(by) if by else TENANT_KEY
        command = renew(lease, by=key, minutes=duration / MINUTE, holder=holder)
        actual = self.describe(self.execute(command), "none")
        assert actual == self.model.renew(lease, by, duration, self.now, holder)

    @precondition(lambda self: self.fences)
    @rule(selector=choices, requester=requesters)
    def release_lease(self, selector: int, requester: str) -> None:
        lease = self.choose_recent(self.fences, selector)
        by = self.requesting_agent(requester, lease)
        outcome = self.execute(release(lease, by=key_of(by) if by else TENANT_KEY))
        actual = rejection_code(outcome) or ("ended", outcome.result.status)
        assert actual == self.model.release(lease, by, self.now)

    @rule(who=choices, contact=contacts, names_fence=st.booleans(), selector=choices)
    def request_send(
        self, who: int, contact: EmailAddress, names_fence: bool, selector: int
    ) -> None:
        name = self.actor(who)
        named = self.choose_recent(self.fences, selector) if names_fence else None
        fence = self.fences.get(named, 0) if named else None
        actual = self.describe_send(self.execute(send(name, contact, fence=fence)))
        assert actual == self.model.send(name, contact.key, named, self.now)

    @rule(selector=choices, agents=st.booleans())
    def record_due(self, selector: int, agents: bool) -> None:
        if agents:
            self.record_due_of_agent(self.name(selector))
        else:
            self.execute(RecordDue(aggregate="lease", id=self.choose_recent(self.fences, selector)))

    def execute_random(self, rng: Random) -> None:
        who, selector, contact = rng.choice(CHOICES), rng.choice(CHOICES), rng.choice(CONTACTS)
        duration, requester = rng.choice(DURATIONS), rng.choice(REQUESTERS)
        match rng.randrange(8):
            case 0 | 1:
                self.acquire_contact(who, contact, duration, rng.choice(HOLDERS))
            case 2:
                self.acquire_by_all(who, contact, duration)
            case 3 if self.fences:
                self.renew_lease(selector, requester, duration, rng.choice(HOLDERS))
            case 4 if self.fences:
                self.release_lease(selector, requester)
            case 5:
                self.request_send(who, contact, rng.random() < HALF, selector)
            case _:
                self.advance_time_or_agents(rng)

    # -- Results -------------------------------------------------------------

    def describe(self, outcome: Outcome, new_lease: str) -> Observation:
        if outcome.rejection is None:
            lease = outcome.result
            return ("granted" if lease.id == new_lease else "held", lease.id, lease.expires_at)
        if outcome.rejection.kind is LeaseHeld:
            [conflict] = outcome.decided
            assert isinstance(conflict, LeaseConflicted)
            holder = (conflict.holder_name, conflict.holder)
            return ("lease_conflict", *holder, conflict.lease_id, conflict.expires_at)
        status = outcome.rejection.details.get("lease_status")
        return (outcome.rejection.kind.code, *([status] if status else []))

    def describe_send(self, outcome: Outcome) -> Observation:
        match outcome.result:
            case SendAuthorized() as sent:
                leases_by_fence = {fence: lease for lease, fence in self.fences.items()}
                return ("authorized", None if sent.fence is None else leases_by_fence[sent.fence])
            case SendBlocked() as blocked:
                return ("blocked", blocked.reason, blocked.holder_name, blocked.expires_at)
        return rejection_code(outcome) or ()

    # -- Invariants ----------------------------------------------------------

    @invariant()
    def active_agents_agree(self) -> None:
        self.check_active_agents()

    @invariant()
    def status_agrees_before_recording(self) -> None:
        tenant_state = self.scenario.tenant_state
        for grant in self.model.grants:
            lease = tenant_state[LEASES][grant.lease]
            holder = tenant_state[AGENTS][lease.agent_id]
            assert lease_status(lease, holder, self.now) == self.model.lease_status(grant, self.now)

    @invariant()
    def contenders_agree(self) -> None:
        for grant in self.model.grants:
            known = self.scenario.tenant_state[LEASES][grant.lease].contenders
            assert known == tuple(map(id_of, self.model.contenders(grant.lease)))

    @invariant()
    def log_is_consistent(self) -> None:
        log_checks.leases_are_exclusive(self.scenario.events)

    def teardown(self) -> None:
        """Once all deadlines are recorded, the recorded statuses equal those of the model."""
        for name in self.names:
            self.execute(RecordDue(aggregate="agent", id=id_of(name)))
        for grant in self.model.grants:
            self.execute(RecordDue(aggregate="lease", id=grant.lease))
            recorded = self.scenario.tenant_state[LEASES][grant.lease].status
            assert recorded == self.model.lease_status(grant, self.now)
        self.log_is_consistent()


def test_leases_agree_with_the_reference_model() -> None:
    run_machine(LeaseMachine)


# -- Planted bugs ------------------------------------------------------------------


def end_a_millisecond_late(patch: pytest.MonkeyPatch) -> None:
    due = deadlines.due_events
    patch.setattr(deadlines, "due_events", lambda reads, state, now: due(reads, state, now - 1))


def ignore_the_fence(patch: pytest.MonkeyPatch) -> None:
    decide = RequestSend.decide
    patch.setattr(
        RequestSend,
        "decide",
        lambda command, state, context: decide(replace(command, fence=None), state, context),
    )


def without_leases(state: TenantState) -> TenantState:
    free = new_state()
    for agent in state[AGENTS].values():
        free[AGENTS].put(agent.id, agent)
    return free


def ignore_leases_at_the_send_gate(patch: pytest.MonkeyPatch) -> None:
    decide = RequestSend.decide
    patch.setattr(
        RequestSend,
        "decide",
        lambda command, state, context: decide(command, without_leases(state), context),
    )


def keep_leases_of_inactive_agents(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Store, "owned_by", lambda _self, _agent_id: [])


def revoke_expired_leases(patch: pytest.MonkeyPatch) -> None:
    def revoked(lease: Lease) -> Sequence[LeaseRevoked]:
        return [LeaseRevoked(**leases._ending(lease), reason="agent_inactive")]

    patch.setitem(vars(LEASES.deadline), "events", revoked)


def shorten_renewed_leases(patch: pytest.MonkeyPatch) -> None:
    renewed = lease_grants._renewed

    def shortened(lease: Lease, intent: str, until: Timestamp) -> Sequence[LeaseRenewed]:
        longer = renewed(lease, intent, Timestamp(lease.expires_at + 1))
        return [replace(event, expires_at=until) for event in longer]

    patch.setattr(lease_grants, "_renewed", shortened)


def release_the_successor(patch: pytest.MonkeyPatch) -> None:
    own = leases.own_lease

    def own_or_next(caller: Principal, lease_id: str, tenant_state: TenantState) -> Lease:
        lease = own(caller, lease_id, tenant_state)
        return live_lease(tenant_state, lease.contact_key) or lease

    patch.setattr(leases, "own_lease", own_or_next)


def allow_any_agent_to_release(patch: pytest.MonkeyPatch) -> None:
    own = leases.own_lease
    patch.setattr(leases, "own_lease", lambda _caller, *others: own(TENANT_KEY, *others))


def grant_held_contacts(patch: pytest.MonkeyPatch) -> None:
    acquire_free = AcquireLease.decide
    patch.setattr(
        AcquireLease,
        "decide",
        lambda command, state, context: acquire_free(command, without_leases(state), context),
    )


def forget_contenders(patch: pytest.MonkeyPatch) -> None:
    released = ReleaseLease.decide
    patch.setattr(
        ReleaseLease,
        "decide",
        lambda *args: [replace(event, contenders=None) for event in released(*args)],
    )


def keep_only_the_last_contender(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(leases, "_contended", lambda lease, who: replace(lease, contenders=(who,)))


def ignore_the_holder(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Lease, "admits", lambda lease, agent_id, _: lease.agent_id == agent_id)


def ignore_the_holder_of_a_renewal(patch: pytest.MonkeyPatch) -> None:
    decide = RenewLease.decide
    patch.setattr(
        RenewLease,
        "decide",
        lambda command, state, context: decide(replace(command, holder=None), state, context),
    )


def ignore_incarnations(patch: pytest.MonkeyPatch) -> None:
    decide = AcquireLease.decide

    def decide_for_the_first_registration(
        command: AcquireLease, state: TenantState, context: DecisionContext
    ) -> Sequence[Event]:
        return [
            replace(event, incarnation=None) if isinstance(event, LeaseAcquired) else event
            for event in decide(command, state, context)
        ]

    patch.setattr(AcquireLease, "decide", decide_for_the_first_registration)


def reuse_fences(patch: pytest.MonkeyPatch) -> None:
    decide = AcquireLease.decide
    patch.setattr(
        AcquireLease,
        "decide",
        lambda command, state, context: decide(command, state, replace(context, sequence=1)),
    )


@pytest.mark.parametrize(
    "plant_bug",
    [
        end_a_millisecond_late,
        ignore_the_fence,
        ignore_leases_at_the_send_gate,
        keep_leases_of_inactive_agents,
        revoke_expired_leases,
        shorten_renewed_leases,
        release_the_successor,
        allow_any_agent_to_release,
        grant_held_contacts,
        forget_contenders,
        keep_only_the_last_contender,
        reuse_fences,
        ignore_the_holder,
        ignore_the_holder_of_a_renewal,
        ignore_incarnations,
    ],
)
def test_planted_bug_is_found(
    plant_bug: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant_bug(monkeypatch)

    with pytest.raises(AssertionError):
        find_failure(LeaseMachine)
