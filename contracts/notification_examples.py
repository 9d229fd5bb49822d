"""Examples of the notifications of identity and coordination."""

from typing import Any, Final

_AGENT: Final = "agent_a1b2c3d4e5f6"
_NAME: Final = "outreach-agent"
_LEASE_ID: Final = "d290f1ee-6c54-4b01-90e6-d701748f0851"
_CONSENSUS_ID: Final = "b4c8e7a2-3f19-4d5e-a621-9c1d8f3e7b0a"
_NOON: Final = "2026-03-01T12:00:00.000Z"
HOLDER: dict[str, Any] = {
    "agentId": "agent_f6e5d4c3b2a1",
    "agentName": "other-agent",
    "expiresAt": "2026-03-01T12:30:00.000Z",
}
_CONTACT: dict[str, Any] = {
    "contactKey": "user@example.com",
    "contactEmail": "user@example.com",
}
_PROPOSAL: dict[str, Any] = {
    "requestId": _CONSENSUS_ID,
    "agentId": _AGENT,
    "action": "pause outreach",
    "contactEmail": "ceo@bigcorp.com",
}

# By notification name.
NOTIFICATIONS: dict[str, dict[str, Any]] = {
    "lease_conflict": {
        "leaseId": _LEASE_ID,
        **_CONTACT,
        "agentId": _AGENT,
        "agentName": _NAME,
        "intent": "outbound_sales",
        "conflict": True,
        "leaseHolder": HOLDER,
    },
    "lease_available": {"leaseId": _LEASE_ID, **_CONTACT, "agentId": HOLDER["agentId"]},
    "lease_released": {"leaseId": _LEASE_ID, **_CONTACT, "agentId": _AGENT},
    "lease_expired": {"leaseId": _LEASE_ID, **_CONTACT, "agentId": _AGENT, "expiresAt": _NOON},
    "lease_revoked": {
        "leaseId": _LEASE_ID,
        **_CONTACT,
        "agentId": _AGENT,
        "reason": "agent_inactive",
    },
    "send_blocked": {
        "sendId": "0b8f5f0e-3f5b-4c0e-9d7a-5b7e4d1c2a90",
        **_CONTACT,
        "agentId": _AGENT,
        "agentName": _NAME,
        "reason": "lease_conflict",
        "conflict": True,
        "leaseHolder": HOLDER,
    },
    "agent_registered": {
        "agentId": _AGENT,
        "agentName": _NAME,
        "agentRole": "outbound",
        "incarnation": 1,
        "activeUntil": "2026-03-01T12:05:00.000Z",
        "heartbeatWindowMs": 300_000,
    },
    "agent_deregistered": {
        "agentId": _AGENT,
        "agentName": _NAME,
        "reason": "requested",
        "activeUntil": _NOON,
    },
    "agent_lapsed": {
        "agentId": _AGENT,
        "agentName": _NAME,
        "lastHeartbeat": "2026-03-01T11:55:00.000Z",
        "activeUntil": _NOON,
    },
    "consensus_requested": {
        **_PROPOSAL,
        "contactKey": "ceo@bigcorp.com",
        "reason": "Fatigue scores are high",
        "timeoutAt": "2026-03-01T12:05:00.000Z",
        "electorate": "live",
        "proposerVotes": True,
        "eligible": 3,
        "minimum": 0,
    },
    "vote_cast": {
        "voteId": "e7f3a1b2-8c4d-4e6f-b123-7d8e9f0a1b2c",
        "requestId": _CONSENSUS_ID,
        "agentId": "agent_f6e5d4c3b2a1",
        "vote": "approve",
        "reason": "Agreed, signals look bad",
    },
    "consensus_decided": {
        **_PROPOSAL,
        "status": "approved",
        "approvals": 2,
        "rejections": 0,
        "electorateSize": 3,
    },
    "consensus_expired": {**_PROPOSAL, "timeoutAt": _NOON},
    "consensus_cancelled": {**_PROPOSAL, "cancelledBy": _AGENT, "reason": "Solved otherwise"},
}
