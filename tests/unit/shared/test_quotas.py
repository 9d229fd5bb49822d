"""Only a command that would exceed a quota is rejected."""

import pytest

from quorate.domain.coordination.leases import LeaseExpired, LeaseRenewed
from quorate.domain.identity import agent_settings
from quorate.domain.identity.agents import AgentReregistered
from quorate.domain.identity.api_keys import IssueKey, RevokeKey
from quorate.domain.identity.principals import Principal
from quorate.domain.identity.tenants import TenantCreated
from quorate.domain.shared.quotas import COUNTS, QuotaExceeded, Quotas
from tests.unit.support.sample_commands import (
    ADMIN_KEY,
    KIM,
    LEE,
    TENANT_KEY,
    acquire,
    configure,
    heartbeat,
    key_of,
    propose,
    register,
    release,
    renew,
    vote,
)
from tests.unit.support.sample_events import acquired, registered
from tests.unit.support.specification import NOON, Scenario, TimedEvent, after, given

ONE_OF_EACH = Quotas(agents=1, live_leases=1, open_requests=1, keys=1)
ENABLED_SETTINGS = {"humanizer_enabled": True}
ENABLED_BYTES = len("humanizer_enabled") + 1
created = TimedEvent(at=NOON, event=TenantCreated(tenant_id="acme"))


def issue(key: str, agent: str | None = None, by: Principal = TENANT_KEY) -> IssueKey:
    return IssueKey(
        caller=by,
        key_id=key,
        role="agent" if agent else "auditor",
        secret_hash="0" * 64,
        agent_name=agent,
        new_agent_id=f"agent_{agent}",
    )


def at_quota() -> Scenario:
    """One agent that holds one lease, with a quota of one of each."""
    return given(created, registered("ann"), acquired("ann", fence=3), quotas=ONE_OF_EACH)


# -- Agents ------------------------------------------------------------------


def test_register_rejects_a_new_name_over_the_quota() -> None:
    at_quota().when(register("bob")).then_rejected(QuotaExceeded("agents", 1))


def test_known_name_registers_again_at_the_quota() -> None:
    outcome = at_quota().when(register("ANN")).outcome

    assert [type(event) for event in outcome.events] == [AgentReregistered]


def test_key_for_a_new_name_counts_as_an_agent() -> None:
    scenario = given(created, registered("ann"), quotas=Quotas(agents=1))

    scenario.when(issue("k1", "bob")).then_rejected(QuotaExceeded("agents", 1))
    assert scenario.when(issue("k2", "Ann")).outcome.rejection is None


def test_reserved_name_registers_at_the_quota() -> None:
    scenario = given(created, quotas=Quotas(agents=1))

    assert scenario.when(issue("k1", "ann")).outcome.rejection is None
    assert scenario.when(register("ann")).outcome.rejection is None
    scenario.when(register("bob")).then_rejected(QuotaExceeded("agents", 1))


# -- Leases ------------------------------------------------------------------


def test_acquire_rejects_a_lease_over_the_quota() -> None:
    at_quota().when(acquire("ann", LEE)).then_rejected(QuotaExceeded("live_leases", 1))


def test_held_lease_is_renewed_at_the_quota() -> None:
    scenario = at_quota()

    for command in (acquire("ann", KIM, minutes=60), renew("lease", by=key_of("ann"), minutes=90)):
        outcome = scenario.when(command).outcome
        assert [type(event) for event in outcome.events] == [LeaseRenewed]


def test_release_frees_quota() -> None:
    scenario = at_quota()
    scenario.when(release("lease", by=key_of("ann")))

    assert scenario.when(acquire("ann", LEE, lease="next")).outcome.rejection is None


def test_expired_lease_frees_quota_for_the_next_lease() -> None:
    soon = acquired("ann", fence=3, until=after(minutes=1))
    scenario = given(created, registered("ann"), soon, quotas=ONE_OF_EACH)

    outcome = scenario.when(acquire("ann", KIM, lease="next"), at=after(minutes=2)).outcome
    assert [type(event) for event in outcome.recorded_first] == [LeaseExpired]
    assert outcome.rejection is None


def test_held_contact_is_reported_before_the_quota() -> None:
    scenario = given(
        created,
        registered("ann"),
        registered("bob"),
        acquired("ann", fence=4),
        quotas=Quotas(live_leases=1),
    )

    rejection = scenario.when(acquire("bob", KIM)).outcome.rejection
    assert rejection is not None
    assert rejection.kind.code == "lease_conflict"


def test_quota_per_agent_limits_one_agent() -> None:
    scenario = given(
        created,
        registered("ann"),
        registered("bob"),
        acquired("ann", fence=4),
        quotas=Quotas(live_leases=2, live_leases_per_agent=1),
    )

    scenario.when(acquire("ann", LEE)).then_rejected(QuotaExceeded("live_leases_per_agent", 1))
    assert scenario.when(acquire("bob", LEE, lease="next")).outcome.rejection is None


