"""Whatever agents do and whenever, leases are as the naive model says, and the log shows it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from quorate.domain.coordination import leases
from quorate.domain.coordination.leases import (
    LEASES,
    AcquireLease,
    Lease,
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
from quorate.domain.shared.state import Store, TenantState
from quorate.domain.shared.timestamps import Timestamp
from tests.unit.support import log_checks
from tests.unit.support.reference_model import Told
from tests.unit.support.scenario import (
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
from tests.unit.support.search_budget import play, search
from tests.unit.support.specification import Answer
from tests.unit.support.state_machines import (
    ABSENCES,
    AGENTS_MAX,
    CHOICES,
    HALF,
    WINDOW,
    Playing,
    choices,
    refused,
)

CONTACTS = (KIM, LEE)
MINUTE = 60_000

LENGTHS = [1_000, 20_000, 40_000, WINDOW, WINDOW + 1, 3 * WINDOW]
ASKERS = ["the holder", "the holder", "the tenant", "another"]
contacts, lengths, askers = map(st.sampled_from, (CONTACTS, LENGTHS, ASKERS))


class LeasePlay(Playing):
    """Agents acquire, renew, release and send; time passes; some go silent and come back."""

    def __init__(self) -> None:
        super().__init__()
        self.fences: dict[str, int] = {}

    def asking(self, who: str, lease: str) -> str | None:
        """An agent's name, or None for the tenant."""
        grant = self.story.tenant_state[LEASES].get(lease)
        if who == "the tenant":
            return None
        holder = grant.agent_id.removeprefix("agent_") if grant else self.names[0]
        return holder if who == "the holder" else f"not-{holder}"

    @initialize(n=st.integers(1, AGENTS_MAX), absent=st.sampled_from(ABSENCES))
    def begin_with_nothing_held(self, n: int, absent: int) -> None:
        self.begin(n, absent)

    # -- Rules ---------------------------------------------------------------

    @rule(who=choices, contact=contacts, length=lengths)
    def acquires(self, who: int, contact: EmailAddress, length: int) -> None:
        name, lease = self.actor(who), f"lease{len(self.fences)}"
        answer = self.ask(acquire(name, contact, lease=lease, minutes=length / MINUTE))
        told = self.told_of(answer, lease)
        assert told == self.naive.acquire(name, contact.key, length, lease, self.now)
        if told[0] == "granted":
            self.fences[lease] = answer.outcome.fence

    @rule(first=choices, contact=contacts, length=lengths)
    def everybody_wants(self, first: int, contact: EmailAddress, length: int) -> None:
        for place in range(len(self.names)):
            self.acquires(first + place, contact, length)

    @precondition(lambda self: self.fences)
    @rule(which=choices, asker=askers, length=lengths)
    def renews(self, which: int, asker: str, length: int) -> None:
        lease = self.some(self.fences, which)
        by = self.asking(asker, lease)
        key = key_of(by) if by else TENANT_KEY
        answer = self.ask(renew(lease, by=key, minutes=length / MINUTE))
        assert self.told_of(answer, "none") == self.naive.renew(lease, by, length, self.now)

    @precondition(lambda self: self.fences)
    @rule(which=choices, asker=askers)
    def releases(self, which: int, asker: str) -> None:
        lease = self.some(self.fences, which)
        by = self.asking(asker, lease)
        answer = self.ask(release(lease, by=key_of(by) if by else TENANT_KEY))
        told = refused(answer) or ("ended", answer.outcome.status)
        assert told == self.naive.release(lease, by, self.now)

    @rule(who=choices, contact=contacts, shows=st.booleans(), which=choices)
    def sends(self, who: int, contact: EmailAddress, shows: bool, which: int) -> None:
        name = self.actor(who)
        shown = self.some(self.fences, which) if shows else None
        fence = self.fences.get(shown, 0) if shown else None
        told = self.told_of_a_send(self.ask(send(name, contact, fence=fence)))
        assert told == self.naive.send(name, contact.key, shown, self.now)

    @rule(which=choices, agents=st.booleans())
    def the_timer_comes(self, which: int, agents: bool) -> None:
        if agents:
            self.the_timer_comes_for(self.name(which))
        else:
            self.ask(RecordDue(aggregate="lease", id=self.some(self.fences, which)))

    def something_happens(self, dice: Random) -> None:
        who, which, contact = dice.choice(CHOICES), dice.choice(CHOICES), dice.choice(CONTACTS)
        length, asker = dice.choice(LENGTHS), dice.choice(ASKERS)
        match dice.randrange(8):
            case 0 | 1:
                self.acquires(who, contact, length)
            case 2:
                self.everybody_wants(who, contact, length)
            case 3 if self.fences:
                self.renews(which, asker, length)
            case 4 if self.fences:
                self.releases(which, asker)
            case 5:
                self.sends(who, contact, dice.random() < HALF, which)
            case _:
                self.time_or_an_agent_goes_on(dice)

    # -- What was said -------------------------------------------------------

    def told_of(self, answer: Answer, new_lease: str) -> Told:
        if answer.declined is None:
            lease = answer.outcome
            return ("granted" if lease.id == new_lease else "held", lease.id, lease.expires_at)
        if answer.declined.kind is LeaseHeld:
            [conflict] = answer.decided
            assert isinstance(conflict, LeaseConflicted)
            holder = (conflict.holder_name, conflict.lease_id, conflict.expires_at)
            return ("lease_conflict", *holder)
        status = answer.declined.facts.get("lease_status")
        return (answer.declined.kind.code, *([status] if status else []))

    def told_of_a_send(self, answer: Answer) -> Told:
        match answer.outcome:
            case SendAuthorized() as sent:
                leases_by_fence = {fence: lease for lease, fence in self.fences.items()}
                return ("authorized", None if sent.fence is None else leases_by_fence[sent.fence])
            case SendBlocked() as blocked:
                return ("blocked", blocked.reason, blocked.holder_name, blocked.expires_at)
        return refused(answer) or ()

    # -- What always holds ---------------------------------------------------

    @invariant()
    def who_is_active_is_agreed(self) -> None:
        self.who_is_active()

    @invariant()
    def readers_see_what_is_true_before_it_is_recorded(self) -> None:
        tenant_state = self.story.tenant_state
        for grant in self.naive.grants:
            lease = tenant_state[LEASES][grant.lease]
            holder = tenant_state[AGENTS][lease.agent_id]
            assert lease_status(lease, holder, self.now) == self.naive.fate(grant, self.now)

    @invariant()
    def a_lease_remembers_whom_it_kept_out(self) -> None:
        for grant in self.naive.grants:
            known = self.story.tenant_state[LEASES][grant.lease].contenders
            assert known == tuple(map(id_of, self.naive.contenders(grant.lease)))

    @invariant()
    def the_log_is_sound(self) -> None:
        log_checks.leases_are_exclusive(self.story.facts)

    def teardown(self) -> None:
        """When the timer has come for everything, the log itself says what the model says."""
        for name in self.names:
            self.ask(RecordDue(aggregate="agent", id=id_of(name)))
        for grant in self.naive.grants:
            self.ask(RecordDue(aggregate="lease", id=grant.lease))
            recorded = self.story.tenant_state[LEASES][grant.lease].status
            assert recorded == self.naive.fate(grant, self.now)
        self.the_log_is_sound()


