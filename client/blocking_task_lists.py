"""Synchronous variants of ``agent.tasks`` and ``agent.schedules``."""

from quorate.client import schedules, task_lists
from quorate.client.sync_proxy import Method, SyncProxy, iterate, run


class TaskLists(SyncProxy):
    """The task lists of a connected agent: ``agent.tasks``."""

    _target: task_lists.TaskLists

    create = run(task_lists.TaskLists.create)
    list = run(task_lists.TaskLists.list)
    list_ids = run(task_lists.TaskLists.list_ids)
    get = run(task_lists.TaskLists.get)
    claim = run(task_lists.TaskLists.claim)
    release = run(task_lists.TaskLists.release)
    complete = run(task_lists.TaskLists.complete)
    update = run(task_lists.TaskLists.update)
    delete = run(task_lists.TaskLists.delete)
    delete_list = run(task_lists.TaskLists.delete_list)
    follow = run(task_lists.TaskLists.follow)
    unfollow = run(task_lists.TaskLists.unfollow)
    changes = Method(task_lists.TaskLists.changes, iterate)


class Schedules(SyncProxy):
    """The schedules of a connected agent: ``agent.schedules``."""

    _target: schedules.Schedules

    create = run(schedules.Schedules.create)
    list = run(schedules.Schedules.list)
    get = run(schedules.Schedules.get)
    pause = run(schedules.Schedules.pause)
    resume = run(schedules.Schedules.resume)
    delete = run(schedules.Schedules.delete)
    run_now = run(schedules.Schedules.run_now)
