"""Who calls a tool, and under which policies: the one way from a tool to its handler.

* A tool's handler is registered by ``handles_tool``. It gets the caller with its access, after the
  policies have permitted the tool.
* The policies are those of the preset of the key, of the preset in ``Quorate-Preset`` (by which an
  agent narrows its own), and of the task in ``Quorate-Task``, whose claim the agent must hold.
* Over NATS the key is not known: the policies are those of all presets of the agent's valid keys.
"""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import TypeAlias

from quorate.application.acting_agents import acting_agent, acting_agent_id
from quorate.application.execution import Service
from quorate.application.operations import Call, Reply, handles
from quorate.contracts.operations import ID_LENGTH_MAX, AnyOperation, is_id
from quorate.contracts.problems import Problem
from quorate.contracts.sessions.tool_inputs import (
    PRESET_HEADER,
    SESSION_HEADER,
    TASK_HEADER,
    ToolInput,
)
from quorate.domain.identity.agents import AgentRef
from quorate.domain.identity.principals import PRESET_NAME, Principal
from quorate.domain.sessions.policies import SESSION_KEY_LENGTH_MAX, Access, Policy
from quorate.domain.sessions.presets import AgentRequired, Restrictions
from quorate.domain.sessions.task_events import UNNAMED
from quorate.domain.sessions.task_states import Task
from quorate.domain.sessions.tasks import StaleFence, TaskNotFound
from quorate.domain.shared.records import record

_PRESET, _SESSION, _TASK = (
    name.lower().encode() for name in (PRESET_HEADER, SESSION_HEADER, TASK_HEADER)
)


@record
class ToolCaller:
    """The caller of a tool. ``restrictions`` are for commands, ``access`` is for queries.

    ``agent_id`` is None for a key of the tenant, or of an auditor, that names no agent: it sees all
    sessions of the tenant.
    """

    principal: Principal
    agent: AgentRef
    agent_id: str | None
    restrictions: Restrictions
    access: Access
    session_key: str | None  # Its current session, as it says; not checked.
    task_id: str | None = None  # The task that it works on; its claim was checked.

    def require_agent(self) -> str:
        """Return the id of the agent that acts; raise AgentRequired."""
        if self.agent_id is None:
            raise AgentRequired
        return self.agent_id


ToolHandler: TypeAlias = Callable[[Service, Call, ToolCaller], Awaitable[Reply]]


def handles_tool(operation: AnyOperation) -> Callable[[ToolHandler], ToolHandler]:
    """Register the decorated function as the handler of a tool."""
    name = operation.tool
    assert name is not None, f"{operation.name} is no tool"

    def register(handler: ToolHandler) -> ToolHandler:
        @handles(operation)
        @wraps(handler)
        async def checked(service: Service, call: Call) -> Reply:
            caller = await tool_caller(service, call)
            caller.access.check_tool(name)
            return await handler(service, call, caller)

        return handler

    return register


async def tool_caller(service: Service, call: Call) -> ToolCaller:
    """Return the caller of a tool; raise Problem or DomainError."""
    principal: Principal = call.principal
    agent = acting_agent(call) or AgentRef()
    agent_id = await acting_agent_id(service, call)
    names = await _preset_names(service, call)
    task = await _task(service, call, agent_id)
    policies: tuple[Policy, ...] = ()
    if task is not None:
        names = names if task.preset == UNNAMED else tuple(dict.fromkeys((*names, task.preset)))
        policies = (task.policy,)
    restrictions = Restrictions(preset_names=names, policies=policies)
    found = await service.sessions.presets.by_name(principal.tenant, names)
    return ToolCaller(
        principal=principal,
        agent=agent,
        agent_id=agent_id,
        restrictions=restrictions,
        access=restrictions.access_with(found.get, agent_id),
        session_key=_session_key(call),
        task_id=None if task is None else task.id,
    )


async def _task(service: Service, call: Call, agent_id: str | None) -> Task | None:
    """Return the task that the caller works on; only the holder of its claim may name it."""
    value = call.headers.get(_TASK)
    if value is None:
        return None
    task_id = value.decode("latin-1")
    found = None
    if is_id(task_id):
        found = (await service.sessions.tasks.one(call.principal.tenant, task_id)).found
    if found is None:
        raise TaskNotFound(task_id[:ID_LENGTH_MAX])
    if agent_id is None or found.worker_id != agent_id:
        raise StaleFence(task_id)
    return found


async def _preset_names(service: Service, call: Call) -> tuple[str, ...]:
    principal: Principal = call.principal
    names: tuple[str, ...] = () if principal.preset is None else (principal.preset,)
    is_over_nats = principal.role == "agent" and not principal.key_id
    if is_over_nats and principal.agent_id is not None:
        names = await service.sessions.presets.bound_to(principal.tenant, principal.agent_id)
    narrowing = call.headers.get(_PRESET)
    if narrowing is None:
        return names
    name = narrowing.decode("latin-1")
    if PRESET_NAME.fullmatch(name) is None:
        raise Problem("invalid_request", f"{PRESET_HEADER}: this is not the name of a preset.")
    return tuple(dict.fromkeys((*names, name)))


def _session_key(call: Call) -> str | None:
    if isinstance(call.body, ToolInput) and call.body.current_session is not None:
        return call.body.current_session
    value = call.headers.get(_SESSION)
    if value is None:
        return None
    if not value.isascii() or not 0 < len(value) <= SESSION_KEY_LENGTH_MAX:
        raise Problem("invalid_request", f"{SESSION_HEADER}: this is not the key of a session.")
    return value.decode("ascii")
