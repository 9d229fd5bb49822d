"""Settings are replaced as a whole; setting what is already set is no fact."""

import pytest

from quorate.domain.identity.agent_settings import (
    AGENT_SETTINGS,
    SETTING_TYPES,
    AgentConfigured,
    Settings,
)
from quorate.domain.identity.agents import ActingAsAnother, AgentNotFound
from quorate.domain.registry import stream_of
from quorate.domain.shared.timestamps import Timestamp
from tests.unit.support.sample_events import lapsed, registered
from tests.unit.support.scenario import configure, key_of
from tests.unit.support.specification import NOON, Fact, after, given

PROFESSIONAL: Settings = {"humanizer_enabled": True, "humanizer_style": "professional"}
CASUAL: Settings = {"humanizer_style": "casual"}


def configured(name: str, settings: Settings, *, at: Timestamp = NOON) -> Fact:
    return Fact(at=at, event=AgentConfigured(agent_id=f"agent_{name}", settings=settings))


def test_what_is_set_is_answered() -> None:
    asked = given(registered("ann")).when(configure("ann", PROFESSIONAL))
    asked.then(configured("ann", PROFESSIONAL))

    assert asked.answer.outcome == PROFESSIONAL


def test_what_is_not_named_again_is_gone() -> None:
    story = given(registered("ann"), configured("ann", PROFESSIONAL))
    story.when(configure("ann", CASUAL)).then(configured("ann", CASUAL))

    assert story.tenant_state[AGENT_SETTINGS]["agent_ann"] == CASUAL


def test_the_same_settings_again_are_no_fact() -> None:
    given(registered("ann"), configured("ann", PROFESSIONAL)).when(
        configure("ann", dict(PROFESSIONAL))
    ).then_nothing()


def test_nothing_is_what_an_agent_begins_with() -> None:
    given(registered("ann")).when(configure("ann", {})).then_nothing()


def test_settings_can_be_cleared() -> None:
    given(registered("ann"), configured("ann", CASUAL)).when(configure("ann", {})).then(
        configured("ann", {})
    )


def test_each_agent_has_its_own() -> None:
    story = given(registered("ann"), registered("bob"), configured("ann", CASUAL))
    story.when(configure("bob", CASUAL)).then(configured("bob", CASUAL))


def test_an_agent_sets_its_own_with_its_key() -> None:
    command = configure("ann", CASUAL, by=key_of("ann"))

    given(registered("ann")).when(command).then(configured("ann", CASUAL))


def test_an_agents_key_sets_nobody_elses() -> None:
    command = configure("bob", CASUAL, by=key_of("ann"))

    given(registered("ann"), registered("bob")).when(command).then_refused(
        ActingAsAnother("agent_ann")
    )


def test_an_agent_that_is_not_known_is_not_found() -> None:
    given().when(configure("ann", CASUAL)).then_refused(AgentNotFound())


def test_an_agent_that_is_silent_can_be_configured() -> None:
    late = after(minutes=6)

    given(registered("ann"), lapsed("ann", at=late)).when(configure("ann", CASUAL)).then(
        configured("ann", CASUAL, at=late)
    )


def test_there_are_three_settings() -> None:
    seed = {"humanizer_enabled": bool, "humanizer_style": str, "humanizer_provider": str}

    assert seed == SETTING_TYPES


@pytest.mark.parametrize("agent_id", ["agent_ann", "ann"])
def test_the_settings_of_an_agent_are_one_stream(agent_id: str) -> None:
    assert stream_of(AgentConfigured(agent_id=agent_id, settings={})) == "config-ann"
