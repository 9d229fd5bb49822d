"""A task list: which of its items are open, what blocks them, and which agents follow the list.

* Items have the numbers 1, 2, ... of their list. A number is never given again while the list
  exists; a list is deleted only when it is empty.
* An item is blocked while an item that it names in ``blocked_by`` is open. What it names exists,
  and no items block each other in a circle.
* A list exists from its first item, or from the first agent that follows it.
* A policy on sessions applies to a list as to a session with the key ``list:ID`` that is owned by
  the agent that created the list. It is checked before the existence of the list.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, assert_never, get_args

from quorate.domain.identity.agents import AGENTS, Agent, AgentRef, acting, reads_of_agent
from quorate.domain.identity.principals import Principal
from quorate.domain.sessions.policies import Access
from quorate.domain.sessions.presets import Restrictions
from quorate.domain.shared.aggregates import Aggregate, Reads
from quorate.domain.shared.errors import Conflict, Invalid, LimitReached, NotFound
from quorate.domain.shared.records import changed, record
from quorate.domain.shared.state import DecisionContext, TenantState
from quorate.domain.shared.timestamps import Timestamp

LIST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
LIST_ID_DEFAULT = "default"
TOOL = "task_list"
LISTS_PER_TENANT_MAX = 1_000
ITEMS_PER_LIST_MAX = 1_000  # Completed ones count until they are deleted.
BLOCKERS_MAX = 50  # Of one item.
FOLLOWERS_MAX = 100  # Of one list.
Blockers: TypeAlias = tuple[int, ...]  # Numbers of items of the same list.

# -- Events ------------------------------------------------------------------


@record
class TaskListFollowed:
    list_id: str
    agent_id: str


@record
class TaskListUnfollowed:
    list_id: str
    agent_id: str


@record
class TaskListDeleted:
    list_id: str
    agent_id: str  # Who deleted it.


Event: TypeAlias = TaskListFollowed | TaskListUnfollowed | TaskListDeleted


# -- State -------------------------------------------------------------------


@record
class TaskList:
    """``open`` maps the numbers of items that are not completed to what blocks them."""

    id: str
    creator_id: str
    created_at: Timestamp
    open: Mapping[int, Blockers]
    next_number: int = 1
    completed: tuple[int, ...] = ()
    followers: tuple[str, ...] = ()

    @property
    def is_deleted(self) -> bool:
        return self is DELETED_LIST

    @property
    def size(self) -> int:
        return len(self.open) + len(self.completed)

    def has(self, number: int) -> bool:
        return number in self.open or number in self.completed

    def blocking(self, number: int) -> Blockers:
        """Return the open items that block an item."""
        return tuple([one for one in self.open.get(number, ()) if one in self.open])

    def blocked_by(self, number: int) -> Blockers:
        """Return the open items that an item blocks."""
        return tuple([other for other, blockers in self.open.items() if number in blockers])


# Every list that was deleted: it has no row.
DELETED_LIST = TaskList(id="", creator_id="", created_at=Timestamp(0), open={})


def policy_key(list_id: str) -> str:
    """Return the key that stands for a list in the policies on sessions."""
    return f"list:{list_id}"


# -- Errors ------------------------------------------------------------------


@dataclass(eq=False)
class UnknownListAction(Invalid):
    code, title = "unknown_task_list_action", "There is no such action of task_list"
    detail = "unknown task_list action: {action}"
    action: str


@dataclass(eq=False)
class UnknownTaskStatus(Invalid):
    code, title = "unknown_task_status", "There is no such status of a task"
    detail = "unknown task status: {requested}"
    requested: str


@dataclass(eq=False)
class TaskListNotFound(NotFound):
    code, title = "task_list_not_found", "Task list not found"
    detail = "task list not found: {list_id}"
    list_id: str


@dataclass(eq=False)
class TaskListNotEmpty(Conflict):
    code, title = "task_list_not_empty", "The task list has tasks"
    detail = "task list {list_id} has {count} tasks"
    list_id: str
    count: int


@dataclass(eq=False)
class TooManyTaskLists(LimitReached):
    code, title = "too_many_task_lists", "The tenant has all the task lists that it may have"
    limit: int


@dataclass(eq=False)
class TooManyListItems(LimitReached):
    code, title = "too_many_list_items", "The task list has all the tasks that it may have"
    limit: int


@dataclass(eq=False)
class TooManyFollowers(LimitReached):
    code, title = "too_many_followers", "The task list has all the followers that it may have"
    limit: int


@dataclass(eq=False)
class BlockerNotFound(Invalid):
    code, title = "blocker_not_found", "A task in blocked_by does not exist in the list"
    detail = "blocked_by names a task that does not exist: {blocker}"
    blocker: str


@dataclass(eq=False)
class BlockedInCircle(Invalid):
    code, title = "blocked_in_circle", "Tasks would block each other in a circle"
    detail = "blocked_by makes a circle: {circle}"
    circle: str


# -- Rules -------------------------------------------------------------------


def existing_list(state: TenantState, list_id: str) -> TaskList | None:
    found = state[TASK_LISTS].get(list_id)
    return None if found is None or found.is_deleted else found


def check_list_access(access: Access, found: TaskList | None, list_id: str) -> None:
    """Raise ToolDenied or SessionAccessDenied, before the existence of the list is considered."""
    access.check_tool(TOOL)
    access.check_visible(policy_key(list_id), None if found is None else found.creator_id)


def check_new_list(access: Access, agent_id: str, list_id: str, count: int) -> None:
    """Check that an agent may create a list; ``count`` is how many the tenant has."""
    access.check_visible(policy_key(list_id), agent_id)
    if count >= LISTS_PER_TENANT_MAX:
        raise TooManyTaskLists(LISTS_PER_TENANT_MAX)


def check_blockers(found: TaskList, number: int, blockers: Blockers) -> None:
    """Raise BlockerNotFound or BlockedInCircle for new blockers of an item."""
    for one in blockers:
        if one != number and not found.has(one):
            raise BlockerNotFound(str(one))
    came_from: dict[int, int] = {}
    left = [number]
    while left:
        current = left.pop()
        for one in blockers if current == number else found.open.get(current, ()):
            if one == number:
                raise BlockedInCircle(_circle(came_from, number, current))
            if one not in came_from:
                came_from[one] = current
                left.append(one)


def _circle(came_from: Mapping[int, int], number: int, last: int) -> str:
    path = [number]
    while last != number:
        path.append(last)
        last = came_from[last]
    return " -> ".join(map(str, [number, *reversed(path)]))


# -- Commands ----------------------------------------------------------------


class ListCommand:
    """A command of a tool's caller for one list, which it names by its id."""

    __slots__ = ()
    caller: Principal
    agent: AgentRef
    restrictions: Restrictions
    list_id: str

    def reads(self) -> Reads:
        agent = reads_of_agent(self.caller, self.agent, AGENTS.name)
        return (*agent, *TASK_LISTS.by("id", self.list_id), *self.restrictions.reads())

    def acting(self, state: TenantState) -> tuple[Agent, Access, TaskList | None]:
        """Return the registered agent, what it may do, and the list if it exists."""
        agent = acting(self.caller, self.agent, state)
        access = self.restrictions.access(state, agent.id)
        return agent, access, existing_list(state, self.list_id)

    def result(self, _state: TenantState, _events: Sequence[Event]) -> None:
        return None


