"""The life of a task: claims, attempts, deadlines, nesting and retention."""

from typing import Any

import pytest

from quorate.domain.sessions.presets import PresetApplied
from quorate.domain.sessions.task_claims import ClaimDenied
from quorate.domain.sessions.task_events import (
    TaskClaimEnded,
    TaskContentErased,
    TaskErased,
    TaskFailed,
    TaskOffered,
)
from quorate.domain.sessions.task_spawning import RetryTask, TaskNotADeadLetter
from quorate.domain.sessions.task_states import Task
from quorate.domain.sessions.task_submission import (
    SpawnPresetNotFound,
    SpawnPresetsNotConfigured,
    TaskNestingTooDeep,
)
from quorate.domain.sessions.tasks import RETENTION_SECONDS_DEFAULT, TASKS, StaleFence
from quorate.domain.sessions.tool_controls import InvalidToolChoice, ToolChoice, ToolControls
from quorate.domain.shared.deadlines import RecordDue
from quorate.domain.shared.errors import DomainError
from tests.unit.sessions.sample_tasks import (
    CALLER,
    cancel,
    claim,
    complete,
    fail,
    release,
    renew,
    spawn,
)
from tests.unit.support.sample_commands import deregister, id_of, register
from tests.unit.support.specification import NOON, Outcome, Scenario, TimedEvent, after

HOUR_WINDOW = 3_600_000 * 24 * 30


def scenario(window: int = HOUR_WINDOW) -> Scenario:
    found = Scenario(window=window)
    for name in ("ann", "bob", "cat"):
        found.execute(register(name), NOON)
    return found


def with_preset(found: Scenario, name: str, **fields: Any) -> Scenario:  # noqa: ANN401
    event = PresetApplied(name=name, fields=fields)
    return found.and_given(TimedEvent(at=found.now, event=event))


def task(found: Scenario, id_: str = "one") -> Task:
    return found.tenant_state[TASKS][id_]


def fence_of(found: Scenario, id_: str = "one") -> int:
    claimed = task(found, id_).claim
    assert claimed is not None
    return claimed.fence


def do(found: Scenario, command: Any, seconds: float = 0) -> Outcome:  # noqa: ANN401 - any command.
    outcome = found.execute(command, max(found.now, after(seconds=seconds)))
    assert outcome.rejection is None
    return outcome


def refused(found: Scenario, command: Any, seconds: float = 0) -> type[DomainError]:  # noqa: ANN401
    outcome = found.execute(command, max(found.now, after(seconds=seconds)))
    assert outcome.rejection is not None
    return outcome.rejection.kind


def record(found: Scenario, id_: str, seconds: float) -> list[type[Any]]:
    return [type(one) for one in do(found, RecordDue(aggregate="task", id=id_), seconds).events]


# -- Claims ------------------------------------------------------------------------


def test_oldest_task_is_claimed_and_only_its_holder_completes_it() -> None:
    found = scenario()
    do(found, spawn("one"))
    do(found, spawn("two"))
    do(found, claim("bob"))
    assert task(found).state == "working"
    fence = fence_of(found)

    assert refused(found, complete("cat", "one", fence)) is StaleFence
    assert refused(found, complete("bob", "one", fence - 1)) is StaleFence
    do(found, complete("bob", "one", fence))
    assert task(found).status == "completed"
    assert refused(found, complete("bob", "one", fence)) is StaleFence
    assert do(found, claim("cat")).result.task.id == "two"
    assert do(found, claim("bob")).result.task is None


def test_claim_expires_and_the_task_waits_before_it_is_offered_again() -> None:
    found = scenario()
    do(found, spawn("one"))
    do(found, claim(seconds=10))
    fence = fence_of(found)
    do(found, renew("bob", "one", fence, seconds=20), 5)
    assert refused(found, complete("bob", "one", fence), 25) is StaleFence
    assert [type(one.event) for one in found.events[-1:]] == [TaskClaimEnded]
    assert do(found, claim("cat"), 25).result.task is None
    assert record(found, "one", 26) == [TaskOffered]
    do(found, claim("cat"), 26)
    assert fence_of(found) > fence
    assert task(found).attempts == 2


def test_renewal_never_shortens_a_claim() -> None:
    found = scenario()
    do(found, spawn("one"))
    do(found, claim(seconds=60))
    assert do(found, renew("bob", "one", fence_of(found), seconds=5)).decided == ()


def test_task_that_is_given_back_is_offered_at_once() -> None:
    found = scenario()
    do(found, spawn("one"))
    do(found, claim("bob"))
    do(found, release("bob", "one", fence_of(found)))
    assert do(found, claim("cat")).result.task.id == "one"


def test_last_attempt_makes_a_dead_letter_that_can_be_retried() -> None:
    found = with_preset(scenario(), "once", max_attempts=1)
    do(found, spawn("one", preset="once"))
    assert refused(found, RetryTask(caller=CALLER, task_id="one")) is TaskNotADeadLetter
    do(found, claim("bob", "once"))
    do(found, fail("bob", "one", fence_of(found), "retry"))
    assert (task(found).state, task(found).is_dead_letter, task(found).error) == (
        *("failed", True),
        "no",
    )
    do(found, RetryTask(caller=CALLER, task_id="one"))
    assert do(found, claim("cat", "once")).result.task.attempts == 1


@pytest.mark.parametrize(
    ("outcome", "state"), [("failed", "failed"), ("rejected", "rejected")], ids=str
)
def test_failure_ends_the_task(outcome: str, state: str) -> None:
    found = scenario()
    do(found, spawn("one"))
    do(found, claim())
    do(found, fail("bob", "one", fence_of(found), outcome))
    assert (task(found).state, task(found).status) == (state, "failed")
    assert not task(found).is_dead_letter


