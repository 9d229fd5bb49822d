"""A preset: the policy, the tool controls and the limits of the runs that name it (seed 003).

* A preset is replaced as a whole; each change is an event. An unknown field is refused by its path.
* ``Restrictions`` name the presets that a caller acts under. A command reads them in its own
  transaction, so it never acts under a preset that has changed before it.
* A preset that was removed permits nothing to the keys that are still bound to it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from types import MappingProxyType
from typing import Any, TypeAlias, assert_never, get_args

from quorate.domain.identity.api_keys import PresetNotFound
from quorate.domain.identity.principals import PRESET_NAME, Principal
from quorate.domain.sessions.policies import (
    NOTHING_PERMITTED,
    SESSION_KEY_LENGTH_MAX,
    Access,
    Policy,
    SessionRule,
    ToolRule,
)
from quorate.domain.sessions.tool_controls import (
    NO_CONTROLS,
    TOOL_NAME_LENGTH_MAX,
    InvalidActiveTools,
    InvalidToolChoice,
    ToolControls,
    parse_tool_controls,
)
from quorate.domain.shared.aggregates import Aggregate, Read, Reads
from quorate.domain.shared.errors import Invalid, LimitReached
from quorate.domain.shared.records import record
from quorate.domain.shared.state import DecisionContext, TenantState
from quorate.domain.shared.timestamps import Timestamp

TIMEOUT_SECONDS_DEFAULT, TIMEOUT_SECONDS_MAX = 300, 7 * 86_400
ATTEMPTS_DEFAULT, ATTEMPTS_MAX = 3, 20
NAMES_MAX = 256  # Of the tools or keys in one list.
TEXT_LENGTH_MAX = 4_000
Fields: TypeAlias = Mapping[str, Any]

# -- Events ------------------------------------------------------------------


@record
class PresetApplied:
    name: str
    fields: Fields  # In the form of ``normalized``.


@record
class PresetRemoved:
    name: str


Event: TypeAlias = PresetApplied | PresetRemoved


# -- State -------------------------------------------------------------------


@record
class Preset:
    id: str  # Its name.
    fields: Fields
    updated_at: Timestamp

    @property
    def policy(self) -> Policy:
        return policy_of(self.fields)

    @property
    def controls(self) -> ToolControls:
        controls = self.fields.get("tool_controls", {})
        return parse_tool_controls(controls.get("active_tools"), controls.get("tool_choice"))

    @property
    def timeout_seconds(self) -> int:
        return int(self.fields.get("timeout_seconds", TIMEOUT_SECONDS_DEFAULT))

    @property
    def max_attempts(self) -> int:
        return int(self.fields.get("max_attempts", ATTEMPTS_DEFAULT))


# A preset that was removed: it has no row.
REMOVED_PRESET = Preset(id="", fields=MappingProxyType({}), updated_at=Timestamp(0))


@record
class Restrictions:
    """The presets that a caller acts under, and further policies of its run."""

    preset_names: tuple[str, ...] = ()
    policies: tuple[Policy, ...] = ()

    def reads(self) -> Reads:
        found: list[Read] = []
        for name in self.preset_names:
            found += PRESETS.by("id", name)
        return tuple(found)

    def access(self, state: TenantState, agent_id: str | None) -> Access:
        """Return what the caller may do; its presets are loaded."""
        return self.access_with(state[PRESETS].get, agent_id)

    def access_with(self, find: Callable[[str], Preset | None], agent_id: str | None) -> Access:
        """Return the same, with presets that ``find`` returns by name."""
        found = [find(name) for name in self.preset_names]
        return Access(
            agent_id=agent_id,
            policies=(*[_policy_of_existing(one) for one in found], *self.policies),
        )


def _policy_of_existing(preset: Preset | None) -> Policy:
    return NOTHING_PERMITTED if preset is None or preset is REMOVED_PRESET else preset.policy


# -- Errors ------------------------------------------------------------------


@dataclass(eq=False)
class PresetInvalid(Invalid):
    """``path`` names the field, for example ``sessions.key_prefix``."""

    code, title = "preset_invalid", "Invalid preset"
    detail = "{path}: {why}"
    path: str
    why: str


@dataclass(eq=False)
class AgentRequired(Invalid):
    """A key of the tenant that acts in sessions names the agent that it acts for."""

    code, title = "agent_required", "Name the agent that acts"


@dataclass(eq=False)
class TooManyPresets(LimitReached):
    code, title = "too_many_presets", "The tenant has all the presets that it may have"
    limit: int


# -- Fields ------------------------------------------------------------------


def _text(value: object) -> str | None:
    is_text = isinstance(value, str) and len(value) <= TEXT_LENGTH_MAX
    return None if is_text else f"text of at most {TEXT_LENGTH_MAX} characters is required"


def _boolean(value: object) -> str | None:
    return None if isinstance(value, bool) else "true or false is required"


def _whole_number(limit: int) -> Callable[[object], str | None]:
    def check(value: object) -> str | None:
        is_number = isinstance(value, int) and not isinstance(value, bool)
        is_valid = is_number and 1 <= value <= limit  # type: ignore[operator]  # A number.
        return None if is_valid else f"a whole number from 1 to {limit} is required"

    return check


def _names(length_max: int) -> Callable[[object], str | None]:
    def check(value: object) -> str | None:
        if not isinstance(value, list | tuple) or len(value) > NAMES_MAX:
            return f"a list of at most {NAMES_MAX} names is required"
        if all(isinstance(one, str) and 0 < len(one) <= length_max for one in value):
            return None
        return f"a name has 1 to {length_max} characters"

    return check


def _key_prefix(value: object) -> str | None:
    is_prefix = isinstance(value, str) and 0 < len(value) <= SESSION_KEY_LENGTH_MAX
    return None if is_prefix else f"text of 1 to {SESSION_KEY_LENGTH_MAX} characters is required"


Check: TypeAlias = Callable[[object], str | None]  # Returns what is wrong.
_FIELDS: Mapping[str, Check | Mapping[str, Check]] = {
    "description": _text,
    "model": _text,
    "delegate_only": _boolean,
    "timeout_seconds": _whole_number(TIMEOUT_SECONDS_MAX),
    "max_attempts": _whole_number(ATTEMPTS_MAX),
    "tools": {"allow": _names(TOOL_NAME_LENGTH_MAX), "deny": _names(TOOL_NAME_LENGTH_MAX)},
    "sessions": {
        "key_prefix": _key_prefix,
        "allowed_keys": _names(SESSION_KEY_LENGTH_MAX),
        "cross_agent": _boolean,
        "can_send": _boolean,
    },
    "tool_controls": {"active_tools": lambda _: None, "tool_choice": lambda _: None},
}
_ALIASES = {"timeout_secs": "timeout_seconds"}  # As the original of seed 003 writes it.


def normalized(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a preset, checked, in the form of events; raise PresetInvalid."""
    found: dict[str, Any] = {}
    for given, value in fields.items():
        name = _ALIASES.get(given, given)
        check = _FIELDS.get(name)
        if check is None:
            raise PresetInvalid(given, "unknown field")
        if isinstance(check, Mapping):
            found[name] = _normalized_group(name, check, value)
            continue
        if (why := check(value)) is not None:
            raise PresetInvalid(given, why)
        found[name] = value
    if "tool_controls" in found:
        found["tool_controls"] = _normalized_controls(found["tool_controls"])
    return found


