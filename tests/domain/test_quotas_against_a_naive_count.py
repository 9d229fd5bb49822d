"""Whatever happens, a tenant has never more than it may, and is refused nothing while it has less.

The naive count goes through all that ever happened, each time anew, and shares no code with the
rules.
"""

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from quorate.domain import quotas, situation
from quorate.domain.agents import SettleAgent
from quorate.domain.commands import Command
from quorate.domain.contacts import Contact
from quorate.domain.instants import Instant
from quorate.domain.keys import IssueKey, RevokeKey
from quorate.domain.quotas import QUOTAS, QuotaExceeded, Quotas
from quorate.domain.tenants import CreateTenant
from tests.domain.cast import (
    TENANT_KEY,
    acquire,
    heartbeat,
    id_of,
    propose,
    register,
    release,
    renew,
    vote,
)
from tests.domain.searching import play, search
from tests.spec import NOON, Fact, Story

LIMITS = Quotas(agents=3, live_leases=2, open_requests=2, keys=2)
NAMES = ("ann", "bob", "cat", "dan", "eve")
CONTACTS = [Contact(email=f"{name}@example.com", key=f"{name}@example.com") for name in "klmno"]
WINDOW = 60_000
STEPS = (0, 0, 0, 100, 5_000, 20_000, 61_000)
DEEDS_PER_RULE = 8
LATEST_MAX = 4


def counted(facts: Sequence[Fact]) -> dict[str, int]:
    """Of each kind, what began and has not ended."""
    agents: set[str] = set()
    leases: set[str] = set()
    requests: set[str] = set()
    keys: set[str] = set()
    for fact in facts:
        event: Any = fact.event
        match type(event).__name__:
            case "AgentRegistered" | "AgentReregistered":
                agents.add(event.agent_id)
            case "LeaseAcquired":
                leases.add(event.lease_id)
            case "LeaseReleased" | "LeaseExpired" | "LeaseRevoked":
                leases.remove(event.lease_id)
            case "ConsensusRequested":
                requests.add(event.request_id)
            case "ConsensusDecided" | "ConsensusExpired":
                requests.remove(event.request_id)
            case "KeyIssued":
                keys.add(event.key_id)
                agents |= {event.agent_id} - {None}
            case "KeyRevoked":
                keys.remove(event.key_id)
    sizes = (len(agents), len(leases), len(requests), len(keys))
    return dict(zip(QUOTAS, sizes, strict=True))


class QuotaPlay(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.story = Story(window=WINDOW, quotas=LIMITS)
        self.now = NOON
        self.made = 0
        self.ids: dict[str, list[str]] = {"lease": [], "request": [], "key": []}
        self.ask(CreateTenant(tenant_id="acme"))

    def new(self, kind: str) -> str:
        self.made += 1
        self.ids[kind].append(f"{kind}{self.made}")
        return self.ids[kind][-1]

    def some(self, kind: str, dice: random.Random) -> str:
        return dice.choice(self.ids[kind][-LATEST_MAX:] or ["never"])

    def ask(self, command: Command) -> None:
        before = counted(self.story.facts)
        answer = self.story.ask(command, self.now)
        if answer.declined is not None and answer.declined.kind is QuotaExceeded:
            of, limit = answer.declined.facts["quota"], answer.declined.facts["limit"]
            settled = counted(self.story.facts)
            assert settled[of] == limit == getattr(LIMITS, of), "it could have had one more"
            assert settled[of] <= before[of]

    @rule(seed=st.integers(0, 2**32 - 1))
    def much_happens(self, seed: int) -> None:
        dice = random.Random(seed)
        for _ in range(DEEDS_PER_RULE):
            self.now = Instant(self.now + dice.choice(STEPS))
            self.ask(self.something(dice))
            self.nobody_has_too_much()

    def something(self, dice: random.Random) -> Command:
        name = dice.choice(NAMES)
        deeds: Sequence[Callable[[], Command]] = (
            lambda: register(name),
            lambda: register(name.upper()),
            lambda: heartbeat(name),
            lambda: acquire(name, dice.choice(CONTACTS), lease=self.new("lease"), minutes=0.5),
            lambda: acquire(name, dice.choice(CONTACTS), lease=self.new("lease")),
            lambda: release(self.some("lease", dice), by=TENANT_KEY),
            lambda: renew(self.some("lease", dice), by=TENANT_KEY),
            lambda: propose(name, request=self.new("request"), minutes=0.5),
            lambda: vote(
                name, dice.choice(("approve", "reject")), request=self.some("request", dice)
            ),
            lambda: self.issue(dice.choice((name, None))),
            lambda: RevokeKey(caller=TENANT_KEY, key_id=self.some("key", dice)),
            lambda: SettleAgent(agent_id=id_of(name)),
        )
        return dice.choice(deeds)()

    def issue(self, agent_name: str | None) -> IssueKey:
        return IssueKey(
            caller=TENANT_KEY,
            key_id=self.new("key"),
            role="agent" if agent_name else "auditor",
            secret_hash="0" * 64,
            agent_name=agent_name,
            new_agent_id=id_of(agent_name or ""),
        )

    @invariant()
    def nobody_has_too_much(self) -> None:
        counts = counted(self.story.facts)
        told = self.story.situation.counts
        assert {quota: told.get(quota, 0) for quota in QUOTAS} == counts
        assert all(counts[quota] <= getattr(LIMITS, quota) for quota in QUOTAS)


def test_the_limits_hold_to_the_last_one() -> None:
    play(QuotaPlay)


def lets_one_more_in(patch: pytest.MonkeyPatch) -> None:
    def check(quota: quotas.Quota, state: situation.Situation, moment: situation.Moment) -> None:
        limit = getattr(moment.quotas, quota)
        if limit is not None and state.counts.get(quota, 0) > limit:
            raise QuotaExceeded(quota, limit)

    patch.setattr(quotas, "check", check)


def refuses_one_too_early(patch: pytest.MonkeyPatch) -> None:
    def check(quota: quotas.Quota, state: situation.Situation, moment: situation.Moment) -> None:
        limit = getattr(moment.quotas, quota)
        if limit is not None and state.counts.get(quota, 0) >= limit - 1:
            raise QuotaExceeded(quota, limit)

    patch.setattr(quotas, "check", check)


def forgets_that_a_lapse_ends_leases(patch: pytest.MonkeyPatch) -> None:
    count = situation.Situation._count

    def forgetful(self: situation.Situation, what: quotas.Quota, more: int) -> None:
        if not (what == "live_leases" and more < 0 and self.touched.agents):
            count(self, what, more)

    patch.setattr(situation.Situation, "_count", forgetful)


@pytest.mark.parametrize(
    "plant", [lets_one_more_in, refuses_one_too_early, forgets_that_a_lapse_ends_leases]
)
def test_a_planted_bug_is_found(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)

    with pytest.raises(AssertionError):
        search(QuotaPlay)