def test_leases_agree_with_a_naive_model_of_them() -> None:
    play(LeasePlay)


# -- Planted bugs ------------------------------------------------------------------


def ends_a_millisecond_late(patch: pytest.MonkeyPatch) -> None:
    due = deadlines.due_events
    patch.setattr(deadlines, "due_events", lambda reads, state, now: due(reads, state, now - 1))


def forgets_the_fence(patch: pytest.MonkeyPatch) -> None:
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


def ignores_the_lease_at_the_gate(patch: pytest.MonkeyPatch) -> None:
    decide = RequestSend.decide
    patch.setattr(
        RequestSend,
        "decide",
        lambda command, state, context: decide(command, without_leases(state), context),
    )


def keeps_the_leases_of_the_silent(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Store, "owned_by", lambda _self, _agent_id: [])


def revokes_what_had_expired(patch: pytest.MonkeyPatch) -> None:
    def revoked(lease: Lease) -> Sequence[LeaseRevoked]:
        return [LeaseRevoked(**leases._ending(lease), reason="agent_inactive")]

    patch.setitem(vars(LEASES.deadline), "events", revoked)


def shortens_when_asked_for_less(patch: pytest.MonkeyPatch) -> None:
    renewed = leases._renewed

    def shortened(lease: Lease, intent: str, until: Timestamp) -> Sequence[LeaseRenewed]:
        longer = renewed(lease, intent, Timestamp(lease.expires_at + 1))
        return [replace(event, expires_at=until) for event in longer]

    patch.setattr(leases, "_renewed", shortened)


def releases_the_successor(patch: pytest.MonkeyPatch) -> None:
    own = leases._own_lease

    def own_or_next(caller: Principal, lease_id: str, tenant_state: TenantState) -> Lease:
        lease = own(caller, lease_id, tenant_state)
        return live_lease(tenant_state, lease.contact_key) or lease

    patch.setattr(leases, "_own_lease", own_or_next)


def lets_anyone_release(patch: pytest.MonkeyPatch) -> None:
    own = leases._own_lease
    patch.setattr(leases, "_own_lease", lambda _caller, *others: own(TENANT_KEY, *others))


def grants_what_is_held(patch: pytest.MonkeyPatch) -> None:
    acquire_free = AcquireLease.decide
    patch.setattr(
        AcquireLease,
        "decide",
        lambda command, state, context: acquire_free(command, without_leases(state), context),
    )


def forgets_whom_it_kept_out(patch: pytest.MonkeyPatch) -> None:
    released = ReleaseLease.decide
    patch.setattr(
        ReleaseLease,
        "decide",
        lambda *asked: [replace(event, contenders=None) for event in released(*asked)],
    )


def remembers_only_the_last(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(leases, "_contended", lambda lease, who: replace(lease, contenders=(who,)))


def gives_a_fence_twice(patch: pytest.MonkeyPatch) -> None:
    decide = AcquireLease.decide
    patch.setattr(
        AcquireLease,
        "decide",
        lambda command, state, context: decide(command, state, replace(context, sequence=1)),
    )


@pytest.mark.parametrize(
    "plant",
    [
        ends_a_millisecond_late,
        forgets_the_fence,
        ignores_the_lease_at_the_gate,
        keeps_the_leases_of_the_silent,
        revokes_what_had_expired,
        shortens_when_asked_for_less,
        releases_the_successor,
        lets_anyone_release,
        grants_what_is_held,
        forgets_whom_it_kept_out,
        remembers_only_the_last,
        gives_a_fence_twice,
    ],
)
def test_a_planted_bug_is_found(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)

    with pytest.raises(AssertionError):
        search(LeasePlay)
