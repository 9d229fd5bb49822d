"""Task lists: work items that several agents share, claim one at a time, and complete."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from quorate.application.execution import Service
from quorate.application.operations import Call, Reply
from quorate.application.rendering import Json, dump, renderer
from quorate.application.sessions.tool_calls import ToolCaller, handles_tool
from quorate.contracts.sessions.task_lists import ALL_LISTS, TASK_LIST, ListTask, TaskListInput
from quorate.domain.identity.agents import ActingAsAnother, name_key
from quorate.domain.sessions.list_item_commands import (
    NUMBER,
    ClaimListItem,
    CreateListItem,
    DeleteListItem,
    ItemRef,
    ReleaseListItem,
    UpdateListItem,
)
from quorate.domain.sessions.list_items import STATUSES, ListItem, Status, item_address
from quorate.domain.sessions.parameters import MissingParameter
from quorate.domain.sessions.task_lists import (
    LIST_ID,
    LIST_ID_DEFAULT,
    BlockerNotFound,
    Blockers,
    DeleteTaskList,
    FollowTaskList,
    UnfollowTaskList,
    UnknownListAction,
    UnknownTaskStatus,
    policy_key,
)
from quorate.domain.shared.timestamps import Timestamp
from quorate.projections.snapshots import Size

Action: TypeAlias = Callable[[Service, Call, ToolCaller], Awaitable[Reply]]
_SESSION_OF_AGENT = "agent:"
render_item = renderer(
    ListTask,
    ListItem,
    id=lambda item: str(item.number),
    item_id="id",
    owner="owner_name",
    blocked_by=lambda item: [str(one) for one in item.blocked_by],
)


@handles_tool(TASK_LIST)
async def task_list(service: Service, call: Call, caller: ToolCaller) -> Reply:
    action = _ACTIONS.get(call.body.action)
    if action is None:
        raise UnknownListAction(call.body.action)
    return await action(service, call, caller)


# -- Parameters ----------------------------------------------------------------


def _list_id(body: TaskListInput) -> str:
    """Return the list of an action on one list."""
    if body.list_id == ALL_LISTS:
        raise MissingParameter("list_id")
    return body.list_id or LIST_ID_DEFAULT


def _item_ref(body: TaskListInput) -> ItemRef:
    if body.id is None:
        raise MissingParameter("id")
    return ItemRef(id=body.id, list_id=_list_id(body))


def _status(body: TaskListInput) -> Status | None:
    if body.status is None:
        return None
    for status in STATUSES:
        if status == body.status:
            return status
    raise UnknownTaskStatus(body.status)


def _blockers(body: TaskListInput) -> Blockers | None:
    if body.blocked_by is None:
        return None
    for one in body.blocked_by:
        if NUMBER.fullmatch(one) is None:
            raise BlockerNotFound(one)
    return tuple(dict.fromkeys(int(one) for one in body.blocked_by))


def _owner_name(body: TaskListInput) -> str | None:
    """Return the agent in ``owner``: a name, or the key of one of its sessions."""
    if body.owner is None or not body.owner.startswith(_SESSION_OF_AGENT):
        return body.owner
    return body.owner.removeprefix(_SESSION_OF_AGENT).partition(":")[0]


def _common(caller: ToolCaller, body: TaskListInput) -> dict[str, Any]:
    """Return the fields of each command on an item."""
    caller.require_agent()
    return {
        "caller": caller.principal,
        "agent": caller.agent,
        "restrictions": caller.restrictions,
        "item": _item_ref(body),
        "expected_version": body.expected_version,
    }


def _task(item: ListItem) -> bytes:
    return dump({"ok": True, "task": render_item(item)})


# -- Changes -------------------------------------------------------------------


async def _create(service: Service, call: Call, caller: ToolCaller) -> Reply:
    body: TaskListInput = call.body
    if body.subject is None:
        raise MissingParameter("subject")
    caller.require_agent()
    command = CreateListItem(
        caller=caller.principal,
        agent=caller.agent,
        restrictions=caller.restrictions,
        list_id=_list_id(body),
        subject=body.subject,
        description=body.description or "",
        blocked_by=_blockers(body) or (),
        new_item_id=service.prefixed_id("item_"),
        count=await service.sessions.lists.count(caller.principal.tenant),
    )
    return await service.execute(call, command, _task)


async def _update(service: Service, call: Call, caller: ToolCaller) -> Reply:
    body: TaskListInput = call.body
    command = UpdateListItem(
        **_common(caller, body),
        status=_status(body),
        subject=body.subject,
        description=body.description,
        owner_name=_owner_name(body),
        blocked_by=_blockers(body),
    )
    return await service.execute(call, command, _task)


async def _claim(service: Service, call: Call, caller: ToolCaller) -> Reply:
    fields = _common(_claimant(caller, _owner_name(call.body)), call.body)
    return await service.execute(call, ClaimListItem(**fields), _task)


def _claimant(caller: ToolCaller, owner: str | None) -> ToolCaller:
    """Return the caller; an agent claims for itself, whatever it calls itself."""
    principal = caller.principal
    own = principal.agent_name or caller.agent.name
    if owner is None or (own is not None and name_key(owner) == name_key(own)):
        return caller
    raise ActingAsAnother(caller.require_agent())


async def _release(service: Service, call: Call, caller: ToolCaller) -> Reply:
    return await service.execute(call, ReleaseListItem(**_common(caller, call.body)), _task)


async def _delete(service: Service, call: Call, caller: ToolCaller) -> Reply:
    body: TaskListInput = call.body
    done = dump({"ok": True, "deleted": True})
    if body.id is not None:
        command: Any = DeleteListItem(**_common(caller, body))
        return await service.execute(call, command, lambda _: done)
    if body.list_id is None:
        raise MissingParameter("id")
    return await service.execute(call, _of_list(DeleteTaskList, caller, body), lambda _: done)


def _of_list(command: Any, caller: ToolCaller, body: TaskListInput, **more: Any) -> Any:  # noqa: ANN401 - a command on a list.
    caller.require_agent()
    return command(
        caller=caller.principal,
        agent=caller.agent,
        restrictions=caller.restrictions,
        list_id=_list_id(body),
        **more,
    )


def _following(body: TaskListInput, *, following: bool) -> bytes:
    return dump({"ok": True, "list_id": _list_id(body), "following": following})


async def _follow(service: Service, call: Call, caller: ToolCaller) -> Reply:
    count = await service.sessions.lists.count(caller.principal.tenant)
    command = _of_list(FollowTaskList, caller, call.body, count=count)
    done = _following(call.body, following=True)
    return await service.execute(call, command, lambda _: done)


async def _unfollow(service: Service, call: Call, caller: ToolCaller) -> Reply:
    command = _of_list(UnfollowTaskList, caller, call.body)
    done = _following(call.body, following=False)
    return await service.execute(call, command, lambda _: done)


# -- Queries -------------------------------------------------------------------


async def _list(service: Service, call: Call, caller: ToolCaller) -> Reply:
    """Answer one page, limited in items and in bytes."""
    body: TaskListInput = call.body
    tenant = caller.principal.tenant
    list_id = None if body.list_id in {None, ALL_LISTS} else body.list_id
    if list_id is not None:
        creator = await service.sessions.lists.creator(tenant, list_id)
        caller.access.check_visible(policy_key(list_id), creator)
    after = parse_cursor(body.after or "")
    items: list[bytes] = []

    def add(item: ListItem, _now: Timestamp) -> int:
        items.append(dump(render_item(item)))
        return len(items[-1]) + 1

    size = Size(of=add, bytes_max=call.page_bytes_max)
    async with service.read_budget.turn(caller.principal):
        page = await service.sessions.lists.page(
            *(tenant, caller.access, list_id, _status(body), after, body.limit, size)
        )
    service.read_budget.charge(caller.principal, sum(map(len, items)))
    last = page.found[-1] if page.has_more else None
    following = dump(None if last is None else list_cursor(last))
    head = b'{"ok":true,"tasks":[%b],"count":%d,"next":%b}'
    return Reply(body=head % (b",".join(items), len(items), following), sequence=page.sequence)


def list_cursor(item: ListItem) -> str:
    return f"{item.list_id}/{item.number}"


def parse_cursor(cursor: str) -> str:
    """Return the address after which a page begins; a cursor is ``list/number``."""
    list_id, _, number = cursor.partition("/")
    if LIST_ID.fullmatch(list_id) is None or NUMBER.fullmatch(number) is None:
        return ""
    return item_address(list_id, int(number))


async def _list_lists(service: Service, _call: Call, caller: ToolCaller) -> Reply:
    found = await service.sessions.lists.visible(caller.principal.tenant, caller.access)
    answer: Json = {"ok": True, "list_ids": list(found.found), "count": len(found.found)}
    return Reply(body=dump(answer), sequence=found.sequence)


async def _get(service: Service, call: Call, caller: ToolCaller) -> Reply:
    ref = _item_ref(call.body)
    result = await service.sessions.lists.item(caller.principal.tenant, ref)
    item = result.found.item
    list_id = ref.list_id if item is None else item.list_id
    if item is not None or ref.is_number:
        caller.access.check_visible(policy_key(list_id), result.found.creator_id)
    answer: Json = {"ok": item is not None, "task": None if item is None else render_item(item)}
    return Reply(body=dump(answer), sequence=result.sequence)


_ACTIONS: Mapping[str, Action] = {
    "create": _create,
    "list": _list,
    "list_lists": _list_lists,
    "get": _get,
    "update": _update,
    "claim": _claim,
    "release": _release,
    "delete": _delete,
    "follow": _follow,
    "unfollow": _unfollow,
}
