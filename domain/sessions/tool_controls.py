"""Tool controls: which tools a run may use, and whether its model must call one (seed 003).

* ``active_tools`` names the tools that a run sees; without it, it sees all.
* ``tool_choice``: ``auto`` (the model decides), ``any`` (it must call some tool), ``none`` (it gets
  no tools), or ``tool`` with a name (it must call that one).
* They hold for a whole run. What a call gives has precedence over what its preset gives, each of
  the two for itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from quorate.domain.shared.errors import Invalid
from quorate.domain.shared.records import record

TOOL_NAME_LENGTH_MAX = 128
ACTIVE_TOOLS_MAX = 128
ChoiceType: TypeAlias = Literal["auto", "any", "none", "tool"]
_TYPES = frozenset(get_args(ChoiceType))


@dataclass(eq=False)
class InvalidToolChoice(Invalid):
    code, title = "invalid_tool_choice", "Invalid tool choice"
    detail = "invalid tool_choice parameter: {why}"
    why: str


@dataclass(eq=False)
class InvalidActiveTools(Invalid):
    code, title = "invalid_active_tools", "Invalid list of active tools"
    detail = "invalid active_tools parameter: {why}"
    why: str


@record
class ToolChoice:
    type: ChoiceType
    name: str | None = None

    def to_json(self) -> dict[str, str]:
        return {"type": self.type} if self.name is None else {"type": self.type, "name": self.name}


@record
class ToolControls:
    """``active_tools`` is None where all tools are active."""

    active_tools: tuple[str, ...] | None = None
    tool_choice: ToolChoice | None = None

    def permits(self, tool: str) -> bool:
        """Return whether a run with these controls may use a tool."""
        if self.tool_choice is not None and self.tool_choice.type == "none":
            return False
        return self.active_tools is None or tool in self.active_tools

    def over(self, default: "ToolControls") -> "ToolControls":
        """Return these controls, with the default for what they leave open; check the result."""
        active = default.active_tools if self.active_tools is None else self.active_tools
        choice = default.tool_choice if self.tool_choice is None else self.tool_choice
        return _checked(ToolControls(active_tools=active, tool_choice=choice))

    def to_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self.active_tools is not None:
            found["active_tools"] = list(self.active_tools)
        if self.tool_choice is not None:
            found["tool_choice"] = self.tool_choice.to_json()
        return found


NO_CONTROLS = ToolControls()


def parse_tool_controls(active_tools: object, tool_choice: object) -> ToolControls:
    """Return controls from JSON values; None leaves one open.

    Raises InvalidToolChoice or InvalidActiveTools.
    """
    return _checked(
        ToolControls(
            active_tools=None if active_tools is None else _names(active_tools),
            tool_choice=None if tool_choice is None else _choice(tool_choice),
        )
    )


def _names(value: object) -> tuple[str, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise InvalidActiveTools("a list of names is required")
    if len(value) > ACTIVE_TOOLS_MAX:
        raise InvalidActiveTools(f"at most {ACTIVE_TOOLS_MAX} names")
    if not all(_is_name(one) for one in value):
        raise InvalidActiveTools(f"a name has 1 to {TOOL_NAME_LENGTH_MAX} characters")
    return tuple(dict.fromkeys(value))


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value.strip()) <= len(value) <= TOOL_NAME_LENGTH_MAX


def _choice(value: object) -> ToolChoice:
    fields: Mapping[Any, Any] = {"type": value} if isinstance(value, str) else {}
    if isinstance(value, Mapping):
        fields = value
    if unknown := sorted(str(one) for one in fields.keys() - {"type", "name"}):
        raise InvalidToolChoice(f"unknown field {unknown[0]}")
    type_, name = fields.get("type"), fields.get("name")
    if not isinstance(type_, str) or type_ not in _TYPES:
        raise InvalidToolChoice("type is one of auto, any, none, tool")
    if type_ == "tool" and not _is_name(name):
        raise InvalidToolChoice("type tool needs a name")
    if type_ != "tool" and name is not None:
        raise InvalidToolChoice("only type tool has a name")
    choice: ChoiceType = type_  # type: ignore[assignment]  # Checked above.
    return ToolChoice(type=choice, name=name)


def _checked(controls: ToolControls) -> ToolControls:
    choice, active = controls.tool_choice, controls.active_tools
    if choice is None or active is None:
        return controls
    if choice.name is not None and choice.name not in active:
        raise InvalidToolChoice("the named tool is not among active_tools")
    if choice.type == "any" and not active:
        raise InvalidToolChoice("type any needs an active tool")
    return controls
