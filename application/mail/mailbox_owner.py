"""Find the agent whose mailbox a request is about."""

from typing import Any

from quorate.application.execution import Service
from quorate.application.operations import Call
from quorate.domain.identity.agents import AgentNotFound, AgentRef, resolve_agent
from quorate.domain.identity.principals import Principal
from quorate.domain.mail.accounts import NotAnAgent


def agent_ref(call: Call) -> AgentRef:
    """Return the agent that the body or the query names; raise NotAnAgent if none is named."""
    principal: Principal = call.principal
    named = [one for one in (call.body, call.query) if _names_agent(one)]
    ref = AgentRef(
        id=named[0].agent_id if named else None, name=named[0].agent_name if named else None
    )
    if principal.role != "agent" and ref.id is None and ref.name is None:
        raise NotAnAgent
    return resolve_agent(principal, ref)


def _names_agent(request: Any) -> bool:  # noqa: ANN401 - a body or a query.
    return request is not None and bool(
        getattr(request, "agent_id", None) or getattr(request, "agent_name", None)
    )


async def agent_id(service: Service, call: Call) -> str:
    """Return the id of that agent; an agent key has only its own mailbox."""
    ref = agent_ref(call)
    if call.principal.role == "agent":
        return str(ref.id)
    found = await service.notifications.agent_id(call.principal.tenant, ref)
    if found is None:
        raise AgentNotFound
    return found


async def agent_id_if_named(service: Service, call: Call) -> str | None:
    """Return the id of the agent that is named; None for a key that reads for its tenant."""
    if call.principal.role != "agent" and not (_names_agent(call.body) or _names_agent(call.query)):
        return None
    return await agent_id(service, call)
