"""Presets: the access policy, the tool controls and the limits of the runs that name them.

The fields are those of `[agents.presets.NAME]` in seed 003.
"""

from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from quorate.contracts.operations import Operation
from quorate.contracts.roles import CAN_AUDIT, CAN_REMOVE_AGENTS
from quorate.contracts.wire_models import (
    SnakePageQuery,
    SnakeQuery,
    SnakeRequest,
    SnakeResponse,
    Time,
)
from quorate.domain.identity.api_keys import PresetNotFound
from quorate.domain.sessions.policies import SESSION_KEY_LENGTH_MAX
from quorate.domain.sessions.presets import (
    ATTEMPTS_MAX,
    NAMES_MAX,
    TEXT_LENGTH_MAX,
    TIMEOUT_SECONDS_MAX,
    PresetInvalid,
    TooManyPresets,
)
from quorate.domain.sessions.tool_controls import ACTIVE_TOOLS_MAX, TOOL_NAME_LENGTH_MAX

PRESETS = "/v1/presets"
PRESET = PRESETS + "/{preset_name}"

ToolName = Annotated[str, Field(min_length=1, max_length=TOOL_NAME_LENGTH_MAX)]
ToolNames = Annotated[list[ToolName], Field(max_length=NAMES_MAX)]
_KeyText = Annotated[str, Field(min_length=1, max_length=SESSION_KEY_LENGTH_MAX)]
_Text = Annotated[str, Field(max_length=TEXT_LENGTH_MAX)]
# The domain decides what a choice means, so that its error is the one of the original.
ToolChoiceInput = str | dict[str, Any]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class ToolsPart(_Part):
    """`deny` has precedence. Without `allow`, all tools are allowed."""

    allow: ToolNames | None = None
    deny: ToolNames | None = None


class SessionsPart(_Part):
    """Which sessions are visible, and whether messages may be sent to them."""

    key_prefix: _KeyText | None = Field(
        default=None,
        description="Sessions whose key begins so are visible, also those of other agents "
        "unless `cross_agent` is false.",
    )
    allowed_keys: Annotated[list[_KeyText], Field(max_length=NAMES_MAX)] | None = Field(
        default=None,
        description="Further visible sessions. Without `key_prefix`, no others are visible.",
    )
    cross_agent: bool | None = Field(
        default=None,
        description="Without `key_prefix` and `allowed_keys`: whether sessions of other agents "
        "are visible. Default: false.",
    )
    can_send: bool | None = Field(
        default=None, description="Whether messages may be sent to sessions. Default: true."
    )


class ControlsPart(_Part):
    active_tools: Annotated[list[ToolName], Field(max_length=ACTIVE_TOOLS_MAX)] | None = None
    tool_choice: ToolChoiceInput | None = Field(
        default=None,
        description="`auto`, `any`, `none`, or `tool` with a name: as text, or as an object "
        "with `type` and `name`.",
        examples=[{"type": "tool", "name": "classify_destination"}],
    )


class PresetBody(SnakeRequest):
    """A preset as a whole. A field that is left out has its default."""

    description: _Text | None = None
    model: _Text | None = Field(default=None, description="Handed to workers unchanged.")
    delegate_only: bool | None = Field(
        default=None, description="Whether its runs may only delegate work."
    )
    timeout_seconds: Annotated[int, Field(ge=1, le=TIMEOUT_SECONDS_MAX)] | None = Field(
        default=None,
        validation_alias=AliasChoices("timeout_seconds", "timeout_secs"),
        description="How long a task of this preset may take. Default: 300.",
    )
    max_attempts: Annotated[int, Field(ge=1, le=ATTEMPTS_MAX)] | None = Field(
        default=None, description="How often a task is offered to workers. Default: 3."
    )
    tools: ToolsPart | None = None
    sessions: SessionsPart | None = None
    tool_controls: ControlsPart | None = None


class PresetInfo(SnakeResponse):
    """A preset. ``hints`` say what its policy may not have been meant to say."""

    name: str
    preset: dict[str, Any]
    updated_at: Time
    hints: list[str]


class RemovedPreset(SnakeResponse):
    name: str
    removed: bool


PUT_PRESET = Operation(
    method="PUT",
    path=PRESET,
    name="putPreset",
    summary="Create or replace a preset",
    description="It holds from the next request of its keys and tasks.",
    roles=CAN_REMOVE_AGENTS,
    body=PresetBody,
    query=SnakeQuery,
    response=PresetInfo,
    errors=(PresetInvalid, TooManyPresets),
    command=True,
)
GET_PRESET = Operation(
    method="GET",
    path=PRESET,
    name="getPreset",
    summary="Get a preset",
    roles=CAN_AUDIT,
    query=SnakeQuery,
    response=PresetInfo,
    errors=(PresetNotFound,),
)
LIST_PRESETS = Operation(
    method="GET",
    path=PRESETS,
    name="listPresets",
    summary="List presets",
    roles=CAN_AUDIT,
    query=SnakePageQuery,
    response=list[PresetInfo],
)
DELETE_PRESET = Operation(
    method="DELETE",
    path=PRESET,
    name="deletePreset",
    summary="Remove a preset",
    description="It permits nothing to the keys that are still bound to it.",
    roles=CAN_REMOVE_AGENTS,
    query=SnakeQuery,
    response=RemovedPreset,
    errors=(PresetNotFound,),
    command=True,
    unmetered=True,
)
OPERATIONS = (PUT_PRESET, GET_PRESET, LIST_PRESETS, DELETE_PRESET)
