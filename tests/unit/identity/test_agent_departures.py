"""Agents deregister, register again, and their names are removed."""

from dataclasses import replace

import pytest

from quorate.domain.coordination.leases import LEASES
from quorate.domain.identity.agent_departures import (
    AgentActive,
    AgentHasKeys,
    ForgetAgent,
    RemoveAgent,
)
from quorate.domain.identity.agent_settings import AGENT_SETTINGS
from quorate.domain.identity.agents import AGENTS, ActingAsAnother, AgentNotFound, AgentRef
from quorate.domain.identity.api_keys import KeyIssued, KeyRevoked, RevokeKeyAndEndAgent
from quorate.domain.shared.deadlines import RecordDue
from quorate.domain.shared.quotas import QuotaExceeded, Quotas
from quorate.domain.shared.timestamps import Timestamp
from tests.unit.support.sample_commands import (
    ADMIN_KEY,
    LEE,
    TENANT_KEY,
    acquire,
    configure,
    deregister,
    heartbeat,
    key_of,
    propose,
    register,
    send,
    vote,
)
from tests.unit.support.sample_events import (
    acquired,
    agent_lapsed,
    decided,
    deregistered,
    expired,
    proposed,
    registered,
    removed,
    reregistered,
    revoked,
    voted,
)
from tests.unit.support.specification import NOON, TimedEvent, after, given

LATE = after(minutes=6)
MINUTE = after(minutes=1)
LEFT = "agent_deregistered"


def key_issued(name: str, key: str = "key", *, at: Timestamp = NOON) -> TimedEvent:
    event = KeyIssued(
        key_id=key, role="agent", secret_hash="", agent_id=f"agent_{name}", agent_name=name
    )
    return TimedEvent(at=at, event=event)


def key_revoked(key: str = "key", *, at: Timestamp = NOON) -> TimedEvent:
    return TimedEvent(at=at, event=KeyRevoked(key_id=key))


def remove(name: str) -> RemoveAgent:
    return RemoveAgent(agent_id=f"agent_{name}")


# -- Deregistration ------------------------------------------------------------


def test_deregistration_ends_the_leases_and_names_their_contenders() -> None:
    scenario = given(
        registered("ann"),
        registered("bob"),
        acquired("ann", fence=3),
        acquired("ann", LEE, lease="other", fence=4, until=after(minutes=20)),
        acquired("bob", replace(LEE, key="bob@x.org"), lease="bobs", fence=5),
    )
    scenario.execute(acquire("bob"), NOON)

    scenario.when(deregister("ann"), at=MINUTE).then(
        deregistered("ann", at=MINUTE),
        revoked("ann", LEE, lease="other", reason=LEFT, at=MINUTE),
        revoked("ann", reason=LEFT, contenders=("bob",), at=MINUTE),
    ).when(acquire("bob", lease="next")).then(
        acquired("bob", lease="next", fence=10, at=MINUTE, until=after(minutes=31))
    )


def test_lease_that_expired_before_the_deregistration_is_not_revoked() -> None:
    scenario = given(registered("ann"), acquired("ann", fence=2, until=MINUTE))

    scenario.when(deregister("ann"), at=MINUTE).then(deregistered("ann", at=MINUTE)).when(
        RecordDue(aggregate="lease", id="lease")
    ).then(expired("ann", until=MINUTE, at=MINUTE))


def test_second_deregistration_records_nothing() -> None:
    scenario = given(registered("ann")).when(deregister("ann")).then(deregistered("ann"))

    again = scenario.when(deregister("ann"))
    again.then_nothing()
    assert again.outcome.result.is_deregistered


def test_timed_out_agent_deregisters_after_its_timeout_is_recorded() -> None:
    given(registered("ann"), acquired("ann", fence=2)).when(deregister("ann"), at=LATE).then(
        agent_lapsed("ann", at=LATE),
        revoked("ann", at=LATE),
        deregistered("ann", until=after(minutes=5), at=LATE),
    )


