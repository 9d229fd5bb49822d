"""Which events end or refuse something and are explained, and which do not.

* Every type of event is in exactly one of the two tables. A new type fails a test until it is.
* An event that ends nothing is explained as well: by its command, without facts.
"""

from collections.abc import Mapping
from typing import Any

from quorate.domain.explanations import coordination, mail, tasks
from quorate.domain.explanations.records import Account

ACCOUNTS: Mapping[type[Any], Account] = {
    **coordination.ACCOUNTS,
    **mail.ACCOUNTS,
    **tasks.ACCOUNTS,
}
# Events that begin or change something, and ends that a command alone causes.
BY_COMMAND_ALONE: frozenset[str] = frozenset(
    {
        *("TenantCreated", "TenantSuspended", "TenantResumed", "TenantLimitsSet"),
        *("TenantPaused", "TenantUnpaused"),
        *("MailDomainAssigned", "MailDomainReleased"),
        *("KeyIssued", "KeyExpirySet", "KeyRevoked"),
        *("AgentRegistered", "AgentReregistered", "HeartbeatReceived", "AgentRemoved"),
        *("AgentConfigured", "LeaseAcquired", "LeaseRenewed", "SendAuthorized"),
        *("ConsensusRequested", "VoteCast"),
        *("MessageSent", "MessageReceived", "MessageRead", "MessageUnread", "MessageStarred"),
        *("MessageAcknowledged", "MessageDeleted", "MailboxFreed"),
        *("AcknowledgementReminded", "AcknowledgementOverdue"),
        *("MessageQueued", "MessageDeferred", "ComplaintReceived"),
        *("MailPolicySet", "MailSendingThawed", "MailTierSet"),
        *("PresetApplied", "PresetRemoved"),
        *("TaskListFollowed", "TaskListUnfollowed", "TaskListDeleted"),
        *("ListItemCreated", "ListItemUpdated", "ListItemClaimed", "ListItemReleased"),
        *("ListItemCompleted", "ListItemDeleted"),
        *("ScheduleCreated", "ScheduleFired", "ScheduleSkipped", "SchedulePaused"),
        *("ScheduleResumed", "ScheduleDeleted"),
        *("SessionCreated", "SessionBranched", "SessionDeleted", "SessionErased"),
        *("SessionMessageAppended", "SessionMessageRead", "SessionMessageErased"),
        *("SessionValueSet", "SessionValueErased"),
        *("TaskSubmitted", "TaskOffered", "TaskClaimed", "TaskClaimRenewed", "TaskProgressed"),
        *("TaskArtifactAdded", "TaskInputRequested", "TaskInputAnswered", "TaskRetried"),
    }
)
RULE_OF_A_COMMAND = "The service recorded what a command requested; no earlier event refused it."
