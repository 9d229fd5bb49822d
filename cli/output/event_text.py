"""Describe events and notifications, each with one sentence.

* A notification has the fields of its event, so one template serves both.
* Agent ids are replaced by names that earlier events contained.
* Text that agents wrote (an action, a reason) is quoted: it is untrusted.
* An unknown type, from a newer service, is printed as JSON.
"""

from collections.abc import Callable, Mapping

import orjson

from quorate.cli.output.agent_names import Details, Names
from quorate.cli.output.console import printable
from quorate.cli.output.mail_text import MAIL_TEMPLATES
from quorate.cli.output.session_text import SESSION_TEMPLATES
from quorate.cli.output.task_text import TASK_TEMPLATES

MAX_SENTENCE_LENGTH = 300
_DAY_WIDTH = len("2026-03-01")
_SECOND_WIDTH = len("2026-03-01T12:00:00")
_MILLISECOND_WIDTH = len("2026-03-01T12:00:00.000")


def describe(type_: str, details: Details, names: Names) -> str:
    """Describe an event (``LeaseAcquired``) or a notification (``lease_conflict``)."""
    names.learn(details)
    template = TEMPLATES.get(type_)
    try:
        sentence = template(details, names) if template else _unknown(type_, details)
    except (KeyError, TypeError):  # Unknown fields, from a newer service.
        sentence = _unknown(type_, details)
    return printable(sentence)[:MAX_SENTENCE_LENGTH]


def time_of_day(time: object) -> str:
    """Return the UTC time of day to the second."""
    return str(time)[_DAY_WIDTH + 1 : _SECOND_WIDTH]


def date_and_time(time: object) -> str:
    """Return the UTC date and time to the millisecond."""
    return str(time)[:_MILLISECOND_WIDTH].replace("T", " ")


# -- Templates -----------------------------------------------------------------


def _unknown(type_: str, details: Details) -> str:
    return f"{type_} {orjson.dumps(dict(details)).decode()}"


def _contact(details: Details) -> str:
    return str(details.get("contactEmail") or details["contactKey"])


def _quote_action(details: Details) -> str:
    return f"\N{LEFT DOUBLE QUOTATION MARK}{details['action']}\N{RIGHT DOUBLE QUOTATION MARK}"


def _holder(details: Details) -> tuple[str, str]:
    """Return the holder and the end of its lease; events and notifications differ in the fields."""
    holder = details.get("leaseHolder")
    if holder is not None:
        return str(holder["agentName"]), time_of_day(holder["expiresAt"])
    return str(details["holderName"]), time_of_day(details["expiresAt"])


def _in_words(details: Details) -> str:
    return f": {details['detail']}" if details.get("detail") else ""


def _tenant_created(details: Details, _names: Names) -> str:
    return f"tenant {details['tenantId']} created"


def _tenant_suspended(details: Details, _names: Names) -> str:
    return f"tenant {details['tenantId']} suspended{_in_words(details)}"


def _tenant_resumed(details: Details, _names: Names) -> str:
    return f"tenant {details['tenantId']} resumed{_in_words(details)}"


def _tenant_paused(details: Details, _names: Names) -> str:
    return f"tenant {details['tenantId']} paused{_in_words(details)}"


def _tenant_unpaused(details: Details, _names: Names) -> str:
    return f"tenant {details['tenantId']} unpaused{_in_words(details)}"


def _tenant_limits_set(details: Details, _names: Names) -> str:
    limits = [f"{name} {limit}" for name, limit in details.items() if name != "tenantId"]
    return f"limits of tenant {details['tenantId']}: {', '.join(limits) or 'those of the service'}"


def _mail_domain_assigned(details: Details, _names: Names) -> str:
    return f"mail domain {details['domain']} assigned to tenant {details['tenantId']}"


def _mail_domain_released(details: Details, _names: Names) -> str:
    return f"mail domain {details['domain']} of tenant {details['tenantId']} released"


def _key_issued(details: Details, _names: Names) -> str:
    whose = f" of {details['agentName']}" if details.get("agentName") else ""
    return f"key issued: {details['role']}{whose} ({details['keyId']})"


def _key_expiry_set(details: Details, _names: Names) -> str:
    return f"key expires at {details['expiresAt']} ({details['keyId']})"


def _key_revoked(details: Details, _names: Names) -> str:
    return f"key revoked ({details['keyId']}){_in_words(details)}"


def _registered(details: Details, _names: Names) -> str:
    times = details["incarnation"]
    again = f" again, incarnation {times}" if times > 1 else ""
    return f"{details['agentName']} registered{again} ({details['agentRole']})"


def _heartbeat(details: Details, names: Names) -> str:
    until = time_of_day(details["activeUntil"])
    return f"{names.of(details['agentId'])} sent a heartbeat, active until {until}"


def _timed_out(details: Details, _names: Names) -> str:
    last = time_of_day(details["lastHeartbeat"])
    if details.get("detail"):
        return f"{details['agentName']} was deactivated: {details['detail']}"
    return f"{details['agentName']} timed out: last heartbeat {last}"


def _deregistered(details: Details, _names: Names) -> str:
    why = ": its last key was revoked" if details["reason"] == "key_revoked" else ""
    return f"{details['agentName']} deregistered{why}"


def _agent_removed(details: Details, _names: Names) -> str:
    return f"{details['agentName']} was removed"


