"""Check a log: each task ended once, and only the holder of its claim completed it.

* A claim begins with ``TaskClaimed`` and ends with ``TaskClaimEnded`` or with its task.
* The actor of a report is the agent that sent it. Without fences, a worker that lost its claim
  would complete the task of another one: the log names both.
* A result names the claim under which it was made. Without fences, a process that lost its claim
  would complete the task for another process of the same agent: the result names another claim
  than the log.
"""

from collections.abc import Iterable, Mapping
from typing import Any

_REPORTS = frozenset({"TaskProgressed", "TaskArtifactAdded", "TaskCompleted", "TaskClaimRenewed"})
_ENDS = frozenset({"TaskCompleted", "TaskFailed", "TaskCanceled"})


def check_results(events: Iterable[Mapping[str, Any]], results: Mapping[str, int]) -> list[str]:
    """Return what is wrong with the results; ``results`` has the fence in each, by task."""
    faults: list[str] = []
    completed: dict[str, int] = {}
    for event in events:
        if event["type"] == "TaskCompleted":
            task_id = event["data"]["taskId"]
            if task_id in completed:
                faults.append(f"{task_id} was completed twice")
            completed[task_id] = event["data"]["fence"]
    for task_id, fence in results.items():
        if completed.get(task_id) != fence:
            found = completed.get(task_id)
            faults.append(f"{task_id} has the result of claim {fence}, completed was {found}")
    return faults + [f"{one} was not handed over" for one in completed.keys() - results.keys()]


def check_tasks(events: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return what is wrong, a sentence for each event."""
    faults: list[str] = []
    claims: dict[str, tuple[int, str]] = {}  # By task: the fence and the worker.
    fences: dict[str, int] = {}
    ended: dict[str, str] = {}
    for event in events:
        type_, data = event["type"], event["data"]
        if not type_.startswith("Task"):
            continue
        task_id = data["taskId"]
        where = f"event {event['sequence']}, {type_} of {task_id}"
        if type_ == "TaskRetried":  # A dead letter begins again.
            ended.pop(task_id, None)
        if task_id in ended and type_ not in {"TaskErased", "TaskContentErased"}:
            faults.append(f"{where}: after {ended[task_id]}")
        if type_ == "TaskClaimed":
            if task_id in claims:
                faults.append(f"{where}: it has a claim")
            if data["fence"] <= fences.get(task_id, 0):
                faults.append(f"{where}: the fence is not greater")
            claims[task_id] = (data["fence"], data["workerId"])
            fences[task_id] = data["fence"]
        if type_ in _REPORTS:
            if claims.get(task_id) != (data["fence"], data["workerId"]):
                faults.append(f"{where}: not of the present claim")
            elif event["actor"] != data["workerId"]:
                faults.append(f"{where}: by {event['actor']}, claimed by {data['workerId']}")
        if type_ == "TaskClaimEnded" or type_ in _ENDS:
            claims.pop(task_id, None)
        if type_ in _ENDS:
            ended[task_id] = type_
    return faults
