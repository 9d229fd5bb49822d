"""Tool controls: what is valid, and what a call leaves to its preset."""

from typing import Any

import pytest

from quorate.domain.sessions.tool_controls import (
    ACTIVE_TOOLS_MAX,
    NO_CONTROLS,
    TOOL_NAME_LENGTH_MAX,
    InvalidActiveTools,
    InvalidToolChoice,
    ToolChoice,
    ToolControls,
    parse_tool_controls,
)

LONG = "x" * (TOOL_NAME_LENGTH_MAX + 1)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, None),
        ("auto", ToolChoice(type="auto")),
        ({"type": "auto"}, ToolChoice(type="auto")),
        ({"type": "any"}, ToolChoice(type="any")),
        ("none", ToolChoice(type="none")),
        ({"type": "tool", "name": "send"}, ToolChoice(type="tool", name="send")),
    ],
)
def test_choice_is_read(choice: object, expected: ToolChoice | None) -> None:
    assert parse_tool_controls(["send"], choice).tool_choice == expected


@pytest.mark.parametrize(
    "choice",
    [
        *("some", "tool", "", 1, [], True),
        *({}, {"type": "some"}, {"type": 1}, {"type": "tool"}, {"type": "tool", "name": ""}),
        *(
            {"type": "tool", "name": 1},
            {"type": "tool", "name": LONG},
            {"type": "tool", "name": " "},
        ),
        *({"type": "auto", "name": "send"}, {"type": "auto", "more": 1}, {"type": None}),
    ],
    ids=str,
)
def test_invalid_choice_is_refused_as_in_the_original(choice: object) -> None:
    with pytest.raises(InvalidToolChoice) as error:
        parse_tool_controls(None, choice)

    text = error.value.detail.format(**error.value.details)
    assert text.startswith("invalid tool_choice parameter: ")


@pytest.mark.parametrize(
    "active", ["send", 1, [1], [""], [LONG], ["a"] * (ACTIVE_TOOLS_MAX + 1), {"a": 1}], ids=str
)
def test_invalid_names_are_refused(active: object) -> None:
    with pytest.raises(InvalidActiveTools):
        parse_tool_controls(active, None)


def test_named_tool_must_be_active() -> None:
    with pytest.raises(InvalidToolChoice):
        parse_tool_controls(["a"], {"type": "tool", "name": "b"})
    with pytest.raises(InvalidToolChoice):
        parse_tool_controls([], "any")
    assert parse_tool_controls(["a", "a"], None).active_tools == ("a",)


def test_call_has_precedence_over_its_preset() -> None:
    preset = parse_tool_controls(["a", "b"], "any")

    assert NO_CONTROLS.over(preset) == preset
    assert parse_tool_controls(["c"], None).over(preset) == parse_tool_controls(["c"], "any")
    assert parse_tool_controls(None, "auto").over(preset) == parse_tool_controls(["a", "b"], "auto")


def test_controls_that_do_not_fit_their_preset_are_refused() -> None:
    preset = parse_tool_controls(["a"], {"type": "tool", "name": "a"})

    with pytest.raises(InvalidToolChoice):
        parse_tool_controls(["b"], None).over(preset)


@pytest.mark.parametrize(
    ("controls", "permitted"),
    [
        (NO_CONTROLS, True),
        (ToolControls(active_tools=("a",)), True),
        (ToolControls(active_tools=("b",)), False),
        (ToolControls(active_tools=()), False),
        (ToolControls(tool_choice=ToolChoice(type="none")), False),
        (ToolControls(tool_choice=ToolChoice(type="any")), True),
    ],
)
def test_run_may_use_active_tools_only(controls: ToolControls, permitted: Any) -> None:  # noqa: ANN401
    assert controls.permits("a") is permitted


def test_json_form_is_read_back() -> None:
    for controls in (
        NO_CONTROLS,
        parse_tool_controls([], "none"),
        parse_tool_controls(["a"], {"type": "tool", "name": "a"}),
    ):
        json = controls.to_json()
        again = parse_tool_controls(json.get("active_tools"), json.get("tool_choice"))
        assert again == controls