def _configured(details: Details, names: Names) -> str:
    return f"config of {names.of(details['agentId'])} updated"


def _acquired(details: Details, names: Names) -> str:
    agent, until = names.of(details["agentId"]), time_of_day(details["expiresAt"])
    return f"{agent} holds {_contact(details)} until {until} (fence {details['fence']})"


def _renewed(details: Details, names: Names) -> str:
    until = time_of_day(details["expiresAt"])
    return f"{names.of(details['agentId'])} renewed {_contact(details)} until {until}"


def _released(details: Details, names: Names) -> str:
    return f"{names.of(details['agentId'])} released {_contact(details)}"


def _expired(details: Details, names: Names) -> str:
    return f"{names.of(details['agentId'])}'s lease on {_contact(details)} expired"


def _revoked(details: Details, names: Names) -> str:
    reason = details["reason"]
    if reason == "agent_inactive":
        reason = "its heartbeat timed out"
    elif reason == "agent_deregistered":
        reason = "it deregistered"
    elif details.get("detail"):
        reason = f"an operator ended it: {details['detail']}"
    return f"{names.of(details['agentId'])} lost {_contact(details)}: {reason}"


def _available(details: Details, names: Names) -> str:
    return f"{_contact(details)} is available: {names.of(details['agentId'])} no longer holds it"


def _conflicted(details: Details, _names: Names) -> str:
    holder, until = _holder(details)
    agent = details["agentName"]
    return f"{agent} could not lease {_contact(details)}: {holder} holds it until {until}"


def _authorized(details: Details, names: Names) -> str:
    return f"{names.of(details['agentId'])} may send to {_contact(details)}"


def _blocked(details: Details, names: Names) -> str:
    agent = f"{names.of(details['agentId'])} may not send to {_contact(details)}"
    if details["reason"] == "stale_fence":
        return f"{agent}: fence {details.get('fence', '')} is stale"
    holder, until = _holder(details)
    return f"{agent}: {holder} holds it until {until}"


def _proposed(details: Details, names: Names) -> str:
    agent, until = names.of(details["agentId"]), time_of_day(details["timeoutAt"])
    return f"{agent} proposes {_quote_action(details)} ({_contact(details)}) until {until}"


def _vote_cast(details: Details, names: Names) -> str:
    return f"{names.of(details['agentId'])} voted to {details['vote']}"


def _decided(details: Details, _names: Names) -> str:
    counts = f"{details['approvals']} for, {details['rejections']} against"
    what = f"{_quote_action(details)} ({_contact(details)})"
    return f"{what} is {details['status']}: {counts}, of {details['electorateSize']}"


def _consensus_expired(details: Details, _names: Names) -> str:
    return f"{_quote_action(details)} ({_contact(details)}) expired without a majority"


def _consensus_cancelled(details: Details, names: Names) -> str:
    by = f" by {names.of(details['cancelledBy'])}" if details.get("cancelledBy") else ""
    why = f": {details['reason']}" if details.get("reason") else ""
    return f"{_quote_action(details)} ({_contact(details)}) was cancelled{by}{why}"


def _gap(details: Details, _names: Names) -> str:
    return f"notifications between {details['after']} and {details['until']} are no longer stored"


TEMPLATES: Mapping[str, Callable[[Details, Names], str]] = {
    "TenantCreated": _tenant_created,
    "TenantSuspended": _tenant_suspended,
    "TenantPaused": _tenant_paused,
    "TenantUnpaused": _tenant_unpaused,
    "TenantResumed": _tenant_resumed,
    "TenantLimitsSet": _tenant_limits_set,
    "MailDomainAssigned": _mail_domain_assigned,
    "MailDomainReleased": _mail_domain_released,
    "KeyIssued": _key_issued,
    "KeyExpirySet": _key_expiry_set,
    "KeyRevoked": _key_revoked,
    "AgentRegistered": _registered,
    "AgentReregistered": _registered,
    "HeartbeatReceived": _heartbeat,
    "AgentLapsed": _timed_out,
    "AgentDeregistered": _deregistered,
    "AgentRemoved": _agent_removed,
    "AgentConfigured": _configured,
    "LeaseAcquired": _acquired,
    "LeaseRenewed": _renewed,
    "LeaseReleased": _released,
    "LeaseExpired": _expired,
    "LeaseRevoked": _revoked,
    "LeaseConflicted": _conflicted,
    "SendAuthorized": _authorized,
    "SendBlocked": _blocked,
    "ConsensusRequested": _proposed,
    "VoteCast": _vote_cast,
    "ConsensusDecided": _decided,
    "ConsensusExpired": _consensus_expired,
    "ConsensusCancelled": _consensus_cancelled,
    "agent_registered": _registered,
    "agent_lapsed": _timed_out,
    "agent_deregistered": _deregistered,
    "lease_conflict": _conflicted,
    "lease_released": _released,
    "lease_expired": _expired,
    "lease_revoked": _revoked,
    "lease_available": _available,
    "send_blocked": _blocked,
    "consensus_requested": _proposed,
    "vote_cast": _vote_cast,
    "consensus_decided": _decided,
    "consensus_expired": _consensus_expired,
    "consensus_cancelled": _consensus_cancelled,
    "gap": _gap,
    **MAIL_TEMPLATES,
    **SESSION_TEMPLATES,
    **TASK_TEMPLATES,
}
