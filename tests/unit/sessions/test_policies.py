"""Policies: every combination of fields against a second, naive implementation."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from quorate.domain.sessions.policies import (
    NOTHING_PERMITTED,
    Access,
    Policy,
    SessionAccessDenied,
    SessionRule,
    SessionSendDenied,
    ToolDenied,
    ToolRule,
)
from quorate.domain.sessions.presets import policy_of
from quorate.domain.sessions.tool_controls import ToolControls

OWN, OTHER = "agent_own", "agent_other"
SESSIONS = [
    ("agent:research:main", OTHER),
    ("agent:research:notes", OWN),
    ("agent:coder:main", OWN),
    ("agent:writer:main", OTHER),
    ("session:1", OWN),
    ("session:2", OTHER),
    ("session:3", None),
]
TOOLS = ["sessions_list", "sessions_send", "task_list"]


def combinations() -> Iterator[dict[str, Any]]:
    """Yield the fields of every preset that a policy can depend on."""
    prefixes = [None, "agent:research:", "session:"]
    keys = [None, [], ["agent:writer:main", "session:2"]]
    switches = [None, False, True]
    for prefix, allowed, cross, send in product(prefixes, keys, switches, switches):
        sessions = {
            "key_prefix": prefix,
            "allowed_keys": allowed,
            "cross_agent": cross,
            "can_send": send,
        }
        yield {"sessions": {name: value for name, value in sessions.items() if value is not None}}
    for allow, deny in product([None, [], ["sessions_list", "sessions_send"]], [[], TOOLS[1:]]):
        tools = {"deny": deny} if allow is None else {"allow": allow, "deny": deny}
        yield {"tools": tools}


# -- The second implementation -------------------------------------------------


def naively_visible(fields: dict[str, Any], key: str, owner: str | None) -> bool:
    rule = fields.get("sessions", {})
    if rule == {}:
        return True
    if key in rule.get("allowed_keys", []):
        return True
    mine = owner == OWN
    has_prefix, has_keys = "key_prefix" in rule, "allowed_keys" in rule
    if has_prefix and not key.startswith(rule["key_prefix"]):
        return False
    if has_prefix:
        return mine if rule.get("cross_agent") is False else True
    if has_keys:
        return False
    return mine or rule.get("cross_agent", False)


def naively_permitted(fields: dict[str, Any], tool: str) -> bool:
    tools = fields.get("tools", {})
    if tool in tools.get("deny", []):
        return False
    return "allow" not in tools or tool in tools["allow"]


# -- Tests ----------------------------------------------------------------------


def access(*fields: dict[str, Any]) -> Access:
    return Access(agent_id=OWN, policies=[policy_of(one) for one in fields])


@pytest.mark.parametrize("fields", list(combinations()), ids=str)
def test_policy_agrees_with_naive_implementation(fields: dict[str, Any]) -> None:
    found = access(fields)

    for key, owner in SESSIONS:
        assert found.shows(key, owner) == naively_visible(fields, key, owner), key
    for tool in TOOLS:
        assert found.permits(tool) == naively_permitted(fields, tool), tool
    assert found.may_send == fields.get("sessions", {}).get("can_send", True)


def test_naive_implementation_finds_a_hole() -> None:
    """The comparison can fail: a rule that ignores ``cross_agent`` differs from it."""

    def without_cross_agent(fields: dict[str, Any], key: str) -> bool:
        rule = {one: value for one, value in fields["sessions"].items() if one != "cross_agent"}
        return access({"sessions": rule or {"cross_agent": False}}).shows(key, OTHER)

    found = [
        fields
        for fields in combinations()
        if fields.get("sessions")
        and any(
            without_cross_agent(fields, key) != naively_visible(fields, key, OTHER)
            for key, owner in SESSIONS
            if owner == OTHER
        )
    ]

    assert found


def test_second_policy_never_widens_the_first() -> None:
    for first, second in product(combinations(), combinations()):
        alone, both, other = access(first), access(first, second), access(second)
        for key, owner in SESSIONS:
            assert both.shows(key, owner) == (alone.shows(key, owner) and other.shows(key, owner))
        assert both.may_send == (alone.may_send and other.may_send)
        for tool in TOOLS:
            assert both.permits(tool) == (alone.permits(tool) and other.permits(tool))


def test_caller_without_policy_sees_everything() -> None:
    nothing = Access(agent_id=OWN)

    assert all(nothing.shows(key, owner) for key, owner in SESSIONS)
    assert nothing.may_send
    assert nothing.permits("sessions_send")
    assert not nothing.is_restricted


def test_removed_preset_permits_nothing() -> None:
    removed = Access(agent_id=OWN, policies=[NOTHING_PERMITTED])

    assert not any(removed.shows(key, owner) for key, owner in SESSIONS)
    assert not removed.may_send
    assert not removed.permits("sessions_list")


def test_errors_have_the_texts_of_the_original() -> None:
    rule = SessionRule(key_prefix="agent:research:", can_send=False)
    denied = Access(
        agent_id=OWN,
        policies=[Policy(tools=ToolRule(deny=("sessions_send",)), sessions=rule)],
    )

    with pytest.raises(ToolDenied):
        denied.check_tool("sessions_send")
    with pytest.raises(SessionAccessDenied) as error:
        denied.check_visible("agent:coder:main", OWN)
    assert error.value.detail.format(**error.value.details) == (
        "session access denied: agent:coder:main"
    )
    with pytest.raises(SessionSendDenied) as send:
        denied.check_send()
    assert send.value.detail == "session policy denies sending messages"


def test_tools_outside_the_active_tools_of_a_run_are_denied() -> None:
    run = Policy(controls=ToolControls(active_tools=("sessions_list",)))

    assert run.permits("sessions_list")
    assert not run.permits("sessions_send")
