"""Explanations of tasks name the events that ended them, and the claims on them."""

from typing import Any

import pytest
from hypothesis import given as examples
from hypothesis import strategies as st

from quorate.domain.explanations.causes import find_causes
from quorate.domain.explanations.explain import explain
from quorate.domain.explanations.tasks import ACCOUNTS
from quorate.domain.identity.agent_departures import DeactivateAgent
from quorate.domain.sessions.task_claims import AddArtifact, FailAs
from quorate.domain.sessions.task_events import (
    TaskCanceled,
    TaskClaimed,
    TaskClaimEnded,
    TaskCompleted,
    TaskContentErased,
    TaskErased,
    TaskFailed,
)
from quorate.domain.sessions.task_nesting import CancelNestedTasks
from quorate.domain.sessions.task_operators import CancelAnyTask, RequeueTask
from quorate.domain.sessions.task_spawning import RetryTask
from quorate.domain.sessions.tasks import TASKS
from quorate.domain.shared.deadlines import RecordDue
from quorate.domain.shared.records import changed
from quorate.domain.shared.state import Command
from tests.unit.explanations.histories import RecordedLog, assert_facts_are_causes
from tests.unit.sessions.sample_tasks import (
    CALLER,
    cancel,
    claim,
    complete,
    content,
    fail,
    release,
    renew,
    spawn,
)
from tests.unit.support.sample_commands import deregister, heartbeat, id_of, register

SECOND = 1_000
NAMES = ("ann", "bob", "cat")
LONG = 10**9


def submitted(*, window: int = LONG, **fields: Any) -> RecordedLog:  # noqa: ANN401 - of a task.
    """Return a log in which ann has submitted the task ``one``."""
    log = RecordedLog(window=window)
    log.do(*[register(name) for name in NAMES])
    log.do(spawn("one", **fields))
    return log


def claimed(*, window: int = LONG, **fields: Any) -> RecordedLog:  # noqa: ANN401 - of a task.
    log = submitted(window=window, **fields)
    log.do(claim("bob"))
    return log


def fence(log: RecordedLog, id_: str = "one") -> int:
    held = log.scenario.tenant_state[TASKS][id_].claim
    assert held is not None
    return held.fence


def due(id_: str = "one") -> RecordDue:
    return RecordDue(aggregate="task", id=id_)


def use_up_attempts(log: RecordedLog) -> None:
    """Fail the last two attempts of three, after the first one has failed."""
    for _ in range(2):
        log.wait(60 * SECOND)
        log.do(due(), claim("cat"))
        log.do(fail("cat", "one", fence(log), "retry"))


def dead_letter() -> RecordedLog:
    log = claimed(timeout_seconds=3_000)
    log.do(fail("bob", "one", fence(log), "retry"))
    use_up_attempts(log)
    assert log.scenario.tenant_state[TASKS]["one"].is_dead_letter
    return log


# -- Ends of tasks -----------------------------------------------------------


def test_completion_names_submission_claim_and_worker() -> None:
    log = claimed()
    log.do(complete("bob", "one", fence(log)))
    found = log.explain(TaskCompleted)
    assert log.names_of_facts(found) == ["AgentRegistered", "TaskSubmitted", "TaskClaimed"]
    assert found.is_complete
    assert found.facts[0].text.startswith("Agent bob registered")


def test_completion_by_another_worker_is_not_explained_by_the_claim() -> None:
    """The control: the claim is that of bob, so it cannot explain a result of cat."""
    log = claimed()
    log.do(complete("bob", "one", fence(log)))
    ended = log.events[-1]
    for wrong in ({"worker_id": id_of("cat")}, {"fence": 1}, {"spawner_id": id_of("cat")}):
        other = changed(ended, event=changed(ended.event, **wrong))
        assert not explain(log.events[:-1], other).is_reproduced


@pytest.mark.parametrize("outcome", ["failed", "rejected"])
def test_failure_names_the_claim(outcome: FailAs) -> None:
    log = claimed()
    log.do(fail("bob", "one", fence(log), outcome))
    found = log.explain(TaskFailed)
    assert log.names_of_facts(found) == ["AgentRegistered", "TaskSubmitted", "TaskClaimed"]
    assert found.outcome == f"TaskFailed: {outcome}"


def test_timeout_names_the_submission() -> None:
    log = submitted(timeout_seconds=5)
    log.wait(5 * SECOND)
    log.do(due())
    found = log.explain(TaskFailed)
    assert log.names_of_facts(found) == ["TaskSubmitted"]
    assert found.rule.startswith("A task fails when its time is over")


