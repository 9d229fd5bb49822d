"""Requests to the tools of sessions, for the tests of two tenants."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

from tests.e2e.service.http_clients import Agent
from tests.e2e.service.service_process import Json

NON_IDENTIFYING_FIELDS = (
    *("filter", "offset", "query", "excludeCurrent", "perSession", "message", "waitForReply"),
    *("timeoutSeconds", "context", "model", "label", "projectId", "force", "forkPoint"),
    *("operation", "namespace", "value", "SessionKey"),
)
# Here ``key`` names a new session, or a value.
NEW = (("sessionsCreate", "key"), ("sessionState", "key"))


def main_session(agent: Agent) -> str:
    return f"agent:{agent.name}:main"


# By operation; ``side`` is the data of one tenant.
BODIES: Mapping[str, Callable[[Any], Json]] = {
    **dict.fromkeys(
        ("sessionsHistory", "sessionsDelete"),
        lambda side: {"key": main_session(side.agent), "agent_id": side.agent.id},
    ),
    "sessionsList": lambda side: {"agent_id": side.agent.id},
    "sessionsSearch": lambda side: {"query": "nothing", "agent_id": side.agent.id},
    "sessionsSend": lambda side: {
        "key": main_session(side.agent),
        "message": "Hello",
        "agent_id": side.agent.id,
    },
    "sessionsCreate": lambda side: {"label": "x", "agent_id": side.agent.id},
    "branchSession": lambda side: {"label": "x", "agent_id": side.agent.id},
    "sessionState": lambda side: {
        "operation": "list",
        "namespace": "x",
        "agent_id": side.agent.id,
    },
    "eraseSessionMessage": lambda _: {},
}
FIELDS: Mapping[str, Callable[[Any], str]] = dict.fromkeys(
    ("key", "inheritAgentFrom"), lambda side: main_session(side.agent)
)
UNKNOWN_VALUES: Mapping[str, Callable[[], str]] = {
    **dict.fromkeys(FIELDS, lambda: f"agent:unknown-{uuid4().hex}:main"),
    "session_message_id": lambda: f"smsg_{uuid4().hex}",
}
