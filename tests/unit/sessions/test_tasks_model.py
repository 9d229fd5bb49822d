"""Random commands on tasks, compared with a naive model of claims."""

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from quorate.domain.sessions.task_events import (
    Event,
    TaskCanceled,
    TaskCompleted,
    TaskFailed,
    TaskSubmitted,
)
from quorate.domain.sessions.task_nesting import CancelNestedTasks
from quorate.domain.sessions.task_submission import DEPTH_MAX
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
ENDS = (TaskCompleted, TaskFailed, TaskCanceled)
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
        self.parent: dict[str, str] = {}  # Of the nested ones, and who submitted them.
        self.spawners: dict[str, str] = {}
        for name in ("ann", *WORKERS):
            self.scenario.execute(register(name), self.now)

    @rule(timeout=st.sampled_from([5, TIMEOUT_SECONDS]))
    def spawn(self, timeout: int) -> None:
        if len(self.valid) < TASKS_MAX:
            name = f"task{len(self.valid)}"
            is_full = self._open_tasks("ann") == OPEN_TASKS_MAX
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

    @rule(number=numbers)
    def spawn_nested(self, number: int) -> None:
        if not self.held or len(self.valid) >= TASKS_MAX:
            return
        held, name = self.held[number % len(self.held)], f"task{len(self.valid)}"
        depth = self.scenario.tenant_state[TASKS][held.task].depth + 1
        is_full = self._open_tasks(held.worker) == OPEN_TASKS_MAX
        command = spawn(name, held.task, by=held.worker, timeout_seconds=TIMEOUT_SECONDS)
        outcome = self.scenario.execute(command, self.now)
        claimed = self._claim_of(held.task)
        if claimed is None or claimed[0] != held.worker or depth > DEPTH_MAX or is_full:
            assert outcome.rejection is not None
            return
        assert outcome.rejection is None
        self.valid[name], self.ends_at[name] = None, self.now + TIMEOUT_SECONDS * 1_000
        self.parent[name], self.spawners[name] = held.task, held.worker

    @rule()
    def end_nested(self) -> None:
        """End what is nested in ended tasks, level by level, as the leader does."""
        for _ in range(DEPTH_MAX):
            for parent in set(self.parent.values()):
                nested = tuple(one for one, its in self.parent.items() if its == parent)
                command = CancelNestedTasks(parent_id=parent, task_ids=nested)
                self.scenario.execute(command, self.now)
        tasks = self.scenario.tenant_state[TASKS]
        for name, parent in self.parent.items():
            if self._ended_as(parent) in {TaskFailed, TaskCanceled}:
                assert tasks[name].has_ended
                self.valid[name], self.ends_at[name] = None, 0
            elif self._ended_as(name) is TaskCanceled:
                end = self._end_of(name)
                assert isinstance(end, TaskCanceled)
                assert end.parent_id is None, "its parent is open or completed"

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
            spawner = self.spawners.get(name, "ann")
            assert self.scenario.execute(cancel(name, by=spawner), self.now).rejection is None
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

    def _end_of(self, name: str) -> Event | None:
        events = [one.event for one in self.scenario.events]
        return next((e for e in events if isinstance(e, ENDS) and e.task_id == name), None)

    def _ended_as(self, name: str) -> type[Event] | None:
        end = self._end_of(name)
        return None if end is None else type(end)

    def _open_tasks(self, spawner: str) -> int:
        events = [one.event for one in self.scenario.events]
        submitted = [one for one in events if isinstance(one, TaskSubmitted)]
        own = {one.task_id for one in submitted if one.spawner_id == id_of(spawner)}
        return len(own - {one.task_id for one in events if isinstance(one, ENDS)})

    @invariant()
    def open_tasks_are_counted(self) -> None:
        for name in ("ann", *WORKERS):
            counted = self.scenario.tenant_state.owned_count("open_tasks", id_of(name))
            assert counted == self._open_tasks(name) <= OPEN_TASKS_MAX

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
