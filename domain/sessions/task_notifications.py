"""Notifications of tasks: offers to all agents, progress to the spawner, the end to both sides.

* Any agent may work, so an offer is for all, as a proposal is. It names the task and its preset,
  and nothing of its text. A worker that waits for a claim needs no offer.
* Their data have snake_case names. No notification has a text of the task, but for the short ones
  that are in the log.
"""

from collections.abc import Sequence
from typing import Any

from quorate.domain.shared.notifications import (
    Data,
    Notification,
    Rule,
    Rules,
    ToAgent,
    ToAll,
)

_OFFERED, _PROGRESS, _FINISHED = "task_offered", "task_progress", "task_finished"
_CANCELLED, _INPUT = "task_cancelled", "task_input_required"


def _to(agent_id: str, name: str, data: Data) -> Notification:
    return Notification(audience=ToAgent(agent_id=agent_id), name=name, data=data)


def _offered(data: Data) -> Sequence[Notification]:
    offer = {"task_id": data["taskId"], "preset": data["preset"]}
    return [Notification(audience=ToAll(), name=_OFFERED, data=offer)]


def _progressed(data: Data) -> Sequence[Notification]:
    progress = {
        "task_id": data["taskId"],
        "worker_id": data["workerId"],
        "percent": data.get("percent"),
        "message": data.get("message"),
        "output_id": data.get("contentId"),
    }
    return [_to(data["spawnerId"], _PROGRESS, progress)]


def _asked(data: Data) -> Sequence[Notification]:
    question = {
        "task_id": data["taskId"],
        "worker_id": data["workerId"],
        "input_id": data["contentId"],
        "kind": data["kind"],
    }
    return [_to(data["spawnerId"], _INPUT, question)]


def _stop(data: Data, reason: str) -> Notification:
    stop = {"task_id": data["taskId"], "fence": data["fence"], "reason": reason}
    return _to(data["workerId"], _CANCELLED, stop)


def _claim_ended(data: Data) -> Sequence[Notification]:
    """Notify a worker from which an operator took the task; other ends are its own, or of it."""
    return [_stop(data, "requeued")] if data["reason"] == "operator" else []


def _finished(state: str) -> Rule:
    """Notify the spawner; and the worker that has the task, if it ends without its doing."""

    def notify(data: Data) -> Sequence[Notification]:
        reason = data.get("reason")
        exact = "rejected" if reason == "rejected" else state
        ended: dict[str, Any] = {
            "task_id": data["taskId"],
            "state": exact,
            "reason": reason,
            "error": data.get("error") or data.get("detail"),
        }
        found = [_to(data["spawnerId"], _FINISHED, ended)]
        worker_id = data.get("workerId")
        is_by_worker = state == "completed" or reason in {"failed", "rejected"}
        if worker_id is not None and not is_by_worker:
            found.append(_stop(data, reason or "cancelled"))
        return found

    return Rule(names=(_FINISHED, _CANCELLED), notify=notify)


RULES: Rules = {
    "TaskSubmitted": Rule(names=(_OFFERED,), notify=_offered),
    "TaskOffered": Rule(names=(_OFFERED,), notify=_offered),
    "TaskClaimEnded": Rule(names=(_CANCELLED,), notify=_claim_ended),
    "TaskProgressed": Rule(names=(_PROGRESS,), notify=_progressed, to="spawnerId"),
    "TaskInputRequested": Rule(names=(_INPUT,), notify=_asked, to="spawnerId"),
    "TaskCompleted": _finished("completed"),
    "TaskFailed": _finished("failed"),
    "TaskCanceled": _finished("canceled"),
}
