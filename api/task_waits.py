"""Claim a task, hand one over, and read one: the operations on tasks that can wait."""

import asyncio
from typing import Any

import orjson

from quorate.api.event_streams import SubscriptionWait, wait_while_connected
from quorate.application.acting_agents import acting_agent_id
from quorate.application.execution import Service, replay_headers
from quorate.application.operations import Call, Reply, handles
from quorate.application.rendering import dump
from quorate.application.sessions.task_access import (
    check_reader,
    find_task,
    worker_ref,
)
from quorate.application.sessions.task_texts import (
    TASK_ID,
    make_content,
    read_texts,
    render_claim,
    render_spawned,
    render_task,
    text_in,
)
from quorate.application.sessions.tool_calls import ToolCaller, handles_tool
from quorate.contracts.problems import Problem
from quorate.contracts.sessions.spawn import SPAWN_AGENT, SpawnInput
from quorate.contracts.sessions.tasks import (
    CLAIM_TASK,
    GET_TASK,
    TASK_BYTES_MAX,
    ClaimBody,
    TaskQuery,
)
from quorate.contracts.wire_models import WAIT_SECONDS_MAX
from quorate.domain.identity.principals import Principal
from quorate.domain.sessions.task_claims import ClaimTask
from quorate.domain.sessions.task_events import UNNAMED
from quorate.domain.sessions.task_states import Task
from quorate.domain.sessions.task_submission import (
    SpawnedTaskFailed,
    SpawnTask,
    TaskRequest,
    TaskTextRequired,
)
from quorate.domain.sessions.tasks import CONTEXT_PART, TASK_PART
from quorate.domain.sessions.tool_controls import parse_tool_controls
from quorate.eventlog.envelopes import Accepted
from quorate.projections.snapshots import QueryResult

BLOCKING_SECONDS_MAX = 600.0
CLAIMS_AT_ONCE_MAX = 32  # Attempts to claim before a wait: each was taken by another worker.
_NOTHING = dump({"task": None})


# -- Claims ------------------------------------------------------------------


@handles(CLAIM_TASK)
async def claim_task(service: Service, call: Call) -> Reply:
    body: ClaimBody = call.body
    principal: Principal = call.principal
    command = ClaimTask(
        caller=principal,
        agent=worker_ref(call),
        presets=tuple(dict.fromkeys(body.presets)) or (UNNAMED,),
        own_presets=await _own_presets(service, principal),
        seconds=body.claim_seconds,
    )
    accepted, found = await _claim(service, call, command)
    if found is None and body.wait:
        accepted, found = await _wait_for_offer(service, call, command)
    headers = replay_headers(accepted)
    if found is None:
        return Reply(body=_NOTHING, sequence=accepted.sequence, headers=headers)
    contents = accepted.contents
    if contents is None:
        contents = await service.sessions.task_contents.all(principal.tenant, [found.id])
    reply = dump({"task": render_claim(found, contents)})
    return Reply(body=reply, sequence=accepted.sequence, headers=headers)


async def _own_presets(service: Service, principal: Principal) -> tuple[str, ...]:
    """Return the presets that the caller's keys are bound to; over NATS the key is not known."""
    if principal.preset is not None:
        return (principal.preset,)
    if principal.role == "agent" and not principal.key_id and principal.agent_id is not None:
        return await service.sessions.presets.bound_to(principal.tenant, principal.agent_id)
    return ()


async def _claim(service: Service, call: Call, command: ClaimTask) -> tuple[Accepted, Task | None]:
    """Claim a task if one is offered. A repeated request gets its task, as long as it has it."""
    claimed: list[Task] = []

    def render(result: Any) -> bytes:  # noqa: ANN401 - a ClaimResult.
        claimed[:] = [] if result.task is None else [result.task]
        if result.task is None:
            return dump({"is_exhausted": result.is_exhausted})
        return dump({"task_id": result.task.id, "fence": result.task.claim.fence})

    for _ in range(CLAIMS_AT_ONCE_MAX):
        claimed.clear()
        accepted = await service.submit(call, command, render)
        answer = orjson.loads(accepted.body)
        if "task_id" in answer:
            if claimed and not accepted.replayed:
                return accepted, claimed[0]
            task = (
                await service.sessions.tasks.one(call.principal.tenant, answer["task_id"])
            ).found
            is_held = task is not None and task.claim is not None
            is_same = is_held and task.claim.fence == answer["fence"]  # type: ignore[union-attr]
            return accepted, task if is_same else None
        if answer["is_exhausted"]:
            break
    return accepted, None


