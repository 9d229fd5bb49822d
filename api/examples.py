"""Examples for the API's document: the requests of the seeds, and answers as we give them.

They are checked against the models and types that they illustrate, so none can be out of date.
"""

from typing import Any, Final

_TENANT: Final = "tenant_abc123"
_AGENT: Final = "agent_a1b2c3d4e5f6"
_NAME: Final = "outreach-agent"
_LEASE_ID: Final = "d290f1ee-6c54-4b01-90e6-d701748f0851"
_CONSENSUS_ID: Final = "b4c8e7a2-3f19-4d5e-a621-9c1d8f3e7b0a"
_NOON: Final = "2026-03-01T12:00:00.000Z"

# By the endpoint's name.
BODIES: dict[str, dict[str, Any]] = {
    "register": {"tenantId": _TENANT, "agentName": _NAME, "agentRole": "outbound"},
    "heartbeat": {"tenantId": _TENANT, "agentName": _NAME},
    "acquireLease": {
        "tenantId": _TENANT,
        "agentName": _NAME,
        "contactEmail": "user@example.com",
        "intent": "outbound_sales",
        "durationMinutes": 30,
    },
    "renewLease": {"tenantId": _TENANT, "durationMinutes": 30},
    "requestSend": {
        "tenantId": _TENANT,
        "agentName": _NAME,
        "contactEmail": "user@example.com",
        "fence": 42,
    },
    "requestConsensus": {
        "tenantId": _TENANT,
        "proposerAgent": _NAME,
        "action": "pause outreach",
        "contactEmail": "ceo@bigcorp.com",
        "reason": "Fatigue scores are high",
        "timeoutMinutes": 5,
    },
    "castVote": {
        "agentId": "agent_f6e5d4c3b2a1",
        "vote": "approve",
        "reason": "Agreed, signals look bad",
    },
    "putConfig": {"humanizer_enabled": True, "humanizer_style": "professional"},
    "issueKey": {"tenantId": _TENANT, "role": "agent", "agentName": _NAME},
    "createTenant": {"tenantId": _TENANT},
}

_AGENT_ANSWER: dict[str, Any] = {
    "id": _AGENT,
    "tenantId": _TENANT,
    "agentName": _NAME,
    "agentRole": "outbound",
    "lastHeartbeat": _NOON,
    "registeredAt": _NOON,
    "activeUntil": "2026-03-01T12:05:00.000Z",
    "incarnation": 1,
    "status": "active",
}
_LEASE_ANSWER: dict[str, Any] = {
    "id": _LEASE_ID,
    "tenantId": _TENANT,
    "agentId": _AGENT,
    "contactEmail": "user@example.com",
    "intent": "outbound_sales",
    "expiresAt": "2026-03-01T12:30:00.000Z",
    "createdAt": _NOON,
    "fence": 42,
    "status": "active",
}
_CONSENSUS_ANSWER: dict[str, Any] = {
    "id": _CONSENSUS_ID,
    "tenantId": _TENANT,
    "requestingAgentId": _AGENT,
    "action": "pause outreach",
    "contactEmail": "ceo@bigcorp.com",
    "reason": "Fatigue scores are high",
    "status": "pending",
    "timeoutAt": "2026-03-01T12:05:00.000Z",
    "createdAt": _NOON,
    "electorate": "live",
    "proposerVotes": True,
    "approvals": 0,
    "rejections": 0,
}
_VOTE_ANSWER: dict[str, Any] = {
    "id": "e7f3a1b2-8c4d-4e6f-b123-7d8e9f0a1b2c",
    "consensusRequestId": _CONSENSUS_ID,
    "agentId": "agent_f6e5d4c3b2a1",
    "vote": "approve",
    "reason": "Agreed, signals look bad",
    "consensusStatus": "approved",
    "createdAt": "2026-03-01T12:01:00.000Z",
}
_CONFIG_ANSWER: dict[str, Any] = {"humanizer_enabled": True, "humanizer_style": "professional"}

ANSWERS: dict[str, Any] = {
    "register": _AGENT_ANSWER,
    "heartbeat": {
        "ok": True,
        "agentId": _AGENT,
        "lastHeartbeat": _NOON,
        "activeUntil": "2026-03-01T12:05:00.000Z",
    },
    "getAgent": _AGENT_ANSWER | {"leasesHeld": 1},
    "listAgents": [_AGENT_ANSWER | {"leasesHeld": 1}],
    "acquireLease": _LEASE_ANSWER,
    "renewLease": _LEASE_ANSWER | {"expiresAt": "2026-03-01T13:00:00.000Z"},
    "getLease": _LEASE_ANSWER,
    "listLeases": [_LEASE_ANSWER],
    "releaseLease": {"released": True},
    "requestSend": {
        "id": "0b8f5f0e-3f5b-4c0e-9d7a-5b7e4d1c2a90",
        "tenantId": _TENANT,
        "agentId": _AGENT,
        "contactEmail": "user@example.com",
        "status": "blocked",
        "reason": "lease_conflict",
        "leaseHolder": {
            "agentId": "agent_f6e5d4c3b2a1",
            "agentName": "other-agent",
            "expiresAt": "2026-03-01T12:30:00.000Z",
        },
    },
    "requestConsensus": _CONSENSUS_ANSWER,
    "getConsensus": _CONSENSUS_ANSWER,
    "listConsensus": [_CONSENSUS_ANSWER],
    "castVote": _VOTE_ANSWER,
    "listVotes": [_VOTE_ANSWER],
    "getConfig": _CONFIG_ANSWER,
    "putConfig": _CONFIG_ANSWER,
    "createTenant": {"tenantId": _TENANT, "createdAt": _NOON},
    "live": {"status": "ok"},
    "ready": {"status": "ready", "log": "ok", "nats": "connected"},
}
