"""Random commands on tasks, compared with a naive model of claims."""

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from quorate.domain.sessions.task_events import (
    TaskCanceled,
    TaskCompleted,
    TaskFailed,
    TaskSubmitted,
)
from quorate.domain.sessions.tasks import TASKS, StaleFence
from quorate.domain.shared.deadlines import RecordDue
from quorate.domain.shared.quotas import QuotaExceeded, Quotas
from quorate.domain.shared.timestamps import Timestamp
from tests.unit.sessions.sample_tasks import cancel, claim, complete, fail, release, renew, spawn
from tests.unit.support.sample_commands import id_of, register
from tests.unit.support.specification import NOON, Scenario

WORKERS = ("bob", "cat")
CLAIM_SECONDS, TIMEOUT_SECONDS = 10, 40
TASKS_MAX, OPEN_TASKS_MAX = 6, 3
workers, numbers = st.sampled_from(WORKERS), st.integers(0, 11)


@dataclass
class Held:
    """What a worker believes to have: it may have lost it."""

    worker: str
    task: str
    fence: int


class TaskMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.scenario = Scenario(window=10**9, quotas=Quotas(open_tasks_per_agent=OPEN_TASKS_MAX))
        self.now = NOON
        self.held: list[Held] = []
        # The naive model: by task, the claim that is valid and until when, and the end of its time.
        self.valid: dict[str, tuple[str, int, int] | None] = {}
        self.ends_at: dict[str, int] = {}
        for name in ("ann", *WORKERS):
            self.scenario.execute(register(name), self.now)

    @rule(timeout=st.sampled_from([5, TIMEOUT_SECONDS]))
    def spawn(self, timeout: int) -> None:
        if len(self.valid) < TASKS_MAX:
            name = f"task{len(self.valid)}"
            is_full = self._open_tasks() == OPEN_TASKS_MAX
            outcome = self.scenario.execute(spawn(name, timeout_seconds=timeout), self.now)
            if is_full:
                assert outcome.rejection is not None
                assert outcome.rejection.kind is QuotaExceeded
                return
            assert outcome.rejection is None
            self.valid[name], self.ends_at[name] = None, self.now + timeout * 1_000

    @rule(worker=workers)
    def claim(self, worker: str) -> None:
        outcome = self.scenario.execute(claim(worker, seconds=CLAIM_SECONDS), self.now)
        task = outcome.result.task
        if task is None:
            return
        assert self._claim_of(task.id) is None, "two claims at a time"
        assert self.now < self.ends_at[task.id]
        assert task.claim is not None
        assert task.attempts <= task.max_attempts
        until = self.now + CLAIM_SECONDS * 1_000
        self.valid[task.id] = (worker, task.claim.fence, until)
        self.held.append(Held(worker, task.id, task.claim.fence))

    @rule(number=numbers, kind=st.sampled_from([complete, fail, release, renew]))
    def report(self, number: int, kind: object) -> None:
        """Report as a worker that has, or had, a task; the model says which is accepted."""
        if not self.held:
            return
        held = self.held[number % len(self.held)]
        command = kind(held.worker, held.task, held.fence)  # type: ignore[operator]
        outcome = self.scenario.execute(command, self.now)
        if self._claim_of(held.task) != (held.worker, held.fence):
            assert outcome.rejection is not None
            assert outcome.rejection.kind is StaleFence
            return
        assert outcome.rejection is None
        if kind is renew:
            self.valid[held.task] = (held.worker, held.fence, self.now + 60_000)
            return
        self.valid[held.task] = None
        if kind is not release:
            self.ends_at[held.task] = 0

    @rule(number=numbers)
    def cancel(self, number: int) -> None:
        if self.valid:
            name = f"task{number % len(self.valid)}"
            self.scenario.execute(cancel(name), self.now)
            self.valid[name], self.ends_at[name] = None, 0

    @rule(seconds=st.sampled_from([0.5, 1, 5, 10]))
    def wait(self, seconds: float) -> None:
        self.now = Timestamp(self.now + round(seconds * 1_000))
        for name in self.valid:
            for _ in range(2):  # The end of a claim, then the end of the wait that follows.
                self.scenario.execute(RecordDue(aggregate="task", id=name), self.now)

    def _claim_of(self, task: str) -> tuple[str, int] | None:
        claimed = self.valid[task]
        if claimed is None or self.now >= min(claimed[2], self.ends_at[task]):
            return None
        return claimed[:2]

    def _open_tasks(self) -> int:
        events = [one.event for one in self.scenario.events]
        ended = [
            one for one in events if isinstance(one, TaskCompleted | TaskFailed | TaskCanceled)
        ]
        return sum(isinstance(one, TaskSubmitted) for one in events) - len(ended)

    @invariant()
    def open_tasks_are_counted(self) -> None:
        counted = self.scenario.tenant_state.owned_count("open_tasks", id_of("ann"))
        assert counted == self._open_tasks() <= OPEN_TASKS_MAX

    @invariant()
    def completed_once(self) -> None:
        events = [one.event for one in self.scenario.events]
        completed = [one.task_id for one in events if isinstance(one, TaskCompleted)]
        assert len(completed) == len(set(completed))
        for task in self.scenario.tenant_state[TASKS].values():
            assert not (task.has_ended and task.claim is not None)
            assert not (task.is_offered and task.claim is not None)


TaskMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
test_random_commands_agree_with_the_model = TaskMachine.TestCase
