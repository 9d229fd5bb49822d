"""The session that a caller works in: the one that it names, or its main session."""

from quorate.application.execution import Service
from quorate.application.sessions.tool_calls import ToolCaller
from quorate.domain.sessions.session_errors import SessionNotFound, SessionNotOwned
from quorate.domain.sessions.sessions import Session
from quorate.projections.sessions.session_queries import FoundSession


def check_visible(caller: ToolCaller, key: str, found: FoundSession) -> Session:
    """Return a session that was found; raise SessionAccessDenied, or else SessionNotFound."""
    caller.access.check_visible(key, found.owner_id)
    if found.session is None:
        raise SessionNotFound(key)
    return found.session


async def current_session(service: Service, caller: ToolCaller) -> Session:
    """Return the caller's current session; raise a DomainError if it is not one of its own."""
    agent_id, tenant = caller.require_agent(), caller.principal.tenant
    sessions = service.sessions.sessions
    if caller.session_key is None:
        main = await sessions.main(tenant, agent_id)
        if main is None:
            raise SessionNotFound("main")
        return main
    found = (await sessions.find(tenant, caller.session_key)).found
    session = check_visible(caller, caller.session_key, found)
    if session.owner_id != agent_id:
        raise SessionNotOwned(caller.session_key)
    return session
