"""Requests of mail, made from the declarations of the operations."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from quorate.domain.identity.agents import AgentRef

if TYPE_CHECKING:
    from quorate.client.request_builder import Request
    from quorate.contracts.operations import Operation

T = TypeVar("T")
NO_AGENT = AgentRef()


def mail_request(
    operation: "Operation[T]",
    agent: AgentRef = NO_AGENT,
    *,
    body: Mapping[str, Any] | None = None,
    query: Mapping[str, Any] | None = None,
    **ids: str,
) -> "Request[T]":
    """Make the request of an operation for the mailbox of ``agent``.

    The agent is named in the query: all operations on a mailbox accept it there. Fields that are
    None are left out. The service validates the values.
    """
    from quorate.client.request_builder import request_for
    from quorate.contracts.wire_models import unchecked

    named = {"agent_id": agent.id, "agent_name": agent.name, **(query or {})}
    given = {name: value for name, value in named.items() if value is not None}
    assert operation.query is not None
    content: Any = None
    if body is not None and operation.body is not None:
        filled = {name: value for name, value in body.items() if value is not None}
        content = unchecked(operation.body)(**filled)
    return request_for(operation, content, unchecked(operation.query)(**given), **ids)
