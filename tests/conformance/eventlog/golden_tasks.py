"""What happens with tasks in the golden log."""

from collections.abc import Mapping, Sequence
from typing import Any

from quorate.domain.identity.agents import AgentRef, RegisterAgent
from quorate.domain.identity.principals import Principal
from quorate.domain.sessions.presets import ApplyPreset, Restrictions
from quorate.domain.sessions.task_claims import (
    AddArtifact,
    ClaimTask,
    CompleteTask,
    FailTask,
    ReleaseClaim,
    RenewClaim,
    ReportProgress,
    RequestInput,
)
from quorate.domain.sessions.task_nesting import CancelNestedTasks
from quorate.domain.sessions.task_spawning import AnswerInput, CancelTask, RetryTask
from quorate.domain.sessions.task_submission import SpawnTask, TaskRequest
from quorate.domain.sessions.tasks import TASKS
from quorate.domain.sessions.tool_controls import ToolChoice, ToolControls
from quorate.domain.shared.aggregates import Reads
from quorate.domain.shared.contents import SALT_BYTES, Content, contents_of
from quorate.domain.shared.deadlines import RecordDue
from quorate.domain.shared.records import changed, record
from quorate.domain.shared.state import DecisionContext, TenantState

ROUTER = "router"
CALLER = Principal(key_id="fedcba9876543210", role="tenant", tenant="acme")
SPAWNER, WORKER = AgentRef(name="spawner"), AgentRef(name="worker")


def content(id_: str, text: str, part: str = "text") -> Content:
    return Content(id=id_, part=part, salt=b"s" * SALT_BYTES, data=text.encode())


@record
class ByHolder:
    """A command of the worker that has the task, with the fence that its claim has then."""

    kind: type[Any]
    worker: AgentRef
    task_id: str
    fields: Mapping[str, Any]

    def command(self, fence: int) -> Any:  # noqa: ANN401 - of ``kind``.
        return self.kind(
            caller=CALLER, agent=self.worker, task_id=self.task_id, fence=fence, **self.fields
        )

    def reads(self) -> Reads:
        reads: Reads = self.command(0).reads()
        return reads

    def contents(self) -> Sequence[Content]:
        return contents_of(self.command(0))

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Any]:
        claim = state[TASKS][self.task_id].claim
        assert claim is not None
        events: Sequence[Any] = self.command(claim.fence).decide(state, context)
        return events

    def result(self, _state: TenantState, _events: Sequence[Any]) -> None:
        return None


def _spawn(id_: str, **fields: Any) -> SpawnTask:  # noqa: ANN401 - of a TaskRequest.
    return SpawnTask(
        caller=CALLER,
        agent=SPAWNER,
        restrictions=Restrictions(),
        request=TaskRequest(task_id=id_, **fields),
        texts=(content(id_, f"do {id_}", "task"),),
    )


def _nested(id_: str, parent_id: str) -> SpawnTask:
    return changed(_spawn(id_), agent=WORKER, parent_id=parent_id)


def _claim(preset: str) -> ClaimTask:
    return ClaimTask(caller=CALLER, agent=WORKER, presets=(preset,))


def _by_holder(command: type[Any], id_: str, **fields: Any) -> ByHolder:  # noqa: ANN401
    return ByHolder(kind=command, worker=WORKER, task_id=id_, fields=fields)


def _by_spawner(kind: type[Any], id_: str, **fields: Any) -> Any:  # noqa: ANN401
    common = {"caller": CALLER, "agent": SPAWNER, "restrictions": Restrictions()}
    return kind(**common, task_id=id_, **fields)


def _register(name: str) -> RegisterAgent:
    id_ = f"agent_00000000-0000-7000-8000-{name:0>12}"
    return RegisterAgent(caller=CALLER, agent_name=name, agent_role="general", new_agent_id=id_)


def task_story() -> Sequence[tuple[float, Any]]:
    """Return commands and the minutes before each."""
    controls = ToolControls(active_tools=("classify",), tool_choice=ToolChoice(type="any"))
    one, two, three = "task_one", "task_two", "task_three"
    names = ("classify",)
    file = {"name": "a.txt", "media_type": "text/plain", "body": (content("artifact_one", "y"),)}
    output = (content("output_one", "x"),)
    question, answer = (content("input_one", "?"),), (content("answer_one", "!"),)
    return (
        (0, _register("spawner")),
        (0, _register("worker")),
        (0, ApplyPreset(caller=CALLER, name=ROUTER, fields={"max_attempts": 1}, count=1)),
        (0, _spawn(one, preset=ROUTER, controls=controls, allow_tools=names, model="small")),
        (0, _claim(ROUTER)),
        (0.5, _by_holder(RenewClaim, one, seconds=90)),
        (0, _by_holder(ReportProgress, one, percent=50, message="half", output=output)),
        (0, _by_holder(AddArtifact, one, **file)),
        (0, _by_holder(RequestInput, one, kind="input", question=question)),
        (0, _by_spawner(AnswerInput, one, input_id="input_one", text=answer)),
        (0, _by_holder(CompleteTask, one, text=(content("result_one", "inline"),))),
        (0, _spawn(two, preset=ROUTER, retention_seconds=60)),
        (0, _claim(ROUTER)),
        (0, _by_holder(FailTask, two, error="no", outcome="retry")),
        (0, RetryTask(caller=CALLER, task_id=two)),
        (0, _by_spawner(CancelTask, two)),
        (0, _spawn(three)),
        (0, _claim("-")),
        (0, _by_holder(ReleaseClaim, three)),
        (0, _spawn("task_four", retention_seconds=60)),
        (0, _claim("-")),
        (0, _by_holder(CompleteTask, three, text=(content("result_three", "done"),))),
        (0, _claim("-")),
        (0, _by_holder(CompleteTask, "task_four", text=(content("result_four", "gone"),))),
        (1, RecordDue(aggregate=TASKS.name, id="task_four")),
        (0, _spawn("task_five")),
        (0, _claim("-")),
        (0, _nested("task_six", "task_five")),
        (0, _claim("-")),
        (0, _by_spawner(CancelTask, "task_five")),
        (0, CancelNestedTasks(parent_id="task_five", task_ids=("task_six",))),
    )
