"""Presets: the TOML of the seed, refused fields with their paths, and changes as events."""

import tomllib
from typing import Any

import pytest

from quorate.domain.identity.api_keys import PresetNotFound
from quorate.domain.identity.principals import Principal
from quorate.domain.sessions.policies import NOTHING_PERMITTED, SessionRule, ToolRule
from quorate.domain.sessions.presets import (
    ATTEMPTS_DEFAULT,
    PRESETS,
    PRESETS_PER_TENANT_MAX,
    TIMEOUT_SECONDS_DEFAULT,
    ApplyPreset,
    Preset,
    PresetApplied,
    PresetInvalid,
    PresetRemoved,
    RemovePreset,
    Restrictions,
    TooManyPresets,
    hints_of,
    normalized,
    policy_of,
)
from quorate.domain.sessions.tool_controls import ToolChoice
from quorate.domain.shared.timestamps import Timestamp
from tests.unit.support.specification import NOON, TimedEvent, given

CALLER = Principal(key_id="key", role="tenant", tenant="acme")
# As printed in seed 003.
SEED = """
[agents.presets.coordinator]
tools.allow = ["sessions_list", "sessions_history", "sessions_search", "sessions_send", "task_list", "spawn_agent"]
sessions.can_send = true

[agents.presets.observer]
tools.allow = ["sessions_list", "sessions_history", "sessions_search"]
sessions.key_prefix = "agent:research:"
sessions.can_send = false

[agents.presets.destination-router.tool_controls]
active_tools = ["classify_destination"]

[agents.presets.destination-router.tool_controls.tool_choice]
type = "tool"
name = "classify_destination"
"""  # noqa: E501 - to the letter.


def seed() -> dict[str, dict[str, Any]]:
    presets: dict[str, dict[str, Any]] = tomllib.loads(SEED)["agents"]["presets"]
    return presets


def apply(name: str = "observer", count: int = 0, **fields: Any) -> ApplyPreset:  # noqa: ANN401
    return ApplyPreset(caller=CALLER, name=name, fields=fields, count=count)


def test_presets_of_the_seed_load_unchanged() -> None:
    presets = {name: normalized(fields) for name, fields in seed().items()}

    assert presets == seed()
    assert policy_of(presets["observer"]).sessions == SessionRule(
        key_prefix="agent:research:", can_send=False
    )
    assert policy_of(presets["coordinator"]).sessions == SessionRule(can_send=True)
    assert policy_of(presets["coordinator"]).tools == ToolRule(
        allow=tuple(seed()["coordinator"]["tools"]["allow"])
    )
    router = Preset(id="x", fields=presets["destination-router"], updated_at=Timestamp(0))
    assert router.controls.tool_choice == ToolChoice(type="tool", name="classify_destination")
    assert router.policy.sessions is None


def test_coordinator_of_the_seed_gets_a_hint_about_cross_agent() -> None:
    hints = {name: hints_of(fields) for name, fields in seed().items()}

    assert "sessions.cross_agent = true" in hints["coordinator"][0]
    assert hints["observer"] == hints["destination-router"] == []


def test_hints_name_tools_that_contradict_each_other() -> None:
    both = {"tools": {"allow": ["a", "b"], "deny": ["b"]}}
    none = {"tools": {"allow": ["a"]}, "tool_controls": {"active_tools": ["b"]}}

    assert "b" in hints_of(both)[0]
    assert "active_tools" in hints_of(none)[0]


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"tool": {}}, "tool"),
        ({"tools": {"allowed": []}}, "tools.allowed"),
        ({"tools": []}, "tools"),
        ({"tools": {"allow": "sessions_list"}}, "tools.allow"),
        ({"tools": {"deny": [""]}}, "tools.deny"),
        ({"sessions": {"prefix": "a"}}, "sessions.prefix"),
        ({"sessions": {"key_prefix": ""}}, "sessions.key_prefix"),
        ({"sessions": {"can_send": "yes"}}, "sessions.can_send"),
        ({"sessions": {"cross_agent": 1}}, "sessions.cross_agent"),
        ({"timeout_secs": 0}, "timeout_secs"),
        ({"timeout_seconds": True}, "timeout_seconds"),
        ({"max_attempts": 1.5}, "max_attempts"),
        ({"tool_controls": {"choice": 1}}, "tool_controls.choice"),
        ({"tool_controls": {"tool_choice": "some"}}, "tool_controls.tool_choice"),
        ({"tool_controls": {"active_tools": 1}}, "tool_controls.active_tools"),
    ],
    ids=str,
)
def test_invalid_field_is_refused_with_its_path(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(PresetInvalid) as error:
        normalized(fields)

    assert error.value.path == path


def test_time_limit_of_the_original_is_accepted() -> None:
    preset = Preset(id="x", fields=normalized({"timeout_secs": 60}), updated_at=Timestamp(0))

    assert preset.timeout_seconds == 60
    default = Preset(id="x", fields={}, updated_at=Timestamp(0))
    assert default.timeout_seconds == TIMEOUT_SECONDS_DEFAULT
    assert default.max_attempts == ATTEMPTS_DEFAULT


def applied(name: str = "observer", **fields: Any) -> TimedEvent:  # noqa: ANN401
    return TimedEvent(at=NOON, event=PresetApplied(name=name, fields=fields))


REMOVED = TimedEvent(at=NOON, event=PresetRemoved(name="observer"))


def test_change_is_an_event_and_the_same_again_is_none() -> None:
    read_only = {"can_send": False}
    scenario = given().when(apply(sessions=read_only)).then(applied(sessions=read_only))

    scenario.when(apply(sessions=read_only)).then_nothing()
    scenario.when(apply()).then(applied())


def test_removed_preset_is_unknown_and_can_be_created_again() -> None:
    remove = RemovePreset(caller=CALLER, name="observer")
    scenario = given(applied()).when(remove).then(REMOVED)

    scenario.when(remove).then_rejected(PresetNotFound("observer"))
    scenario.when(apply()).then(applied())


def test_number_of_presets_is_limited() -> None:
    scenario = given(applied())

    another = apply("another", count=PRESETS_PER_TENANT_MAX)
    scenario.when(another).then_rejected(TooManyPresets(PRESETS_PER_TENANT_MAX))
    scenario.when(apply(count=PRESETS_PER_TENANT_MAX, model="small")).then(applied(model="small"))


@pytest.mark.parametrize("name", ["", "-a", "a b", "a" * 65, "\N{LATIN SMALL LETTER A WITH ACUTE}"])
def test_name_is_restricted(name: str) -> None:
    outcome = given().when(apply(name)).outcome

    assert outcome.rejection is not None
    assert outcome.rejection.kind is PresetInvalid


def test_command_acts_under_the_presets_of_its_own_transaction() -> None:
    scenario = given(applied(sessions={"can_send": False}))
    restrictions = Restrictions(preset_names=("observer", "missing"))

    found = restrictions.access(scenario.tenant_state, "agent_1")

    assert [rule.sessions for rule in found.policies] == [
        SessionRule(can_send=False),
        NOTHING_PERMITTED.sessions,
    ]
    reads = {*PRESETS.by("id", "observer"), *PRESETS.by("id", "missing")}
    assert set(restrictions.reads()) == reads
