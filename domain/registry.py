"""All contexts: aggregates, commands, events and notifications. This module only lists.

Event class names and field names are the storage format. A change of either needs a new version and
an upcaster; the golden files in ``tests/golden`` make an accidental one fail.
"""

from collections.abc import Mapping
from typing import Any

from quorate.domain.coordination import notifications as coordination_notifications
from quorate.domain.coordination.cancellations import CANCELLATIONS
from quorate.domain.coordination.consensus import CONSENSUS
from quorate.domain.coordination.lease_grants import AcquireLease, RenewLease
from quorate.domain.coordination.leases import LEASES
from quorate.domain.coordination.send_gate import SEND_GATE
from quorate.domain.identity import notifications as identity_notifications
from quorate.domain.identity.agent_departures import AGENT_DEPARTURES
from quorate.domain.identity.agent_settings import AGENT_SETTINGS
from quorate.domain.identity.agents import AGENTS
from quorate.domain.identity.api_keys import API_KEYS
from quorate.domain.identity.tenants import TENANTS
from quorate.domain.mail import notifications as mail_notifications
from quorate.domain.mail.accounts import MAIL_ACCOUNTS
from quorate.domain.mail.deliveries import DELIVERIES
from quorate.domain.mail.delivery_attempts import DELIVERY_COMMANDS
from quorate.domain.mail.domains import MAIL_DOMAINS
from quorate.domain.mail.mailbox import MAILBOX_COMMANDS
from quorate.domain.mail.mailbox_entries import MAIL_ENTRIES
from quorate.domain.mail.messages import MESSAGES
from quorate.domain.mail.receiving import DeliverReceived, ReceiveMessage
from quorate.domain.mail.sending import SendMessage
from quorate.domain.mail.threads import MAIL_THREADS
from quorate.domain.sessions import list_notifications, schedule_notifications, task_notifications
from quorate.domain.sessions import notifications as session_notifications
from quorate.domain.sessions import parameters as _parameters  # noqa: F401 - loads its errors.
from quorate.domain.sessions.list_item_commands import LIST_ITEM_COMMANDS
from quorate.domain.sessions.list_items import LIST_ITEMS
from quorate.domain.sessions.presets import PRESETS
from quorate.domain.sessions.schedule_commands import SCHEDULE_COMMANDS
from quorate.domain.sessions.schedules import SCHEDULES
from quorate.domain.sessions.session_commands import SESSION_COMMANDS
from quorate.domain.sessions.session_messages import SESSION_MESSAGES
from quorate.domain.sessions.session_sending import SENDING_COMMANDS
from quorate.domain.sessions.session_value_commands import VALUE_COMMANDS
from quorate.domain.sessions.session_values import SESSION_VALUES
from quorate.domain.sessions.sessions import SESSIONS
from quorate.domain.sessions.task_claims import CLAIM_COMMANDS
from quorate.domain.sessions.task_lists import TASK_LISTS
from quorate.domain.sessions.task_nesting import CancelNestedTasks
from quorate.domain.sessions.task_operators import TASK_OPERATOR_COMMANDS
from quorate.domain.sessions.task_spawning import SPAWNING_COMMANDS
from quorate.domain.sessions.tasks import TASKS
from quorate.domain.shared.aggregates import Aggregate
from quorate.domain.shared.deadlines import RecordDue
from quorate.domain.shared.notifications import NotificationRules
from quorate.domain.shared.state import Schema, TenantState

# The order of events in documents and of commands in metrics.
AGGREGATES: tuple[Aggregate[Any], ...] = (
    TENANTS,
    MAIL_DOMAINS,
    API_KEYS,
    AGENTS,
    AGENT_DEPARTURES,
    AGENT_SETTINGS,
    LEASES,
    SEND_GATE,
    CONSENSUS,
    CANCELLATIONS,
    MESSAGES,
    MAIL_ENTRIES,
    DELIVERIES,
    MAIL_ACCOUNTS,
    MAIL_THREADS,
    PRESETS,
    TASK_LISTS,
    LIST_ITEMS,
    SCHEDULES,
    SESSIONS,
    SESSION_MESSAGES,
    SESSION_VALUES,
    TASKS,
)
_RULES = NotificationRules(
    identity_notifications.RULES,
    coordination_notifications.RULES,
    mail_notifications.RULES,
    list_notifications.RULES,
    schedule_notifications.RULES,
    session_notifications.RULES,
    task_notifications.RULES,
)
NOTIFYING_EVENTS, NOTIFICATION_NAMES = _RULES.event_types, _RULES.names
notifications_of, recipients_of = _RULES.notifications, _RULES.recipients

SCHEMA = Schema(AGGREGATES)
EVENT_TYPES: Mapping[str, type[Any]] = {
    event.__name__: event for aggregate in AGGREGATES for event in aggregate.events
}
COMMANDS: Mapping[str, type[Any]] = {
    command.__name__: command
    for command in (
        *(one for each in AGGREGATES for one in each.commands),
        AcquireLease,
        RenewLease,
        SendMessage,
        ReceiveMessage,
        DeliverReceived,
        *MAILBOX_COMMANDS,
        *DELIVERY_COMMANDS,
        *LIST_ITEM_COMMANDS,
        *SCHEDULE_COMMANDS,
        *SESSION_COMMANDS,
        *SENDING_COMMANDS,
        *VALUE_COMMANDS,
        *CLAIM_COMMANDS,
        *SPAWNING_COMMANDS,
        *TASK_OPERATOR_COMMANDS,
        CancelNestedTasks,
        RecordDue,
    )
}


def new_state() -> TenantState:
    """An empty state of one tenant."""
    return TenantState(SCHEMA)


def stream_of(event: Any) -> str:  # noqa: ANN401 - an event of any aggregate.
    """The stream that an event belongs to, ``category-id``."""
    return SCHEMA.stream_of[type(event)](event)
