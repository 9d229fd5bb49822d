"""The task lists of a connected agent: ``agent.tasks``.

* A task is given by its number in ``list_id``, by its ``item_id``, or as it was received. One that
  was received names its list itself.
* Claims end when the agent times out. The SDK sends heartbeats, so a claim lasts while the agent's
  block runs.
"""

from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from quorate.client import list_requests
from quorate.client.agent_context import AgentContext
from quorate.client.notifications import NotificationFeed
from quorate.client.request_builder import Request
from quorate.contracts.sessions.task_lists import ListTask, TaskListResult
from quorate.domain.sessions.list_items import Status
from quorate.domain.sessions.list_notifications import LIST_ITEM_CHANGED
from quorate.domain.sessions.task_lists import LIST_ID_DEFAULT

if TYPE_CHECKING:
    from quorate.contracts.notifications import Gap, ListItemChanged

TaskOrId: TypeAlias = ListTask | str | int


def item_id(task: TaskOrId) -> str:
    return task.item_id if isinstance(task, ListTask) else str(task)


class TaskLists:
    """The task lists of an agent. Its methods raise the exceptions of ``Agent``."""

    def __init__(self, context: AgentContext, feed: NotificationFeed) -> None:
        self._context = context
        self._feed = feed

    async def create(
        self,
        subject: str,
        description: str = "",
        *,
        list_id: str = LIST_ID_DEFAULT,
        blocked_by: Sequence[TaskOrId] = (),
    ) -> ListTask:
        """Add a pending task. ``blocked_by`` are tasks of the same list."""
        return await self._task(
            "create",
            subject=subject,
            description=description,
            list_id=list_id,
            blocked_by=_numbers(blocked_by),
        )

    async def list(
        self, list_id: str | None = None, *, status: Status | None = None
    ) -> Sequence[ListTask]:
        """Return the tasks of one list, or of all lists, by list and number."""
        found: list[ListTask] = []
        after: str | None = None
        while True:
            page = await self._send(
                list_requests.list_items(
                    self._context.agent_ref, list_id, status=status, after=after
                )
            )
            found += page.tasks or ()
            after = page.next
            if after is None:
                return found

    async def list_ids(self) -> Sequence[str]:
        """Return the ids of the task lists that the agent may see."""
        request = list_requests.list_lists(self._context.agent_ref)
        return (await self._send(request)).list_ids or ()

    async def get(self, task: TaskOrId, *, list_id: str = LIST_ID_DEFAULT) -> ListTask | None:
        """Return a task, or None if there is none."""
        request = list_requests.get_item(self._context.agent_ref, item_id(task), list_id)
        return (await self._send(request)).task

    async def claim(
        self,
        task: TaskOrId,
        *,
        list_id: str = LIST_ID_DEFAULT,
        expected_version: int | None = None,
    ) -> ListTask:
        """Claim a pending task for the agent.

        Raises ListItemNotClaimableError, ListItemBlockedError and VersionMismatchError.
        """
        return await self._change("claim", task, list_id, expected_version)

    async def release(
        self,
        task: TaskOrId,
        *,
        list_id: str = LIST_ID_DEFAULT,
        expected_version: int | None = None,
    ) -> ListTask:
        """Make a claimed task pending again."""
        return await self._change("release", task, list_id, expected_version)

    async def complete(
        self,
        task: TaskOrId,
        *,
        list_id: str = LIST_ID_DEFAULT,
        expected_version: int | None = None,
    ) -> ListTask:
        """Complete a task that the agent has claimed."""
        status: Status = "completed"
        return await self._change("update", task, list_id, expected_version, status=status)

    async def update(
        self,
        task: TaskOrId,
        *,
        list_id: str = LIST_ID_DEFAULT,
        subject: str | None = None,
        description: str | None = None,
        status: Status | None = None,
        owner: str | None = None,
        blocked_by: Sequence[TaskOrId] | None = None,
        expected_version: int | None = None,
    ) -> ListTask:
        """Change what is given. ``owner`` hands the task over to the agent with this name."""
        return await self._change(
            "update",
            task,
            list_id,
            expected_version,
            subject=subject,
            description=description,
            status=status,
            owner=owner,
            blocked_by=None if blocked_by is None else _numbers(blocked_by),
        )

    async def delete(
        self,
        task: TaskOrId,
        *,
        list_id: str = LIST_ID_DEFAULT,
        expected_version: int | None = None,
    ) -> None:
        """Delete a task. Raises ListItemBlocksError if it blocks others."""
        given = {"id": item_id(task), "list_id": list_id, "expected_version": expected_version}
        await self._ask("delete", **given)

    async def delete_list(self, list_id: str) -> None:
        """Delete an empty list. Raises TaskListNotEmptyError."""
        await self._ask("delete", list_id=list_id)

    async def follow(self, list_id: str = LIST_ID_DEFAULT) -> None:
        """Have the agent notified of each change of a list, until it unfollows the list."""
        await self._ask("follow", list_id=list_id)

    async def unfollow(self, list_id: str = LIST_ID_DEFAULT) -> None:
        await self._ask("unfollow", list_id=list_id)

    def changes(
        self, list_id: str = LIST_ID_DEFAULT, *, after: int | None = None
    ) -> "AsyncGenerator[ListItemChanged | Gap, None]":
        """Follow a list, and yield each change from now on, or after the sequence ``after``.

        Yields a ``Gap`` in place of notifications that are no longer kept: list the tasks then.
        """
        return self._changes(list_id, self._feed.cursor if after is None else after)

    async def _changes(
        self, list_id: str, position: int
    ) -> "AsyncGenerator[ListItemChanged | Gap, None]":
        await self.follow(list_id)
        from quorate.contracts.notifications import Gap, ListItemChanged  # noqa: PLC0415 - heavy.

        async for notification in self._feed.notifications(position):
            if notification.is_gap:
                assert isinstance(notification.data, Gap)
                yield notification.data
            elif notification.name == LIST_ITEM_CHANGED:
                changed = notification.data
                if isinstance(changed, ListItemChanged) and changed.list_id == list_id:
                    yield changed

    async def _change(
        self,
        action: str,
        task: TaskOrId,
        list_id: str,
        expected_version: int | None,
        **fields: Any,  # noqa: ANN401 - fields of the input.
    ) -> ListTask:
        given = {"id": item_id(task), "list_id": list_id, "expected_version": expected_version}
        return await self._task(action, **given, **fields)

    async def _task(self, action: str, **fields: Any) -> ListTask:  # noqa: ANN401 - as above.
        task = (await self._ask(action, **fields)).task
        assert task is not None
        return task

    async def _ask(self, action: str, **fields: Any) -> TaskListResult:  # noqa: ANN401 - as above.
        return await self._send(list_requests.task_list(self._context.agent_ref, action, **fields))

    async def _send(self, request: Request[TaskListResult]) -> TaskListResult:
        response, _ = await self._context.send_as_active(request)
        return response.result


def _numbers(tasks: Sequence[TaskOrId]) -> list[str]:
    return [one.id if isinstance(one, ListTask) else str(one) for one in tasks]