@record
class FollowTaskList(ListCommand):
    """Have the agent notified of each change. ``count`` is how many lists the tenant has."""

    caller: Principal
    agent: AgentRef
    restrictions: Restrictions
    list_id: str
    count: int

    def decide(self, state: TenantState, _context: DecisionContext) -> Sequence[Event]:
        agent, access, found = self.acting(state)
        if found is None:
            access.check_tool(TOOL)
            check_new_list(access, agent.id, self.list_id, self.count)
        else:
            check_list_access(access, found, self.list_id)
            if agent.id in found.followers:
                return []
            if len(found.followers) >= FOLLOWERS_MAX:
                raise TooManyFollowers(FOLLOWERS_MAX)
        return [TaskListFollowed(list_id=self.list_id, agent_id=agent.id)]


@record
class UnfollowTaskList(ListCommand):
    caller: Principal
    agent: AgentRef
    restrictions: Restrictions
    list_id: str

    def decide(self, state: TenantState, _context: DecisionContext) -> Sequence[Event]:
        agent, access, found = self.acting(state)
        check_list_access(access, found, self.list_id)
        if found is None:
            raise TaskListNotFound(self.list_id)
        if agent.id not in found.followers:
            return []
        return [TaskListUnfollowed(list_id=self.list_id, agent_id=agent.id)]


@record
class DeleteTaskList(ListCommand):
    """Delete a list without items."""

    caller: Principal
    agent: AgentRef
    restrictions: Restrictions
    list_id: str

    def decide(self, state: TenantState, _context: DecisionContext) -> Sequence[Event]:
        agent, access, found = self.acting(state)
        check_list_access(access, found, self.list_id)
        if found is None:
            raise TaskListNotFound(self.list_id)
        if found.size:
            raise TaskListNotEmpty(self.list_id, found.size)
        return [TaskListDeleted(list_id=self.list_id, agent_id=agent.id)]


# -- Evolve ------------------------------------------------------------------


def created(state: TaskList | None, list_id: str, agent_id: str, at: Timestamp) -> TaskList:
    """Return the list, or a new one of this agent."""
    if state is not None and not state.is_deleted:
        return state
    return TaskList(id=list_id, creator_id=agent_id, created_at=at, open={})


def evolve(state: TaskList | None, event: Event, at: Timestamp) -> TaskList:
    match event:
        case TaskListFollowed():
            found = created(state, event.list_id, event.agent_id, at)
            return changed(found, followers=(*found.followers, event.agent_id))
        case TaskListUnfollowed():
            assert state is not None
            left = [one for one in state.followers if one != event.agent_id]
            return changed(state, followers=tuple(left))
        case TaskListDeleted():
            assert state is not None
            return DELETED_LIST
        case _:
            assert_never(event)


TASK_LISTS: Aggregate[TaskList] = Aggregate(
    name="task_list",
    events=get_args(Event),
    stream=lambda event: f"list-{event.list_id}",
    commands=(FollowTaskList, UnfollowTaskList, DeleteTaskList),
    id_of=lambda event: event.list_id,
    evolve=evolve,
    is_final=lambda found: found.is_deleted,
)