def test_timeout_in_a_claim_names_the_claim_that_ends_with_the_task() -> None:
    log = claimed(timeout_seconds=5)
    log.wait(5 * SECOND)
    log.do(due())
    assert log.names_of_facts(log.explain(TaskFailed)) == ["TaskSubmitted", "TaskClaimed"]


def test_dead_letter_names_the_end_of_the_last_claim() -> None:
    log = dead_letter()
    found = log.explain(TaskFailed)
    assert found.outcome == "TaskFailed: dead_letter"
    assert log.names_of_facts(found) == ["TaskSubmitted", "TaskClaimed", "TaskClaimEnded"]
    assert found.facts[-1].sequence == log.events[-1].sequence - 1
    assert "attempt 3" in found.facts[-1].text


def test_end_of_a_retried_task_names_the_claim_after_the_retry() -> None:
    log = dead_letter()
    log.do(RetryTask(caller=CALLER, task_id="one"))
    log.do(claim("bob"))
    log.do(cancel("one"))
    found = log.explain(TaskCanceled)
    assert log.names_of_facts(found) == ["TaskSubmitted", "TaskClaimed"]
    assert found.facts[-1].sequence == fence_of_last_claim(log)


def test_cancel_by_its_spawner_names_the_submission() -> None:
    log = submitted()
    log.do(cancel("one"), actor=id_of("ann"))
    found = log.explain(TaskCanceled)
    assert log.names_of_facts(found) == ["AgentRegistered", "TaskSubmitted"]
    assert found.rule == "A task ends when its spawner or the tenant's key cancels it."


def test_cancel_by_an_operator_names_the_claim_that_ends_with_it() -> None:
    log = claimed()
    log.do(CancelAnyTask(task_id="one", detail="Out of date"))
    found = log.explain(TaskCanceled)
    assert log.names_of_facts(found) == ["TaskSubmitted", "TaskClaimed"]
    assert found.rule == "A task ends when an operator cancels it."


def test_nested_cancel_names_the_end_of_the_parent() -> None:
    log = claimed()
    log.do(spawn("nested", "one", by="bob"))
    log.do(fail("bob", "one", fence(log)))
    log.do(CancelNestedTasks(parent_id="one", task_ids=("nested",)))
    found = log.explain(TaskCanceled)
    assert log.names_of_facts(found) == ["TaskSubmitted", "TaskSubmitted", "TaskFailed"]
    assert found.rule.startswith("A task is canceled when the task in whose run")


def test_erasure_names_the_end_of_the_task() -> None:
    log = claimed(retention_seconds=10)
    file = AddArtifact(
        caller=CALLER,
        agent=claim("bob").agent,
        task_id="one",
        fence=fence(log),
        name="a.txt",
        media_type="text/plain",
        body=content("file"),
    )
    log.do(file, complete("bob", "one", fence(log)))
    log.wait(10 * SECOND)
    log.do(due())
    assert log.names_of_facts(log.explain(TaskErased)) == ["TaskSubmitted", "TaskCompleted"]
    erased = [at for at, one in enumerate(log.events) if isinstance(one.event, TaskContentErased)]
    assert len(erased) == 2
    found = explain(log.events[: erased[0]], log.events[erased[0]])
    assert "TaskArtifactAdded" in log.names_of_facts(found)


# -- Ends of claims ----------------------------------------------------------


def test_expiry_of_a_claim_names_its_last_renewal() -> None:
    log = claimed(timeout_seconds=3_000)
    log.do(renew("bob", "one", fence(log), seconds=90))
    log.wait(90 * SECOND)
    log.do(due())
    found = log.explain(TaskClaimEnded)
    assert found.outcome == "TaskClaimEnded: expired"
    assert log.names_of_facts(found) == ["TaskSubmitted", "TaskClaimed", "TaskClaimRenewed"]


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (lambda log: release("bob", "one", fence(log)), "released"),
        (lambda log: fail("bob", "one", fence(log), "retry"), "failed"),
        (lambda _log: RequeueTask(task_id="one", detail="The worker hangs"), "operator"),
    ],
)
def test_end_of_a_claim_by_a_command_names_the_claim(end: Any, reason: str) -> None:  # noqa: ANN401
    log = claimed()
    log.do(end(log))
    found = log.explain(TaskClaimEnded)
    assert found.outcome == f"TaskClaimEnded: {reason}"
    assert log.names_of_facts(found)[-2:] == ["TaskSubmitted", "TaskClaimed"]
    assert found.rule == ACCOUNTS[TaskClaimEnded].rules.get(
        reason, "A claim ends when its worker gives the task back."
    )


