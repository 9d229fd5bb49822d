"""Every event there is, by the name under which it is stored.

The class names and field names are the storage format. A change of either needs a new version
and an upcaster; the golden files in ``tests/`` make an accidental one fail.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, get_args

from quorate.domain.coordination import consensus, leases, send_gate
from quorate.domain.identity import agent_settings, agents, api_keys, tenants

Event: TypeAlias = (
    tenants.TenantCreated
    | api_keys.KeyIssued
    | api_keys.KeyRevoked
    | agents.AgentRegistered
    | agents.AgentReregistered
    | agents.HeartbeatReceived
    | agents.AgentLapsed
    | agent_settings.AgentConfigured
    | leases.LeaseAcquired
    | leases.LeaseRenewed
    | leases.LeaseReleased
    | leases.LeaseExpired
    | leases.LeaseRevoked
    | leases.LeaseConflicted
    | send_gate.SendAuthorized
    | send_gate.SendBlocked
    | consensus.ConsensusRequested
    | consensus.VoteCast
    | consensus.ConsensusDecided
    | consensus.ConsensusExpired
)

EVENT_TYPES: Mapping[str, type[Event]] = {event.__name__: event for event in get_args(Event)}

_MODULES: tuple[Any, ...] = (
    tenants,
    api_keys,
    agents,
    agent_settings,
    leases,
    send_gate,
    consensus,
)
_STREAM_OF: Mapping[type[Event], Callable[[Any], str]] = {
    event: module.stream
    for module in _MODULES
    for event in (get_args(module.Event) or (module.Event,))
}


def stream_of(event: Event) -> str:
    """The stream an event belongs to, ``category-id``."""
    return _STREAM_OF[type(event)](event)
