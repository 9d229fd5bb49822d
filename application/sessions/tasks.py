"""Report on a claimed task, answer its questions, read its files; operators move and end tasks."""

from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Callable
from functools import partial
from typing import Any

import orjson

from quorate.application.acting_agents import acting_agent_id
from quorate.application.execution import Service
from quorate.application.named_tenant import tenant_of
from quorate.application.operations import Call, Reply, handles
from quorate.application.pagination import list_reply
from quorate.application.rendering import Json, dump
from quorate.application.sessions.task_access import (
    check_reader,
    find_task,
    worker_ref,
)
from quorate.application.sessions.task_texts import (
    ANSWER_ID,
    ARTIFACT_ID,
    INPUT_ID,
    OUTPUT_ID,
    RESULT_ID,
    make_content,
    one_text,
    render_artifact,
    render_state,
    render_task,
)
from quorate.contracts.problems import Problem
from quorate.contracts.sessions.task_models import PREVIEW_LENGTH_MAX
from quorate.contracts.sessions.tasks import (
    ADD_ARTIFACT,
    ANSWER_TASK,
    ARTIFACT_BYTES_MAX,
    CANCEL_TASK,
    COMPLETE_TASK,
    FAIL_TASK,
    GET_ARTIFACT,
    LIST_DEAD_TASKS,
    OUTPUT_BYTES_MAX,
    QUESTION_BYTES_MAX,
    RELEASE_TASK,
    RENEW_TASK,
    REPORT_PROGRESS,
    REQUEST_INPUT,
    REQUEUE_TASK,
    RESULT_BYTES_MAX,
    RETRY_TASK,
    AnswerBody,
    ArtifactRequest,
    CompleteBody,
    FailBody,
    InputBody,
    ProgressBody,
    RenewBody,
    TasksQuery,
)
from quorate.domain.identity.agents import AgentRef
from quorate.domain.sessions.presets import Restrictions
from quorate.domain.sessions.task_claims import (
    AddArtifact,
    CompleteTask,
    FailTask,
    ReleaseClaim,
    RenewClaim,
    ReportProgress,
    RequestInput,
)
from quorate.domain.sessions.task_operators import CancelAnyTask, RequeueTask
from quorate.domain.sessions.task_spawning import AnswerInput, RetryTask
from quorate.domain.sessions.task_states import Artifact, Task
from quorate.domain.sessions.tasks import TEXT_PART, TaskNotFound
from quorate.domain.shared.contents import Content
from quorate.domain.shared.state import Command
from quorate.domain.shared.timestamps import Timestamp
from quorate.projections.sessions.task_queries import ListedTask


async def _report(
    service: Service,
    call: Call,
    command_type: type[Any],
    *,
    contents: tuple[Content, ...] = (),
    grant_in: Callable[[bytes], Any] | None = None,
    **fields: Any,  # noqa: ANN401 - of the command.
) -> Reply:
    """Submit a command of the holder of a claim."""
    command = command_type(
        caller=call.principal,
        agent=worker_ref(call),
        task_id=call.path["task_id"],
        fence=call.body.fence,
        **fields,
    )
    id_ = contents[0].id if contents else None
    return await service.execute(
        call, command, lambda task: dump(render_state(task, id_)), grant_in=grant_in
    )


@handles(RENEW_TASK)
async def renew(service: Service, call: Call) -> Reply:
    body: RenewBody = call.body
    # Its stored response states a right in time: a repetition is judged again.
    return await _report(
        service, call, RenewClaim, grant_in=orjson.loads, seconds=body.claim_seconds
    )


@handles(REPORT_PROGRESS)
async def report_progress(service: Service, call: Call) -> Reply:
    body: ProgressBody = call.body
    output: tuple[Content, ...] = ()
    if body.output is not None:
        output = one_text(service, OUTPUT_ID, body.output, OUTPUT_BYTES_MAX)
    return await _report(
        service,
        call,
        ReportProgress,
        contents=output,
        output=output,
        percent=body.percent,
        message=body.message,
        iterations=body.iterations,
        tool_calls_made=body.tool_calls_made,
    )


@handles(ADD_ARTIFACT)
async def add_artifact(service: Service, call: Call) -> Reply:
    body: ArtifactRequest = call.body
    if (body.text is None) == (body.data is None):
        raise Problem("invalid_request", "text: either text or data is required.")
    data = _decoded(body.data) if body.text is None else body.text.encode()
    id_ = service.prefixed_id(ARTIFACT_ID)
    contents = (make_content(id_, TEXT_PART, data, ARTIFACT_BYTES_MAX, "data"),)
    return await _report(
        service,
        call,
        AddArtifact,
        contents=contents,
        body=contents,
        name=body.name,
        media_type=body.content_type,
    )


