"""The notifications that the service sends: one model for the data of each.

* ``NOTIFICATION_TYPES`` lists them by name. Tests compare it with the rules in ``domain/`` and with
  stored events.
* The models accept what a newer service adds. ``parse_notification`` ignores unknown fields, and
  returns ``UnknownNotification`` for an unknown name or for data that does not match.
* The SDK uses the same classes. This module imports nothing of the service.
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import ValidationError

from quorate.contracts.coordination.leases import HolderInfo
from quorate.contracts.notification_data import MailNotificationData, NotificationData
from quorate.contracts.notification_pages import NotificationInfo
from quorate.contracts.sessions.notification_models import (
    ListItemChanged,
    ScheduleFired,
    SessionMessage,
    SessionRead,
    TaskCancelled,
    TaskFinished,
    TaskInputRequired,
    TaskOffered,
    TaskProgress,
)
from quorate.contracts.wire_models import Time
from quorate.domain.mail.messages import Importance
from quorate.domain.mail.notifications import StatusName
from quorate.domain.mail.subjects import Kind

PREFIX = "quorate."  # Of a CloudEvent's type, before the name of the notification.


# -- Leases ------------------------------------------------------------------


class LeaseConflict(NotificationData):
    """`agentId` was rejected. `leaseId` and `leaseHolder` describe the existing lease.

    `requestedHolder` is the instance that the rejected request named. If `agentId` is also the
    agent of `leaseHolder`, another instance of it was rejected.
    """

    lease_id: str
    contact_key: str
    contact_email: str
    agent_id: str
    agent_name: str
    intent: str
    conflict: Literal[True]
    lease_holder: HolderInfo
    requested_holder: str | None = None


class LeaseAvailable(NotificationData):
    """`agentId` held the contact before. `leaseId` is the ended lease."""

    lease_id: str
    contact_key: str
    contact_email: str
    agent_id: str


class LeaseReleased(NotificationData):
    """`agentId` held the lease. Logs of early versions have no `contactEmail` here."""

    lease_id: str
    contact_key: str
    contact_email: str | None = None
    agent_id: str
    holder: str | None = None


class LeaseExpired(NotificationData):
    """`agentId` held the lease until `expiresAt`."""

    lease_id: str
    contact_key: str
    contact_email: str
    agent_id: str
    expires_at: Time
    holder: str | None = None


class LeaseRevoked(NotificationData):
    """`agentId` held the lease.

    `reason` is `agent_inactive`, `agent_deregistered`, `superseded` if another process of the agent
    acquired it, or `operator`: then `detail` says why an operator ended it.
    """

    lease_id: str
    contact_key: str
    contact_email: str
    agent_id: str
    reason: str
    detail: str | None = None
    holder: str | None = None


class SendBlocked(NotificationData):
    """`agentId` was blocked. With a stale fencing token, the contact may have no holder."""

    send_id: str
    contact_key: str
    contact_email: str
    agent_id: str
    agent_name: str
    reason: Literal["lease_conflict", "stale_fence"]
    fence: int | None = None
    conflict: Literal[True] | None = None
    lease_holder: HolderInfo | None = None


# -- Agents ------------------------------------------------------------------


class AgentRegistered(NotificationData):
    """A new agent was registered."""

    agent_id: str
    agent_name: str
    agent_role: str
    incarnation: int
    active_until: Time
    heartbeat_window_ms: int | None = None


class AgentDeregistered(NotificationData):
    """An agent left. It counts neither in electorates nor in quotas, and its leases ended."""

    agent_id: str
    agent_name: str
    reason: Literal["requested", "key_revoked"]
    active_until: Time


class AgentLapsed(NotificationData):
    """An agent missed its heartbeat timeout, or an operator deactivated it: `detail` says why."""

    agent_id: str
    agent_name: str
    last_heartbeat: Time
    active_until: Time
    detail: str | None = None


# -- Consensus ---------------------------------------------------------------


class ConsensusRequested(NotificationData):
    """`agentId` is the proposer.

    `eligible` agents were active. The electorate counts as at least `minimum` agents.
    """

    request_id: str
    agent_id: str
    action: str
    contact_key: str
    contact_email: str
    reason: str
    timeout_at: Time
    electorate: Literal["live", "snapshot"]
    proposer_votes: bool
    floor: str | None = None
    eligible: int
    minimum: int


class VoteCast(NotificationData):
    """`agentId` is the voter."""

    vote_id: str
    request_id: str
    agent_id: str
    vote: Literal["approve", "reject"]
    reason: str | None = None


class ConsensusDecided(NotificationData):
    """`agentId` is the proposer. The counts are those at the deciding vote."""

    request_id: str
    status: Literal["approved", "rejected"]
    agent_id: str
    action: str
    contact_email: str
    approvals: int
    rejections: int
    electorate_size: int


class ConsensusExpired(NotificationData):
    """`agentId` is the proposer."""

    request_id: str
    agent_id: str
    action: str
    contact_email: str
    timeout_at: Time


class ConsensusCancelled(NotificationData):
    """`agentId` is the proposer. `cancelledBy` is absent if only a tenant key was used."""

    request_id: str
    agent_id: str
    action: str
    contact_email: str
    cancelled_by: str | None = None
    reason: str | None = None


# -- Mail --------------------------------------------------------------------


class MessageReceived(MailNotificationData):
    """A message is in the agent's inbox. `sequence` is that of the message, as in its mailbox.

    `body_text` is null if the text is longer than 16 KiB, or erased: read the message.
    """

    message_id: str
    thread_id: str
    sequence: int
    from_address: str
    subject: str
    kind: Kind | None = None
    task_id: str | None = None
    level: int | None = None
    importance: Importance
    ack_required: bool
    in_reply_to: str | None = None
    body_text: str | None = None


class MessageStatus(MailNotificationData):
    """What became of a message that the agent sent.

    `read`, `acknowledged` and `ack_overdue` name the recipient as `by_agent_id`; the others name it
    as `address`. `reason` says why a message was blocked or bounced; `detail` is text of a mail
    server.
    """

    status: StatusName
    message_id: str
    address: str | None = None
    by_agent_id: str | None = None
    reason: str | None = None
    detail: str | None = None


class AcknowledgementDue(MailNotificationData):
    """A message that the agent has not acknowledged. The sender is notified if it never does."""

    message_id: str
    subject: str
    from_address: str


# -- Other data --------------------------------------------------------------


class Omitted(NotificationData):
    """Replaces data that is too large for NATS. Read the notification over HTTP by `sequence`."""

    omitted: Literal[True]


class UnknownNotification(NotificationData):
    """A notification that this version does not know, with its data as received."""

    name: str
    data: Mapping[str, Any]


class Gap(NotificationData):
    """A truncated range: the notifications after `after`, up to `until`, are no longer kept.

    The SDK gives it in place of them. It is never published.
    """

    after: int
    until: int


NOTIFICATION_TYPES: Mapping[str, type[NotificationData]] = {
    "lease_conflict": LeaseConflict,
    "lease_available": LeaseAvailable,
    "lease_released": LeaseReleased,
    "lease_expired": LeaseExpired,
    "lease_revoked": LeaseRevoked,
    "send_blocked": SendBlocked,
    "agent_registered": AgentRegistered,
    "agent_lapsed": AgentLapsed,
    "agent_deregistered": AgentDeregistered,
    "consensus_requested": ConsensusRequested,
    "vote_cast": VoteCast,
    "consensus_decided": ConsensusDecided,
    "consensus_expired": ConsensusExpired,
    "consensus_cancelled": ConsensusCancelled,
    "message_received": MessageReceived,
    "message_status": MessageStatus,
    "acknowledgement_due": AcknowledgementDue,
    "session_message": SessionMessage,
    "session_read": SessionRead,
    "task_offered": TaskOffered,
    "task_progress": TaskProgress,
    "task_input_required": TaskInputRequired,
    "task_finished": TaskFinished,
    "task_cancelled": TaskCancelled,
    "list_item_changed": ListItemChanged,
    "schedule_fired": ScheduleFired,
}


class NotificationEvent(NotificationInfo):
    """A notification with its name and its typed data."""

    @property
    def name(self) -> str:
        """Return the name of the notification: the type without its prefix."""
        return self.type.removeprefix(PREFIX)

    def parse_data(self) -> NotificationData:
        return parse_notification(self.name, self.data)


def parse_notification(name: str, data: Mapping[str, Any]) -> NotificationData:
    """Return the data as the model of this notification, or as ``UnknownNotification``."""
    model = Omitted if data.get("omitted") is True else NOTIFICATION_TYPES.get(name)
    if model is not None:
        try:
            return model.model_validate(data)
        except ValidationError:
            pass  # A newer service sends a value that this version does not know.
    return UnknownNotification(name=name, data=dict(data))


__all__ = [
    "NOTIFICATION_TYPES",
    "PREFIX",
    "AcknowledgementDue",
    "AgentDeregistered",
    "AgentLapsed",
    "AgentRegistered",
    "ConsensusCancelled",
    "ConsensusDecided",
    "ConsensusExpired",
    "ConsensusRequested",
    "Gap",
    "LeaseAvailable",
    "LeaseConflict",
    "LeaseExpired",
    "LeaseReleased",
    "LeaseRevoked",
    "ListItemChanged",
    "MailNotificationData",
    "MessageReceived",
    "MessageStatus",
    "NotificationData",
    "NotificationEvent",
    "Omitted",
    "ScheduleFired",
    "SendBlocked",
    "SessionMessage",
    "SessionRead",
    "TaskCancelled",
    "TaskFinished",
    "TaskInputRequired",
    "TaskOffered",
    "TaskProgress",
    "UnknownNotification",
    "VoteCast",
    "parse_notification",
]
