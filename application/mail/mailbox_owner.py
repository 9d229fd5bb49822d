"""Find the agent whose mailbox a request is about."""

from quorate.application.acting_agents import acting_agent, acting_agent_id
from quorate.application.execution import Service
from quorate.application.operations import Call
from quorate.domain.identity.agents import AgentRef
from quorate.domain.mail.accounts import NotAnAgent


def agent_ref(call: Call) -> AgentRef:
    """Return the agent that the body or the query names; raise NotAnAgent if none is named."""
    ref = acting_agent(call)
    if ref is None:
        raise NotAnAgent
    return ref


async def agent_id(service: Service, call: Call) -> str:
    """Return the id of that agent; an agent key has only its own mailbox."""
    found = await acting_agent_id(service, call)
    if found is None:
        raise NotAnAgent
    return found
