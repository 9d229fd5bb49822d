"""What happens with task lists in the golden log."""

from collections.abc import Sequence
from typing import Any

from quorate.domain.identity.agents import AgentRef
from quorate.domain.identity.principals import Principal
from quorate.domain.sessions.list_item_commands import (
    ClaimListItem,
    CreateListItem,
    DeleteListItem,
    ItemRef,
    ReleaseListItem,
    UpdateListItem,
)
from quorate.domain.sessions.presets import Restrictions
from quorate.domain.sessions.task_lists import DeleteTaskList, FollowTaskList, UnfollowTaskList


def list_story(caller: Principal, agent: AgentRef) -> Sequence[tuple[int, Any]]:
    """Return commands of one active agent, and the minutes before each."""
    by: dict[str, Any] = {"caller": caller, "agent": agent, "restrictions": Restrictions()}
    first = ItemRef(id="1", list_id="build")
    new: dict[str, Any] = {"list_id": "build", "count": 0, "description": "", "blocked_by": ()}
    texts = {"subject": "Review", "description": "All of it", "blocked_by": (1,)}
    return (
        (0, FollowTaskList(**by, list_id="build", count=0)),
        (0, CreateListItem(**by, **new, subject="Write", new_item_id="item_1")),
        (0, CreateListItem(**by, **{**new, **texts}, new_item_id="item_2")),
        (0, UpdateListItem(**by, item=first, subject="Write it", description="All")),
        (0, ClaimListItem(**by, item=first)),
        (0, ReleaseListItem(**by, item=first)),
        (0, UpdateListItem(**by, item=first, status="in_progress")),
        (0, UpdateListItem(**by, item=first, status="completed")),
        (0, UpdateListItem(**by, item=ItemRef(id="item_2", list_id=""), blocked_by=())),
        (0, DeleteListItem(**by, item=ItemRef(id="item_2", list_id=""))),
        (0, DeleteListItem(**by, item=first)),
        (0, UnfollowTaskList(**by, list_id="build")),
        (0, DeleteTaskList(**by, list_id="build")),
    )
