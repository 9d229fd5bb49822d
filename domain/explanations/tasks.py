"""Accounts of tasks and of claims on them."""

from collections.abc import Mapping, Sequence
from typing import Any

from quorate.domain.coordination.leases import BY_OPERATOR
from quorate.domain.explanations.causes import replay
from quorate.domain.explanations.coordination import follow_departure
from quorate.domain.explanations.deadlines import due
from quorate.domain.explanations.records import Account, History, LoggedEvent, Possible
from quorate.domain.identity.agents import AgentRef, acting
from quorate.domain.sessions.presets import Restrictions
from quorate.domain.sessions.task_claims import FailTask, ReleaseClaim, held_task
from quorate.domain.sessions.task_events import (
    ENDED_BY,
    TaskCanceled,
    TaskClaimEnded,
    TaskCompleted,
    TaskContentErased,
    TaskErased,
    TaskFailed,
)
from quorate.domain.sessions.task_nesting import CancelNestedTasks
from quorate.domain.sessions.task_operators import CancelAnyTask, RequeueTask
from quorate.domain.sessions.task_spawning import CancelTask
from quorate.domain.sessions.tasks import TASKS, claim_ended, of_claim
from quorate.domain.shared.records import changed
from quorate.domain.shared.state import TenantState

NESTED = "nested"  # A reason of a cancel, which has no field for it.


def _completed(history: History, decision: LoggedEvent) -> Sequence[Any]:
    """Ask for the claim again. What the result says is in its own event, as it was reported."""
    event: TaskCompleted = decision.event
    state = replay(history)
    worker = acting(decision.caller, AgentRef(id=event.worker_id), state)
    task = held_task(state, event.task_id, worker, event.fence)
    return (changed(event, **of_claim(task)),)


def _failed(history: History, decision: LoggedEvent) -> Sequence[Any]:
    event: TaskFailed = decision.event
    if event.reason == "timed_out":
        return due(TASKS, event.task_id, history, decision)
    if event.reason == "dead_letter":
        return _last_attempt(history, decision)
    assert event.worker_id is not None
    assert event.fence is not None
    command = FailTask(
        caller=decision.caller,
        agent=AgentRef(id=event.worker_id),
        task_id=event.task_id,
        fence=event.fence,
        error=event.error,
        outcome=event.reason,
    )
    return command.decide(replay(history), decision.context)


def _last_attempt(history: History, decision: LoggedEvent) -> Sequence[Any]:
    """End the last claim again: the task has no attempts left."""
    ends = [
        (at, one)
        for at, one in enumerate(history)
        if isinstance(one.event, TaskClaimEnded)
        and one.event.task_id == decision.event.task_id
        and one.command_id == decision.command_id
    ]
    if not ends:
        return ()
    at, ended = ends[-1]
    task = replay(history[:at])[TASKS][ended.event.task_id]
    return claim_ended(task, ended.event.reason, ended.at, ended.event.detail)


def _canceled(history: History, decision: LoggedEvent) -> Sequence[Any]:
    event: TaskCanceled = decision.event
    state = replay(history)
    if event.parent_id is not None:
        command = CancelNestedTasks(parent_id=event.parent_id, task_ids=(event.task_id,))
        return command.decide(state, decision.context)
    if event.detail is not None:
        return CancelAnyTask(task_id=event.task_id, detail=event.detail).decide(
            state, decision.context
        )
    is_own = decision.actor == event.spawner_id
    request = CancelTask(
        caller=decision.caller,
        agent=AgentRef(id=event.spawner_id) if is_own else AgentRef(),
        restrictions=Restrictions(),
        task_id=event.task_id,
    )
    return request.decide(state, decision.context)


def _canceler(event: TaskCanceled) -> str:
    if event.parent_id is not None:
        return NESTED
    return "" if event.detail is None else BY_OPERATOR


def _claim_ended(history: History, decision: LoggedEvent) -> Sequence[Any]:
    event: TaskClaimEnded = decision.event
    if event.reason in ENDED_BY.values():
        return follow_departure(history, decision, event.worker_id)
    if event.reason == "expired":
        return due(TASKS, event.task_id, history, decision)
    return _given_back(event, replay(history), decision)


def _given_back(event: TaskClaimEnded, state: TenantState, decision: LoggedEvent) -> Sequence[Any]:
    if event.reason == BY_OPERATOR:
        requeue = RequeueTask(task_id=event.task_id, detail=event.detail or "")
        return requeue.decide(state, decision.context)
    claim: dict[str, Any] = {
        "caller": decision.caller,
        "agent": AgentRef(id=event.worker_id),
        "task_id": event.task_id,
        "fence": event.fence,
    }
    if event.reason == "released":
        return ReleaseClaim(**claim).decide(state, decision.context)
    failing = FailTask(**claim, error=event.detail or "", outcome="retry")
    return failing.decide(state, decision.context)


def _erased(history: History, decision: LoggedEvent) -> Sequence[Any]:
    return [
        one
        for one in due(TASKS, decision.event.task_id, history, decision)
        if one == decision.event
    ]


_SUBMIT = Possible(action="Submit the work as another task", when="at any time")
_RESULT = Possible(
    action="Read the result: quorate call spawnResult", when="until the task is erased"
)

ACCOUNTS: Mapping[type[Any], Account] = {
    TaskCompleted: Account(
        rules={"": "A task ends with the result of the worker that has its claim."},
        decision=_completed,
        possible=(_RESULT,),
    ),
    TaskFailed: Account(
        rules={
            "": "A task fails when its worker says so.",
            "rejected": "A task is rejected when its worker says that it cannot do it.",
            "timed_out": "A task fails when its time is over, with or without a worker.",
            "dead_letter": "A task fails as a dead letter when its last attempt ends.",
        },
        decision=_failed,
        possible=(
            Possible(
                action="Offer the task again: quorate call retryTask",
                when="while it is a dead letter and is not erased",
            ),
            _SUBMIT,
        ),
    ),
    TaskCanceled: Account(
        rules={
            "": "A task ends when its spawner or the tenant's key cancels it.",
            NESTED: "A task is canceled when the task in whose run it was submitted ends without a"
            " result.",
            BY_OPERATOR: "A task ends when an operator cancels it.",
        },
        decision=_canceled,
        reason=_canceler,
        possible=(_SUBMIT,),
    ),
    TaskClaimEnded: Account(
        rules={
            "": "A claim ends when its worker gives the task back.",
            "expired": "A claim ends at its expiry time, unless it is renewed before.",
            "failed": "A claim ends when its worker reports that the attempt failed.",
            BY_OPERATOR: "A claim ends when an operator takes the task from its worker. The attempt"
            " does not count.",
            "agent_inactive": "The claims of a worker end when its heartbeats stop, or an operator"
            " deactivates it.",
            "agent_deregistered": "The claims of a worker end when it deregisters.",
        },
        decision=_claim_ended,
        possible=(
            Possible(action="Claim the task again", when="when it is offered, at its retry time"),
        ),
    ),
    TaskContentErased: Account(
        rules={"": "The texts of a task are erased when its retention time is over."},
        decision=_erased,
        possible=(_SUBMIT,),
    ),
    TaskErased: Account(
        rules={"": "A task is erased when its retention time is over."},
        decision=_erased,
        possible=(_SUBMIT,),
    ),
}
