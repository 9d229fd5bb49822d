"""Sessions of agents: list, create, branch and delete them, and keep values with them."""

from orjson import Fragment

from quorate.application.execution import Service
from quorate.application.new_contents import salted
from quorate.application.operations import Call, Reply
from quorate.application.rendering import Json, dump, renderer
from quorate.application.sessions.current_session import current_session
from quorate.application.sessions.session_rendering import json_of, render_session
from quorate.application.sessions.tool_calls import ToolCaller, handles_tool
from quorate.contracts.problems import Problem
from quorate.contracts.sessions.sessions import (
    BRANCH_SESSION,
    SESSION_STATE,
    SESSIONS_CREATE,
    SESSIONS_DELETE,
    SESSIONS_LIST,
    BranchSessionInput,
    SessionBranchInfo,
    SessionsCreateInput,
    SessionsDeleteInput,
    SessionsListInput,
    SessionStateInput,
    SessionValueInfo,
)
from quorate.contracts.wire_models import SEQUENCE_MAX
from quorate.domain.sessions.session_commands import (
    BranchSession,
    CreatedSession,
    CreateSession,
    DeleteSession,
)
from quorate.domain.sessions.session_value_commands import DeleteSessionValues, SetSessionValue
from quorate.domain.sessions.session_values import (
    VALUE_BYTES_MAX,
    VALUE_ID,
    VALUE_PART,
    SessionValue,
    SessionValueTooLarge,
)
from quorate.domain.sessions.sessions import OWN_KEY, SESSION_ID, Session
from quorate.domain.shared.timestamps import Timestamp
from quorate.projections.sessions.session_queries import SessionPosition

_render_branch = renderer(SessionBranchInfo, Session, session_key="key", fork_point="first_index")
_render_value = renderer(SessionValueInfo, SessionValue, key="name")


@handles_tool(SESSIONS_LIST)
async def list_sessions(service: Service, call: Call, caller: ToolCaller) -> Reply:
    body: SessionsListInput = call.body
    after = None if body.cursor is None else parse_position(body.cursor)
    async with service.read_budget.turn(call.principal):
        result = await service.sessions.sessions.page(
            call.principal.tenant, caller.access, body.filter, after, body.limit
        )
    found = result.found[: body.limit]
    is_last = len(result.found) <= body.limit
    page = {
        "sessions": [render_session(one) for one in found],
        "count": len(found),
        "nextCursor": None if is_last else cursor_of(found[-1], caller.agent_id),
    }
    response = dump(page)
    service.read_budget.charge(call.principal, len(response))
    return Reply(body=response, sequence=result.sequence)


def cursor_of(session: Session, agent_id: str | None) -> str:
    """Return the place of a session. The caller's main session is before all others."""
    is_first = session.is_main and session.owner_id == agent_id
    updated_at = SEQUENCE_MAX if is_first else session.updated_at
    return f"{updated_at}.{session.created_at}.{session.key}"


def parse_position(cursor: str) -> SessionPosition:
    updated, _, rest = cursor.partition(".")
    created, _, key = rest.partition(".")
    is_valid = all(one.isascii() and one.isdigit() for one in (updated, created))
    if not is_valid or max(int(updated), int(created)) > SEQUENCE_MAX or not key:
        raise Problem("invalid_request", "cursor: not a cursor of this service.")
    return SessionPosition(
        updated_at=Timestamp(int(updated)), created_at=Timestamp(int(created)), key=key
    )


@handles_tool(SESSIONS_CREATE)
async def create_session(service: Service, call: Call, caller: ToolCaller) -> Reply:
    body: SessionsCreateInput = call.body
    caller.require_agent()
    command = CreateSession(
        caller=call.principal,
        agent=caller.agent,
        restrictions=caller.restrictions,
        key=body.key or OWN_KEY + service.id(),
        new_session_id=service.prefixed_id(SESSION_ID),
        label=body.label,
        model=body.model,
        project_id=body.project_id,
        inherit_from=body.inherit_agent_from,
    )

    def render(one: CreatedSession) -> bytes:
        session = render_session(one.session)
        return dump({"key": one.session.key, "created": one.created, "result": session})

    return await service.execute(call, command, render)


