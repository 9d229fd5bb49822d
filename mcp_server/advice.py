"""What an agent can do about a problem. The service's own text says what the problem is."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

ADVICE: Mapping[str, str] = {
    "unauthorized": "The API key is unknown, revoked or expired: ask the operator for another one.",
    "tenant_forbidden": "Omit the tenant: the API key determines it.",
    "role_forbidden": "The API key may not do this: ask the operator for a key of another role.",
    "tenant_suspended": "Stop until the operator resumes the tenant.",
    "tenant_paused": "Read, and repeat the call when the operator has unpaused the tenant; send "
    "heartbeats meanwhile.",
    "acting_as_another": "Omit agentId and agentName, or name the agent of the API key.",
    "agent_not_found": "Call register first, and use the agent's id or name from its response.",
    "agent_inactive": "Call heartbeat, then repeat the call; leases must be acquired again.",
    "lease_conflict": "Work on another contact, or call wait_for_notifications until "
    "lease_available, then acquire_lease again.",
    "lease_ended": "Call acquire_lease again, and use the fence of the new lease.",
    "lease_not_found": "Call list_leases to see the leases that exist.",
    "consensus_not_found": "Use the id from the response of propose.",
    "consensus_closed": "Call get_consensus to see the decision.",
    "already_voted": "The first vote counts: call get_consensus to see the state.",
    "not_eligible": "This agent has no vote on the proposal.",
    "mailbox_required": "Name the agent with agent_name.",
    "message_not_found": "Call mail_inbox to see the messages that exist.",
    "thread_not_found": "Use the thread_id of a message in mail_inbox.",
    "recipient_invalid": "Use a full address; mail_account shows the domain of the agents.",
    "rate_limit_exceeded": "Send later: the sending limit of the agent is reached.",
    "rate_limited": "Wait {retryAfterSeconds} s, then repeat the call.",
    "quota_exceeded": "Release what is not needed, or ask the operator for a higher limit.",
    "daily_quota_exceeded": "Stop commands until the quota is reset.",
    "log_mismatch": "Begin again with after=0 and without logId.",
    "too_many_streams": "Wait some seconds, then repeat the call; end other waits first.",
    "idempotency_key_reused": "Use a new idempotency_key for another action.",
    "body_too_large": "Send less text.",
}
_BY_STATUS: Mapping[int, str] = {
    HTTPStatus.BAD_REQUEST: "Correct the arguments, then call the tool again.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Correct the arguments, then call the tool again.",
    HTTPStatus.FORBIDDEN: "Do not repeat the call: it is not permitted.",
    HTTPStatus.NOT_FOUND: "Check the ids that you passed.",
    HTTPStatus.CONFLICT: "Read the present state, then decide again.",
    HTTPStatus.TOO_MANY_REQUESTS: "Wait, then repeat the call.",
}
_UNKNOWN_OUTCOME = (
    "Wait some seconds, then repeat the call with the same idempotency_key: it may have been "
    "carried out."
)


def advise(problem: Mapping[str, Any]) -> str:
    """Return what to do next about a problem document."""
    seconds = problem.get("retryAfterSeconds", 1)
    known = ADVICE.get(str(problem.get("code")))
    if known is not None:
        return known.format(retryAfterSeconds=seconds)
    status = problem.get("status")
    return _BY_STATUS.get(status if isinstance(status, int) else 0, _UNKNOWN_OUTCOME)


def describe(problem: Mapping[str, Any]) -> str:
    """Return the code, the detail and the advice as one text."""
    detail = str(problem.get("detail") or problem.get("title") or "The call failed.")
    return f"{problem.get('code', 'failed')}: {detail.rstrip('.')}. {advise(problem)}"
