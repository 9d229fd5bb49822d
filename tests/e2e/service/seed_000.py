"""The requests and responses of seed 000, as printed and in order."""

REGISTER = """\
curl -X POST https://api.molted.email/v1/agent/register \\
-H "Authorization: Bearer YOUR_API_KEY" \\
-H "Content-Type: application/json" \\
-d '{
"tenantId": "tenant_abc123",
"agentName": "outreach-agent",
"agentRole": "outbound"
}'"""

REGISTERED = """\
{
"id": "agent_a1b2c3d4e5f6",
"tenantId": "tenant_abc123",
"agentName": "outreach-agent",
"agentRole": "outbound",
"lastHeartbeat": "2026-03-01T12:00:00Z",
"registeredAt": "2026-03-01T12:00:00Z"
}"""

HEARTBEAT = """\
curl -X POST https://api.molted.email/v1/agent/coordination/heartbeat \\
-H "Authorization: Bearer YOUR_API_KEY" \\
-H "Content-Type: application/json" \\
-d '{
"tenantId": "tenant_abc123",
"agentName": "outreach-agent"
}'"""

HEARTBEAT_RESPONSE = """\
{
"ok": true
}"""

ACQUIRE = """\
curl -X POST https://api.molted.email/v1/agent/coordination/lease \\
-H "Authorization: Bearer YOUR_API_KEY" \\
-H "Content-Type: application/json" \\
-d '{
"tenantId": "tenant_abc123",
"agentName": "outreach-agent",
"contactEmail": "user@example.com",
"intent": "outbound_sales",
"durationMinutes": 30
}'"""

ACQUIRED = """\
{
"id": "d290f1ee-6c54-4b01-90e6-d701748f0851",
"tenantId": "tenant_abc123",
"agentId": "agent_a1b2c3d4e5f6",
"contactEmail": "user@example.com",
"intent": "outbound_sales",
"expiresAt": "2026-03-01T12:30:00Z",
"createdAt": "2026-03-01T12:00:00Z"
}"""

CONFLICT = """\
{
"conflict": true,
"leaseHolder": {
"agentId": "agent_f6e5d4c3b2a1",
"agentName": "other-agent",
"expiresAt": "2026-03-01T12:30:00Z"
}
}"""

RELEASE = """\
curl -X DELETE "https://api.molted.email/v1/agent/coordination/lease/LEASE_ID?tenantId=tenant_abc123" \\
-H "Authorization: Bearer YOUR_API_KEY\""""  # noqa: E501 - exactly as printed.

RELEASED = """\
{
"released": true
}"""

LIST = """\
curl "https://api.molted.email/v1/agent/coordination/leases?tenantId=tenant_abc123" \\
-H "Authorization: Bearer YOUR_API_KEY\""""

LISTED = """\
[
{
"id": "d290f1ee-6c54-4b01-90e6-d701748f0851",
"tenantId": "tenant_abc123",
"agentId": "agent_a1b2c3d4e5f6",
"contactEmail": "user@example.com",
"intent": "outbound_sales",
"expiresAt": "2026-03-01T12:30:00Z",
"createdAt": "2026-03-01T12:00:00Z"
}
]"""

PROPOSE = """\
curl -X POST https://api.molted.email/v1/agent/coordination/consensus \\
-H "Authorization: Bearer YOUR_API_KEY" \\
-H "Content-Type: application/json" \\
-d '{
"tenantId": "tenant_abc123",
"proposerAgent": "outreach-agent",
"action": "pause outreach",
"contactEmail": "ceo@bigcorp.com",
"reason": "Fatigue scores are high",
"timeoutMinutes": 5
}'"""

PROPOSED = """\
{
"id": "b4c8e7a2-3f19-4d5e-a621-9c1d8f3e7b0a",
"tenantId": "tenant_abc123",
"requestingAgentId": "agent_a1b2c3d4e5f6",
"action": "pause outreach",
"contactEmail": "ceo@bigcorp.com",
"reason": "Fatigue scores are high",
"status": "pending",
"timeoutAt": "2026-03-01T12:05:00Z",
"createdAt": "2026-03-01T12:00:00Z"
}"""

GET_PROPOSAL = """\
curl "https://api.molted.email/v1/agent/coordination/consensus/CONSENSUS_ID?tenantId=tenant_abc123" \\
-H "Authorization: Bearer YOUR_API_KEY\""""  # noqa: E501 - exactly as printed.

VOTE = """\
curl -X POST https://api.molted.email/v1/agent/coordination/consensus/CONSENSUS_ID/vote \\
-H "Authorization: Bearer YOUR_API_KEY" \\
-H "Content-Type: application/json" \\
-d '{
"agentId": "agent_f6e5d4c3b2a1",
"vote": "approve",
"reason": "Agreed, signals look bad"
}'"""

VOTED = """\
{
"id": "e7f3a1b2-8c4d-4e6f-b123-7d8e9f0a1b2c",
"consensusRequestId": "b4c8e7a2-3f19-4d5e-a621-9c1d8f3e7b0a",
"agentId": "agent_f6e5d4c3b2a1",
"vote": "approve",
"reason": "Agreed, signals look bad",
"consensusStatus": "approved",
"createdAt": "2026-03-01T12:01:00Z"
}"""

GET_CONFIG = """\
curl "https://api.molted.email/v1/agent/agents/agent_a1b2c3d4e5f6/config?tenantId=tenant_abc123" \\
-H "Authorization: Bearer YOUR_API_KEY\""""

PUT_CONFIG = """\
curl -X PUT "https://api.molted.email/v1/agent/agents/agent_a1b2c3d4e5f6/config?tenantId=tenant_abc123" \\
-H "Authorization: Bearer YOUR_API_KEY" \\
-H "Content-Type: application/json" \\
-d '{
"humanizer_enabled": true,
"humanizer_style": "professional"
}'"""  # noqa: E501 - exactly as printed.

CONFIGURED = """\
{
"humanizer_enabled": true,
"humanizer_style": "professional"
}"""
