"""Claims: which worker has a task, and what it may record of it.

* A worker claims the oldest offered task of the presets that it names. At no instant do two claims
  on one task exist.
* Every claim has a fence: the tenant sequence of its ``TaskClaimed``. What a worker records carries
  it, and is rejected (``StaleFence``) once the claim or the task has ended, also by a cancel.
* A claim ends at ``expires_at`` unless it is renewed, when it is given back, and when its worker
  lapses or deregisters. The task is then offered again, after a wait that doubles, until its
  attempts are used up. Then it has failed, and is a dead letter.
* Any agent may claim, unless its keys are bound to other presets than the task's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from quorate.domain.identity.agents import (
    AGENTS,
    Agent,
    AgentRef,
    acting,
    acting_actively,
    reads_of_agent,
)
from quorate.domain.identity.principals import Principal
from quorate.domain.sessions.task_events import (
    Event,
    InputKind,
    TaskArtifactAdded,
    TaskClaimed,
    TaskClaimRenewed,
    TaskCompleted,
    TaskInputRequested,
    TaskProgressed,
)
from quorate.domain.sessions.task_states import Task
from quorate.domain.sessions.tasks import (
    CONTENTS_PER_TASK_MAX,
    TASKS,
    StaleFence,
    TaskNotFound,
    claim_ended,
    failed,
    of_claim,
)
from quorate.domain.shared import quotas
from quorate.domain.shared.aggregates import Reads
from quorate.domain.shared.contents import Content
from quorate.domain.shared.errors import Conflict, Forbidden
from quorate.domain.shared.records import record
from quorate.domain.shared.state import DecisionContext, TenantState
from quorate.domain.shared.timestamps import MILLISECONDS_PER_SECOND, Timestamp

CLAIM_SECONDS_MIN, CLAIM_SECONDS_DEFAULT, CLAIM_SECONDS_MAX = 1, 60, 3_600
PRESETS_PER_CLAIM_MAX = 16
CANDIDATES_MAX = 32  # The offered tasks of one preset that a claim loads.
OFFERED_TASKS = "task.offered"  # A read of the oldest offered tasks of a preset.
ERROR_LENGTH_MAX = 1_000
FailAs: TypeAlias = Literal["failed", "rejected", "retry"]


@dataclass(eq=False)
class ClaimDenied(Forbidden):
    """A key that is bound to a preset works for that preset only."""

    code, title = "claim_denied", "The key is bound to another preset"
    detail = "the key may not claim tasks of preset '{preset}'"
    preset: str


@dataclass(eq=False)
class TooManyContents(Conflict):
    code, title = "too_many_contents", "The task has all the texts and files that it may have"
    limit: int


# -- Claim -------------------------------------------------------------------


@record
class ClaimResult:
    """``is_exhausted``: no task is offered. Otherwise others took those that were loaded."""

    task: Task | None
    is_exhausted: bool = True


@record
class ClaimTask:
    """``own_presets`` are those that the caller's keys are bound to; without any, all are open."""

    caller: Principal
    agent: AgentRef
    presets: tuple[str, ...]
    own_presets: tuple[str, ...] = ()
    seconds: int = CLAIM_SECONDS_DEFAULT

    def reads(self) -> Reads:
        offers = tuple([(OFFERED_TASKS, preset) for preset in self.presets])
        return (*reads_of_agent(self.caller, self.agent, AGENTS.name), *offers)

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[TaskClaimed]:
        agent = acting_actively(self.caller, self.agent, state, context)
        for preset in self.presets:
            if self.own_presets and preset not in self.own_presets:
                raise ClaimDenied(preset)
        task = self._oldest(state, context.now)
        if task is None:
            return []
        return [
            TaskClaimed(
                task_id=task.id,
                spawner_id=task.spawner_id,
                worker_id=agent.id,
                fence=context.sequence,
                preset=task.preset,
                attempts=task.attempts + 1,
                expires_at=_until(context, self.seconds),
            )
        ]

    def _oldest(self, state: TenantState, now: Timestamp) -> Task | None:
        found = [
            task
            for task in state[TASKS].values()
            if task.is_offered and task.preset in self.presets and now < task.times_out_at
        ]
        return min(found, key=lambda task: task.sequence, default=None)

    def result(self, state: TenantState, events: Sequence[TaskClaimed]) -> ClaimResult:
        if events:
            return ClaimResult(task=state[TASKS][events[0].task_id])
        loaded = [task for task in state[TASKS].values() if task.preset in self.presets]
        return ClaimResult(task=None, is_exhausted=len(loaded) < CANDIDATES_MAX)

    def hands_out(self, result: ClaimResult) -> str | None:
        return None if result.task is None else result.task.id


def _until(context: DecisionContext, seconds: int) -> Timestamp:
    return Timestamp(context.now + seconds * MILLISECONDS_PER_SECOND)


# -- Commands of the holder of a claim ---------------------------------------


class ClaimCommand:
    """A command of the worker that has the task. Its contents have the id ``content_id``."""

    __slots__ = ()
    caller: Principal
    agent: AgentRef
    task_id: str
    fence: int

    def reads(self) -> Reads:
        return (
            *reads_of_agent(self.caller, self.agent, AGENTS.name),
            *TASKS.by("id", self.task_id),
            quotas.COUNTS,
        )

    def _held(self, state: TenantState) -> Task:
        return held_task(state, self.task_id, acting(self.caller, self.agent, state), self.fence)

    def result(self, state: TenantState, _events: Sequence[Event]) -> Task:
        return state[TASKS][self.task_id]


