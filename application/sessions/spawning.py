"""Follow, list and cancel tasks: the tools of the agent that submitted them."""

from quorate.application.execution import Service
from quorate.application.operations import Call, Reply
from quorate.application.rendering import dump
from quorate.application.sessions.task_access import find_task
from quorate.application.sessions.task_texts import read_texts, render_task
from quorate.application.sessions.tool_calls import ToolCaller, handles_tool
from quorate.contracts.sessions.spawn import (
    CANCEL_SPAWN,
    SPAWN_LIST,
    SPAWN_RESULT,
    SPAWN_STATUS,
    TASK_SHOWN_LENGTH,
    SpawnListInput,
)
from quorate.domain.sessions.task_spawning import CancelTask, check_spawner
from quorate.domain.sessions.tasks import CONTEXT_PART, TASK_PART


async def _status(service: Service, call: Call, caller: ToolCaller, *, has_result: bool) -> Reply:
    tenant = call.principal.tenant
    result = await find_task(service, tenant, call.body.task_id)
    check_spawner(result.found, caller.agent_id)
    texts = await read_texts(service, tenant, result.found)
    body = dump(render_task(result.found, texts, result.now, has_result=has_result))
    service.read_budget.charge(call.principal, len(body))
    return Reply(body=body, sequence=result.sequence)


@handles_tool(SPAWN_STATUS)
async def spawn_status(service: Service, call: Call, caller: ToolCaller) -> Reply:
    return await _status(service, call, caller, has_result=False)


@handles_tool(SPAWN_RESULT)
async def spawn_result(service: Service, call: Call, caller: ToolCaller) -> Reply:
    return await _status(service, call, caller, has_result=True)


@handles_tool(SPAWN_LIST)
async def spawn_list(service: Service, call: Call, caller: ToolCaller) -> Reply:
    body: SpawnListInput = call.body
    tenant = call.principal.tenant
    async with service.read_budget.turn(call.principal):
        result = await service.sessions.tasks.page(
            tenant, caller.agent_id, body.status, body.cursor, body.limit + 1
        )
        tasks = result.found[: body.limit]
        texts = await service.sessions.task_contents.parts(
            tenant, [task.id for task in tasks], (TASK_PART, CONTEXT_PART)
        )
    shown = []
    for task in tasks:
        one = render_task(task, texts, result.now, has_result=False)
        for name in (TASK_PART, CONTEXT_PART):
            one[name] = None if one[name] is None else one[name][:TASK_SHOWN_LENGTH]
        shown.append(one)
    cursor = tasks[-1].sequence if len(result.found) > body.limit else None
    answer = dump({"tasks": shown, "count": len(shown), "cursor": cursor})
    service.read_budget.charge(call.principal, len(answer))
    return Reply(body=answer, sequence=result.sequence)


@handles_tool(CANCEL_SPAWN)
async def cancel_spawn(service: Service, call: Call, caller: ToolCaller) -> Reply:
    command = CancelTask(
        caller=caller.principal,
        agent=caller.agent,
        restrictions=caller.restrictions,
        task_id=call.body.task_id,
    )
    now = service.clock()
    return await service.execute(
        call,
        command,
        lambda found: dump(
            render_task(found[0], {}, found[0].ended_at or now, has_result=False)
            | {"cancelled": found[1]}
        ),
    )
