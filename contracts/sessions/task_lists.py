"""The tool `task_list` of seed 003: shared lists of work items, in one tool with an `action`."""

from typing import Annotated, Literal

from pydantic import Field

from quorate.contracts.sessions.tool_inputs import ToolInput, tool
from quorate.contracts.wire_models import PAGE_LENGTH_MAX, PageLength, SnakeResponse, Time
from quorate.domain.identity.agents import AgentInactive
from quorate.domain.sessions.list_items import (
    DESCRIPTION_LENGTH_MAX,
    SUBJECT_LENGTH_MAX,
    IllegalTransition,
    ListItemBlocked,
    ListItemBlocks,
    ListItemNotClaimable,
    ListItemNotFound,
    ListItemOwned,
    Status,
    TooManyClaims,
    VersionMismatch,
)
from quorate.domain.sessions.parameters import MissingParameter
from quorate.domain.sessions.policies import SessionAccessDenied
from quorate.domain.sessions.task_lists import (
    BLOCKERS_MAX,
    LIST_ID,
    BlockedInCircle,
    BlockerNotFound,
    TaskListNotEmpty,
    TaskListNotFound,
    TooManyFollowers,
    TooManyListItems,
    TooManyTaskLists,
    UnknownListAction,
    UnknownTaskStatus,
)

ALL_LISTS = "*"
ItemId = Annotated[str, Field(min_length=1, max_length=64, examples=["1"])]


class TaskListInput(ToolInput):
    """`id` is the number of a task in its list, or its `item_id`."""

    action: Annotated[str, Field(max_length=32, examples=["create"])] = Field(
        description="create, list, list_lists, get, update, claim, release, delete, "
        "follow or unfollow."
    )
    id: ItemId | None = None
    list_id: Annotated[str, Field(pattern=rf"^(\*|{LIST_ID.pattern})$")] | None = Field(
        default=None, description="`default` if omitted; to list tasks, omitted or `*` means all."
    )
    subject: Annotated[str, Field(min_length=1, max_length=SUBJECT_LENGTH_MAX)] | None = None
    description: Annotated[str, Field(max_length=DESCRIPTION_LENGTH_MAX)] | None = None
    status: Annotated[str, Field(max_length=32)] | None = Field(
        default=None, description="pending, in_progress or completed."
    )
    owner: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        default=None,
        description="The name of an agent, or the key of one of its sessions. "
        "`update` hands the task over to it.",
    )
    blocked_by: Annotated[list[ItemId], Field(max_length=BLOCKERS_MAX)] | None = Field(
        default=None, description="Numbers of tasks of the same list."
    )
    expected_version: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = Field(
        default=None, description="Change the task only if it has this version."
    )
    limit: PageLength = PAGE_LENGTH_MAX
    after: Annotated[str, Field(max_length=80)] | None = Field(
        default=None, description="`next` of the previous page."
    )


class ListTask(SnakeResponse):
    """A task of a list. `owner` is the name of the agent that claimed it, or completed it."""

    id: str
    subject: str
    description: str
    status: Status
    owner: str | None
    owner_id: str | None
    blocked_by: list[str]
    created_at: Time
    updated_at: Time
    list_id: str
    item_id: str
    version: int


class TaskListResult(SnakeResponse):
    """The members depend on the action.

    * `create`, `update`, `claim`, `release`: `task`; `get`: `task`, or null with `ok` false.
    * `list`: `tasks`, `count`, and `next` if there may be more.
    * `list_lists`: `list_ids` and `count`. `delete`: `deleted`. `follow`, `unfollow`: `following`.
    """

    ok: bool
    task: ListTask | None = None
    tasks: list[ListTask] | None = None
    list_ids: list[str] | None = None
    count: int | None = None
    next: str | None = None
    list_id: str | None = None
    deleted: Literal[True] | None = None
    following: bool | None = None


TASK_LIST = tool(
    "task_list",
    "Track work items in lists that agents share",
    description="A claim belongs to an active agent. It ends when the agent times out.",
    body=TaskListInput,
    response=TaskListResult,
    errors=(
        *(UnknownListAction, UnknownTaskStatus, MissingParameter, SessionAccessDenied),
        *(TaskListNotFound, TaskListNotEmpty, TooManyTaskLists, TooManyListItems),
        *(TooManyFollowers, BlockerNotFound, BlockedInCircle, ListItemNotFound, ListItemBlocked),
        *(ListItemNotClaimable, ListItemBlocks, IllegalTransition, ListItemOwned),
        *(VersionMismatch, TooManyClaims, AgentInactive),
    ),
)
OPERATIONS = (TASK_LIST,)
