"""Tasks end with the task in whose run they were submitted, unless it completes."""

from collections.abc import Callable

import pytest

from quorate.domain.sessions.task_events import TaskCanceled
from quorate.domain.sessions.task_nesting import NESTED_PER_COMMAND_MAX, CancelNestedTasks
from quorate.domain.sessions.task_spawning import RetryTask
from quorate.domain.sessions.tasks import TASKS, StaleFence
from quorate.domain.shared.deadlines import RecordDue
from quorate.domain.shared.state import Command
from tests.unit.sessions.sample_tasks import CALLER, cancel, claim, complete, fail, spawn
from tests.unit.support.sample_commands import id_of, register
from tests.unit.support.specification import NOON, Outcome, Scenario, after

WINDOW = 10**9


def do(found: Scenario, command: Command, seconds: float = 0) -> Outcome:
    outcome = found.execute(command, max(found.now, after(seconds=seconds)))
    assert outcome.rejection is None
    return outcome


def nested(timeout: int = 60) -> Scenario:
    """Return a scenario in which bob has the parent, and cat one of the two tasks nested in it."""
    found = Scenario(window=WINDOW)
    for name in ("ann", "bob", "cat"):
        found.execute(register(name), NOON)
    do(found, spawn("parent", timeout_seconds=timeout))
    do(found, claim("bob", seconds=3_600))
    for name in ("first", "second"):
        do(found, spawn(name, "parent", by="bob", timeout_seconds=3_600))
    do(found, claim("cat", seconds=3_600))
    return found


def fence_of(found: Scenario, id_: str) -> int:
    held = found.tenant_state[TASKS][id_].claim
    assert held is not None
    return held.fence


def follow(*ids: str, parent: str = "parent") -> CancelNestedTasks:
    return CancelNestedTasks(parent_id=parent, task_ids=ids or ("first", "second"))


def states(found: Scenario) -> tuple[str, ...]:
    return tuple(found.tenant_state[TASKS][id_].state for id_ in ("first", "second"))


def be_canceled(found: Scenario) -> None:
    do(found, cancel("parent"))


def fail_as(outcome: str) -> Callable[[Scenario], None]:
    def end(found: Scenario) -> None:
        do(found, fail("bob", "parent", fence_of(found, "parent"), outcome))

    return end


def time_out(found: Scenario) -> None:
    do(found, RecordDue(aggregate="task", id="parent"), 60)


@pytest.mark.parametrize("end", [be_canceled, fail_as("failed"), fail_as("rejected"), time_out])
def test_open_tasks_end_with_their_parent(end: Callable[[Scenario], None]) -> None:
    found = nested()
    fence = fence_of(found, "first")
    end(found)
    assert states(found) == ("working", "submitted")
    expected = [
        TaskCanceled(
            task_id="first",
            spawner_id=id_of("bob"),
            worker_id=id_of("cat"),
            fence=fence,
            parent_id="parent",
        ),
        TaskCanceled(task_id="second", spawner_id=id_of("bob"), parent_id="parent"),
    ]
    assert list(do(found, follow()).events) == expected
    assert states(found) == ("canceled", "canceled")
    assert found.tenant_state[TASKS]["first"].error == "cancelled by the end of task parent"
    late = found.execute(complete("cat", "first", fence), found.now)
    assert late.rejection is not None
    assert late.rejection.kind is StaleFence
    assert do(found, follow()).events == ()


def dead_letter() -> Scenario:
    """Return a scenario in which the attempts of the parent are used up."""
    found = nested(timeout=3_600)
    do(found, claim("ann"))  # The second one, so that bob gets the parent again.
    for attempt in range(3):
        seconds = 10.0 * attempt
        do(found, RecordDue(aggregate="task", id="parent"), seconds)
        if attempt:
            do(found, claim("bob"), seconds)
        assert do(found, follow()).events == ()
        do(found, fail("bob", "parent", fence_of(found, "parent"), "retry"), seconds)
    assert found.tenant_state[TASKS]["parent"].is_dead_letter
    return found


def test_open_tasks_end_with_a_dead_letter() -> None:
    found = dead_letter()
    assert [one.task_id for one in do(found, follow()).events] == ["first", "second"]


def test_open_tasks_of_a_dead_letter_stay_when_it_is_retried_first() -> None:
    found = dead_letter()
    do(found, RetryTask(caller=CALLER, task_id="parent"))
    assert do(found, follow()).events == ()


def test_tasks_outlive_a_parent_that_is_open_or_completed() -> None:
    found = nested()
    assert do(found, follow()).events == ()
    do(found, complete("bob", "parent", fence_of(found, "parent")))
    assert do(found, follow()).events == ()
    assert states(found) == ("working", "submitted")


def test_other_tasks_and_ended_ones_are_left_alone() -> None:
    found = nested()
    do(found, spawn("other"))
    do(found, complete("cat", "first", fence_of(found, "first")))
    do(found, cancel("parent"))
    ended = do(found, follow("first", "second", "other", "unknown")).events
    assert [one.task_id for one in ended] == ["second"]
    assert states(found) == ("completed", "canceled")
    assert do(found, follow("other", parent="unknown")).events == ()


def test_end_passes_down_all_levels() -> None:
    found = nested()
    do(found, spawn("third", "first", by="cat", timeout_seconds=3_600))
    do(found, cancel("parent"))
    assert do(found, follow("third", parent="first")).events == ()
    do(found, follow())
    (last,) = do(found, follow("third", parent="first")).events
    assert (last.task_id, last.parent_id) == ("third", "first")


def test_one_command_cancels_a_bounded_number() -> None:
    too_many = follow(*(str(number) for number in range(NESTED_PER_COMMAND_MAX + 1)))
    with pytest.raises(AssertionError):
        Scenario(window=WINDOW).execute(too_many, NOON)
