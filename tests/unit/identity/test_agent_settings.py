"""Settings are replaced as a whole; storing equal settings records no event."""

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
from tests.unit.support.sample_commands import configure, key_of
from tests.unit.support.sample_events import agent_lapsed, registered
from tests.unit.support.specification import NOON, TimedEvent, after, given

PROFESSIONAL: Settings = {"humanizer_enabled": True, "humanizer_style": "professional"}
CASUAL: Settings = {"humanizer_style": "casual"}


def configured(name: str, settings: Settings, *, at: Timestamp = NOON) -> TimedEvent:
    return TimedEvent(at=at, event=AgentConfigured(agent_id=f"agent_{name}", settings=settings))


def test_configure_returns_the_stored_settings() -> None:
    execution = given(registered("ann")).when(configure("ann", PROFESSIONAL))
    execution.then(configured("ann", PROFESSIONAL))

    assert execution.outcome.result == PROFESSIONAL


def test_configure_replaces_all_settings() -> None:
    scenario = given(registered("ann"), configured("ann", PROFESSIONAL))
    scenario.when(configure("ann", CASUAL)).then(configured("ann", CASUAL))

    assert scenario.tenant_state[AGENT_SETTINGS]["agent_ann"] == CASUAL


def test_configure_with_the_same_settings_records_nothing() -> None:
    given(registered("ann"), configured("ann", PROFESSIONAL)).when(
        configure("ann", dict(PROFESSIONAL))
    ).then_nothing()


def test_new_agent_has_empty_settings() -> None:
    given(registered("ann")).when(configure("ann", {})).then_nothing()


def test_settings_can_be_cleared() -> None:
    given(registered("ann"), configured("ann", CASUAL)).when(configure("ann", {})).then(
        configured("ann", {})
    )


def test_each_agent_has_its_own_settings() -> None:
    scenario = given(registered("ann"), registered("bob"), configured("ann", CASUAL))
    scenario.when(configure("bob", CASUAL)).then(configured("bob", CASUAL))


def test_agent_key_configures_its_agent() -> None:
    command = configure("ann", CASUAL, by=key_of("ann"))

    given(registered("ann")).when(command).then(configured("ann", CASUAL))


def test_agent_key_configures_no_other_agent() -> None:
    command = configure("bob", CASUAL, by=key_of("ann"))

    given(registered("ann"), registered("bob")).when(command).then_rejected(
        ActingAsAnother("agent_ann")
    )


def test_configure_rejects_an_unknown_agent() -> None:
    given().when(configure("ann", CASUAL)).then_rejected(AgentNotFound())


def test_inactive_agent_can_be_configured() -> None:
    late = after(minutes=6)

    given(registered("ann"), agent_lapsed("ann", at=late)).when(configure("ann", CASUAL)).then(
        configured("ann", CASUAL, at=late)
    )


def test_settings_are_those_of_the_seed() -> None:
    seed = {"humanizer_enabled": bool, "humanizer_style": str, "humanizer_provider": str}

    assert seed == SETTING_TYPES


@pytest.mark.parametrize("agent_id", ["agent_ann", "ann"])
def test_settings_of_an_agent_form_one_stream(agent_id: str) -> None:
    assert stream_of(AgentConfigured(agent_id=agent_id, settings={})) == "config-ann"
