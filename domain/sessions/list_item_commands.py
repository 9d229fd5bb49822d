"""The commands on items of task lists. An item is named by its number in a list, or by its id.

An item that is in progress is changed to another status, or deleted, only by the agent that claimed
it, or by a key of the tenant.
"""

import re
from collections.abc import Sequence

from quorate.domain.identity.agents import (
    AGENTS,
    Agent,
    AgentInactive,
    AgentNotFound,
    AgentRef,
    acting,
    find_agent_by_name,
    name_key,
    reads_of_agent,
)
from quorate.domain.identity.principals import Principal
from quorate.domain.sessions.list_items import (
    CLAIMED_ITEMS,
    CLAIMS_PER_AGENT_MAX,
    LIST_ITEMS,
    Event,
    IllegalTransition,
    ListItem,
    ListItemBlocked,
    ListItemBlocks,
    ListItemClaimed,
    ListItemCompleted,
    ListItemCreated,
    ListItemDeleted,
    ListItemNotClaimable,
    ListItemNotFound,
    ListItemOwned,
    ListItemUpdated,
    Status,
    TooManyClaims,
    VersionMismatch,
    evolve_list,
    item_address,
    of_item,
    released,
)
from quorate.domain.sessions.list_items import evolve as evolve_item
from quorate.domain.sessions.presets import Restrictions
from quorate.domain.sessions.task_lists import (
    ITEMS_PER_LIST_MAX,
    TASK_LISTS,
    TOOL,
    Blockers,
    TaskList,
    TooManyListItems,
    check_blockers,
    check_list_access,
    check_new_list,
    created,
    existing_list,
)
from quorate.domain.shared.aggregates import Reads
from quorate.domain.shared.records import record
from quorate.domain.shared.state import DecisionContext, TenantState

NUMBER = re.compile(r"[1-9][0-9]{0,9}")


@record
class ItemRef:
    """An item as a caller names it: the number in ``list_id``, or the id of an item."""

    id: str
    list_id: str

    @property
    def is_number(self) -> bool:
        return NUMBER.fullmatch(self.id) is not None

    def reads(self) -> Reads:
        if self.is_number:
            address = item_address(self.list_id, int(self.id))
            return (*LIST_ITEMS.by("address", address), *TASK_LISTS.by("id", self.list_id))
        return LIST_ITEMS.by("id", self.id)

    def find(self, state: TenantState) -> ListItem | None:
        if self.is_number:
            address = item_address(self.list_id, int(self.id))
            return state[LIST_ITEMS].find("address", address)
        found = state[LIST_ITEMS].get(self.id)
        return None if found is None or found.is_deleted else found


@record
class CreateListItem:
    """Add a pending item. ``count`` is how many lists the tenant has."""

    caller: Principal
    agent: AgentRef
    restrictions: Restrictions
    list_id: str
    subject: str
    description: str
    blocked_by: Blockers
    new_item_id: str
    count: int

    def reads(self) -> Reads:
        agent = reads_of_agent(self.caller, self.agent, AGENTS.name)
        return (*agent, *TASK_LISTS.by("id", self.list_id), *self.restrictions.reads())

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Event]:
        agent = acting(self.caller, self.agent, state)
        access = self.restrictions.access(state, agent.id)
        found = existing_list(state, self.list_id)
        if found is None:
            access.check_tool(TOOL)
            check_new_list(access, agent.id, self.list_id, self.count)
            found = created(None, self.list_id, agent.id, context.now)
        else:
            check_list_access(access, found, self.list_id)
        if found.size >= ITEMS_PER_LIST_MAX:
            raise TooManyListItems(ITEMS_PER_LIST_MAX)
        check_blockers(found, found.next_number, self.blocked_by)
        return [
            ListItemCreated(
                item_id=self.new_item_id,
                list_id=self.list_id,
                number=found.next_number,
                subject=self.subject,
                version=1,
                agent_id=agent.id,
                notified=found.followers or None,
                description=self.description or None,
                blocked_by=self.blocked_by or None,
            )
        ]

    def result(self, state: TenantState, _events: Sequence[Event]) -> ListItem:
        return state[LIST_ITEMS][self.new_item_id]


