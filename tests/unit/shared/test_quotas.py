"""What would be one more than a tenant may have is refused; nothing else is."""

import pytest

from quorate.domain.coordination.leases import LeaseExpired, LeaseRenewed
from quorate.domain.identity import agent_settings
from quorate.domain.identity.agents import AgentReregistered
from quorate.domain.identity.api_keys import IssueKey, RevokeKey
from quorate.domain.identity.principals import Principal
from quorate.domain.identity.tenants import TenantCreated
from quorate.domain.shared.quotas import COUNTS, QuotaExceeded, Quotas
from tests.unit.support.sample_events import acquired, registered
from tests.unit.support.scenario import (
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
from tests.unit.support.specification import NOON, Fact, Story, after, given

ONE_OF_EACH = Quotas(agents=1, live_leases=1, open_requests=1, keys=1)
SWITCHED_ON = {"humanizer_enabled": True}
SWITCH_BYTES = len("humanizer_enabled") + 1
created = Fact(at=NOON, event=TenantCreated(tenant_id="acme"))


def issue(key: str, agent: str | None = None, by: Principal = TENANT_KEY) -> IssueKey:
    return IssueKey(
        caller=by,
        key_id=key,
        role="agent" if agent else "auditor",
        secret_hash="0" * 64,
        agent_name=agent,
        new_agent_id=f"agent_{agent}",
    )


def full() -> Story:
    """One agent, that holds one lease."""
    return given(created, registered("ann"), acquired("ann", fence=3), quotas=ONE_OF_EACH)


# -- Agents ------------------------------------------------------------------


def test_a_new_name_is_one_agent_too_many() -> None:
    full().when(register("bob")).then_refused(QuotaExceeded("agents", 1))


def test_a_name_that_is_there_registers_again() -> None:
    answer = full().when(register("ANN")).answer

    assert [type(event) for event in answer.events] == [AgentReregistered]


def test_a_key_for_a_new_name_makes_an_agent_too() -> None:
    story = given(created, registered("ann"), quotas=Quotas(agents=1))

    story.when(issue("k1", "bob")).then_refused(QuotaExceeded("agents", 1))
    assert story.when(issue("k2", "Ann")).answer.declined is None


def test_a_name_that_a_key_reserved_may_register() -> None:
    story = given(created, quotas=Quotas(agents=1))

    assert story.when(issue("k1", "ann")).answer.declined is None
    assert story.when(register("ann")).answer.declined is None
    story.when(register("bob")).then_refused(QuotaExceeded("agents", 1))


# -- Leases ------------------------------------------------------------------


def test_a_second_contact_is_one_lease_too_many() -> None:
    full().when(acquire("ann", LEE)).then_refused(QuotaExceeded("live_leases", 1))


def test_what_is_held_is_renewed_both_ways() -> None:
    story = full()

    for asked in (acquire("ann", KIM, minutes=60), renew("lease", by=key_of("ann"), minutes=90)):
        answer = story.when(asked).answer
        assert [type(event) for event in answer.events] == [LeaseRenewed]


def test_what_is_released_makes_room() -> None:
    story = full()
    story.when(release("lease", by=key_of("ann")))

    assert story.when(acquire("ann", LEE, lease="next")).answer.declined is None


def test_the_same_contacts_next_lease_needs_no_more_room_than_the_one_that_expired() -> None:
    soon = acquired("ann", fence=3, until=after(minutes=1))
    story = given(created, registered("ann"), soon, quotas=ONE_OF_EACH)

    answer = story.when(acquire("ann", KIM, lease="next"), at=after(minutes=2)).answer
    assert [type(event) for event in answer.settled] == [LeaseExpired]
    assert answer.declined is None


def test_who_finds_a_contact_held_hears_of_the_holder_and_not_of_the_quota() -> None:
    story = given(
        created,
        registered("ann"),
        registered("bob"),
        acquired("ann", fence=4),
        quotas=Quotas(live_leases=1),
    )

    declined = story.when(acquire("bob", KIM)).answer.declined
    assert declined is not None
    assert declined.kind.code == "lease_conflict"


def test_one_agent_may_not_hold_all_that_its_tenant_may() -> None:
    story = given(
        created,
        registered("ann"),
        registered("bob"),
        acquired("ann", fence=4),
        quotas=Quotas(live_leases=2, live_leases_per_agent=1),
    )

    story.when(acquire("ann", LEE)).then_refused(QuotaExceeded("live_leases_per_agent", 1))
    assert story.when(acquire("bob", LEE, lease="next")).answer.declined is None


def test_an_agent_that_lapsed_may_hold_as_many_as_ever() -> None:
    story = given(
        created, registered("ann"), acquired("ann", fence=3), quotas=Quotas(live_leases_per_agent=1)
    )

    assert story.when(heartbeat("ann"), at=after(minutes=6)).answer.declined is None
    assert story.when(acquire("ann", LEE, lease="next")).answer.declined is None


# -- Settings ----------------------------------------------------------------


def test_settings_may_take_so_many_bytes_for_all_agents_together() -> None:
    quotas = Quotas(settings_bytes=2 * SWITCH_BYTES)
    story = given(created, *map(registered, ("ann", "bob", "cat")), quotas=quotas)
    for name in ("ann", "bob"):
        assert story.when(configure(name, SWITCHED_ON)).answer.declined is None

    one_too_many = configure("cat", SWITCHED_ON)
    story.when(one_too_many).then_refused(QuotaExceeded("settings_bytes", 2 * SWITCH_BYTES))
    assert story.when(configure("ann", {})).answer.declined is None
    assert story.when(one_too_many).answer.declined is None


def test_settings_that_take_no_more_than_those_they_replace_are_never_refused() -> None:
    story = given(created, registered("ann"))
    story.when(configure("ann", SWITCHED_ON))
    story.quotas = Quotas(settings_bytes=0)

    assert story.when(configure("ann", {"humanizer_enabled": False})).answer.declined is None
    story.when(configure("ann", {"humanizer_provider": "x"})).then_refused(
        QuotaExceeded("settings_bytes", 0)
    )
    assert story.when(configure("ann", {})).answer.declined is None


@pytest.mark.parametrize(
    ("settings", "size_bytes"),
    [
        ({}, 0),
        ({"humanizer_enabled": False}, len("humanizer_enabled") + 1),
        ({"humanizer_style": "höflich"}, len("humanizer_style") + 8),
        ({"humanizer_style": "", "humanizer_provider": "x"}, 15 + 18 + 1),
    ],
)
def test_what_settings_take(settings: agent_settings.Settings, size_bytes: int) -> None:
    assert agent_settings.size_bytes(settings) == size_bytes


# -- Votes -------------------------------------------------------------------


def test_a_second_open_request_is_one_too_many_until_the_first_is_decided() -> None:
    story = given(created, registered("ann"), quotas=ONE_OF_EACH)
    assert story.when(propose("ann", request="first")).answer.declined is None

    story.when(propose("ann", request="second")).then_refused(QuotaExceeded("open_requests", 1))
    story.when(vote("ann", "approve", request="first"))
    assert story.when(propose("ann", request="second")).answer.declined is None


# -- Keys --------------------------------------------------------------------


def test_a_second_key_is_one_too_many_until_the_first_is_revoked() -> None:
    story = given(created, quotas=ONE_OF_EACH)
    assert story.when(issue("k1")).answer.declined is None

    story.when(issue("k2")).then_refused(QuotaExceeded("keys", 1))
    story.when(RevokeKey(caller=TENANT_KEY, key_id="k1"))
    assert story.when(issue("k2")).answer.declined is None


def test_operators_are_not_bound() -> None:
    """They set the limits, and must not lock themselves out."""
    story = given(created, quotas=ONE_OF_EACH)

    for number in range(3):
        by_operator = issue(f"k{number}", f"agent{number}", by=ADMIN_KEY)
        assert story.when(by_operator).answer.declined is None


# -- What is there stays -----------------------------------------------------


def test_a_limit_that_was_lowered_ends_nothing() -> None:
    story = full()
    story.quotas = Quotas(agents=0, live_leases=0, open_requests=0, keys=0, settings_bytes=0)

    assert story.when(heartbeat("ann"), at=after(minutes=1)).answer.declined is None
    assert story.when(acquire("ann", KIM, minutes=60)).answer.declined is None
    story.when(acquire("ann", LEE)).then_refused(QuotaExceeded("live_leases", 0))


def test_without_a_limit_there_is_none() -> None:
    story = given(created, registered("ann"))

    for number in range(50):
        assert story.when(register(f"agent{number}")).answer.declined is None


def test_only_what_adds_something_looks_at_the_counts() -> None:
    """All others need not load them."""
    adds = (register("ann"), acquire("ann"), propose("ann"), issue("k1"), configure("ann", {}))
    others = (heartbeat("ann"), release("l", by=TENANT_KEY), vote("ann", "approve"))

    assert all(COUNTS in command.reads() for command in adds)
    assert not any(COUNTS in command.reads() for command in others)