def test_timeout_frees_the_quota_of_the_agent() -> None:
    scenario = given(
        created, registered("ann"), acquired("ann", fence=3), quotas=Quotas(live_leases_per_agent=1)
    )

    assert scenario.when(heartbeat("ann"), at=after(minutes=6)).outcome.rejection is None
    assert scenario.when(acquire("ann", LEE, lease="next")).outcome.rejection is None


# -- Settings ----------------------------------------------------------------


def test_settings_quota_covers_all_agents_together() -> None:
    quotas = Quotas(settings_bytes=2 * ENABLED_BYTES)
    scenario = given(created, *map(registered, ("ann", "bob", "cat")), quotas=quotas)
    for name in ("ann", "bob"):
        assert scenario.when(configure(name, ENABLED_SETTINGS)).outcome.rejection is None

    one_too_many = configure("cat", ENABLED_SETTINGS)
    scenario.when(one_too_many).then_rejected(QuotaExceeded("settings_bytes", 2 * ENABLED_BYTES))
    assert scenario.when(configure("ann", {})).outcome.rejection is None
    assert scenario.when(one_too_many).outcome.rejection is None


def test_settings_that_do_not_grow_are_never_rejected() -> None:
    scenario = given(created, registered("ann"))
    scenario.when(configure("ann", ENABLED_SETTINGS))
    scenario.quotas = Quotas(settings_bytes=0)

    assert scenario.when(configure("ann", {"humanizer_enabled": False})).outcome.rejection is None
    scenario.when(configure("ann", {"humanizer_provider": "x"})).then_rejected(
        QuotaExceeded("settings_bytes", 0)
    )
    assert scenario.when(configure("ann", {})).outcome.rejection is None


@pytest.mark.parametrize(
    ("settings", "size_bytes"),
    [
        ({}, 0),
        ({"humanizer_enabled": False}, len("humanizer_enabled") + 1),
        ({"humanizer_style": "höflich"}, len("humanizer_style") + 8),
        ({"humanizer_style": "", "humanizer_provider": "x"}, 15 + 18 + 1),
    ],
)
def test_size_of_settings_in_bytes(settings: agent_settings.Settings, size_bytes: int) -> None:
    assert agent_settings.size_bytes(settings) == size_bytes


# -- Votes -------------------------------------------------------------------


def test_decision_frees_the_quota_of_open_proposals() -> None:
    scenario = given(created, registered("ann"), quotas=ONE_OF_EACH)
    assert scenario.when(propose("ann", request="first")).outcome.rejection is None

    scenario.when(propose("ann", request="second")).then_rejected(QuotaExceeded("open_requests", 1))
    scenario.when(vote("ann", "approve", request="first"))
    assert scenario.when(propose("ann", request="second")).outcome.rejection is None


# -- Keys --------------------------------------------------------------------


def test_revocation_frees_the_quota_of_keys() -> None:
    scenario = given(created, quotas=ONE_OF_EACH)
    assert scenario.when(issue("k1")).outcome.rejection is None

    scenario.when(issue("k2")).then_rejected(QuotaExceeded("keys", 1))
    scenario.when(RevokeKey(caller=TENANT_KEY, key_id="k1"))
    assert scenario.when(issue("k2")).outcome.rejection is None


def test_admin_key_is_not_limited_by_quotas() -> None:
    """Operators set the limits and must not lock themselves out."""
    scenario = given(created, quotas=ONE_OF_EACH)

    for number in range(3):
        by_operator = issue(f"k{number}", f"agent{number}", by=ADMIN_KEY)
        assert scenario.when(by_operator).outcome.rejection is None


# -- Changed limits ----------------------------------------------------------


def test_lowered_limit_ends_nothing() -> None:
    scenario = at_quota()
    scenario.quotas = Quotas(agents=0, live_leases=0, open_requests=0, keys=0, settings_bytes=0)

    assert scenario.when(heartbeat("ann"), at=after(minutes=1)).outcome.rejection is None
    assert scenario.when(acquire("ann", KIM, minutes=60)).outcome.rejection is None
    scenario.when(acquire("ann", LEE)).then_rejected(QuotaExceeded("live_leases", 0))


def test_no_quota_applies_without_a_limit() -> None:
    scenario = given(created, registered("ann"))

    for number in range(50):
        assert scenario.when(register(f"agent{number}")).outcome.rejection is None


def test_only_adding_commands_read_the_counts() -> None:
    """Other commands do not load the counts."""
    adds = (register("ann"), acquire("ann"), propose("ann"), issue("k1"), configure("ann", {}))
    others = (heartbeat("ann"), release("l", by=TENANT_KEY), vote("ann", "approve"))

    assert all(COUNTS in command.reads() for command in adds)
    assert not any(COUNTS in command.reads() for command in others)
