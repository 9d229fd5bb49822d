"""Operators cancel tasks, and take them from their workers, each with a reason and once."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.domain.registry import notifications_of
from quorate.domain.sessions.task_events import TaskCanceled, TaskClaimEnded, TaskOffered
from quorate.domain.sessions.task_operators import CancelAnyTask, RequeueTask, TaskEnded
from quorate.domain.sessions.task_states import Task
from quorate.domain.sessions.tasks import TASKS, StaleFence, TaskNotFound
from quorate.eventlog.serialization import encode
from tests.unit.sessions.sample_tasks import cancel, claim, complete, fail, renew, spawn
from tests.unit.support.sample_commands import id_of, register
from tests.unit.support.specification import NOON, Scenario

CANCEL = CancelAnyTask(task_id="one", detail="Out of date")
REQUEUE = RequeueTask(task_id="one", detail="The worker hangs")


def claimed() -> tuple[Scenario, int]:
    """Return a scenario in which bob has ann's task, and the fence of his claim."""
    found = Scenario(window=10_000_000)
    for name in ("ann", "bob", "cat"):
        found.execute(register(name), NOON)
    found.execute(spawn("one"), NOON)
    return found, claim_fence(found, "bob")


def claim_fence(found: Scenario, worker: str) -> int:
    found.execute(claim(worker), NOON)
    held = task(found).claim
    assert held is not None
    assert held.worker_id == id_of(worker)
    return held.fence


def task(found: Scenario) -> Task:
    return found.tenant_state[TASKS]["one"]


def test_operator_cancels_a_task_and_says_why() -> None:
    found, fence = claimed()
    outcome = found.execute(CANCEL, NOON)

    (event,) = outcome.events
    assert isinstance(event, TaskCanceled)
    assert (event.detail, event.fence) == ("Out of date", fence)
    assert task(found).state == "canceled"
    assert task(found).error == "cancelled by an operator: Out of date"
    told = notifications_of("TaskCanceled", json.loads(encode(event)))
    assert [(one.recipient, one.name) for one in told] == [
        (id_of("ann"), "task_finished"),
        (id_of("bob"), "task_cancelled"),
    ]
    assert told[0].data["error"] == "Out of date"


def test_task_is_cancelled_once() -> None:
    found, _ = claimed()
    found.execute(CANCEL, NOON)

    assert found.execute(CANCEL, NOON).events == ()
    assert found.execute(cancel("one"), NOON).events == ()
    assert task(found).error == "cancelled by an operator: Out of date"


def test_completed_task_stays_completed() -> None:
    found, fence = claimed()
    found.execute(complete("bob", "one", fence), NOON)
    outcome = found.execute(CANCEL, NOON)

    assert outcome.events == ()
    assert outcome.result.state == "completed"


def test_requeued_task_is_offered_at_once_and_its_worker_is_notified() -> None:
    found, fence = claimed()
    ended, offered = found.execute(REQUEUE, NOON).events

    assert isinstance(ended, TaskClaimEnded)
    assert (ended.reason, ended.detail, ended.fence) == ("operator", "The worker hangs", fence)
    assert offered == TaskOffered(task_id="one", preset="-", attempts=0)
    (told,) = notifications_of("TaskClaimEnded", json.loads(encode(ended)))
    assert (told.recipient, told.name) == (id_of("bob"), "task_cancelled")
    assert told.data == {"task_id": "one", "fence": fence, "reason": "requeued"}


def test_worker_that_lost_the_task_is_rejected_and_the_fence_rises() -> None:
    found, fence = claimed()
    found.execute(REQUEUE, NOON)

    for report in (renew, complete):
        rejection = found.execute(report("bob", "one", fence), NOON).rejection
        assert rejection is not None
        assert rejection.kind is StaleFence
    assert claim_fence(found, "cat") > fence


def test_task_is_requeued_once() -> None:
    found, _ = claimed()
    found.execute(REQUEUE, NOON)
    version = task(found).version

    assert found.execute(REQUEUE, NOON).events == ()
    assert task(found).version == version


@settings(deadline=None, derandomize=True, database=None, max_examples=30)
@given(times=st.integers(1, 6))
def test_requeued_attempts_do_not_count(times: int) -> None:
    found, _ = claimed()
    for _ in range(times):
        found.execute(REQUEUE, NOON)
        assert not task(found).has_ended
        claim_fence(found, "cat")

    assert task(found).attempts == 1


@pytest.mark.parametrize("command", [CANCEL, REQUEUE])
def test_unknown_task_is_not_found(command: CancelAnyTask | RequeueTask) -> None:
    rejection = Scenario().execute(command, NOON).rejection

    assert rejection is not None
    assert rejection.kind is TaskNotFound


def test_task_that_has_ended_cannot_be_requeued() -> None:
    found, fence = claimed()
    found.execute(fail("bob", "one", fence), NOON)
    rejection = found.execute(REQUEUE, NOON).rejection

    assert rejection is not None
    assert rejection.kind is TaskEnded
