"""Schedules: turns of agents that occur by a cron expression, at a distance, or once."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

from quorate.application.execution import Service
from quorate.application.named_tenant import tenant_of
from quorate.application.new_contents import salted
from quorate.application.operations import Call, Reply, handles
from quorate.application.pagination import list_reply
from quorate.application.rendering import Json, dump, renderer
from quorate.application.sessions.occurrences import AGENT_TURN, make_occurrence, payload_of
from quorate.application.sessions.tool_calls import ToolCaller, handles_tool
from quorate.contracts.sessions.schedules import (
    LIST_SCHEDULES,
    PAUSE_SCHEDULE,
    RESUME_SCHEDULE,
    SCHEDULE,
    AgentTurn,
    ScheduleInput,
    ScheduleStateInfo,
)
from quorate.domain.sessions.parameters import MissingParameter
from quorate.domain.sessions.schedule_commands import (
    CreateSchedule,
    DeleteSchedule,
    PauseAnySchedule,
    PauseSchedule,
    ResumeAnySchedule,
    ResumeSchedule,
    RunScheduleNow,
)
from quorate.domain.sessions.schedule_times import ScheduleInvalid, parse_times
from quorate.domain.sessions.schedules import (
    MESSAGE_PART,
    Schedule,
    ScheduleNotFound,
    UnknownScheduleAction,
)
from quorate.domain.sessions.tool_controls import parse_tool_controls
from quorate.domain.shared.timestamps import iso
from quorate.projections.snapshots import Size

Action: TypeAlias = Callable[[Service, Call, ToolCaller], Awaitable[Reply]]
_ENVELOPE_BYTES = 1_000  # Of a schedule in a list, besides its message.


@handles_tool(SCHEDULE)
async def schedule(service: Service, call: Call, caller: ToolCaller) -> Reply:
    action = _ACTIONS.get(call.body.action)
    if action is None:
        raise UnknownScheduleAction(call.body.action)
    return await action(service, call, caller)


@handles(LIST_SCHEDULES)
async def list_schedules(service: Service, call: Call) -> Reply:
    return await list_reply(
        service,
        call,
        LIST_SCHEDULES.path,
        partial(service.sessions.schedules.page, call.principal.tenant, None),
        render=lambda found, _now: _render_listed(found),
        cursor=lambda found: found.id,
    )


def _render(found: Schedule, message: str | None) -> Json:
    return {**_render_listed(found), "payload": payload_of(found, message)}


def _render_listed(found: Schedule) -> Json:
    return {
        "id": found.id,
        "name": found.name,
        "agent_id": found.agent_id,
        "schedule": dict(found.times),
        "preset": found.preset,
        "session_key": found.session_key,
        "missed": found.missed,
        "status": found.status,
        "paused_reason": found.paused_reason,
        "next_at": None if found.next_at is None else iso(found.next_at),
        "last_at": None if found.last_at is None else iso(found.last_at),
        "fired_count": found.fired_count,
        "created_at": iso(found.created_at),
    }


def _answer(message: str) -> Callable[[Schedule], bytes]:
    return lambda found: dump({"ok": True, "schedule": _render(found, message)})


async def _create(service: Service, call: Call, caller: ToolCaller) -> Reply:
    body: ScheduleInput = call.body
    if body.schedule is None:
        raise MissingParameter("schedule")
    if body.payload is None:
        raise MissingParameter("payload")
    if body.preset is not None and body.session_key is not None:
        raise ScheduleInvalid("preset and session_key exclude each other")
    payload: AgentTurn = body.payload
    if payload.kind != AGENT_TURN:
        raise ScheduleInvalid(f"payload.kind is {AGENT_TURN}")
    caller.require_agent()
    schedule_id = service.prefixed_id("sched_")
    command = CreateSchedule(
        caller=caller.principal,
        agent=caller.agent,
        restrictions=caller.restrictions,
        schedule_id=schedule_id,
        times=parse_times(body.schedule),
        message=salted(schedule_id, MESSAGE_PART, payload.message.encode(), is_searched=False),
        controls=parse_tool_controls(payload.active_tools, payload.tool_choice),
        missed=body.missed,
        count=await service.sessions.schedules.count(caller.principal.tenant),
        name=body.name,
        preset=body.preset,
        session_key=body.session_key,
    )
    return await service.execute(call, command, _answer(payload.message))


async def _list(service: Service, call: Call, caller: ToolCaller) -> Reply:
    body: ScheduleInput = call.body
    tenant = caller.principal.tenant
    # A character takes at most six bytes in JSON.
    size: Size[Schedule] = Size(
        of=lambda found, _now: found.bytes * 6 + _ENVELOPE_BYTES, bytes_max=call.page_bytes_max
    )
    async with service.read_budget.turn(caller.principal):
        page = await service.sessions.schedules.page(
            *(tenant, caller.agent_id, body.after or "", body.limit, size)
        )
        ids = [one.id for one in page.found]
        messages = await service.sessions.schedules.messages(tenant, ids)
    answer: Json = {
        "ok": True,
        "schedules": [_render(one, messages.get(one.id)) for one in page.found],
        "count": len(ids),
        "next": ids[-1] if page.has_more else None,
    }
    dumped = dump(answer)
    service.read_budget.charge(caller.principal, len(dumped))
    return Reply(body=dumped, sequence=page.sequence)


async def _find(service: Service, call: Call, caller: ToolCaller) -> tuple[Schedule, str, int]:
    """Return a schedule of the caller, its message, and the sequence of the log."""
    body: ScheduleInput = call.body
    if body.id is None:
        raise MissingParameter("id")
    tenant = caller.principal.tenant
    result = await service.sessions.schedules.get(tenant, body.id)
    found = result.found
    if found is None or caller.agent_id not in {None, found.agent_id}:
        raise ScheduleNotFound(body.id)
    messages = await service.sessions.schedules.messages(tenant, [found.id])
    if found.id not in messages:  # It was deleted meanwhile.
        raise ScheduleNotFound(body.id)
    return found, messages[found.id], result.sequence


async def _get(service: Service, call: Call, caller: ToolCaller) -> Reply:
    found, message, sequence = await _find(service, call, caller)
    return Reply(body=_answer(message)(found), sequence=sequence)


async def _change(service: Service, call: Call, caller: ToolCaller, command: Any) -> Reply:  # noqa: ANN401 - a command.
    found, message, _ = await _find(service, call, caller)
    return await service.execute(call, command(**_fields(caller, found.id)), _answer(message))


def _fields(caller: ToolCaller, schedule_id: str) -> dict[str, Any]:
    return {
        "caller": caller.principal,
        "agent": caller.agent,
        "restrictions": caller.restrictions,
        "schedule_id": schedule_id,
    }


async def _pause(service: Service, call: Call, caller: ToolCaller) -> Reply:
    return await _change(service, call, caller, PauseSchedule)


async def _resume(service: Service, call: Call, caller: ToolCaller) -> Reply:
    return await _change(service, call, caller, ResumeSchedule)


async def _delete(service: Service, call: Call, caller: ToolCaller) -> Reply:
    body: ScheduleInput = call.body
    if body.id is None:
        raise MissingParameter("id")
    command = DeleteSchedule(**_fields(caller, body.id))
    return await service.execute(call, command, lambda _: dump({"ok": True, "deleted": True}))


async def _run_now(service: Service, call: Call, caller: ToolCaller) -> Reply:
    found, message, _ = await _find(service, call, caller)
    retention = service.sessions.task_retention_seconds
    occurrence = make_occurrence(found, message, service.id(), retention)
    command = RunScheduleNow(**_fields(caller, found.id), occurrence=occurrence)
    return await service.execute(call, command, _answer(message))


# -- Operators -----------------------------------------------------------------

_render_state = renderer(ScheduleStateInfo, Schedule, status=lambda found: found.status)


@handles(PAUSE_SCHEDULE)
async def pause(service: Service, call: Call) -> Reply:
    return await _operate(service, call, PauseAnySchedule)


@handles(RESUME_SCHEDULE)
async def resume(service: Service, call: Call) -> Reply:
    return await _operate(service, call, ResumeAnySchedule)


async def _operate(
    service: Service, call: Call, command: type[PauseAnySchedule | ResumeAnySchedule]
) -> Reply:
    return await service.execute(
        call,
        command(schedule_id=call.path["schedule_id"], detail=call.body.reason),
        lambda found: dump(_render_state(found)),
        tenant_of(call),
    )


_ACTIONS: Mapping[str, Action] = {
    "create": _create,
    "list": _list,
    "get": _get,
    "pause": _pause,
    "resume": _resume,
    "delete": _delete,
    "run_now": _run_now,
}