class _ItemCommand:
    """A command for one item that exists."""

    __slots__ = ()
    caller: Principal
    agent: AgentRef
    restrictions: Restrictions
    item: ItemRef
    expected_version: int | None

    def reads(self) -> Reads:
        agent = reads_of_agent(self.caller, self.agent, AGENTS.name)
        return (*agent, *self.item.reads(), *self.restrictions.reads())

    def _opened(self, state: TenantState) -> tuple[Agent, ListItem, TaskList]:
        """Return the agent, the item and its list, after all checks that each command makes."""
        agent = acting(self.caller, self.agent, state)
        access = self.restrictions.access(state, agent.id)
        access.check_tool(TOOL)
        item = self.item.find(state)
        if item is None:
            if self.item.is_number:
                found = existing_list(state, self.item.list_id)
                check_list_access(access, found, self.item.list_id)
            raise ListItemNotFound(self.item.id)
        found = state[TASK_LISTS][item.list_id]
        check_list_access(access, found, item.list_id)
        if self.expected_version not in {None, item.version}:
            assert self.expected_version is not None
            raise VersionMismatch(self.item.id, item.version, self.expected_version)
        return agent, item, found

    def result(self, state: TenantState, events: Sequence[Event]) -> ListItem:
        if events:
            return state[LIST_ITEMS][events[0].item_id]
        found = self.item.find(state)
        assert found is not None
        return found

    def _require_owner(self, agent: Agent, item: ListItem) -> None:
        is_operator = self.caller.role != "agent"
        if item.claimant_id is not None and item.claimant_id != agent.id and not is_operator:
            raise ListItemOwned(str(item.number), item.owner_name or item.claimant_id)

    def _claimed(  # noqa: PLR0917 - the task, its claimer and its owner.
        self,
        state: TenantState,
        context: DecisionContext,
        by: Agent,
        owner: Agent,
        item: ListItem,
        found: TaskList,
    ) -> ListItemClaimed:
        """Claim an item for an active agent; it is pending, or taken from its owner."""
        _check_unblocked(item, found)
        if not owner.is_active(context.now):
            raise AgentInactive(owner.id, owner.last_heartbeat)
        if len(state[LIST_ITEMS].owned_by(owner.id)) >= CLAIMS_PER_AGENT_MAX:
            raise TooManyClaims(CLAIMS_PER_AGENT_MAX)
        # The new owner is notified, and so is the one that loses the item.
        fields = of_item(item, found, by.id, also=owner.id if owner.id != by.id else item.owner_id)
        return ListItemClaimed(**fields, owner_id=owner.id, owner_name=owner.name)


@record
class ClaimListItem(_ItemCommand):
    """Claim a pending item for the agent that acts."""

    caller: Principal
    agent: AgentRef
    restrictions: Restrictions
    item: ItemRef
    expected_version: int | None = None

    def reads(self) -> Reads:
        claimed = reads_of_agent(self.caller, self.agent, CLAIMED_ITEMS)
        return (*_ItemCommand.reads(self), *claimed)

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Event]:
        agent, item, found = self._opened(state)
        if item.status == "in_progress" and item.owner_id == agent.id:
            return []  # A repetition.
        if item.status != "pending":
            raise ListItemNotClaimable(str(item.number), item.status)
        return [self._claimed(state, context, agent, agent, item, found)]


@record
class ReleaseListItem(_ItemCommand):
    """Make an item pending again. A second time records nothing."""

    caller: Principal
    agent: AgentRef
    restrictions: Restrictions
    item: ItemRef
    expected_version: int | None = None

    def decide(self, state: TenantState, _context: DecisionContext) -> Sequence[Event]:
        agent, item, found = self._opened(state)
        if item.status == "pending":
            return []
        if item.status == "completed":
            raise IllegalTransition(str(item.number), item.status, "pending")
        self._require_owner(agent, item)
        return [released(item, found, "released", agent.id)]


@record
class DeleteListItem(_ItemCommand):
    caller: Principal
    agent: AgentRef
    restrictions: Restrictions
    item: ItemRef
    expected_version: int | None = None

    def decide(self, state: TenantState, _context: DecisionContext) -> Sequence[Event]:
        agent, item, found = self._opened(state)
        self._require_owner(agent, item)
        if item.status != "completed" and (blocked := found.blocked_by(item.number)):
            raise ListItemBlocks(str(item.number), ", ".join(map(str, blocked)))
        return [ListItemDeleted(**of_item(item, found, agent.id, also=_other(agent, item)))]


