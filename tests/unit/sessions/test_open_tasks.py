"""The limit of the tasks that one agent submitted and that have not ended."""

from quorate.domain.sessions.task_spawning import RetryTask
from quorate.domain.shared.deadlines import RecordDue
from quorate.domain.shared.quotas import QuotaExceeded, Quotas
from quorate.domain.shared.state import Command
from tests.unit.sessions.sample_tasks import CALLER, cancel, claim, complete, fail, spawn
from tests.unit.support.sample_commands import id_of, register
from tests.unit.support.specification import NOON, Outcome, Scenario, after

LIMIT = 2
WINDOW = 10**9
EXCEEDED = QuotaExceeded("open_tasks_per_agent", LIMIT)


def full(limit: int = LIMIT) -> Scenario:
    """Return a scenario in which ann has all open tasks that she may have."""
    scenario = Scenario(window=WINDOW, quotas=Quotas(open_tasks_per_agent=limit))
    for name in ("ann", "bob"):
        scenario.execute(register(name), NOON)
    for number in range(limit):
        assert scenario.execute(spawn(f"task{number}"), NOON).rejection is None
    return scenario


def do(scenario: Scenario, command: Command, seconds: float = 0) -> Outcome:
    outcome = scenario.execute(command, max(scenario.now, after(seconds=seconds)))
    assert outcome.rejection is None
    return outcome


def fence_of(outcome: Outcome) -> int:
    fence: int = outcome.result.task.claim.fence
    return fence


def test_task_above_the_limit_is_rejected_with_the_numbers() -> None:
    scenario = full()
    scenario.when(spawn("more")).then_rejected(EXCEEDED)
    assert scenario.tenant_state.owned_count("open_tasks", id_of("ann")) == LIMIT


def test_limit_is_that_of_each_agent() -> None:
    scenario = full()
    do(scenario, spawn("other", by="bob"))
    assert scenario.tenant_state.owned_count("open_tasks", id_of("bob")) == 1


def test_claim_does_not_free_a_place_and_each_end_does() -> None:
    def completed(scenario: Scenario) -> None:
        do(scenario, complete("bob", "task0", fence_of(do(scenario, claim("bob")))))

    def failed(scenario: Scenario) -> None:
        do(scenario, fail("bob", "task0", fence_of(do(scenario, claim("bob")))))

    def timed_out(scenario: Scenario) -> None:
        do(scenario, RecordDue(aggregate="task", id="task0"), 301)

    for end in (completed, failed, timed_out, lambda scenario: do(scenario, cancel("task0"))):
        scenario = full()
        do(scenario, claim("bob"))
        scenario.when(spawn("early")).then_rejected(EXCEEDED)
        scenario = full()
        end(scenario)
        do(scenario, spawn("more"))
        scenario.when(spawn("again")).then_rejected(EXCEEDED)


def test_erased_task_frees_its_place_once() -> None:
    scenario = full()
    do(scenario, cancel("task0"))
    do(scenario, RecordDue(aggregate="task", id="task0"), 8 * 86_400)
    assert scenario.tenant_state.owned_count("open_tasks", id_of("ann")) == LIMIT - 1


def test_dead_letter_is_retried_above_the_limit_and_counts_again() -> None:
    scenario = full(1)
    for attempt in range(3):
        seconds = 10.0 * attempt
        do(scenario, RecordDue(aggregate="task", id="task0"), seconds)
        fence = fence_of(do(scenario, claim("bob"), seconds))
        do(scenario, fail("bob", "task0", fence, "retry"), seconds)
    do(scenario, spawn("more"), 30)
    do(scenario, RetryTask(caller=CALLER, task_id="task0"), 30)
    assert scenario.tenant_state.owned_count("open_tasks", id_of("ann")) == 2
    assert scenario.execute(spawn("again"), scenario.now).rejection is not None


def test_lowered_limit_ends_nothing() -> None:
    scenario = full()
    scenario.quotas = Quotas(open_tasks_per_agent=1)
    assert fence_of(do(scenario, claim("bob")))
    do(scenario, cancel("task0"))
    scenario.when(spawn("more")).then_rejected(QuotaExceeded("open_tasks_per_agent", 1))
