"""An operator makes an agent inactive: what it holds ends, and a heartbeat brings it back."""

from typing import Any

import pytest
from hypothesis import given as given_values
from hypothesis import settings
from hypothesis import strategies as st

from quorate.domain.identity.agent_departures import DeactivateAgent
from quorate.domain.identity.agents import AGENTS, AgentInactive, AgentNotFound
from quorate.domain.shared.timestamps import Timestamp
from tests.unit.support.sample_commands import KIM, LEE, acquire, heartbeat, id_of, register
from tests.unit.support.sample_events import (
    acquired,
    agent_lapsed,
    deregistered,
    heartbeat_received,
    registered,
    removed,
    reregistered,
    revoked,
)
from tests.unit.support.specification import NOON, WINDOW, Scenario, TimedEvent, after, given

MINUTE = after(minutes=1)
WHY = "It repeats itself"


def deactivate(name: str = "ann", why: str = WHY) -> DeactivateAgent:
    return DeactivateAgent(agent_id=id_of(name), detail=why)


def ended(at: Timestamp = MINUTE) -> TimedEvent:
    return agent_lapsed("ann", detail=WHY, at=at)


def deactivated(*more: TimedEvent) -> Scenario:
    return given(registered("ann"), *more).when(deactivate(), at=MINUTE).then(ended())


def test_agent_is_inactive_from_then_on() -> None:
    scenario = deactivated()
    agent = scenario.tenant_state[AGENTS][id_of("ann")]

    assert (agent.status, agent.active_until) == ("lapsed", MINUTE)
    scenario.when(acquire("ann"), at=MINUTE).then_rejected(AgentInactive(id_of("ann"), NOON))


def test_leases_end_as_with_a_missed_heartbeat() -> None:
    held = acquired("ann", KIM, fence=2), acquired("ann", LEE, lease="other", fence=3)
    given(registered("ann"), *held).when(deactivate(), at=MINUTE).then(
        ended(),
        revoked("ann", KIM, at=MINUTE),
        revoked("ann", LEE, lease="other", at=MINUTE),
    )


def test_leases_of_other_agents_stay() -> None:
    deactivated(registered("bob"), acquired("bob", fence=3))


def test_agent_is_deactivated_once() -> None:
    again = deactivated().when(deactivate(why="again"), at=after(minutes=2))

    again.then_nothing()
    assert again.outcome.result.active_until == MINUTE


@pytest.mark.parametrize(
    "end",
    [agent_lapsed("ann", at=after(minutes=6)), deregistered("ann")],
    ids=["timed out", "deregistered"],
)
def test_agent_that_is_not_active_stays_as_it_is(end: TimedEvent) -> None:
    given(registered("ann"), end).when(deactivate(), at=after(minutes=7)).then_nothing()


def test_overdue_agent_times_out_and_is_not_deactivated() -> None:
    late = after(minutes=6)
    given(registered("ann")).when(deactivate(), at=late).then(agent_lapsed("ann", at=late))


@pytest.mark.parametrize("history", [(), (registered("bob"), deregistered("bob"), removed("bob"))])
def test_unknown_and_removed_agents_are_not_found(history: tuple[TimedEvent, ...]) -> None:
    given(*history).when(deactivate("bob")).then_rejected(AgentNotFound())


@settings(deadline=None, derandomize=True, database=None)
@given_values(at=st.integers(0, WINDOW), later=st.integers(0, 3 * WINDOW))
def test_heartbeat_or_registration_makes_it_active_again(at: int, later: int) -> None:
    stopped, back = Timestamp(NOON + at), Timestamp(NOON + at + later)
    until = Timestamp(max(stopped, back + WINDOW))
    commands: tuple[tuple[Any, TimedEvent], ...] = (
        (heartbeat("ann"), heartbeat_received("ann", until=until, at=back)),
        (register("ann"), reregistered("ann", incarnation=2, at=back)),
    )
    for command, recorded in commands:
        scenario = given(registered("ann")).when(deactivate(), at=stopped).then(ended(stopped))
        assert not scenario.tenant_state[AGENTS][id_of("ann")].is_active(stopped)

        scenario.when(command, at=back).then(recorded)
        assert scenario.tenant_state[AGENTS][id_of("ann")].is_active(back)