@pytest.mark.parametrize("command", [heartbeat("ann"), acquire("ann"), propose("ann"), send("ann")])
def test_deregistered_agent_is_not_found_until_it_registers_again(command: object) -> None:
    scenario = given(registered("ann"), deregistered("ann"))

    scenario.when(command).then_rejected(AgentNotFound())  # type: ignore[arg-type]
    scenario.when(register("ann"), at=MINUTE).then(reregistered("ann", at=MINUTE))
    assert scenario.when(command).outcome.rejection is None  # type: ignore[arg-type]


def test_deregistered_agent_never_times_out() -> None:
    scenario = given(registered("ann"), deregistered("ann"))

    scenario.when(RecordDue(aggregate="agent", id="agent_ann"), at=LATE).then_nothing()


def test_deregistered_agent_keeps_its_settings() -> None:
    scenario = given(registered("ann"))
    scenario.execute(configure("ann", {"humanizer_enabled": True}), NOON)
    scenario.execute(deregister("ann"), NOON)
    scenario.execute(register("ann"), NOON)

    assert scenario.tenant_state[AGENT_SETTINGS]["agent_ann"] == {"humanizer_enabled": True}


def test_agent_key_deregisters_only_its_own_agent() -> None:
    scenario = given(registered("ann"), registered("bob"))

    scenario.when(deregister("bob", by=key_of("ann"))).then_rejected(ActingAsAnother("agent_ann"))
    scenario.when(deregister("bob", by=TENANT_KEY)).then(deregistered("bob"))


@pytest.mark.parametrize("events", [[], [key_issued("ann")]], ids=["unknown", "reserved"])
def test_agent_that_never_registered_cannot_deregister(events: list[TimedEvent]) -> None:
    given(*events).when(deregister("ann", by=TENANT_KEY)).then_rejected(AgentNotFound())


def test_earlier_incarnation_does_not_deregister_a_later_one() -> None:
    scenario = given(registered("ann"), reregistered("ann"))

    old = scenario.when(deregister("ann", incarnation=1))
    old.then_nothing()
    assert not old.outcome.result.is_deregistered
    scenario.when(deregister("ann", incarnation=2)).then(deregistered("ann"))


def test_agent_with_a_lease_stays_when_only_an_idle_one_should_leave() -> None:
    scenario = given(registered("ann"), acquired("ann", fence=2, until=MINUTE))

    scenario.when(deregister("ann", only_if_idle=True)).then_nothing()
    scenario.execute(RecordDue(aggregate="lease", id="lease"), MINUTE)
    scenario.when(deregister("ann", only_if_idle=True)).then(deregistered("ann", at=MINUTE))


def test_deregistered_agents_count_neither_in_electorates_nor_their_votes() -> None:
    scenario = given(
        *(registered(name) for name in ("ann", "bob", "cat", "dan")),
        proposed("ann", among=4),
        voted("ann", "approve"),
    )
    scenario.execute(deregister("dan"), NOON)
    scenario.execute(deregister("ann"), NOON)

    scenario.when(vote("bob", "approve")).then(voted("bob", "approve")).when(
        vote("cat", "approve")
    ).then(voted("cat", "approve"), decided("approved", among=("bob", "cat"), approvals=2))


# -- Quota -------------------------------------------------------------------


def test_deregistered_agents_do_not_count_in_the_quota() -> None:
    scenario = given(registered("ann"), quotas=Quotas(agents=1))
    scenario.when(register("bob")).then_rejected(QuotaExceeded("agents", 1))

    scenario.execute(deregister("ann"), NOON)
    scenario.when(register("bob")).then(registered("bob"))
    scenario.when(register("ann")).then_rejected(QuotaExceeded("agents", 1))
    assert scenario.tenant_state.count("agents") == 1


def test_agent_that_registers_again_counts_once() -> None:
    scenario = given(registered("ann"), deregistered("ann"), quotas=Quotas(agents=1))

    scenario.when(register("ann")).then(reregistered("ann"))
    assert scenario.tenant_state.count("agents") == 1


# -- Removal -------------------------------------------------------------------