def held_task(state: TenantState, task_id: str, worker: Agent, fence: int) -> Task:
    """Return the task whose claim has this fence; raise TaskNotFound or StaleFence."""
    task = state[TASKS].get(task_id)
    if task is None:
        raise TaskNotFound(task_id)
    claim = task.claim
    if claim is None or claim.worker_id != worker.id or claim.fence != fence:
        raise StaleFence(task_id)
    return task


def check_contents(
    state: TenantState, context: DecisionContext, task: Task, contents: Sequence[Content]
) -> None:
    """Raise TooManyContents or QuotaExceeded if the task may not have these contents."""
    if len(task.content_ids) >= CONTENTS_PER_TASK_MAX:
        raise TooManyContents(CONTENTS_PER_TASK_MAX)
    size = sum([len(one.data) for one in contents])
    quotas.check("mailbox_bytes", state.count("mailbox_bytes"), context.quotas, more=size)


def _refs(contents: Sequence[Content]) -> dict[str, Any]:
    return {"content_id": contents[0].id, "contents": tuple([one.ref for one in contents])}


@record
class RenewClaim(ClaimCommand):
    """A renewal never shortens a claim."""

    caller: Principal
    agent: AgentRef
    task_id: str
    fence: int
    seconds: int = CLAIM_SECONDS_DEFAULT

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Event]:
        task = self._held(state)
        assert task.claim is not None
        until = _until(context, self.seconds)
        if until <= task.claim.expires_at:
            return []
        return [TaskClaimRenewed(**of_claim(task), expires_at=until)]

    def repeat(
        self, _granted: object, state: TenantState, _context: DecisionContext
    ) -> Sequence[Event]:
        """Accept the repetition while the claim lasts; raise StaleFence after it."""
        self._held(state)
        return []


@record
class ReportProgress(ClaimCommand):
    caller: Principal
    agent: AgentRef
    task_id: str
    fence: int
    percent: int | None = None
    message: str | None = None
    iterations: int | None = None
    tool_calls_made: int | None = None
    output: tuple[Content, ...] = ()

    def contents(self) -> Sequence[Content]:
        return self.output

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Event]:
        task = self._held(state)
        if self.output:
            check_contents(state, context, task, self.output)
        return [
            TaskProgressed(
                **of_claim(task),
                percent=self.percent,
                message=self.message,
                iterations=self.iterations,
                tool_calls_made=self.tool_calls_made,
                **(_refs(self.output) if self.output else {}),
            )
        ]


@record
class AddArtifact(ClaimCommand):
    caller: Principal
    agent: AgentRef
    task_id: str
    fence: int
    name: str
    media_type: str
    body: tuple[Content, ...]

    def contents(self) -> Sequence[Content]:
        return self.body

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Event]:
        task = self._held(state)
        check_contents(state, context, task, self.body)
        return [
            TaskArtifactAdded(
                **of_claim(task),
                **_refs(self.body),
                name=self.name,
                media_type=self.media_type,
            )
        ]


@record
class RequestInput(ClaimCommand):
    """Ask the agent that submitted the task; it keeps the claim, and renews it meanwhile."""

    caller: Principal
    agent: AgentRef
    task_id: str
    fence: int
    kind: InputKind
    question: tuple[Content, ...]

    def contents(self) -> Sequence[Content]:
        return self.question

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Event]:
        task = self._held(state)
        check_contents(state, context, task, self.question)
        return [TaskInputRequested(**of_claim(task), **_refs(self.question), kind=self.kind)]


@record
class CompleteTask(ClaimCommand):
    """The result is stored even if the task has all the contents that it may have."""

    caller: Principal
    agent: AgentRef
    task_id: str
    fence: int
    text: tuple[Content, ...]
    iterations: int | None = None
    tool_calls_made: int | None = None

    def contents(self) -> Sequence[Content]:
        return self.text

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Event]:
        task = self._held(state)
        size = sum([len(one.data) for one in self.text])
        quotas.check("mailbox_bytes", state.count("mailbox_bytes"), context.quotas, more=size)
        return [
            TaskCompleted(
                **of_claim(task),
                **_refs(self.text),
                iterations=self.iterations,
                tool_calls_made=self.tool_calls_made,
            )
        ]


@record
class FailTask(ClaimCommand):
    """End the task (``failed``, ``rejected``), or only this attempt (``retry``)."""

    caller: Principal
    agent: AgentRef
    task_id: str
    fence: int
    error: str
    outcome: FailAs = "failed"

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Event]:
        task, error = self._held(state), self.error[:ERROR_LENGTH_MAX]
        if self.outcome == "retry":
            return claim_ended(task, "failed", context.now, error)
        return [failed(task, self.outcome, error, has_claim=True)]


@record
class ReleaseClaim(ClaimCommand):
    """Give the task back: it is offered again at once."""

    caller: Principal
    agent: AgentRef
    task_id: str
    fence: int

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Event]:
        return claim_ended(self._held(state), "released", context.now)


CLAIM_COMMANDS = (
    ClaimTask,
    RenewClaim,
    ReportProgress,
    AddArtifact,
    RequestInput,
    CompleteTask,
    FailTask,
    ReleaseClaim,
)
