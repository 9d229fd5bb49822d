"""A name identifies one agent permanently; registering it again renews the agent."""

import re

import pytest

from quorate.domain.coordination.leases import live_lease
from quorate.domain.identity.agents import (
    AGENT_NAME,
    AGENTS,
    ActingAsAnother,
    AgentNotFound,
    AgentRef,
    AgentRegistered,
    Heartbeat,
)
from quorate.domain.identity.api_keys import KeyIssued
from quorate.domain.registry import stream_of
from tests.unit.support.sample_commands import KIM, TENANT_KEY, heartbeat, key_of, register, renew
from tests.unit.support.sample_events import (
    acquired,
    agent_lapsed,
    heartbeat_received,
    registered,
    renewed,
    reregistered,
    revoked,
)
from tests.unit.support.specification import NOON, WINDOW, TimedEvent, after, given

key_issued = TimedEvent(
    at=NOON,
    event=KeyIssued(
        key_id="k1", role="agent", secret_hash="00", agent_id="agent_early", agent_name="ann"
    ),
)


def test_new_name_registers_a_new_agent() -> None:
    scenario = (
        given().when(register("ann", role="outbound")).then(registered("ann", role="outbound"))
    )
    ann = scenario.tenant_state[AGENTS]["agent_ann"]

    assert (ann.name, ann.role, ann.incarnation) == ("ann", "outbound", 1)
    assert (ann.registered_at, ann.last_heartbeat) == (NOON, NOON)


def test_new_agent_is_active_for_one_window() -> None:
    ann = given().when(register("ann")).then(registered("ann")).tenant_state[AGENTS]["agent_ann"]

    assert ann.is_active(after(milliseconds=WINDOW))
    assert not ann.is_active(after(milliseconds=WINDOW + 1))


def test_registering_again_keeps_id_and_first_registration() -> None:
    later = after(minutes=2)
    execution = given(registered("ann")).when(register("ann", role="inbound"), at=later)
    ann = execution.then(reregistered("ann", role="inbound", at=later)).tenant_state[AGENTS][
        "agent_ann"
    ]

    assert (ann.registered_at, ann.last_heartbeat) == (NOON, later)
    assert (ann.role, ann.incarnation) == ("inbound", 2)


def test_each_registration_increments_the_incarnation() -> None:
    given(registered("ann"), reregistered("ann")).when(register("ann")).then(
        reregistered("ann", incarnation=3)
    )


def test_name_in_other_case_is_the_same_agent_and_keeps_its_spelling() -> None:
    given(registered("ann")).when(register("ANN")).then(reregistered("ann"))


def test_two_names_are_two_agents() -> None:
    scenario = given(registered("ann")).when(register("bob")).then(registered("bob"))

    assert set(scenario.tenant_state[AGENTS]) == {"agent_ann", "agent_bob"}


def test_registering_again_keeps_the_leases() -> None:
    given(registered("ann"), acquired("ann", fence=2)).when(
        register("ann"), at=after(minutes=5)
    ).then(reregistered("ann", at=after(minutes=5))).when(renew("lease", by=key_of("ann"))).then(
        renewed("ann", until=after(minutes=35), at=after(minutes=5))
    )


def test_registering_after_a_timeout_restores_activity_but_no_lease() -> None:
    late = after(minutes=6)
    execution = given(registered("ann"), acquired("ann", fence=2)).when(register("ann"), at=late)
    tenant_state = execution.then(
        agent_lapsed("ann", at=late), revoked("ann", at=late), reregistered("ann", at=late)
    ).tenant_state

    assert tenant_state[AGENTS]["agent_ann"].is_active(late)
    assert live_lease(tenant_state, KIM.key) is None


def test_agent_registers_with_its_own_key() -> None:
    given().when(register("ann", by=key_of("ann"))).then(registered("ann"))


def test_agent_key_registers_no_other_agent() -> None:
    given(registered("ann")).when(register("bob", by=key_of("ann"))).then_rejected(
        ActingAsAnother("agent_ann")
    )


def test_reserved_name_gets_the_id_of_its_key() -> None:
    execution = given(key_issued).when(register("ann"))
    event = execution.outcome.events[0]

    assert isinstance(event, AgentRegistered)
    assert (event.agent_id, event.incarnation) == ("agent_early", 1)


def test_reserved_agent_has_its_first_registration_when_it_registers() -> None:
    scenario = given(key_issued)
    scenario.execute(register("ann"), after(minutes=9))

    assert scenario.tenant_state[AGENTS]["agent_early"].registered_at == after(minutes=9)


def test_reserved_agent_is_unknown_until_it_registers() -> None:
    by_name = Heartbeat(caller=TENANT_KEY, agent=AgentRef(name="ann"))

    given(key_issued).when(by_name).then_rejected(AgentNotFound())


def test_agent_is_referenced_by_id_or_by_name_in_any_case() -> None:
    minute = after(minutes=1)
    for ref in (AgentRef(id="agent_ann"), AgentRef(name="Ann")):
        given(registered("ann")).when(Heartbeat(caller=TENANT_KEY, agent=ref), at=minute).then(
            heartbeat_received("ann", at=minute)
        )


@pytest.mark.parametrize(
    "ref",
    [
        AgentRef(),
        AgentRef(id="agent_nobody"),
        AgentRef(name="unknown"),
        AgentRef(id="agent_ann", name="bob"),
        AgentRef(id="agent_nobody", name="ann"),
    ],
)
def test_unknown_or_contradictory_reference_is_not_found(ref: AgentRef) -> None:
    scenario = given(registered("ann"), registered("bob"))

    scenario.when(Heartbeat(caller=TENANT_KEY, agent=ref)).then_rejected(AgentNotFound())


@pytest.mark.parametrize("ref", [AgentRef(id="agent_bob"), AgentRef(name="bob")])
def test_agent_key_acts_for_no_other_agent(ref: AgentRef) -> None:
    scenario = given(registered("ann"), registered("bob"))

    scenario.when(Heartbeat(caller=key_of("ann"), agent=ref)).then_rejected(
        ActingAsAnother("agent_ann")
    )


def test_agent_key_may_also_name_its_agent() -> None:
    minute = after(minutes=1)
    ref = AgentRef(id="agent_ann", name="ANN")

    given(registered("ann")).when(Heartbeat(caller=key_of("ann"), agent=ref), at=minute).then(
        heartbeat_received("ann", at=minute)
    )


def test_unregistered_agent_is_not_found() -> None:
    given().when(heartbeat("ann")).then_rejected(AgentNotFound())


def test_events_of_an_agent_form_one_stream() -> None:
    streams = {stream_of(entry.event) for entry in (registered("ann"), heartbeat_received("ann"))}

    assert streams == {"agent-ann"}


@pytest.mark.parametrize("name", ["a", "A9", "outreach-agent", "a.b_c-d", "x" * 64])
def test_name_is_valid(name: str) -> None:
    assert AGENT_NAME.fullmatch(name)


@pytest.mark.parametrize(
    "name",
    ["", "*", ">", ".a", "-a", "_a", "a b", "a\t", "a\n", "a\0", "a*", "a>b", "é", "x" * 65, "٣"],
)
def test_name_is_invalid(name: str) -> None:
    assert not re.fullmatch(AGENT_NAME, name)