async def _wait_for_offer(
    service: Service, call: Call, command: ClaimTask
) -> tuple[Accepted, Task | None]:
    body: ClaimBody = call.body
    principal, clock = call.principal, asyncio.get_running_loop().time
    until = clock() + body.wait
    tasks = service.subscriptions.tasks
    subscribed = tasks.subscribe_to_offers(principal.tenant, command.presets, principal.key_id)
    async with wait_while_connected(call, subscribed) as wait:
        while True:
            wait.begin()
            accepted, found = await _claim(service, call, command)
            if found is None or not wait.is_woken:  # Else its turn is for the next one.
                wait.mark_served(tasks.took)
            left = until - clock()
            if found is not None or wait.has_ended or left <= 0:
                break
            await wait.for_change(left)
        _check_key(wait)
    return accepted, found


def _check_key(wait: SubscriptionWait) -> None:
    if wait.is_revoked:
        raise Problem("unauthorized", "The key was revoked.")


# -- Submission --------------------------------------------------------------


@handles_tool(SPAWN_AGENT)
async def spawn_agent(service: Service, call: Call, caller: ToolCaller) -> Reply:
    body: SpawnInput = call.body
    caller.require_agent()
    if not body.task or not body.task.strip():
        raise TaskTextRequired
    tenant, task_id = call.principal.tenant, service.prefixed_id(TASK_ID)
    texts = {TASK_PART: body.task}
    if body.context is not None:
        texts[CONTEXT_PART] = body.context
    command = SpawnTask(
        caller=caller.principal,
        agent=caller.agent,
        restrictions=caller.restrictions,
        request=await _request(service, tenant, body, task_id),
        texts=tuple(
            [
                make_content(task_id, part, text.encode(), TASK_BYTES_MAX, part)
                for part, text in texts.items()
            ]
        ),
        parent_id=caller.task_id,
    )
    accepted = await service.submit(call, command, lambda task: dump(render_spawned(task, None)))
    headers = replay_headers(accepted)
    if body.nonblocking:
        return Reply(body=accepted.body, sequence=accepted.sequence, headers=headers)
    submitted = orjson.loads(accepted.body)
    result = await _wait_for_end(service, call, submitted["task_id"])
    task = result.found
    if task.has_ended and task.result_id is None:
        raise SpawnedTaskFailed(task.id, task.error or task.state, task.state)
    text = text_in(await read_texts(service, tenant, task), task.result_id)
    return Reply(body=dump(render_spawned(task, text)), sequence=result.sequence, headers=headers)


async def _request(service: Service, tenant: str, body: SpawnInput, task_id: str) -> TaskRequest:
    count = None
    if body.preset is not None:
        count = await service.sessions.presets.count(tenant)
    return TaskRequest(
        task_id=task_id,
        preset=body.preset,
        model=body.model,
        controls=parse_tool_controls(body.active_tools, body.tool_choice),
        allow_tools=None if body.allow_tools is None else tuple(body.allow_tools),
        deny_tools=tuple(body.deny_tools or ()),
        delegate_only=body.delegate_only,
        timeout_seconds=body.timeout_seconds,
        retention_seconds=service.sessions.task_retention_seconds,
        preset_count=count,
    )


async def _wait_for_end(service: Service, call: Call, task_id: str) -> QueryResult[Task]:
    """Return the task when it has ended, or as it is when the wait ends."""
    is_over_nats = not hasattr(call, "receive")
    seconds = WAIT_SECONDS_MAX if is_over_nats else BLOCKING_SECONDS_MAX
    return await _wait_for_task(service, call, task_id, seconds, lambda task: task.has_ended)


async def _wait_for_task(
    service: Service,
    call: Call,
    task_id: str,
    seconds: float,
    is_done: Any,  # noqa: ANN401 - of a Task.
) -> QueryResult[Task]:
    principal, clock = call.principal, asyncio.get_running_loop().time
    until = clock() + seconds
    subscribed = service.subscriptions.tasks.subscribe_to_task(
        principal.tenant, task_id, principal.key_id
    )
    async with wait_while_connected(call, subscribed) as wait:
        while True:
            wait.begin()
            result = await find_task(service, principal.tenant, task_id)
            left = until - clock()
            if is_done(result.found) or wait.has_ended or left <= 0:
                break
            await wait.for_change(left)
        _check_key(wait)
    return result


# -- Reading -----------------------------------------------------------------


@handles(GET_TASK)
async def get_task(service: Service, call: Call) -> Reply:
    query: TaskQuery = call.query
    tenant, task_id = call.principal.tenant, call.path["task_id"]
    agent_id = await acting_agent_id(service, call)
    result = await find_task(service, tenant, task_id)
    check_reader(result.found, agent_id)
    known = query.after

    def is_new(task: Task) -> bool:
        return known is None or task.version > known or task.has_ended

    if query.wait and not is_new(result.found):
        result = await _wait_for_task(service, call, task_id, query.wait, is_new)
        check_reader(result.found, agent_id)
    texts = await read_texts(service, tenant, result.found)
    body = dump(render_task(result.found, texts, result.now, has_result=True))
    service.read_budget.charge(call.principal, len(body))
    return Reply(body=body, sequence=result.sequence)
