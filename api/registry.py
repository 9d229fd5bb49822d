"""The endpoints of all contexts, in the order in which a new user needs them. It only lists."""

from functools import partial
from typing import Any

from quorate.api import event_log, health, notifications
from quorate.application.coordination import consensus, leases, send_gate
from quorate.application.identity import agent_settings, agents, api_keys, tenants
from quorate.application.operations import Endpoint, Handler

# All endpoints except the documents, which describe these.
OPERATIONS: tuple[Endpoint, ...] = (
    *agents.ENDPOINTS,
    *leases.ENDPOINTS,
    *send_gate.ENDPOINTS,
    *consensus.ENDPOINTS,
    *agent_settings.ENDPOINTS,
    *notifications.ENDPOINTS,
    *event_log.ENDPOINTS,
    *api_keys.ENDPOINTS,
    *tenants.ENDPOINTS,
    *health.ENDPOINTS,
)
# Those that an agent key may call over NATS, each under its name.
NATS_ENDPOINTS: tuple[Endpoint, ...] = tuple(
    endpoint
    for endpoint in OPERATIONS
    if "agent" in endpoint.roles and not endpoint.streams and not endpoint.of_key
)
_HOT = {"acquireLease", "renewLease", "releaseLease", "heartbeat", "requestSend", "castVote"}


def handler_for(operation: Endpoint, service: Any) -> Handler:  # noqa: ANN401 - or the documents.
    """Return the handler of an operation, bound to the service that it uses."""
    return partial(operation.handler, service)


def module_of(operation: Endpoint) -> str:
    """Return the name of the module that handles an operation; it is the operation's topic."""
    return operation.handler.__module__


def is_hot(operation: Endpoint) -> bool:
    """Whether the fast lane serves the operation as well."""
    return operation.name in _HOT