def test_claim_ends_with_the_departure_of_its_worker() -> None:
    found = scenario()
    do(found, spawn("one"))
    do(found, claim("bob"))
    fence = fence_of(found)
    ended = do(found, deregister("bob"))
    assert TaskClaimEnded in {type(one) for one in ended.events}
    do(found, register("bob"))
    assert refused(found, complete("bob", "one", fence)) is StaleFence


def test_claim_ends_with_the_lapse_of_its_worker() -> None:
    found = scenario(window=10_000)
    do(found, spawn("one"))
    do(found, claim("bob", seconds=60))
    fence = fence_of(found)
    ended = do(found, RecordDue(aggregate="agent", id=id_of("bob")), 11)
    [claim_end] = [one for one in ended.events if isinstance(one, TaskClaimEnded)]
    assert (claim_end.reason, claim_end.fence) == ("agent_inactive", fence)


def test_key_that_is_bound_to_presets_claims_only_theirs() -> None:
    found = with_preset(scenario(), "router")
    do(found, spawn("one"))
    assert refused(found, claim("bob", "-", own=("router",))) is ClaimDenied
    do(found, spawn("two", preset="router"))
    assert do(found, claim("bob", "router", own=("router",))).result.task.id == "two"


# -- Deadlines ---------------------------------------------------------------------


@pytest.mark.parametrize("is_claimed", [False, True], ids=["offered", "claimed"])
def test_task_fails_when_its_time_is_over(is_claimed: bool) -> None:
    found = scenario()
    do(found, spawn("one", timeout_seconds=30))
    if is_claimed:
        do(found, claim(seconds=60))
    assert record(found, "one", 29.999) == []
    assert record(found, "one", 30) == [TaskFailed]
    assert task(found).error == "sub-agent timed out after 30s"


def test_timed_out_task_is_not_claimed() -> None:
    found = scenario()
    do(found, spawn("one", timeout_seconds=30))
    assert do(found, claim(), 30).result.task is None


def test_texts_are_erased_after_the_retention() -> None:
    found = scenario()
    do(found, spawn("one", timeout_seconds=600))
    do(found, claim())
    do(found, complete("bob", "one", fence_of(found)))
    assert found.tenant_state.count("mailbox_bytes") == 2 * len("text")
    assert record(found, "one", RETENTION_SECONDS_DEFAULT - 1) == []
    erased = record(found, "one", RETENTION_SECONDS_DEFAULT)
    assert erased == [TaskContentErased, TaskErased]
    assert found.tenant_state.count("mailbox_bytes") == 0


def test_cancelled_task_stays_cancelled() -> None:
    found = scenario()
    do(found, spawn("one"))
    do(found, claim())
    fence = fence_of(found)
    do(found, cancel("one"))
    assert refused(found, complete("bob", "one", fence)) is StaleFence
    assert do(found, cancel("one")).decided == ()
    assert (task(found).state, task(found).error) == ("canceled", "cancelled by caller")


# -- Submission --------------------------------------------------------------------


def test_call_has_precedence_over_the_preset() -> None:
    fields = {
        "model": "small",
        "timeout_seconds": 60,
        "tool_controls": {"active_tools": ["a", "b"], "tool_choice": {"type": "any"}},
    }
    found = with_preset(scenario(), "router", **fields)
    do(found, spawn("one", preset="router"))
    assert (task(found).model, task(found).timeout_seconds) == ("small", 60)
    assert task(found).tool_controls == fields["tool_controls"]
    controls = ToolControls(tool_choice=ToolChoice(type="tool", name="b"))
    do(found, spawn("two", preset="router", controls=controls, model="large", timeout_seconds=5))
    assert (task(found, "two").model, task(found, "two").timeout_seconds) == ("large", 5)
    assert task(found, "two").tool_controls["tool_choice"] == {"type": "tool", "name": "b"}
    unknown = ToolControls(tool_choice=ToolChoice(type="tool", name="c"))
    assert refused(found, spawn("x", preset="router", controls=unknown)) is InvalidToolChoice


def test_unknown_preset_is_told_from_none() -> None:
    found = scenario()
    missing = spawn("one", preset="x", preset_count=0)
    assert refused(found, missing) is SpawnPresetsNotConfigured
    assert refused(found, spawn("one", preset="x", preset_count=1)) is SpawnPresetNotFound


def test_nesting_is_counted_by_the_claims_of_the_caller() -> None:
    found, parent = scenario(), None
    for depth in (1, 2, 3):
        do(found, spawn(f"level-{depth}", parent))
        do(found, claim("ann"))
        parent = f"level-{depth}"
        assert task(found, parent).depth == depth
    assert refused(found, spawn("deeper", parent)) is TaskNestingTooDeep
    do(found, release("ann", "level-1", fence_of(found, "level-1")))
    assert refused(found, spawn("other", "level-1")) is StaleFence


def test_run_may_use_what_its_call_permits() -> None:
    found = scenario()
    do(found, spawn("one", allow_tools=("spawn_list", "spawn_agent"), deny_tools=("x",)))
    do(found, spawn("two", delegate_only=True, deny_tools=("sessions_send",)))
    do(found, spawn("three", controls=ToolControls(active_tools=("x",))))
    policies = [task(found, id_).policy for id_ in ("one", "two", "three")]
    permitted = [
        {tool for tool in ("spawn_list", "spawn_agent", "sessions_send", "x") if one.permits(tool)}
        for one in policies
    ]
    assert permitted == [{"spawn_list"}, {"spawn_list", "spawn_agent"}, {"x"}]
