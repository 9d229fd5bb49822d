"""The groups of sessions, of tasks, of task lists and of schedules.

The first argument is the agent that acts. With a key of the tenant, ``AgentRef()`` names none, and
reads for the whole tenant.
"""

from collections.abc import Sequence
from typing import TypeVar

from quorate.client import list_requests, schedule_requests, session_requests, task_requests
from quorate.client.operation_groups import CallerT_co, Group, Method, Pages, all_items
from quorate.client.request_builder import Request
from quorate.client.serialization import Response
from quorate.contracts.sessions.schedules import ScheduleInfo, ScheduleResult
from quorate.contracts.sessions.sessions import SessionInfo, SessionPage
from quorate.contracts.sessions.spawn import SpawnList
from quorate.contracts.sessions.task_lists import ListTask, TaskListResult
from quorate.contracts.sessions.task_models import TaskInfo

T = TypeVar("T")


def _continue(request: Request[T], field: str, position: str | int | None) -> Request[T] | None:
    return None if position is None else request.with_fields({field: position})


def _sessions_of(page: SessionPage) -> Sequence[SessionInfo]:
    return page.sessions


def _after_sessions(
    request: Request[SessionPage], response: Response[SessionPage]
) -> Request[SessionPage] | None:
    return _continue(request, "cursor", response.result.next_cursor)


def _tasks_of(page: SpawnList) -> Sequence[TaskInfo]:
    return page.tasks


def _after_tasks(
    request: Request[SpawnList], response: Response[SpawnList]
) -> Request[SpawnList] | None:
    return _continue(request, "cursor", response.result.cursor)


def _items_of(page: TaskListResult) -> Sequence[ListTask]:
    return page.tasks or ()


def _after_items(
    request: Request[TaskListResult], response: Response[TaskListResult]
) -> Request[TaskListResult] | None:
    return _continue(request, "after", response.result.next)


def _schedules_of(page: ScheduleResult) -> Sequence[ScheduleInfo]:
    return page.schedules or ()


def _after_schedules(
    request: Request[ScheduleResult], response: Response[ScheduleResult]
) -> Request[ScheduleResult] | None:
    return _continue(request, "after", response.result.next)


class Sessions(Group[CallerT_co]):
    """Create, read, search and delete sessions; ``Agent.sessions`` also waits for messages."""

    list = Method(session_requests.list_sessions)
    iterate = Pages(session_requests.list_sessions, _sessions_of, _after_sessions)
    list_all = Method(session_requests.list_all_sessions)
    iterate_all = all_items(session_requests.list_all_sessions)
    history = Method(session_requests.read_history)
    search = Method(session_requests.search_sessions)
    send = Method(session_requests.send_message)
    create = Method(session_requests.create_session)
    branch = Method(session_requests.branch_session)
    delete = Method(session_requests.delete_session)
    state = Method(session_requests.session_state)
    erase_message = Method(session_requests.erase_message)


class Tasks(Group[CallerT_co]):
    """Hand over tasks, follow them, and work on them. Nothing renews a claim in the background."""

    spawn = Method(task_requests.spawn)
    status = Method(task_requests.status)
    result = Method(task_requests.result)
    cancel = Method(task_requests.cancel)
    list = Method(task_requests.list_tasks)
    iterate = Pages(task_requests.list_tasks, _tasks_of, _after_tasks)
    get = Method(task_requests.get)
    artifact = Method(task_requests.get_artifact)
    answer = Method(task_requests.answer)
    dead_letters = Method(task_requests.list_dead_letters)
    iterate_dead_letters = all_items(task_requests.list_dead_letters)
    list_by_state = Method(task_requests.list_by_state)
    iterate_by_state = all_items(task_requests.list_by_state)
    retry = Method(task_requests.retry)
    claim = Method(task_requests.claim)
    renew = Method(task_requests.renew)
    progress = Method(task_requests.progress)
    add_artifact = Method(task_requests.add_artifact)
    request_input = Method(task_requests.request_input)
    complete = Method(task_requests.complete)
    fail = Method(task_requests.fail)
    release = Method(task_requests.release)


class TaskLists(Group[CallerT_co]):
    """Read task lists; ``call`` does any action. ``list`` returns one page of ``tasks``."""

    list = Method(list_requests.list_items)
    iterate = Pages(list_requests.list_items, _items_of, _after_items)
    list_all = Method(list_requests.list_all_items)
    iterate_all = all_items(list_requests.list_all_items)
    list_ids = Method(list_requests.list_lists)
    get = Method(list_requests.get_item)
    call = Method(list_requests.task_list)


class Schedules(Group[CallerT_co]):
    """Read schedules; ``call`` does any action. ``list`` returns one page of ``schedules``."""

    list = Method(schedule_requests.list_schedules)
    iterate = Pages(schedule_requests.list_schedules, _schedules_of, _after_schedules)
    list_all = Method(schedule_requests.list_all_schedules)
    iterate_all = all_items(schedule_requests.list_all_schedules)
    get = Method(schedule_requests.get_schedule)
    call = Method(schedule_requests.schedule)
