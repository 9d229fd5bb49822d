"""A tenant never exceeds a quota, and no command within its quotas is rejected.

The reference counts scan all events after each command and share no code with the rules.
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from quorate.domain.coordination.lease_grants import AcquireLease
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
from tests.unit.support.sample_commands import (
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
from tests.unit.support.search_budget import find_failure, run_machine
from tests.unit.support.specification import NOON, Scenario, TimedEvent

LIMITS = Quotas(
    agents=3,
    live_leases=3,
    open_requests=2,
    keys=2,
    settings_bytes=60,
    mailbox_bytes=0,
    session_bytes=0,
    live_leases_per_agent=2,
)
NAMES = ("ann", "bob", "cat", "dan", "eve")
CONTACTS = [
    EmailAddress(email=f"{name}@example.com", key=f"{name}@example.com") for name in "klmno"
]
WINDOW = 60_000
STEPS = (0, 0, 0, 100, 5_000, 20_000, 61_000)
COMMANDS_PER_RULE = 8
LATEST_MAX = 4
STYLES = ("", "a", "plain", "höflich" * 3)


def count_events(events: Sequence[TimedEvent]) -> dict[str, int]:
    """Count what exists of each kind: everything that began and has not ended."""
    agents: set[str] = set()
    leases: set[str] = set()
    requests: set[str] = set()
    keys: set[str] = set()
    settings: dict[str, bytes] = {}
    for entry in events:
        event: Any = entry.event
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
                settings[event.agent_id] = encode_settings(event.settings)
    sizes = (len(agents), len(leases), len(requests), len(keys), len(b"".join(settings.values())))
    mail = (0, 0)  # These commands send no messages.
    return dict(zip(COUNTED, (*sizes, *mail), strict=True))


def encode_settings(settings: Mapping[str, bool | str]) -> bytes:
    """Return as many bytes as the settings count for."""
    return "".join(f"{k}{'x' if isinstance(v, bool) else v}" for k, v in settings.items()).encode()


def count_owned(events: Sequence[TimedEvent]) -> Counter[str]:
    """Count the leases that each agent holds."""
    holders: dict[str, str] = {}
    for entry in events:
        event: Any = entry.event
        match type(event).__name__:
            case "LeaseAcquired":
                holders[event.lease_id] = event.agent_id
            case "LeaseReleased" | "LeaseExpired" | "LeaseRevoked":
                del holders[event.lease_id]
    return Counter(holders.values())


class QuotaMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.scenario = Scenario(window=WINDOW, quotas=LIMITS)
        self.now = NOON
        self.created = 0
        self.ids: dict[str, list[str]] = {"lease": [], "request": [], "key": []}
        self.execute(CreateTenant(tenant_id="acme"))

    def new(self, kind: str) -> str:
        self.created += 1
        self.ids[kind].append(f"{kind}{self.created}")
        return self.ids[kind][-1]

    def choose_recent(self, kind: str, rng: random.Random) -> str:
        return rng.choice(self.ids[kind][-LATEST_MAX:] or ["never"])

    def execute(self, command: Command) -> None:
        before = count_events(self.scenario.events)
        outcome = self.scenario.execute(command, self.now)
        if outcome.rejection is not None and outcome.rejection.kind is QuotaExceeded:
            of, limit = outcome.rejection.details["quota"], outcome.rejection.details["limit"]
            has, more = self.count_and_increase(of, command)
            assert limit == getattr(LIMITS, of)
            assert has <= limit < has + more, "a command within the quota was rejected"
            assert of not in before or has <= before[of]

    def count_and_increase(self, of: str, command: Command) -> tuple[int, int]:
        """Return the current count, and by how much the command increases it."""
        events, now = self.scenario.events, self.scenario.tenant_state
        match command:
            case ConfigureAgent():
                before = now[AGENT_SETTINGS].get(command.agent_id) or {}
                return count_events(events)[of], len(encode_settings(command.settings)) - len(
                    encode_settings(before)
                )
            case AcquireLease() if of == "live_leases_per_agent":
                return count_owned(events)[acting(command.caller, command.agent, now).id], 1
        return count_events(events)[of], 1

    @rule(seed=st.integers(0, 2**32 - 1))
    def execute_many(self, seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(COMMANDS_PER_RULE):
            self.now = Timestamp(self.now + rng.choice(STEPS))
            self.execute(self.something(rng))
            self.quotas_hold()

    def something(self, rng: random.Random) -> Command:
        name = rng.choice(NAMES)
        commands: Sequence[Callable[[], Command]] = (
            lambda: register(name),
            lambda: register(name.upper()),
            lambda: heartbeat(name),
            lambda: acquire(name, rng.choice(CONTACTS), lease=self.new("lease"), minutes=0.5),
            lambda: acquire(name, rng.choice(CONTACTS), lease=self.new("lease")),
            lambda: release(self.choose_recent("lease", rng), by=TENANT_KEY),
            lambda: renew(self.choose_recent("lease", rng), by=TENANT_KEY),
            lambda: propose(name, request=self.new("request"), minutes=0.5),
            lambda: vote(
                name, rng.choice(("approve", "reject")), request=self.choose_recent("request", rng)
            ),
            lambda: self.issue(rng.choice((name, None))),
            lambda: RevokeKey(caller=TENANT_KEY, key_id=self.choose_recent("key", rng)),
            lambda: RecordDue(aggregate="agent", id=id_of(name)),
            lambda: self.settings(name, rng),
        )
        return rng.choice(commands)()

    def settings(self, name: str, rng: random.Random) -> ConfigureAgent:
        settings: dict[str, bool | str] = {"humanizer_enabled": rng.random() < 0.5}
        if rng.random() < 0.5:
            settings["humanizer_style"] = rng.choice(STYLES)
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
    def quotas_hold(self) -> None:
        counts, owned = count_events(self.scenario.events), count_owned(self.scenario.events)
        actual = self.scenario.tenant_state
        assert {each: actual.count(each) for each in COUNTED} == counts
        assert all(counts[each] <= getattr(LIMITS, each) for each in COUNTED)
        assert {agent: actual.owned_count("live_leases", agent) for agent in actual[AGENTS]} == {
            agent: owned[agent] for agent in actual[AGENTS]
        }
        assert max(owned.values(), default=0) <= (LIMITS.live_leases_per_agent or 0)


def test_quotas_hold_for_random_commands() -> None:
    run_machine(QuotaMachine)


def allow_one_too_many(patch: pytest.MonkeyPatch) -> None:
    check = quotas.check

    def lenient(quota: quotas.Quota, has: int, limits: quotas.Quotas, *, more: int = 1) -> None:
        check(quota, has, limits, more=more - 1)

    patch.setattr(quotas, "check", lenient)


def reject_one_too_early(patch: pytest.MonkeyPatch) -> None:
    check = quotas.check

    def strict(quota: quotas.Quota, has: int, limits: quotas.Quotas, *, more: int = 1) -> None:
        check(quota, has, limits, more=more + 1)

    patch.setattr(quotas, "check", strict)


def ignore_leases_ended_by_timeouts(patch: pytest.MonkeyPatch) -> None:
    count = TenantState._count

    def forgetful(self: TenantState, name: str, owner_id: str | None, more: int) -> None:
        if not (owner_id is not None and more < 0 and self[AGENTS].changed):
            count(self, name, owner_id, more)

    patch.setattr(TenantState, "_count", forgetful)


def forget_replaced_settings(patch: pytest.MonkeyPatch) -> None:
    apply = TenantState.apply

    def forgetful(self: TenantState, event: Event, at: Timestamp) -> None:
        if isinstance(event, AgentConfigured) and event.agent_id in self[AGENT_SETTINGS]:
            self[AGENT_SETTINGS].forget(event.agent_id)
        apply(self, event, at)

    patch.setattr(TenantState, "apply", forgetful)


@pytest.mark.parametrize(
    "plant_bug",
    [
        allow_one_too_many,
        reject_one_too_early,
        ignore_leases_ended_by_timeouts,
        forget_replaced_settings,
    ],
)
def test_planted_bug_is_found(
    plant_bug: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant_bug(monkeypatch)

    with pytest.raises(AssertionError):
        find_failure(QuotaMachine)
