"""SDK for agents and scripts. It needs the base installation and no module of the server.

This package exports all public names of the SDK, except those of ``quorate.client.blocking``,
``quorate.client.requests``, ``quorate.client.mail_requests``, ``quorate.client.faststream`` and the
rarer exceptions in ``rejections`` and ``*_rejections``. An import of the package loads none of
its modules; the first use of a name does.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quorate.client.agent import Agent as Agent
    from quorate.client.async_client import AsyncClient as AsyncClient
    from quorate.client.config import ClientConfig as ClientConfig
    from quorate.client.consensus import Proposal as Proposal
    from quorate.client.errors import ClientClosedError as ClientClosedError
    from quorate.client.errors import ConfigurationError as ConfigurationError
    from quorate.client.errors import ConflictError as ConflictError
    from quorate.client.errors import ForkedError as ForkedError
    from quorate.client.errors import LeaseLostError as LeaseLostError
    from quorate.client.errors import NotFoundError as NotFoundError
    from quorate.client.errors import QuorateError as QuorateError
    from quorate.client.errors import RequestFailedError as RequestFailedError
    from quorate.client.errors import UnauthorizedError as UnauthorizedError
    from quorate.client.errors import UnavailableError as UnavailableError
    from quorate.client.event_reader import EventsArchivedError as EventsArchivedError
    from quorate.client.lease import Lease as Lease
    from quorate.client.list_rejections import (
        ListItemBlockedError as ListItemBlockedError,
    )
    from quorate.client.list_rejections import (
        ListItemNotClaimableError as ListItemNotClaimableError,
    )
    from quorate.client.list_rejections import ListItemNotFoundError as ListItemNotFoundError
    from quorate.client.list_rejections import VersionMismatchError as VersionMismatchError
    from quorate.client.mail import Mailbox as Mailbox
    from quorate.client.mail_errors import MailNotDeliveredError as MailNotDeliveredError
    from quorate.client.mail_errors import MailTimeoutError as MailTimeoutError
    from quorate.client.mail_errors import TaskCancelledError as TaskCancelledError
    from quorate.client.mail_errors import TaskFailedError as TaskFailedError
    from quorate.client.mail_rejections import MessageNotFoundError as MessageNotFoundError
    from quorate.client.mail_rejections import RecipientInvalidError as RecipientInvalidError
    from quorate.client.mail_rejections import SendingLimitReachedError as SendingLimitReachedError
    from quorate.client.mail_rejections import SubjectTooLongError as SubjectTooLongError
    from quorate.client.mail_rejections import ThreadNotFoundError as ThreadNotFoundError
    from quorate.client.mail_rejections import TooManyRecipientsError as TooManyRecipientsError
    from quorate.client.notifications import NotificationFeed as NotificationFeed
    from quorate.client.rejections import ActingAsAnotherError as ActingAsAnotherError
    from quorate.client.rejections import AgentActiveError as AgentActiveError
    from quorate.client.rejections import AgentHasKeysError as AgentHasKeysError
    from quorate.client.rejections import AgentInactiveError as AgentInactiveError
    from quorate.client.rejections import AgentNotFoundError as AgentNotFoundError
    from quorate.client.rejections import AlreadyVotedError as AlreadyVotedError
    from quorate.client.rejections import ConsensusClosedError as ConsensusClosedError
    from quorate.client.rejections import ConsensusNotFoundError as ConsensusNotFoundError
    from quorate.client.rejections import ContactEmailInvalidError as ContactEmailInvalidError
    from quorate.client.rejections import DailyQuotaExceededError as DailyQuotaExceededError
    from quorate.client.rejections import InvalidKeyError as InvalidKeyError
    from quorate.client.rejections import InvalidRequestError as InvalidRequestError
    from quorate.client.rejections import KeyEndedError as KeyEndedError
    from quorate.client.rejections import LeaseConflictError as LeaseConflictError
    from quorate.client.rejections import LeaseEndedError as LeaseEndedError
    from quorate.client.rejections import LeaseNotFoundError as LeaseNotFoundError
    from quorate.client.rejections import LogMismatchError as LogMismatchError
    from quorate.client.rejections import NotEligibleError as NotEligibleError
    from quorate.client.rejections import NothingToExplainError as NothingToExplainError
    from quorate.client.rejections import NotProposerError as NotProposerError
    from quorate.client.rejections import OriginForbiddenError as OriginForbiddenError
    from quorate.client.rejections import PastNotKeptError as PastNotKeptError
    from quorate.client.rejections import QuotaExceededError as QuotaExceededError
    from quorate.client.rejections import RateLimitedError as RateLimitedError
    from quorate.client.rejections import RejectedError as RejectedError
    from quorate.client.rejections import RoleForbiddenError as RoleForbiddenError
    from quorate.client.rejections import TenantForbiddenError as TenantForbiddenError
    from quorate.client.rejections import TenantPausedError as TenantPausedError
    from quorate.client.rejections import TenantSuspendedError as TenantSuspendedError
    from quorate.client.results import Notification as Notification
    from quorate.client.results import NotificationPage as NotificationPage
    from quorate.client.schedule_rejections import ScheduleInvalidError as ScheduleInvalidError
    from quorate.client.schedule_rejections import ScheduleNotFoundError as ScheduleNotFoundError
    from quorate.client.spawned_tasks import SpawnedTask as SpawnedTask
    from quorate.client.spawned_tasks import SpawnedTaskError as SpawnedTaskError
    from quorate.client.task_rejections import StaleFenceError as StaleFenceError
    from quorate.client.task_rejections import TaskNotFoundError as TaskNotFoundError
    from quorate.client.transports.sync_http import Client as Client
    from quorate.client.worker import RejectTaskError as RejectTaskError
    from quorate.client.worker import RetryTaskError as RetryTaskError
    from quorate.client.worker import Task as Task
    from quorate.client.worker import Worker as Worker
    from quorate.contracts.coordination.consensus import ConsensusInfo as ConsensusInfo
    from quorate.contracts.coordination.consensus import VoteInfo as VoteInfo
    from quorate.contracts.coordination.consensus import VoterInfo as VoterInfo
    from quorate.contracts.coordination.leases import HolderInfo as HolderInfo
    from quorate.contracts.coordination.leases import LeaseInfo as LeaseInfo
    from quorate.contracts.coordination.send_gate import SendVerdict as SendVerdict
    from quorate.contracts.event_log import EventInfo as EventInfo
    from quorate.contracts.event_log import EventsInfo as EventsInfo
    from quorate.contracts.identity.agents import AgentInfo as AgentInfo
    from quorate.contracts.identity.agents import HeartbeatInfo as HeartbeatInfo
    from quorate.contracts.identity.api_keys import IssuedKeyInfo as IssuedKeyInfo
    from quorate.contracts.identity.api_keys import KeyInfo as KeyInfo
    from quorate.contracts.identity.quotas import QuotaInfo as QuotaInfo
    from quorate.contracts.identity.quotas import QuotasInfo as QuotasInfo
    from quorate.contracts.identity.tenants import TenantInfo as TenantInfo
    from quorate.contracts.mail.mailbox import AccountInfo as AccountInfo
    from quorate.contracts.mail.mailbox import PolicyInfo as PolicyInfo
    from quorate.contracts.mail.messages import MailMessage as MailMessage
    from quorate.contracts.mail.messages import SentInfo as SentInfo
    from quorate.contracts.mail.messages import ThreadPage as ThreadPage
    from quorate.contracts.notifications import AcknowledgementDue as AcknowledgementDue
    from quorate.contracts.notifications import AgentDeregistered as AgentDeregistered
    from quorate.contracts.notifications import AgentLapsed as AgentLapsed
    from quorate.contracts.notifications import AgentRegistered as AgentRegistered
    from quorate.contracts.notifications import ConsensusCancelled as ConsensusCancelled
    from quorate.contracts.notifications import ConsensusDecided as ConsensusDecided
    from quorate.contracts.notifications import ConsensusExpired as ConsensusExpired
    from quorate.contracts.notifications import ConsensusRequested as ConsensusRequested
    from quorate.contracts.notifications import Gap as Gap
    from quorate.contracts.notifications import LeaseAvailable as LeaseAvailable
    from quorate.contracts.notifications import LeaseConflict as LeaseConflict
    from quorate.contracts.notifications import LeaseExpired as LeaseExpired
    from quorate.contracts.notifications import LeaseReleased as LeaseReleased
    from quorate.contracts.notifications import LeaseRevoked as LeaseRevoked
    from quorate.contracts.notifications import ListItemChanged as ListItemChanged
    from quorate.contracts.notifications import MessageReceived as MessageReceived
    from quorate.contracts.notifications import MessageStatus as MessageStatus
    from quorate.contracts.notifications import NotificationData as NotificationData
    from quorate.contracts.notifications import Omitted as Omitted
    from quorate.contracts.notifications import ScheduleFired as ScheduleFired
    from quorate.contracts.notifications import SendBlocked as SendBlocked
    from quorate.contracts.notifications import TaskCancelled as TaskCancelled
    from quorate.contracts.notifications import TaskFinished as TaskFinished
    from quorate.contracts.notifications import TaskInputRequired as TaskInputRequired
    from quorate.contracts.notifications import TaskOffered as TaskOffered
    from quorate.contracts.notifications import TaskProgress as TaskProgress
    from quorate.contracts.notifications import UnknownNotification as UnknownNotification
    from quorate.contracts.notifications import VoteCast as VoteCast
    from quorate.contracts.sessions.schedules import ScheduleInfo as ScheduleInfo
    from quorate.contracts.sessions.task_lists import ListTask as ListTask
    from quorate.domain.identity.agents import AgentRef as AgentRef

_NAMES_BY_MODULE = {
    "quorate.client.agent": ("Agent",),
    "quorate.client.transports.sync_http": ("Client",),
    "quorate.client.async_client": ("AsyncClient",),
    "quorate.client.event_reader": ("EventsArchivedError",),
    "quorate.client.errors": (
        *("ClientClosedError", "ConfigurationError", "ConflictError", "ForkedError"),
        "LeaseLostError",
        *("NotFoundError", "QuorateError", "RequestFailedError", "UnauthorizedError"),
        "UnavailableError",
    ),
    "quorate.client.notifications": ("NotificationFeed",),
    "quorate.client.lease": ("Lease",),
    "quorate.client.list_rejections": (
        *("ListItemBlockedError", "ListItemNotClaimableError", "ListItemNotFoundError"),
        "VersionMismatchError",
    ),
    "quorate.client.schedule_rejections": ("ScheduleInvalidError", "ScheduleNotFoundError"),
    "quorate.client.mail": ("Mailbox",),
    "quorate.client.mail_errors": (
        *("MailNotDeliveredError", "MailTimeoutError", "TaskCancelledError", "TaskFailedError"),
    ),
    "quorate.client.mail_rejections": (
        *("MessageNotFoundError", "RecipientInvalidError", "SendingLimitReachedError"),
        *("SubjectTooLongError", "ThreadNotFoundError", "TooManyRecipientsError"),
    ),
    "quorate.client.consensus": ("Proposal",),
    "quorate.client.spawned_tasks": ("SpawnedTask", "SpawnedTaskError"),
    "quorate.client.task_rejections": ("StaleFenceError", "TaskNotFoundError"),
    "quorate.client.worker": ("RejectTaskError", "RetryTaskError", "Task", "Worker"),
    "quorate.client.rejections": (
        *("ActingAsAnotherError", "AgentActiveError", "AgentHasKeysError"),
        *("AgentInactiveError", "AgentNotFoundError", "NotProposerError"),
        *("AlreadyVotedError", "ConsensusClosedError", "ConsensusNotFoundError"),
        *("ContactEmailInvalidError", "InvalidKeyError", "InvalidRequestError"),
        *("KeyEndedError", "LeaseConflictError", "LeaseEndedError", "LeaseNotFoundError"),
        "LogMismatchError",
        "NothingToExplainError",
        "PastNotKeptError",
        *("DailyQuotaExceededError", "NotEligibleError", "QuotaExceededError"),
        *("RateLimitedError", "RejectedError", "TenantSuspendedError", "TenantPausedError"),
        *("RoleForbiddenError", "TenantForbiddenError", "OriginForbiddenError"),
    ),
    "quorate.client.results": ("Notification", "NotificationPage"),
    "quorate.contracts.coordination.consensus": ("ConsensusInfo", "VoteInfo", "VoterInfo"),
    "quorate.contracts.coordination.leases": ("HolderInfo", "LeaseInfo"),
    "quorate.contracts.coordination.send_gate": ("SendVerdict",),
    "quorate.contracts.event_log": ("EventInfo", "EventsInfo"),
    "quorate.contracts.mail.mailbox": ("AccountInfo", "PolicyInfo"),
    "quorate.contracts.mail.messages": ("MailMessage", "SentInfo", "ThreadPage"),
    "quorate.contracts.notifications": (
        *("AgentDeregistered", "AgentLapsed", "AgentRegistered", "ConsensusCancelled"),
        *("ConsensusDecided", "ConsensusExpired"),
        *("ConsensusRequested", "Gap", "LeaseAvailable", "LeaseConflict", "LeaseExpired"),
        *("LeaseReleased", "LeaseRevoked", "NotificationData", "Omitted", "SendBlocked"),
        *("UnknownNotification", "VoteCast"),
        *("AcknowledgementDue", "MessageReceived", "MessageStatus"),
        *("TaskCancelled", "TaskFinished", "TaskInputRequired", "TaskOffered", "TaskProgress"),
        *("ListItemChanged", "ScheduleFired"),
    ),
    "quorate.contracts.sessions.schedules": ("ScheduleInfo",),
    "quorate.contracts.sessions.task_lists": ("ListTask",),
    "quorate.contracts.identity.agents": ("AgentInfo", "HeartbeatInfo"),
    "quorate.contracts.identity.api_keys": ("IssuedKeyInfo", "KeyInfo"),
    "quorate.contracts.identity.quotas": ("QuotaInfo", "QuotasInfo"),
    "quorate.contracts.identity.tenants": ("TenantInfo",),
    "quorate.client.config": ("ClientConfig",),
    "quorate.domain.identity.agents": ("AgentRef",),
}
_MODULE_BY_NAME = {name: module for module, names in _NAMES_BY_MODULE.items() for name in names}


if not TYPE_CHECKING:  # A type checker would accept any name otherwise, and reads the imports.
    __all__ = [*_MODULE_BY_NAME]  # noqa: PLE0604 - for `from quorate.client import *`.

    def __getattr__(name: str) -> object:
        module = _MODULE_BY_NAME.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(module), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_BY_NAME})
