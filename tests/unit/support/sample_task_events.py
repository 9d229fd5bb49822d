"""Sample events of tasks, task lists and schedules: all that the golden files have of them."""

import json

from quorate.domain.sessions.list_items import LIST_ITEMS
from quorate.domain.sessions.schedules import SCHEDULES
from quorate.domain.sessions.task_lists import TASK_LISTS
from quorate.domain.sessions.tasks import TASKS
from quorate.domain.shared.aggregates import Event
from quorate.eventlog.serialization import VERSIONS, decode, read
from tests.support.paths import GOLDEN_EVENTS

_TYPES = {
    event.__name__
    for aggregate in (TASKS, TASK_LISTS, LIST_ITEMS, SCHEDULES)
    for event in aggregate.events
}
# Workers learn of a task by its offer, and the spawner by progress, questions and the end.
SILENT_TYPES = {
    "TaskClaimed",
    "TaskClaimRenewed",
    "TaskArtifactAdded",
    "TaskInputAnswered",
    "TaskRetried",
    "TaskContentErased",
    "TaskErased",
    "TaskListFollowed",
    "TaskListUnfollowed",
    "TaskListDeleted",
    "ScheduleCreated",
    "ScheduleSkipped",
    "SchedulePaused",
    "ScheduleResumed",
    "ScheduleDeleted",
}


def _golden_events() -> tuple[Event, ...]:
    lines = (GOLDEN_EVENTS / "log.3.jsonl").read_bytes().splitlines()
    entries = [json.loads(line) for line in lines]
    of_log = [
        read(entry["type"], entry["version"], entry["data"])
        for entry in entries
        if entry.get("type") in _TYPES
    ]
    files = {type_: GOLDEN_EVENTS / f"{type_}.v{VERSIONS[type_]}.json" for type_ in sorted(_TYPES)}
    of_files = [decode(type_, VERSIONS[type_], file.read_bytes()) for type_, file in files.items()]
    return (*of_log, *of_files)


EVENTS = _golden_events()
SILENT = tuple(one for one in EVENTS if type(one).__name__ in SILENT_TYPES)
NOTIFYING = tuple(one for one in EVENTS if type(one).__name__ not in SILENT_TYPES)
