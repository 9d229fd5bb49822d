"""The requests and responses of seed 001, as printed and in order."""

ACQUIRE = """
POST /v1/agent/coordination/lease
{
  "tenantId": "your-tenant-id",
  "agentId": "agent_abc123",
  "contactEmail": "alice@example.com",
  "intent": "outbound_sales",
  "durationMinutes": 30
}
"""

CONFLICT = """
{
  "conflict": true,
  "leaseHolder": {
    "agentId": "agent_other",
    "agentName": "retention-agent",
    "expiresAt": "2026-02-25T15:45:00Z"
  }
}
"""

PROPOSE = """
POST /v1/agent/coordination/consensus
{
  "tenantId": "your-tenant-id",
  "requestingAgentId": "agent_abc123",
  "action": "send_pricing_override",
  "contactEmail": "cto@bigcorp.com",
  "reason": "Contact requested custom pricing",
  "timeoutMinutes": 60
}
"""

VOTE = """
POST /v1/agent/coordination/consensus/:id/vote
{
  "agentId": "agent_reviewer",
  "vote": "approve",
  "reason": "Contact is qualified, pricing is within bounds"
}
"""
