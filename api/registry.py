"""The endpoints of all contexts, in the order in which a new user needs them. It only lists."""

from quorate.api import event_log, health, notifications
from quorate.application.coordination import consensus, leases, send_gate
from quorate.application.identity import agent_settings, agents, api_keys, tenants
from quorate.application.operations import Endpoint

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