def test_removed_name_is_new_when_it_registers_again() -> None:
    scenario = given(registered("ann"), deregistered("ann"))
    scenario.execute(remove("ann"), MINUTE)
    new = replace(register("ann"), new_agent_id="agent_new")

    scenario.execute(new, MINUTE)

    assert scenario.tenant_state[AGENTS]["agent_ann"].status == "removed"
    assert scenario.tenant_state[AGENTS]["agent_new"].incarnation == 1
    assert scenario.tenant_state.count("agents") == 1
    scenario.execute(deregister("ann", by=TENANT_KEY), MINUTE)
    assert scenario.tenant_state[AGENTS]["agent_new"].status == "deregistered"


def test_removal_frees_the_settings() -> None:
    scenario = given(registered("ann"))
    scenario.execute(configure("ann", {"humanizer_enabled": True}), NOON)
    scenario.execute(deregister("ann"), NOON)
    assert scenario.tenant_state.count("settings_bytes") > 0

    scenario.when(remove("ann")).then(removed("ann"))
    assert scenario.tenant_state.count("settings_bytes") == 0


def test_active_agent_is_not_removed_but_a_timed_out_one_is() -> None:
    scenario = given(registered("ann"))

    scenario.when(remove("ann")).then_rejected(AgentActive("agent_ann", after(minutes=5)))
    scenario.when(remove("ann"), at=LATE).then(
        agent_lapsed("ann", at=LATE), removed("ann", at=LATE)
    )
    scenario.when(remove("ann")).then_rejected(AgentNotFound())


def test_agent_with_a_key_is_removed_only_after_the_revocation() -> None:
    scenario = given(key_issued("ann"))

    scenario.when(remove("ann")).then_rejected(AgentHasKeys("agent_ann"))
    scenario.and_given(key_revoked()).when(remove("ann")).then(removed("ann"))
    assert scenario.tenant_state.count("agents") == 0


def test_old_names_are_forgotten_unless_they_returned_or_have_a_key() -> None:
    left = registered("ann"), deregistered("ann", at=MINUTE)

    def forget(since: Timestamp) -> ForgetAgent:
        return ForgetAgent(agent_id="agent_ann", inactive_since=since)

    given(*left).when(forget(MINUTE)).then_nothing()
    given(*left).when(forget(after(minutes=2))).then(removed("ann", at=MINUTE))
    given(*left, reregistered("ann", at=MINUTE)).when(forget(LATE)).then_nothing()
    given(key_issued("ann"), *left).when(forget(LATE)).then_nothing()
    given().when(forget(LATE)).then_nothing()


# -- Revocation of keys -----------------------------------------------------------


def revoke(key: str = "key") -> RevokeKeyAndEndAgent:
    return RevokeKeyAndEndAgent(caller=ADMIN_KEY, key_id=key, agent_id="agent_ann")


def test_revocation_of_the_last_key_ends_the_agent_and_its_leases() -> None:
    scenario = given(key_issued("ann"), registered("ann"), acquired("ann", fence=3))

    ended = scenario.when(revoke())
    ended.then(
        key_revoked(),
        deregistered("ann", reason="key_revoked"),
        revoked("ann", reason=LEFT, at=NOON),
    )
    assert ended.outcome.result
    assert scenario.tenant_state[LEASES]["lease"].status == "revoked"


def test_revocation_keeps_an_agent_with_another_key() -> None:
    scenario = given(key_issued("ann"), key_issued("ann", "second"), registered("ann"))

    kept = scenario.when(revoke())
    kept.then(key_revoked())
    assert not kept.outcome.result
    scenario.when(revoke("second")).then(
        key_revoked("second"), deregistered("ann", reason="key_revoked")
    )


def test_agent_of_a_key_that_was_revoked_before_can_be_ended() -> None:
    scenario = given(key_issued("ann"), registered("ann"), key_revoked())

    scenario.when(revoke()).then(deregistered("ann", reason="key_revoked")).when(
        revoke()
    ).then_nothing()


def test_reference_with_two_names_of_different_agents_is_not_found() -> None:
    command = replace(deregister("ann", by=TENANT_KEY), agent=AgentRef(id="agent_ann", name="bob"))

    given(registered("ann"), registered("bob")).when(command).then_rejected(AgentNotFound())