@handles_tool(SESSIONS_DELETE)
async def delete_session(service: Service, call: Call, caller: ToolCaller) -> Reply:
    body: SessionsDeleteInput = call.body
    caller.require_agent()
    command = DeleteSession(
        caller=call.principal,
        agent=caller.agent,
        restrictions=caller.restrictions,
        key=body.key,
        force=body.force,
    )
    deleted = dump({"key": body.key, "deleted": True, "result": {"ok": True}})
    return await service.execute(call, command, lambda _: deleted)


@handles_tool(BRANCH_SESSION)
async def branch_session(service: Service, call: Call, caller: ToolCaller) -> Reply:
    body: BranchSessionInput = call.body
    caller.require_agent()
    key = body.key
    if key is None:
        key = (await current_session(service, caller)).key
    command = BranchSession(
        caller=call.principal,
        agent=caller.agent,
        restrictions=caller.restrictions,
        source_key=key,
        new_key=OWN_KEY + service.id(),
        new_session_id=service.prefixed_id(SESSION_ID),
        label=body.label,
        fork_point=body.fork_point,
    )
    return await service.execute(call, command, lambda branch: dump(_render_branch(branch)))


# -- Values --------------------------------------------------------------------


@handles_tool(SESSION_STATE)
async def session_state(service: Service, call: Call, caller: ToolCaller) -> Reply:
    body: SessionStateInput = call.body
    session = await current_session(service, caller)
    caller.access.check_visible(session.key, session.owner_id)
    shared: Json = {
        "operation": body.operation,
        "namespace": body.namespace,
        "sessionKey": session.key,
    }
    if body.operation in {"get", "set", "delete"}:
        if body.key is None:
            raise Problem("invalid_request", f"key: required for {body.operation}.")
        shared["key"] = body.key
    match body.operation:
        case "get":
            return await _get(service, call, session, shared)
        case "list":
            return await _list(service, call, session, shared)
        case "set":
            return await _set(service, call, caller, session, shared)
        case _:
            return await _delete(service, call, caller, session, shared)


async def _get(service: Service, call: Call, session: Session, shared: Json) -> Reply:
    place = (call.principal.tenant, session.id, call.body.namespace)
    result = await service.sessions.sessions.value(*place, call.body.key)
    value = b"null" if result.found is None else result.found
    found = {"found": result.found is not None, "value": Fragment(value)}
    response = dump({**shared, **found})
    service.read_budget.charge(call.principal, len(response))
    return Reply(body=response, sequence=result.sequence)


async def _list(service: Service, call: Call, session: Session, shared: Json) -> Reply:
    place = (call.principal.tenant, session.id, call.body.namespace)
    result = await service.sessions.sessions.values(*place)
    values = [_render_value(one) for one in result.found]
    return Reply(body=dump({**shared, "value": None, "values": values}), sequence=result.sequence)


async def _set(
    service: Service, call: Call, caller: ToolCaller, session: Session, shared: Json
) -> Reply:
    body: SessionStateInput = call.body
    if "value" not in body.model_fields_set:
        raise Problem("invalid_request", "value: required for set.")
    data = json_of(body.value)
    if len(data) > VALUE_BYTES_MAX:
        raise SessionValueTooLarge(VALUE_BYTES_MAX)
    assert body.key is not None
    command = SetSessionValue(
        caller=call.principal,
        agent=caller.agent,
        restrictions=caller.restrictions,
        session_id=session.id,
        namespace=body.namespace,
        name=body.key,
        body=salted(service.prefixed_id(VALUE_ID), VALUE_PART, data, is_searched=False),
    )
    response = dump({**shared, "found": True, "value": None})
    return await service.execute(call, command, lambda _: response)


async def _delete(
    service: Service, call: Call, caller: ToolCaller, session: Session, shared: Json
) -> Reply:
    body: SessionStateInput = call.body
    command = DeleteSessionValues(
        caller=call.principal,
        agent=caller.agent,
        restrictions=caller.restrictions,
        session_id=session.id,
        namespace=body.namespace,
        name=body.key if body.operation == "delete" else None,
    )

    def render(deleted: int) -> bytes:
        return dump({**shared, "value": None, "deleted": deleted})

    return await service.execute(call, command, render)