def _normalized_group(group: str, checks: Mapping[str, Check], value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise PresetInvalid(group, "a table is required")
    for name, inner in value.items():
        path = f"{group}.{name}"
        if name not in checks:
            raise PresetInvalid(path, "unknown field")
        if (why := checks[name](inner)) is not None:
            raise PresetInvalid(path, why)
    return {
        name: list(dict.fromkeys(inner)) if isinstance(inner, list | tuple) else inner
        for name, inner in value.items()
    }


def _normalized_controls(controls: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return parse_tool_controls(
            controls.get("active_tools"), controls.get("tool_choice")
        ).to_json()
    except InvalidToolChoice as error:
        raise PresetInvalid("tool_controls.tool_choice", error.why) from None
    except InvalidActiveTools as error:
        raise PresetInvalid("tool_controls.active_tools", error.why) from None


def policy_of(fields: Fields) -> Policy:
    """Return the policy of a preset; the controls of its runs are no part of it."""
    tools, sessions = fields.get("tools", {}), fields.get("sessions")
    allow = tools.get("allow")
    rule = ToolRule(
        allow=None if allow is None else tuple(allow), deny=tuple(tools.get("deny", ()))
    )
    if not sessions:
        return Policy(tools=rule)
    keys = sessions.get("allowed_keys")
    return Policy(
        tools=rule,
        sessions=SessionRule(
            key_prefix=sessions.get("key_prefix"),
            allowed_keys=None if keys is None else tuple(keys),
            cross_agent=sessions.get("cross_agent"),
            can_send=sessions.get("can_send", True),
        ),
        controls=NO_CONTROLS,
    )


def hints_of(fields: Fields) -> Sequence[str]:
    """Return what the policy of a preset may not have been meant to say."""
    sessions, tools = fields.get("sessions"), fields.get("tools", {})
    found = []
    if sessions is not None and not sessions.keys() & {"key_prefix", "allowed_keys", "cross_agent"}:
        found.append(
            "sessions: only the agent's own sessions are visible. Set sessions.cross_agent = true "
            "to make those of other agents visible too, or name them by sessions.key_prefix."
        )
    both = sorted({*tools.get("allow", ())} & {*tools.get("deny", ())})
    if both:
        found.append(f"tools: denied although they are allowed: {', '.join(both)}.")
    controls = fields.get("tool_controls", {})
    active = {*controls.get("active_tools", ())}
    if active and not any(policy_of(fields).tools.permits(one) for one in active):
        found.append("tools: none of tool_controls.active_tools is allowed.")
    return found


# -- Commands ----------------------------------------------------------------

PRESETS_PER_TENANT_MAX = 500


def _existing(state: TenantState, name: str) -> Preset | None:
    found = state[PRESETS].get(name)
    return None if found is REMOVED_PRESET else found


@record
class ApplyPreset:
    """Create or replace a preset. ``count`` is how many presets the tenant has."""

    caller: Principal
    name: str
    fields: Fields
    count: int

    def reads(self) -> Reads:
        return PRESETS.by("id", self.name)

    def decide(self, state: TenantState, _context: DecisionContext) -> Sequence[Event]:
        if PRESET_NAME.fullmatch(self.name) is None:
            raise PresetInvalid("name", "1 to 64 letters, digits, '.', '_' and '-' are required")
        fields = normalized(self.fields)
        before = _existing(state, self.name)
        if before is None and self.count >= PRESETS_PER_TENANT_MAX:
            raise TooManyPresets(PRESETS_PER_TENANT_MAX)
        if before is not None and before.fields == fields:
            return []
        return [PresetApplied(name=self.name, fields=fields)]

    def result(self, state: TenantState, _events: Sequence[Event]) -> Preset:
        return state[PRESETS][self.name]


@record
class RemovePreset:
    caller: Principal
    name: str

    def reads(self) -> Reads:
        return PRESETS.by("id", self.name)

    def decide(self, state: TenantState, _context: DecisionContext) -> Sequence[Event]:
        if _existing(state, self.name) is None:
            raise PresetNotFound(self.name)
        return [PresetRemoved(name=self.name)]

    def result(self, _state: TenantState, _events: Sequence[Event]) -> None:
        return None


# -- Evolve ------------------------------------------------------------------


def evolve(_state: Preset | None, event: Event, at: Timestamp) -> Preset:
    match event:
        case PresetApplied():
            return Preset(id=event.name, fields=event.fields, updated_at=at)
        case PresetRemoved():
            return REMOVED_PRESET
        case _:
            assert_never(event)


PRESETS: Aggregate[Preset] = Aggregate(
    name="preset",
    events=get_args(Event),
    stream=lambda event: f"preset-{event.name}",
    commands=(ApplyPreset, RemovePreset),
    id_of=attrgetter("name"),
    evolve=evolve,
    is_final=lambda preset: preset is REMOVED_PRESET,
)
