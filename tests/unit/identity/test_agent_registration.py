"""A name is one agent for ever; registering it again renews it."""

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
from tests.unit.support.sample_events import (
    acquired,
    beat,
    lapsed,
    registered,
    renewed,
    reregistered,
    revoked,
)
from tests.unit.support.scenario import KIM, TENANT_KEY, acquire, heartbeat, key_of, register
from tests.unit.support.specification import NOON, WINDOW, Fact, after, given

key_issued = Fact(
    at=NOON,
    event=KeyIssued(
        key_id="k1", role="agent", secret_hash="00", agent_id="agent_early", agent_name="ann"
    ),
)


def test_a_new_name_is_a_new_agent() -> None:
    story = given().when(register("ann", role="outbound")).then(registered("ann", role="outbound"))
    ann = story.tenant_state[AGENTS]["agent_ann"]

    assert (ann.name, ann.role, ann.incarnation) == ("ann", "outbound", 1)
    assert (ann.registered_at, ann.last_heartbeat) == (NOON, NOON)


def test_a_new_agent_is_active_for_one_window() -> None:
    ann = given().when(register("ann")).then(registered("ann")).tenant_state[AGENTS]["agent_ann"]

    assert ann.is_active(after(milliseconds=WINDOW))
    assert not ann.is_active(after(milliseconds=WINDOW + 1))


def test_the_same_name_again_keeps_its_id_and_its_first_registration() -> None:
    later = after(minutes=2)
    asked = given(registered("ann")).when(register("ann", role="inbound"), at=later)
    ann = asked.then(reregistered("ann", role="inbound", at=later)).tenant_state[AGENTS][
        "agent_ann"
    ]

    assert (ann.registered_at, ann.last_heartbeat) == (NOON, later)
    assert (ann.role, ann.incarnation) == ("inbound", 2)


def test_each_registration_counts_as_one_more_incarnation() -> None:
    given(registered("ann"), reregistered("ann")).when(register("ann")).then(
        reregistered("ann", incarnation=3)
    )


def test_the_same_name_in_other_case_is_the_same_agent_under_its_first_name() -> None:
    given(registered("ann")).when(register("ANN")).then(reregistered("ann"))


def test_two_names_are_two_agents() -> None:
    story = given(registered("ann")).when(register("bob")).then(registered("bob"))

    assert set(story.tenant_state[AGENTS]) == {"agent_ann", "agent_bob"}


def test_registering_again_keeps_the_leases() -> None:
    given(registered("ann"), acquired("ann", fence=2)).when(
        register("ann"), at=after(minutes=5)
    ).then(reregistered("ann", at=after(minutes=5))).when(acquire("ann")).then(
        renewed("ann", until=after(minutes=35), at=after(minutes=5))
    )


def test_registering_after_a_lapse_makes_active_and_gives_no_lease_back() -> None:
    late = after(minutes=6)
    asked = given(registered("ann"), acquired("ann", fence=2)).when(register("ann"), at=late)
    tenant_state = asked.then(
        lapsed("ann", at=late), revoked("ann", at=late), reregistered("ann", at=late)
    ).tenant_state

    assert tenant_state[AGENTS]["agent_ann"].is_active(late)
    assert live_lease(tenant_state, KIM.key) is None


def test_an_agent_registers_itself_with_its_own_key() -> None:
    given().when(register("ann", by=key_of("ann"))).then(registered("ann"))


def test_an_agents_key_registers_nobody_else() -> None:
    given(registered("ann")).when(register("bob", by=key_of("ann"))).then_refused(
        ActingAsAnother("agent_ann")
    )


def test_a_name_that_a_key_reserved_gets_the_id_that_the_key_has() -> None:
    asked = given(key_issued).when(register("ann"))
    event = asked.answer.events[0]

    assert isinstance(event, AgentRegistered)
    assert (event.agent_id, event.incarnation) == ("agent_early", 1)


def test_a_reserved_agent_is_first_registered_when_it_registers() -> None:
    story = given(key_issued)
    story.ask(register("ann"), after(minutes=9))

    assert story.tenant_state[AGENTS]["agent_early"].registered_at == after(minutes=9)


def test_a_reserved_agent_is_unknown_until_it_registers() -> None:
    by_name = Heartbeat(caller=TENANT_KEY, agent=AgentRef(name="ann"))

    given(key_issued).when(by_name).then_refused(AgentNotFound())


def test_an_agent_may_be_named_by_id_or_by_name_in_any_case() -> None:
    minute = after(minutes=1)
    for ref in (AgentRef(id="agent_ann"), AgentRef(name="Ann")):
        given(registered("ann")).when(Heartbeat(caller=TENANT_KEY, agent=ref), at=minute).then(
            beat("ann", at=minute)
        )


@pytest.mark.parametrize(
    "ref",
    [
        AgentRef(),
        AgentRef(id="agent_nobody"),
        AgentRef(name="nobody"),
        AgentRef(id="agent_ann", name="bob"),
        AgentRef(id="agent_nobody", name="ann"),
    ],
)
def test_who_is_unknown_or_named_in_two_ways_is_not_found(ref: AgentRef) -> None:
    story = given(registered("ann"), registered("bob"))

    story.when(Heartbeat(caller=TENANT_KEY, agent=ref)).then_refused(AgentNotFound())


@pytest.mark.parametrize("ref", [AgentRef(id="agent_bob"), AgentRef(name="bob")])
def test_an_agents_key_speaks_for_nobody_else(ref: AgentRef) -> None:
    story = given(registered("ann"), registered("bob"))

    story.when(Heartbeat(caller=key_of("ann"), agent=ref)).then_refused(
        ActingAsAnother("agent_ann")
    )


def test_an_agents_key_may_say_who_it_is_as_well() -> None:
    minute = after(minutes=1)
    ref = AgentRef(id="agent_ann", name="ANN")

    given(registered("ann")).when(Heartbeat(caller=key_of("ann"), agent=ref), at=minute).then(
        beat("ann", at=minute)
    )


def test_an_agent_that_never_registered_is_not_found() -> None:
    given().when(heartbeat("ann")).then_refused(AgentNotFound())


def test_the_facts_of_an_agent_are_one_stream() -> None:
    streams = {stream_of(fact.event) for fact in (registered("ann"), beat("ann"))}

    assert streams == {"agent-ann"}


@pytest.mark.parametrize("name", ["a", "A9", "outreach-agent", "a.b_c-d", "x" * 64])
def test_these_are_names(name: str) -> None:
    assert AGENT_NAME.fullmatch(name)


@pytest.mark.parametrize(
    "name",
    ["", "*", ">", ".a", "-a", "_a", "a b", "a\t", "a\n", "a\0", "a*", "a>b", "é", "x" * 65, "٣"],
)
def test_these_are_no_names(name: str) -> None:
    assert not re.fullmatch(AGENT_NAME, name)
