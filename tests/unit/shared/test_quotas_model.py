"""Whatever happens, a tenant has never more than it may, and is refused nothing while it has less.

The naive count goes through all that ever happened, each time anew, and shares no code with the
rules.
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from quorate.domain.coordination.leases import AcquireLease
from quorate.domain.identity.agent_settings import AGENT_SETTINGS, AgentConfigured, ConfigureAgent
from quorate.domain.identity.agents import AGENTS, acting
from quorate.domain.identity.api_keys import IssueKey, RevokeKey
from quorate.domain.identity.tenants import CreateTenant
from quorate.domain.shared import quotas
from quorate.domain.shared.aggregates import Event
from quorate.domain.shared.deadlines import RecordDue
from quorate.domain.shared.email_addresses import EmailAddress
from quorate.domain.shared.quotas import COUNTED, QuotaExceeded, Quotas
from quorate.domain.shared.state import Command, TenantState
from quorate.domain.shared.timestamps import Timestamp
from tests.unit.support.scenario import (
    TENANT_KEY,
    acquire,
    configure,
    heartbeat,
    id_of,
    propose,
    register,
    release,
    renew,
    vote,
)
from tests.unit.support.search_budget import play, search
from tests.unit.support.specification import NOON, Fact, Story

LIMITS = Quotas(
    agents=3,
    live_leases=3,
    open_requests=2,
    keys=2,
    settings_bytes=60,
    live_leases_per_agent=2,
)
NAMES = ("ann", "bob", "cat", "dan", "eve")
CONTACTS = [
    EmailAddress(email=f"{name}@example.com", key=f"{name}@example.com") for name in "klmno"
]
WINDOW = 60_000
STEPS = (0, 0, 0, 100, 5_000, 20_000, 61_000)
DEEDS_PER_RULE = 8
LATEST_MAX = 4
STYLES = ("", "a", "plain", "höflich" * 3)


def counted(facts: Sequence[Fact]) -> dict[str, int]:
    """Of each kind, what began and has not ended."""
    agents: set[str] = set()
    leases: set[str] = set()
    requests: set[str] = set()
    keys: set[str] = set()
    settings: dict[str, bytes] = {}
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
            case "AgentConfigured":
                settings[event.agent_id] = spelled(event.settings)
    sizes = (len(agents), len(leases), len(requests), len(keys), len(b"".join(settings.values())))
    return dict(zip(COUNTED, sizes, strict=True))


def spelled(settings: Mapping[str, bool | str]) -> bytes:
    """As many bytes as they count for."""
    return "".join(f"{k}{'x' if isinstance(v, bool) else v}" for k, v in settings.items()).encode()


def held(facts: Sequence[Fact]) -> Counter[str]:
    """How many leases each agent holds."""
    holders: dict[str, str] = {}
    for fact in facts:
        event: Any = fact.event
        match type(event).__name__:
            case "LeaseAcquired":
                holders[event.lease_id] = event.agent_id
            case "LeaseReleased" | "LeaseExpired" | "LeaseRevoked":
                del holders[event.lease_id]
    return Counter(holders.values())


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
            has, more = self.asked_for(of, command)
            assert limit == getattr(LIMITS, of)
            assert has <= limit < has + more, "it could have had what it asked for"
            assert of not in before or has <= before[of]

    def asked_for(self, of: str, command: Command) -> tuple[int, int]:
        """How much there is, and how much more there would be."""
        facts, now = self.story.facts, self.story.tenant_state
        match command:
            case ConfigureAgent():
                before = now[AGENT_SETTINGS].get(command.agent_id) or {}
                return counted(facts)[of], len(spelled(command.settings)) - len(spelled(before))
            case AcquireLease() if of == "live_leases_per_agent":
                return held(facts)[acting(command.caller, command.agent, now).id], 1
        return counted(facts)[of], 1

    @rule(seed=st.integers(0, 2**32 - 1))
    def much_happens(self, seed: int) -> None:
        dice = random.Random(seed)
        for _ in range(DEEDS_PER_RULE):
            self.now = Timestamp(self.now + dice.choice(STEPS))
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
            lambda: RecordDue(aggregate="agent", id=id_of(name)),
            lambda: self.settings(name, dice),
        )
        return dice.choice(deeds)()

    def settings(self, name: str, dice: random.Random) -> ConfigureAgent:
        settings: dict[str, bool | str] = {"humanizer_enabled": dice.random() < 0.5}
        if dice.random() < 0.5:
            settings["humanizer_style"] = dice.choice(STYLES)
        return configure(name, settings)

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
        counts, holdings = counted(self.story.facts), held(self.story.facts)
        told = self.story.tenant_state
        assert {each: told.count(each) for each in COUNTED} == counts
        assert all(counts[each] <= getattr(LIMITS, each) for each in COUNTED)
        assert {agent: told.owned_count(agent) for agent in told[AGENTS]} == {
            agent: holdings[agent] for agent in told[AGENTS]
        }
        assert max(holdings.values(), default=0) <= (LIMITS.live_leases_per_agent or 0)


def test_the_limits_hold_to_the_last_one() -> None:
    play(QuotaPlay)


def lets_one_more_in(patch: pytest.MonkeyPatch) -> None:
    check = quotas.check

    def lenient(quota: quotas.Quota, has: int, limits: quotas.Quotas, *, more: int = 1) -> None:
        check(quota, has, limits, more=more - 1)

    patch.setattr(quotas, "check", lenient)


def refuses_one_too_early(patch: pytest.MonkeyPatch) -> None:
    check = quotas.check

    def strict(quota: quotas.Quota, has: int, limits: quotas.Quotas, *, more: int = 1) -> None:
        check(quota, has, limits, more=more + 1)

    patch.setattr(quotas, "check", strict)


def forgets_that_a_lapse_ends_leases(patch: pytest.MonkeyPatch) -> None:
    count = TenantState._count

    def forgetful(self: TenantState, name: str, owner_id: str | None, more: int) -> None:
        if not (owner_id is not None and more < 0 and self[AGENTS].changed):
            count(self, name, owner_id, more)

    patch.setattr(TenantState, "_count", forgetful)


def forgets_which_settings_were_replaced(patch: pytest.MonkeyPatch) -> None:
    apply = TenantState.apply

    def forgetful(self: TenantState, event: Event, at: Timestamp) -> None:
        if isinstance(event, AgentConfigured) and event.agent_id in self[AGENT_SETTINGS]:
            self[AGENT_SETTINGS].forget(event.agent_id)
        apply(self, event, at)

    patch.setattr(TenantState, "apply", forgetful)


@pytest.mark.parametrize(
    "plant",
    [
        lets_one_more_in,
        refuses_one_too_early,
        forgets_that_a_lapse_ends_leases,
        forgets_which_settings_were_replaced,
    ],
)
def test_a_planted_bug_is_found(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)

    with pytest.raises(AssertionError):
        search(QuotaPlay)
