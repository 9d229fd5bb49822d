"""Describe events and notifications of presets, tasks, task lists and schedules."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from quorate.cli.output.agent_names import Details, Names
from quorate.cli.output.mail_text import quote

Template: TypeAlias = Callable[[Details, Names], str]
NO_PRESET = "-"
_TIME_OF_DAY = slice(len("2026-03-01T"), len("2026-03-01T12:00:00"))


def _time(at: object) -> str:
    return str(at)[_TIME_OF_DAY]


def _because(details: Details) -> str:
    """Return the reason, if there is one that the verb does not say."""
    reason = details.get("reason")
    known = reason in {None, "requested", "released", "cancelled"}
    return "" if known else f": {str(reason).replace('_', ' ')}"


def _in_words(details: Details) -> str:
    """Return the text of a worker or an operator."""
    return f" ({quote(details['detail'])})" if details.get("detail") else ""


# -- Presets ---------------------------------------------------------------------


def _preset_applied(details: Details, _names: Names) -> str:
    return f"preset {details['name']} set"


def _preset_removed(details: Details, _names: Names) -> str:
    return f"preset {details['name']} removed"


# -- Tasks -----------------------------------------------------------------------


def _task(details: Details) -> str:
    return f"task {details.get('taskId') or details['task_id']}"


def _worker(details: Details, names: Names) -> str:
    return names.of(details.get("workerId") or details["worker_id"])


def _for_preset(details: Details) -> str:
    preset = details.get("preset")
    return "" if preset in {None, NO_PRESET} else f" for preset {preset}"


def _submitted(details: Details, names: Names) -> str:
    until = _time(details["timesOutAt"])
    who = names.of(details["spawnerId"])
    return f"{who} submitted {_task(details)}{_for_preset(details)} until {until}"


def _offered(details: Details, _names: Names) -> str:
    return f"{_task(details)} is offered{_for_preset(details)}"


def _claimed(details: Details, names: Names) -> str:
    until, fence = _time(details["expiresAt"]), details["fence"]
    return f"{_worker(details, names)} works on {_task(details)} until {until} (fence {fence})"


def _claim_renewed(details: Details, names: Names) -> str:
    until = _time(details["expiresAt"])
    return f"{_worker(details, names)} renewed its claim of {_task(details)} until {until}"


def _claim_ended(details: Details, names: Names) -> str:
    claim = f"claim of {_worker(details, names)} to {_task(details)}"
    return f"{claim} ended{_because(details)}{_in_words(details)}"


def _progressed(details: Details, names: Names) -> str:
    percent, message = details.get("percent"), details.get("message")
    share = "" if percent is None else f", {percent} %"
    text = f": {quote(message)}" if message else ""
    return f"{_worker(details, names)} reports on {_task(details)}{share}{text}"


def _artifact_added(details: Details, names: Names) -> str:
    return f"{_worker(details, names)} added {quote(details['name'])} to {_task(details)}"


def _input_requested(details: Details, names: Names) -> str:
    what = "an authorization" if details["kind"] == "auth" else "input"
    return f"{_worker(details, names)} needs {what} for {_task(details)}"


def _input_answered(details: Details, _names: Names) -> str:
    return f"question {details['inputId']} of {_task(details)} answered"


def _completed(details: Details, names: Names) -> str:
    return f"{_worker(details, names)} completed {_task(details)}"


def _failed(details: Details, _names: Names) -> str:
    error = f" ({quote(details['error'])})" if details.get("error") else ""
    return f"{_task(details)} failed{_because(details)}{error}"


def _canceled(details: Details, _names: Names) -> str:
    return f"{_task(details)} was cancelled{_in_words(details)}"


def _retried(details: Details, _names: Names) -> str:
    until = _time(details["timesOutAt"])
    return f"{_task(details)} is tried again until {until}{_in_words(details)}"


def _content_erased(details: Details, _names: Names) -> str:
    return f"text {details['contentId']} of {_task(details)} erased"


def _task_erased(details: Details, _names: Names) -> str:
    return f"all texts of {_task(details)} erased"


def _finished(details: Details, _names: Names) -> str:
    state = "cancelled" if details["state"] == "canceled" else details["state"]
    reason = "" if details.get("reason") in {None, state} else _because(details)
    error = f" ({quote(details['error'])})" if details.get("error") else ""
    return f"your {_task(details)} {state}{reason}{error}"


def _claim_cancelled(details: Details, _names: Names) -> str:
    return f"stop working on {_task(details)} (fence {details['fence']}){_because(details)}"


# -- Task lists --------------------------------------------------------------------


def _item_of(list_id: object, number: object, subject: object) -> str:
    return f"item {number} of list {list_id}, {quote(subject)}"


def _item(verb: str) -> Template:
    """Describe a change of an item, with the agent that made it (or the service)."""

    def describe(details: Details, names: Names) -> str:
        agent_id = details.get("agentId")
        by = "the service" if agent_id is None else names.of(agent_id)
        what = _item_of(details["listId"], details["number"], details["subject"])
        return f"{by} {verb} {what}{_because(details)}"

    return describe


def _item_changed(details: Details, names: Names) -> str:
    agent_id = details.get("by_agent_id")
    by = "the service" if agent_id is None else names.of(agent_id)
    what = _item_of(details["list_id"], details["id"], details["subject"])
    return f"{by} {details['change']} {what}{_because(details)}"


def _list(verb: str) -> Template:
    def describe(details: Details, names: Names) -> str:
        return f"{names.of(details['agentId'])} {verb} list {details['listId']}"

    return describe


# -- Schedules ---------------------------------------------------------------------


def _schedule(details: Details) -> str:
    return f"schedule {details['scheduleId']}"


def _next(details: Details) -> str:
    at = details.get("nextAt") or details.get("next_at")
    return f", next at {_date_and_time(at)}" if at else ", for the last time"


def _date_and_time(at: object) -> str:
    return str(at)[: _TIME_OF_DAY.stop].replace("T", " ")


def _schedule_created(details: Details, names: Names) -> str:
    name, who = quote(details["scheduleName"]), names.of(details["agentId"])
    return f"{who} created schedule {name} ({details['scheduleId']}){_next(details)}"


def _fired(details: Details, _names: Names) -> str:
    name = details.get("scheduleName") or details.get("name")
    id_ = details.get("scheduleId") or details["schedule_id"]
    at = _date_and_time(details.get("occurrenceAt") or details["occurrence_at"])
    which = f"{quote(name)} ({id_})" if name else id_
    return f"schedule {which} fired for {at}{_next(details)}"


def _skipped(details: Details, _names: Names) -> str:
    at = _date_and_time(details["occurrenceAt"])
    return f"{_schedule(details)} skipped {at}{_next(details)}"


def _paused(details: Details, _names: Names) -> str:
    return f"{_schedule(details)} paused{_because(details)}{_in_words(details)}"


def _resumed(details: Details, _names: Names) -> str:
    return f"{_schedule(details)} resumed{_next(details)}{_in_words(details)}"


def _schedule_deleted(details: Details, _names: Names) -> str:
    return f"{_schedule(details)} deleted"


TASK_TEMPLATES: Mapping[str, Template] = {
    "PresetApplied": _preset_applied,
    "PresetRemoved": _preset_removed,
    "TaskSubmitted": _submitted,
    "TaskOffered": _offered,
    "TaskClaimed": _claimed,
    "TaskClaimRenewed": _claim_renewed,
    "TaskClaimEnded": _claim_ended,
    "TaskProgressed": _progressed,
    "TaskArtifactAdded": _artifact_added,
    "TaskInputRequested": _input_requested,
    "TaskInputAnswered": _input_answered,
    "TaskCompleted": _completed,
    "TaskFailed": _failed,
    "TaskCanceled": _canceled,
    "TaskRetried": _retried,
    "TaskContentErased": _content_erased,
    "TaskErased": _task_erased,
    "task_offered": _offered,
    "task_progress": _progressed,
    "task_input_required": _input_requested,
    "task_finished": _finished,
    "task_cancelled": _claim_cancelled,
    "ListItemCreated": _item("created"),
    "ListItemUpdated": _item("updated"),
    "ListItemClaimed": _item("claimed"),
    "ListItemReleased": _item("released"),
    "ListItemCompleted": _item("completed"),
    "ListItemDeleted": _item("deleted"),
    "TaskListFollowed": _list("follows"),
    "TaskListUnfollowed": _list("no longer follows"),
    "TaskListDeleted": _list("deleted"),
    "list_item_changed": _item_changed,
    "ScheduleCreated": _schedule_created,
    "ScheduleFired": _fired,
    "ScheduleSkipped": _skipped,
    "SchedulePaused": _paused,
    "ScheduleResumed": _resumed,
    "ScheduleDeleted": _schedule_deleted,
    "schedule_fired": _fired,
}
