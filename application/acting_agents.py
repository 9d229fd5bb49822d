"""Find the agent that acts in a call: that of the key, or the one that the request names."""

from quorate.application.execution import Service
from quorate.application.operations import Call
from quorate.domain.identity.agents import AgentNotFound, AgentRef, resolve_agent
from quorate.domain.identity.principals import Principal

_NONE = AgentRef()


def acting_agent(call: Call) -> AgentRef | None:
    """Return the agent in the body or in the query; None if a key of the tenant names none.

    Raises ActingAsAnother for an agent key that names another agent.
    """
    principal: Principal = call.principal
    refs = (
        AgentRef(id=getattr(one, "agent_id", None), name=getattr(one, "agent_name", None))
        for one in (call.body, call.query)
    )
    ref = next((one for one in refs if one != _NONE), _NONE)
    if principal.role != "agent" and ref == _NONE:
        return None
    return resolve_agent(principal, ref)


async def acting_agent_id(service: Service, call: Call) -> str | None:
    """Return the id of that agent; raise AgentNotFound."""
    ref = acting_agent(call)
    if ref is None:
        return None
    if call.principal.role == "agent":
        return ref.id
    found = await service.notifications.agent_id(call.principal.tenant, ref)
    if found is None:
        raise AgentNotFound
    return found