def test_claim_of_a_worker_that_lapsed_names_its_last_heartbeat() -> None:
    log = claimed(window=60 * SECOND, timeout_seconds=3_000)
    log.wait(30 * SECOND)
    log.do(heartbeat("bob"), renew("bob", "one", fence(log), seconds=600))
    log.wait(61 * SECOND)
    log.do(due())
    found = log.explain(TaskClaimEnded)
    assert found.outcome == "TaskClaimEnded: agent_inactive"
    names = log.names_of_facts(found)
    assert {"HeartbeatReceived", "TaskClaimed", "AgentLapsed"} <= set(names)

    *before, lapsed, ended = log.events
    too_early = changed(lapsed, at=before[-1].at)
    assert not explain([*before, too_early], ended).is_reproduced, "the worker was active then"


@pytest.mark.parametrize(
    ("leave", "type_"),
    [
        (deregister("bob"), "AgentDeregistered"),
        (DeactivateAgent(agent_id=id_of("bob"), detail="It loops"), "AgentLapsed"),
    ],
)
def test_claim_of_a_worker_that_left_names_its_departure(leave: Command, type_: str) -> None:
    log = claimed()
    log.do(leave)
    found = log.explain(TaskClaimEnded)
    assert log.names_of_facts(found) == ["AgentRegistered", "TaskSubmitted", "TaskClaimed", type_]
    if type_ == "AgentLapsed":
        assert found.facts[-1].text == "An operator deactivated agent bob: It loops."


def test_many_requeued_claims_do_not_hide_the_last_one() -> None:
    """Some early claims were renewed: without the claim, a renewal could not be replayed."""
    log = claimed(timeout_seconds=3_000)
    for number in range(8):
        if number % 3:
            log.do(renew("bob", "one", fence(log), seconds=70 + number))
        log.do(RequeueTask(task_id="one", detail="Again"), claim("bob"))
    log.do(fail("bob", "one", fence(log)))
    assert log.explain(TaskFailed).facts[-1].sequence == fence_of_last_claim(log)


def fence_of_last_claim(log: RecordedLog) -> int:
    return max(one.sequence for one in log.events if isinstance(one.event, TaskClaimed))


# -- All of them -------------------------------------------------------------

STEPS = ("claim", "complete", "fail", "reject", "retry", "release", "renew", "requeue", "nested")
MORE_STEPS = ("cancel", "operator", "due", "follow", "heartbeat", "leave", "register", "again")


def take(log: RecordedLog, step: str, name: str, id_: str) -> None:
    """Let an agent do one thing with a task; what it may not do is rejected, and in no log."""
    known = log.scenario.tenant_state[TASKS].get(id_)
    at = 0 if known is None or known.claim is None else known.claim.fence
    commands: dict[str, Command] = {
        "claim": claim(name, seconds=10),
        "complete": complete(name, id_, at),
        "fail": fail(name, id_, at),
        "reject": fail(name, id_, at, "rejected"),
        "retry": fail(name, id_, at, "retry"),
        "release": release(name, id_, at),
        "renew": renew(name, id_, at, seconds=20),
        "requeue": RequeueTask(task_id=id_, detail="Again"),
        "nested": spawn("nested", "one", by=name, timeout_seconds=60),
        "cancel": cancel(id_, by=name),
        "operator": CancelAnyTask(task_id=id_, detail="Out of date"),
        "due": due(id_),
        "follow": CancelNestedTasks(parent_id="one", task_ids=("nested",)),
        "heartbeat": heartbeat(name),
        "leave": deregister(name),
        "register": register(name),
        "again": RetryTask(caller=CALLER, task_id=id_),
    }
    if step != "nested" or log.scenario.tenant_state[TASKS].get("nested") is None:
        log.do(commands[step])


@examples(
    st.lists(
        st.tuples(
            st.sampled_from((*STEPS, *MORE_STEPS)),
            st.sampled_from(NAMES[1:]),
            st.sampled_from(("one", "one", "nested")),
            st.sampled_from((0, 0, 1, 4, 11)),
        ),
        max_size=30,
    )
)
def test_facts_of_any_history_of_tasks_are_causes(steps: list[tuple[str, str, str, int]]) -> None:
    log = submitted(window=30 * SECOND, timeout_seconds=90, retention_seconds=20)
    for step, name, id_, seconds in (("claim", "bob", "one", 0), *steps):
        log.wait(seconds * SECOND)
        take(log, step, name, id_)
    assert_facts_are_causes(log.events)


def test_without_the_events_before_nothing_is_reproduced() -> None:
    log = dead_letter()
    for one in log.events:
        if (account := ACCOUNTS.get(type(one.event))) is not None:
            assert find_causes(account, (), one) is None
