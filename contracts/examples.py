"""Examples for the API documents: the requests of the seeds, and the responses to them.

A test validates each example against its model or type, so no example is out of date. An operation
that has no example here gets a body that is made from the rules of its fields.
"""

from collections.abc import Mapping
from typing import Any, Final

from quorate.contracts.mail import examples as mail
from quorate.contracts.mail.notification_examples import MAIL_NOTIFICATIONS
from quorate.contracts.notification_examples import HOLDER, NOTIFICATIONS
from quorate.contracts.registry import OPERATIONS_BY_NAME
from quorate.contracts.sessions import list_examples
from quorate.contracts.sessions import preset_examples as presets
from quorate.contracts.sessions import session_examples as sessions
from quorate.contracts.sessions import task_examples as tasks

_TENANT: Final = "tenant_abc123"
_AGENT: Final = "agent_a1b2c3d4e5f6"
_NAME: Final = "outreach-agent"
_LEASE_ID: Final = "d290f1ee-6c54-4b01-90e6-d701748f0851"
_CONSENSUS_ID: Final = "b4c8e7a2-3f19-4d5e-a621-9c1d8f3e7b0a"
_NOON: Final = "2026-03-01T12:00:00.000Z"


def example_value(schema: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 - any JSON value.
    """Return a value for a JSON schema without references; a text is the name of the field."""
    if known := [*schema.get("examples", ()), *schema.get("enum", ())]:
        return known[0]
    values: Mapping[str, Any] = {
        "integer": schema.get("minimum", 1),
        "number": schema.get("minimum", 1),
        "boolean": True,
        "array": [],
        "object": {},
    }
    return values.get(str(schema.get("type")), schema.get("const", name))


class _Bodies(dict[str, dict[str, Any]]):
    def __missing__(self, operation_name: str) -> dict[str, Any]:
        """Make an example of the required fields."""
        model = OPERATIONS_BY_NAME[operation_name].body
        schema = {} if model is None else model.model_json_schema()
        fields = schema.get("properties", {})
        return {name: example_value(fields[name], name) for name in schema.get("required", ())}


# -- Requests ----------------------------------------------------------------

# By operation name.
BODIES: dict[str, dict[str, Any]] = _Bodies(
    {
        "register": {"tenantId": _TENANT, "agentName": _NAME, "agentRole": "outbound"},
        "heartbeat": {"tenantId": _TENANT, "agentName": _NAME},
        "deregister": {"tenantId": _TENANT, "agentName": _NAME},
        "acquireLease": {
            "tenantId": _TENANT,
            "agentName": _NAME,
            "contactEmail": "user@example.com",
            "intent": "outbound_sales",
            "durationMinutes": 30,
        },
        "renewLease": {"tenantId": _TENANT, "durationMinutes": 30},
        "endLease": {"reason": "The contact asked for a pause"},
        "endConsensus": {"reason": "The contact was removed"},
        "deactivateAgent": {"reason": "It repeats itself"},
        "pauseTenant": {"reason": "Its agents send the same mail again and again"},
        "unpauseTenant": {"reason": "The prompt is corrected"},
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
        "cancelConsensus": {"agentId": _AGENT, "reason": "Solved otherwise"},
        "putConfig": {"humanizer_enabled": True, "humanizer_style": "professional"},
        "issueKey": {"tenantId": _TENANT, "role": "agent", "agentName": _NAME},
        "rotateKey": {"overlapSeconds": 3_600},
        "createTenant": {"tenantId": _TENANT},
        "setTenantLimits": {"agents": 500, "eventsPerDay": 1_000_000},
        **mail.BODIES,
        **presets.BODIES,
        **sessions.BODIES,
        **tasks.BODIES,
        **list_examples.BODIES,
        "setMailDomain": {"mailDomain": "agents.example.com"},
    }
)

# By operation name, for operations without a body.
QUERIES: dict[str, dict[str, Any]] = {
    "listLeases": {"contactEmail": "user@example.com"},
    "listConsensus": {"status": "pending"},
    "listNotifications": {"agentName": _NAME, "after": 0, "limit": 10},
    "streamNotifications": {"agentName": _NAME},
    **mail.QUERIES,
    **presets.QUERIES,
    **tasks.QUERIES,
}
# Ids in a path.
PATH_IDS = {"agentId": _AGENT, "leaseId": _LEASE_ID, "consensusId": _CONSENSUS_ID, "id": _LEASE_ID}
PATH_IDS |= mail.PATH_IDS | presets.PATH_IDS | sessions.PATH_IDS | tasks.PATH_IDS
PATH_IDS |= list_examples.PATH_IDS

# -- Problems, notifications and the log ---------------------------------------------

# By problem code: the members in addition to those of all problems.
PROBLEM_DETAILS: dict[str, dict[str, Any]] = {
    "acting_as_another": {"agentId": HOLDER["agentId"]},
    "agent_inactive": {"agentId": _AGENT, "lastHeartbeat": _NOON},
    "agent_active": {"agentId": _AGENT, "activeUntil": "2026-03-01T12:05:00.000Z"},
    "agent_has_keys": {"agentId": _AGENT},
    "not_proposer": {"agentId": "agent_f6e5d4c3b2a1"},
    "already_voted": {"vote": "approve"},
    "lease_conflict": {"conflict": True, "leaseHolder": HOLDER, "willNotify": True},
    "lease_ended": {"leaseId": _LEASE_ID, "leaseStatus": "expired"},
    "consensus_closed": {"consensusStatus": "approved"},
    "gap": {"firstSequence": 4_001},
    "log_mismatch": {"logId": "5f0c1e2d3a4b5c6d", "head": 18},
    "not_eligible": {"agentId": _AGENT},
    "role_forbidden": {"role": "auditor"},
    "tenant_paused": {"pausedAt": _NOON},
    "contact_email_invalid": {"why": "there is no @ in it"},
    "rate_limited": {"limitedBy": "key", "retryAfterSeconds": 0.25},
    "quota_exceeded": {"quota": "live_leases", "limit": 1_000_000},
    **mail.PROBLEM_DETAILS,
    **presets.PROBLEM_DETAILS,
    **sessions.PROBLEM_DETAILS,
    **tasks.PROBLEM_DETAILS,
    **list_examples.PROBLEM_DETAILS,
}

# By notification name.
NOTIFICATION_DATA: dict[str, dict[str, Any]] = {
    **NOTIFICATIONS,
    **MAIL_NOTIFICATIONS,
    **sessions.NOTIFICATIONS,
    **tasks.NOTIFICATIONS,
    **list_examples.NOTIFICATIONS,
}

# An event as the API returns it.
LOG_ENTRY: dict[str, Any] = {
    "sequence": 42,
    "id": "019ca9b2-5d00-7a14-9b0e-6c2f8e4d7a31",
    "stream": "lease-user@example.com",
    "type": "LeaseReleased",
    "version": 1,
    "at": _NOON,
    "actor": _AGENT,
    "commandId": "019ca9b2-5d00-7f92-8d35-1a7b3c9e5f60",
    "data": NOTIFICATION_DATA["lease_released"],
    "hash": "9f2c4e1b7a6d8035c1e4f7a2b5d8091c3e6f9a2d5b8c1e4f70a3d6b9c2e5f814",
}


def cloud_event(type_: str, data: dict[str, Any]) -> dict[str, Any]:
    """Wrap data in a CloudEvent, as published over NATS and returned by ``listNotifications``."""
    return {
        "specversion": "1.0",
        "id": LOG_ENTRY["id"],
        "source": f"quorate/{_TENANT}",
        "type": f"quorate.{type_}",
        "time": LOG_ENTRY["at"],
        "datacontenttype": "application/json",
        "sequence": LOG_ENTRY["sequence"],
        "data": data,
    }


# -- Responses ---------------------------------------------------------------

_AGENT_RESPONSE: dict[str, Any] = {
    "id": _AGENT,
    "tenantId": _TENANT,
    "agentName": _NAME,
    "agentRole": "outbound",
    "lastHeartbeat": _NOON,
    "registeredAt": _NOON,
    "activeUntil": "2026-03-01T12:05:00.000Z",
    "incarnation": 1,
    "status": "active",
    "heartbeatWindowSeconds": 300.0,
}
_LEASE_RESPONSE: dict[str, Any] = {
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
_CONSENSUS_RESPONSE: dict[str, Any] = {
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
    "electorateSize": 3,
    "needed": 2,
    "countedApprovals": 0,
    "countedRejections": 0,
}
_WHILE_PENDING = {"electorateSize", "needed", "countedApprovals", "countedRejections"}
_CANCELLED_RESPONSE: dict[str, Any] = {
    **{name: one for name, one in _CONSENSUS_RESPONSE.items() if name not in _WHILE_PENDING},
    "status": "cancelled",
    "closedAt": "2026-03-01T12:01:00.000Z",
}
_VOTE_RESPONSE: dict[str, Any] = {
    "id": "e7f3a1b2-8c4d-4e6f-b123-7d8e9f0a1b2c",
    "consensusRequestId": _CONSENSUS_ID,
    "agentId": "agent_f6e5d4c3b2a1",
    "vote": "approve",
    "reason": "Agreed, signals look bad",
    "consensusStatus": "approved",
    "createdAt": "2026-03-01T12:01:00.000Z",
}
_KEY_RESPONSE: dict[str, Any] = {
    "id": "019ca9b25d00",
    "tenantId": _TENANT,
    "role": "agent",
    "agentId": _AGENT,
    "agentName": _NAME,
    "createdAt": _NOON,
    "revokedAt": None,
    "expiresAt": None,
}
_TENANT_RESPONSE: dict[str, Any] = {
    "tenantId": _TENANT,
    "createdAt": _NOON,
    "status": "active",
    "limits": {},
}
_CONFIG_RESPONSE: dict[str, Any] = {"humanizer_enabled": True, "humanizer_style": "professional"}
_AGENT_COUNTS: dict[str, Any] = {"leasesHeld": 1, "tasksClaimed": 2, "unreadMail": 3}

RESPONSES: dict[str, Any] = {
    "register": _AGENT_RESPONSE,
    "heartbeat": {
        "ok": True,
        "agentId": _AGENT,
        "lastHeartbeat": _NOON,
        "activeUntil": "2026-03-01T12:05:00.000Z",
        "lastNotification": 42,
    },
    "deregister": {"agentId": _AGENT, "deregistered": True},
    "removeAgent": {"removed": True},
    "deactivateAgent": _AGENT_RESPONSE | {"status": "inactive", "activeUntil": _NOON},
    "getAgent": _AGENT_RESPONSE | _AGENT_COUNTS,
    "listAgents": [_AGENT_RESPONSE | _AGENT_COUNTS],
    "acquireLease": _LEASE_RESPONSE,
    "renewLease": _LEASE_RESPONSE | {"expiresAt": "2026-03-01T13:00:00.000Z"},
    "getLease": _LEASE_RESPONSE,
    "explain": {
        "id": _LEASE_ID,
        "rule": "A lease ends at its expiry time, unless it is renewed before.",
        "outcome": "LeaseExpired",
        "facts": [
            {
                "kind": "lease",
                "text": f"{_AGENT} acquired user@example.com until {_NOON} (fence 42).",
                "sequence": 42,
                "at": "2026-03-01T11:30:00.000Z",
            }
        ],
        "command": {
            "actor": "quorate",
            "commandId": "0195513b-3b00-7000-8000-000000000002",
            "sequence": 43,
            "eventId": "0195513b-3b00-7000-8000-000000000003",
            "at": _NOON,
        },
        "possible": [
            {
                "action": "Acquire the contact again: quorate lease acquire",
                "when": "while no other holder has it",
            }
        ],
        "isComplete": True,
    },
    "listLeases": [_LEASE_RESPONSE],
    "releaseLease": {"released": True},
    "endLease": _LEASE_RESPONSE | {"status": "revoked"},
    "requestSend": {
        "id": "0b8f5f0e-3f5b-4c0e-9d7a-5b7e4d1c2a90",
        "tenantId": _TENANT,
        "agentId": _AGENT,
        "contactEmail": "user@example.com",
        "status": "blocked",
        "reason": "lease_conflict",
        "leaseHolder": HOLDER,
    },
    "requestConsensus": _CONSENSUS_RESPONSE,
    "getConsensus": _CONSENSUS_RESPONSE,
    "listConsensus": [_CONSENSUS_RESPONSE],
    "castVote": _VOTE_RESPONSE,
    "cancelConsensus": _CANCELLED_RESPONSE,
    "endConsensus": _CANCELLED_RESPONSE,
    "listElectorate": [
        {"agentId": _AGENT, "agentName": _NAME, "vote": None},
        {"agentId": "agent_f6e5d4c3b2a1", "agentName": "other-agent", "vote": "approve"},
    ],
    "listVotes": [_VOTE_RESPONSE],
    "getConfig": _CONFIG_RESPONSE,
    "putConfig": _CONFIG_RESPONSE,
    "listNotifications": {
        "notifications": [cloud_event("lease_conflict", NOTIFICATION_DATA["lease_conflict"])],
        "next": 42,
        "head": 42,
        "gap": None,
    },
    "issueKey": _KEY_RESPONSE | {"key": "qk_..."},
    "rotateKey": _KEY_RESPONSE | {"key": "qk_..."},
    "listKeys": [_KEY_RESPONSE],
    "getOwnKey": _KEY_RESPONSE,
    "revokeKey": {"revoked": True},
    "createTenant": _TENANT_RESPONSE,
    "listTenants": [_TENANT_RESPONSE],
    "getTenant": _TENANT_RESPONSE,
    "suspendTenant": _TENANT_RESPONSE
    | {"status": "suspended", "suspendedAt": "2026-03-01T13:00:00.000Z"},
    "resumeTenant": _TENANT_RESPONSE,
    "pauseTenant": _TENANT_RESPONSE | {"pausedAt": "2026-03-01T13:00:00.000Z"},
    "unpauseTenant": _TENANT_RESPONSE,
    "setTenantLimits": _TENANT_RESPONSE | {"limits": {"agents": 500, "eventsPerDay": 1_000_000}},
    "getQuotas": {
        "tenantId": _TENANT,
        "agentId": _AGENT,
        "quotas": [
            {"quota": "agents", "used": 12, "limit": 10_000},
            {
                "quota": "events_per_day_per_agent",
                "used": 4_031,
                "limit": 2_000_000,
                "resetsAt": "2026-03-02T00:00:00.000Z",
            },
        ],
    },
    **mail.RESPONSES,
    **presets.RESPONSES,
    **tasks.RESPONSES,
    **list_examples.RESPONSES,
    **sessions.RESPONSES,
    "live": {"status": "ok"},
    "ready": {"status": "ready", "log": "ok", "nats": "connected", "version": "0.1.0"},
}