@record
class UpdateListItem(_ItemCommand):
    """Change what is given: first the fields, then the owner, then the status.

    ``owner_name`` hands the item over to another agent, which must be active; an item that was
    pending is then in progress for it.
    """

    caller: Principal
    agent: AgentRef
    restrictions: Restrictions
    item: ItemRef
    expected_version: int | None = None
    status: Status | None = None
    subject: str | None = None
    description: str | None = None
    owner_name: str | None = None
    blocked_by: Blockers | None = None

    def reads(self) -> Reads:
        found = (*_ItemCommand.reads(self),)
        if self.owner_name is not None:
            name = name_key(self.owner_name)
            found = (*found, *AGENTS.by("name", name), (f"{CLAIMED_ITEMS}.name", name))
        if self.status == "in_progress":
            found = (*found, *reads_of_agent(self.caller, self.agent, CLAIMED_ITEMS))
        return found

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Event]:
        agent, item, found = self._opened(state)
        events: list[Event] = []
        if (updated := self._updated(agent, item, found)) is not None:
            events.append(updated)
            item = evolve_item(item, updated, context.now)
            found = evolve_list(found, updated, context.now)
        if (moved := self._moved(state, context, agent, item, found)) is not None:
            events.append(moved)
        return events

    def _updated(self, agent: Agent, item: ListItem, found: TaskList) -> ListItemUpdated | None:
        blockers = self.blocked_by if self.blocked_by != item.blocked_by else None
        if blockers is not None:
            check_blockers(found, item.number, blockers)
        subject = item.subject if self.subject is None else self.subject
        description = None if self.description == item.description else self.description
        if (subject, description, blockers) == (item.subject, None, None):
            return None
        fields = of_item(item, found, agent.id, also=_other(agent, item))
        return ListItemUpdated(
            **{**fields, "subject": subject}, description=description, blocked_by=blockers
        )

    def _moved(
        self,
        state: TenantState,
        context: DecisionContext,
        agent: Agent,
        item: ListItem,
        found: TaskList,
    ) -> Event | None:
        wanted = self.status or item.status
        if self.owner_name is not None and not _is_name_of(item, self.owner_name):
            owner = self._next_owner(state, agent, item)
            return self._claimed(state, context, agent, owner, item, found)
        match (item.status, wanted):
            case ("pending", "in_progress"):
                return self._claimed(state, context, agent, agent, item, found)
            case ("in_progress", "pending"):
                self._require_owner(agent, item)
                return released(item, found, "released", agent.id)
            case ("in_progress", "completed"):
                self._require_owner(agent, item)
                _check_unblocked(item, found)
                fields = of_item(item, found, agent.id, also=_other(agent, item))
                return ListItemCompleted(**fields, owner_id=item.owner_id or agent.id)
            case _ if item.status == wanted:
                return None
            case _:
                raise IllegalTransition(str(item.number), item.status, wanted)

    def _next_owner(self, state: TenantState, agent: Agent, item: ListItem) -> Agent:
        """Return the agent that gets the item; check that it may be handed over."""
        assert self.owner_name is not None
        wanted = self.status or "in_progress"
        if item.status == "completed" or wanted != "in_progress":
            raise IllegalTransition(str(item.number), item.status, wanted)
        self._require_owner(agent, item)
        owner = find_agent_by_name(state, self.owner_name)
        if owner is None or not owner.is_registered:
            raise AgentNotFound
        return owner


def _is_name_of(item: ListItem, name: str) -> bool:
    return item.owner_name is not None and name_key(item.owner_name) == name_key(name)


def _check_unblocked(item: ListItem, found: TaskList) -> None:
    if blockers := found.blocking(item.number):
        raise ListItemBlocked(str(item.number), ", ".join(map(str, blockers)))


def _other(agent: Agent, item: ListItem) -> str | None:
    """Return the agent that has claimed the item, if it is another one than the agent that acts."""
    return item.claimant_id if item.claimant_id != agent.id else None


LIST_ITEM_COMMANDS = (
    CreateListItem,
    ClaimListItem,
    UpdateListItem,
    ReleaseListItem,
    DeleteListItem,
)
