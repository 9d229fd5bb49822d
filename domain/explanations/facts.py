"""One sentence for each event that is a fact of an explanation.

Text of callers in a sentence, such as an address, is quoted as it is: a reader must treat it as
untrusted.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from quorate.domain.explanations.records import Fact, LoggedEvent
from quorate.domain.identity.agents import AGENTS, AgentLapsed
from quorate.domain.shared.state import TenantState
from quorate.domain.shared.timestamps import iso

_TIMES = ("expires_at", "active_until", "timeout_at", "times_out_at", "next_attempt_at", "erase_at")
_AGENTS = ("agent_id", "holder_id", "worker_id", "spawner_id")
DEACTIVATED = ("agent", "An operator deactivated agent {agent_name}: {detail}")

# The kind of a fact, and its sentence; names of fields are in braces.
FACTS: Mapping[str, tuple[str, str]] = {
    "AgentRegistered": ("agent", "Agent {agent_name} registered, active until {active_until}"),
    "AgentReregistered": (
        "agent",
        "Agent {agent_name} registered again, incarnation {incarnation}, until {active_until}",
    ),
    "HeartbeatReceived": ("heartbeat", "Last heartbeat of {agent_id}, active until {active_until}"),
    "AgentLapsed": ("missing_heartbeat", "No heartbeat of {agent_name} after {active_until}"),
    "AgentDeregistered": ("agent", "Agent {agent_name} deregistered"),
    "AgentRemoved": ("agent", "The name of agent {agent_name} was removed"),
    "LeaseAcquired": (
        "lease",
        "{agent_id} acquired {contact_email} until {expires_at} (fence {fence})",
    ),
    "LeaseRenewed": ("lease", "{agent_id} renewed the lease until {expires_at}"),
    "LeaseReleased": ("lease", "{agent_id} released the lease on {contact_key}"),
    "LeaseExpired": ("lease", "The lease of {agent_id} on {contact_email} expired"),
    "LeaseRevoked": ("lease", "The lease of {agent_id} on {contact_email} was revoked: {reason}"),
    "ConsensusRequested": (
        "proposal",
        "{agent_id} proposed {action} for {contact_email} until {timeout_at}",
    ),
    "VoteCast": ("vote", "{agent_id} voted {vote}"),
    "ConsensusDecided": ("proposal", "The proposal was {status}"),
    "MessageSent": ("message", "{agent_id} sent the message"),
    "MessageReceived": ("message", "The message arrived from {from_address}"),
    "MessageErased": ("message", "The body of the message was erased: {reason}"),
    "MessageQueued": ("delivery", "The message to {address} was queued"),
    "MessageHeld": ("delivery", "The message to {address} was held: {reason}"),
    "MessageRelayed": ("delivery", "The SMTP relay accepted the message to {address}"),
    "MessageDeferred": (
        "delivery",
        "Attempt {attempts} to {address} failed, the next one was due at {next_attempt_at}",
    ),
    "MessageBounced": ("delivery", "The message to {address} bounced: {reason}"),
    "ComplaintReceived": ("delivery", "{address} reported the message as spam"),
    "MessageDeadLettered": ("delivery", "The message to {address} became a dead letter"),
    "MailPolicySet": ("mail_policy", "{agent_id} set its mail policy: {mode}"),
    "MailSendingFrozen": ("mail_account", "The sending of {agent_id} was frozen: {reason}"),
    "MailSendingThawed": ("mail_account", "The sending of {agent_id} was thawed"),
    "TaskSubmitted": (
        "task",
        "{spawner_id} submitted the task, at most {max_attempts} attempts until {times_out_at}",
    ),
    "TaskClaimed": (
        "claim",
        "{worker_id} claimed the task until {expires_at} (attempt {attempts}, fence {fence})",
    ),
    "TaskClaimRenewed": ("claim", "{worker_id} renewed its claim until {expires_at}"),
    "TaskOffered": ("task", "The task was offered again"),
    "TaskProgressed": ("task", "{worker_id} reported progress"),
    "TaskArtifactAdded": ("task", "{worker_id} added the file {name}"),
    "TaskInputRequested": ("task", "{worker_id} asked for an answer"),
    "TaskInputAnswered": ("task", "{spawner_id} answered"),
    "TaskClaimEnded": ("claim", "The claim of {worker_id} ended: {reason} (attempt {attempts})"),
    "TaskCompleted": ("task", "{worker_id} completed the task"),
    "TaskFailed": ("task", "The task failed: {reason}"),
    "TaskCanceled": ("task", "The task was canceled"),
    "TaskRetried": ("task", "The task began again, with all its attempts"),
}


def fact_of(one: LoggedEvent, state: TenantState) -> Fact:
    """Describe an event; the state knows the names of agents."""
    name = type(one.event).__name__
    kind, template = FACTS.get(name, ("event", name))
    if isinstance(one.event, AgentLapsed) and one.event.detail is not None:
        kind, template = DEACTIVATED
    text = template.format_map(_values(one.event, state))
    return Fact(kind=kind, text=f"{text}.", sequence=one.sequence, at=one.at)


def _values(event: Any, state: TenantState) -> dict[str, str]:  # noqa: ANN401 - of any aggregate.
    values = {}
    for field in fields(event):
        value = getattr(event, field.name)
        if value is not None and field.name in _TIMES:
            value = iso(value)
        elif field.name in _AGENTS and (agent := state[AGENTS].get(str(value))) is not None:
            value = agent.name
        values[field.name] = str(value)
    return values