def _decoded(text: str | None) -> bytes:
    try:
        return b64decode(text or "", validate=True)
    except (NotBase64, ValueError):
        raise Problem("invalid_request", "data: it is not base64.") from None


@handles(REQUEST_INPUT)
async def request_input(service: Service, call: Call) -> Reply:
    body: InputBody = call.body
    question = one_text(service, INPUT_ID, body.text, QUESTION_BYTES_MAX)
    return await _report(
        service, call, RequestInput, contents=question, question=question, kind=body.kind
    )


@handles(COMPLETE_TASK)
async def complete(service: Service, call: Call) -> Reply:
    body: CompleteBody = call.body
    text = one_text(service, RESULT_ID, body.text, RESULT_BYTES_MAX)
    return await _report(
        service,
        call,
        CompleteTask,
        contents=text,
        text=text,
        iterations=body.iterations,
        tool_calls_made=body.tool_calls_made,
    )


@handles(FAIL_TASK)
async def fail(service: Service, call: Call) -> Reply:
    body: FailBody = call.body
    return await _report(service, call, FailTask, error=body.error, outcome=body.outcome)


@handles(RELEASE_TASK)
async def release(service: Service, call: Call) -> Reply:
    return await _report(service, call, ReleaseClaim)


@handles(ANSWER_TASK)
async def answer(service: Service, call: Call) -> Reply:
    body: AnswerBody = call.body
    text = one_text(service, ANSWER_ID, body.text, QUESTION_BYTES_MAX)
    command = AnswerInput(
        caller=call.principal,
        agent=AgentRef(id=body.agent_id, name=body.agent_name),
        restrictions=Restrictions(),
        task_id=call.path["task_id"],
        input_id=body.input_id,
        text=text,
    )
    return await service.execute(
        call, command, lambda found: dump(render_state(found[0], text[0].id))
    )


@handles(GET_ARTIFACT)
async def get_artifact(service: Service, call: Call) -> Reply:
    tenant, artifact_id = call.principal.tenant, call.path["artifact_id"]
    agent_id = await acting_agent_id(service, call)
    result = await find_task(service, tenant, call.path["task_id"])
    task = result.found
    check_reader(task, agent_id)
    artifact = _artifact(task, artifact_id)
    found = await service.sessions.task_contents.one(tenant, artifact_id, TEXT_PART)
    if artifact is None or found is None:
        raise TaskNotFound(artifact_id)
    body = {
        **render_artifact(artifact),
        "bytes": len(found.data),
        "data": b64encode(found.data).decode(),
    }
    answer = dump(body)
    service.read_budget.charge(call.principal, len(answer))
    return Reply(body=answer, sequence=result.sequence)


def _artifact(task: Task, id_: str) -> Artifact | None:
    """Return a file of the task; a partial output is a plain text without a name."""
    if id_ in task.output_ids:
        return Artifact(id=id_, name="output", media_type="text/plain", bytes=0)
    return next((one for one in task.artifacts if one.id == id_), None)


@handles(LIST_DEAD_TASKS)
async def list_dead_tasks(service: Service, call: Call) -> Reply:
    tenant = call.principal.tenant

    def render(found: ListedTask, now: Timestamp) -> Json:
        text = found.beginning and found.beginning[:PREVIEW_LENGTH_MAX]
        return {**render_task(found.task, {}, now, has_result=False), "task": text}

    query: TasksQuery = call.query
    if query.after and not query.after.isdigit():
        raise Problem("invalid_request", "after: it is not from a list of tasks.")
    return await list_reply(
        service,
        call,
        LIST_DEAD_TASKS.path,
        partial(service.sessions.tasks.selection, tenant, query.state),
        render=render,
        cursor=lambda found: str(found.task.sequence),
    )


@handles(RETRY_TASK)
async def retry(service: Service, call: Call) -> Reply:
    task_id = call.path["task_id"]
    command = RetryTask(caller=call.principal, task_id=task_id, detail=call.body.reason)
    return await _operate(service, call, command)


@handles(CANCEL_TASK)
async def cancel(service: Service, call: Call) -> Reply:
    command = CancelAnyTask(task_id=call.path["task_id"], detail=call.body.reason)
    return await _operate(service, call, command)


@handles(REQUEUE_TASK)
async def requeue(service: Service, call: Call) -> Reply:
    command = RequeueTask(task_id=call.path["task_id"], detail=call.body.reason)
    return await _operate(service, call, command)


async def _operate(service: Service, call: Call, command: Command) -> Reply:
    """Submit a command of an operator."""
    return await service.execute(
        call, command, lambda task: dump(render_state(task)), tenant_of(call)
    )
