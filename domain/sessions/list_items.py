"""Items of task lists: pending, then in progress for one agent, then completed.

* ``pending -> in_progress -> completed``, and back to pending by a release. Nothing else.
* An agent claims a pending item that is not blocked. The claim ends when the agent completes or
  releases it, hands it over, times out or deregisters: then the item is pending again.
* Each change increases ``version`` by one. A request with ``expected_version`` changes nothing if
  the item has another one.
* The agents that follow the list are notified of each change, and so is one that loses an item.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Literal, TypeAlias, assert_never, get_args

from quorate.domain.identity.agents import AGENTS, AgentDeregistered, AgentLapsed
from quorate.domain.sessions.task_lists import TASK_LISTS, Blockers, TaskList, created
from quorate.domain.shared.aggregates import Aggregate, Effect, Owner
from quorate.domain.shared.errors import Conflict, LimitReached, NotFound
from quorate.domain.shared.records import changed, record
from quorate.domain.shared.state import TenantState
from quorate.domain.shared.timestamps import Timestamp

SUBJECT_LENGTH_MAX = 500
DESCRIPTION_LENGTH_MAX = 4_000
CLAIMS_PER_AGENT_MAX = 100  # They end in one transaction when the agent times out.
CLAIMED_ITEMS = "claimed_items"  # Reads of an agent's items: claimed_items.id, claimed_items.name.
Status: TypeAlias = Literal["pending", "in_progress", "completed"]
STATUSES: tuple[Status, ...] = get_args(Status)
ReleaseReason: TypeAlias = Literal["released", "agent_inactive", "agent_deregistered"]
RELEASED_BY: dict[type[Any], ReleaseReason] = {
    AgentLapsed: "agent_inactive",
    AgentDeregistered: "agent_deregistered",
}

# -- Events ------------------------------------------------------------------


@record
class _OfItem:
    """``notified`` are the agents that are notified; ``version`` is that after the event."""

    item_id: str
    list_id: str
    number: int
    subject: str
    version: int
    agent_id: str | None = None  # Who changed it; None for the service.
    notified: tuple[str, ...] | None = None


@record
class ListItemCreated(_OfItem):
    description: str | None = None
    blocked_by: Blockers | None = None


@record
class ListItemUpdated(_OfItem):
    """None leaves a field as it is."""

    description: str | None = None
    blocked_by: Blockers | None = None


@record
class ListItemClaimed(_OfItem):
    owner_id: str
    owner_name: str


@record
class ListItemReleased(_OfItem):
    owner_id: str
    reason: ReleaseReason


@record
class ListItemCompleted(_OfItem):
    owner_id: str


@record
class ListItemDeleted(_OfItem):
    pass


Event: TypeAlias = (
    ListItemCreated
    | ListItemUpdated
    | ListItemClaimed
    | ListItemReleased
    | ListItemCompleted
    | ListItemDeleted
)


# -- State -------------------------------------------------------------------


@record
class ListItem:
    id: str
    list_id: str
    number: int
    subject: str
    status: Status
    version: int
    created_at: Timestamp
    updated_at: Timestamp
    description: str = ""
    owner_id: str | None = None  # Of a completed item: the agent that completed it.
    owner_name: str | None = None
    blocked_by: Blockers = ()

    @property
    def is_deleted(self) -> bool:
        return self is DELETED_ITEM

    @property
    def claimant_id(self) -> str | None:
        """Return the agent on whose life the claim depends."""
        return self.owner_id if self.status == "in_progress" else None


# Every item that was deleted: it has no row.
DELETED_ITEM = ListItem(
    id="",
    list_id="",
    number=0,
    subject="",
    status="pending",
    version=0,
    created_at=Timestamp(0),
    updated_at=Timestamp(0),
)
NUMBER_DIGITS = 10


def item_address(list_id: str, number: int) -> str:
    """Return a text that names an item, and sorts by list and number: a space sorts first."""
    return f"{list_id} {number:0{NUMBER_DIGITS}}"


# -- Errors ------------------------------------------------------------------


@dataclass(eq=False)
class ListItemNotFound(NotFound):
    code, title = "list_item_not_found", "Task not found"
    detail = "task not found: {task}"
    task: str


@dataclass(eq=False)
class ListItemNotClaimable(Conflict):
    code, title = "list_item_not_claimable", "Only a pending task can be claimed"
    detail = "task {task} cannot be claimed: current status is {current}"
    task: str
    current: Status


@dataclass(eq=False)
class ListItemBlocked(Conflict):
    code, title = "list_item_blocked", "The task is blocked by other tasks"
    detail = "task {task} is blocked by incomplete tasks: {blockers}"
    task: str
    blockers: str


@dataclass(eq=False)
class ListItemBlocks(Conflict):
    """An open item that blocks others is not deleted: they would become free by accident."""

    code, title = "list_item_blocks", "The task blocks other tasks"
    detail = "task {task} blocks tasks: {blocked}"
    task: str
    blocked: str


@dataclass(eq=False)
class IllegalTransition(Conflict):
    code, title = "illegal_transition", "The task cannot go to this status"
    detail = "task {task} cannot go from {current} to {requested}"
    task: str
    current: Status
    requested: Status


@dataclass(eq=False)
class ListItemOwned(Conflict):
    code, title = "list_item_owned", "Another agent has claimed the task"
    detail = "task {task} is claimed by {owner}"
    task: str
    owner: str


@dataclass(eq=False)
class VersionMismatch(Conflict):
    code, title = "version_mismatch", "The task has another version"
    detail = "task {task} has version {version}, not {expected_version}"
    task: str
    version: int
    expected_version: int


@dataclass(eq=False)
class TooManyClaims(LimitReached):
    code, title = "too_many_claims", "The agent has claimed all the tasks that it may have"
    limit: int


# -- Without a command -------------------------------------------------------


def released(
    item: ListItem, found: TaskList, reason: ReleaseReason, agent_id: str | None
) -> ListItemReleased:
    """Return the end of a claim; the agent that loses the item is notified."""
    assert item.owner_id is not None
    return ListItemReleased(
        **of_item(item, found, agent_id, also=item.owner_id if agent_id != item.owner_id else None),
        owner_id=item.owner_id,
        reason=reason,
    )


def of_item(
    item: ListItem, found: TaskList, agent_id: str | None, also: str | None = None
) -> dict[str, Any]:
    """Return the fields that all later events of an item have."""
    notified = found.followers
    if also is not None and also not in notified:
        notified = (*notified, also)
    return {
        "item_id": item.id,
        "list_id": item.list_id,
        "number": item.number,
        "subject": item.subject,
        "version": item.version + 1,
        "agent_id": agent_id,
        "notified": notified or None,
    }


def release_items_of(
    state: TenantState, event: AgentLapsed | AgentDeregistered
) -> Sequence[ListItemReleased]:
    """End the claims of an agent that timed out or left; their lists are loaded."""
    claimed = sorted(
        state[LIST_ITEMS].owned_by(event.agent_id), key=lambda item: (item.list_id, item.number)
    )
    reason = RELEASED_BY[type(event)]
    return [released(item, state[TASK_LISTS][item.list_id], reason, None) for item in claimed]


# -- Evolve ------------------------------------------------------------------


def evolve(state: ListItem | None, event: Event, at: Timestamp) -> ListItem:
    if isinstance(event, ListItemCreated):
        return ListItem(
            id=event.item_id,
            list_id=event.list_id,
            number=event.number,
            subject=event.subject,
            status="pending",
            version=event.version,
            created_at=at,
            updated_at=at,
            description=event.description or "",
            blocked_by=event.blocked_by or (),
        )
    assert state is not None, "the log changes an item that it never created"
    item = changed(state, version=event.version, updated_at=at)
    match event:
        case ListItemUpdated():
            return changed(
                item,
                subject=event.subject,
                description=state.description if event.description is None else event.description,
                blocked_by=state.blocked_by if event.blocked_by is None else event.blocked_by,
            )
        case ListItemClaimed():
            return changed(
                item,
                status="in_progress",
                owner_id=event.owner_id,
                owner_name=event.owner_name,
            )
        case ListItemReleased():
            return changed(item, status="pending", owner_id=None, owner_name=None)
        case ListItemCompleted():
            return changed(item, status="completed")
        case ListItemDeleted():
            return DELETED_ITEM
        case _:
            assert_never(event)


ListChange: TypeAlias = ListItemCreated | ListItemUpdated | ListItemCompleted | ListItemDeleted


def evolve_list(state: TaskList | None, event: ListChange, at: Timestamp) -> TaskList:
    number = event.number
    match event:
        case ListItemCreated():
            assert event.agent_id is not None
            found = created(state, event.list_id, event.agent_id, at)
            return changed(
                found, next_number=number + 1, open={**found.open, number: event.blocked_by or ()}
            )
        case ListItemUpdated():
            assert state is not None
            if event.blocked_by is None or number not in state.open:
                return state
            return changed(state, open={**state.open, number: event.blocked_by})
        case ListItemCompleted():
            assert state is not None
            left = {one: blockers for one, blockers in state.open.items() if one != number}
            return changed(state, open=left, completed=(*state.completed, number))
        case ListItemDeleted():
            assert state is not None
            return changed(
                state,
                open={one: blockers for one, blockers in state.open.items() if one != number},
                completed=tuple([one for one in state.completed if one != number]),
            )
        case _:
            assert_never(event)


LIST_ITEMS: Aggregate[ListItem] = Aggregate(
    name="list_item",
    events=get_args(Event),
    stream=lambda event: f"list-{event.list_id}",
    id_of=attrgetter("item_id"),
    evolve=evolve,
    effects=tuple(
        Effect(event=event, aggregate=TASK_LISTS, id_of=attrgetter("list_id"), evolve=evolve_list)
        for event in get_args(ListChange)
    ),
    phase_of=attrgetter("status", "owner_id", "is_deleted"),
    indexes={
        "address": lambda item: None if item.is_deleted else item_address(item.list_id, item.number)
    },
    owner=Owner(aggregate=AGENTS, id_of=lambda item: None if item.is_deleted else item.claimant_id),
    is_final=attrgetter("is_deleted"),
    reacts_to=dict.fromkeys(RELEASED_BY, release_items_of),
)
