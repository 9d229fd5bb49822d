"""All read models. This module only lists; rows are loaded in this order."""

from collections.abc import Sequence
from typing import Any

from quorate.projections.coordination.consensus import CONSENSUS
from quorate.projections.coordination.leases import LEASES
from quorate.projections.counters import COUNTERS
from quorate.projections.daily_usage import DAILY_USAGE
from quorate.projections.identity.agent_settings import AGENT_SETTINGS
from quorate.projections.identity.agents import AGENTS
from quorate.projections.identity.api_keys import API_KEYS
from quorate.projections.identity.tenants import TENANTS
from quorate.projections.mail.accounts import MAIL_ACCOUNTS
from quorate.projections.mail.deliveries import DELIVERIES
from quorate.projections.mail.domains import MAIL_DOMAINS
from quorate.projections.mail.mailboxes import MAIL_ENTRIES
from quorate.projections.mail.messages import MESSAGES
from quorate.projections.mail.threads import MAIL_THREADS
from quorate.projections.recipients import RECIPIENTS
from quorate.projections.repository import ReadModel, Repository
from quorate.projections.sessions.list_items import LIST_ITEMS
from quorate.projections.sessions.presets import PRESETS
from quorate.projections.sessions.schedules import SCHEDULES
from quorate.projections.sessions.session_messages import SESSION_MESSAGES
from quorate.projections.sessions.session_values import SESSION_VALUES
from quorate.projections.sessions.sessions import SESSIONS
from quorate.projections.sessions.task_lists import TASK_LISTS
from quorate.projections.sessions.tasks import TASKS

REPOSITORIES: Sequence[Repository[Any]] = (
    AGENTS,
    LEASES,
    CONSENSUS,
    AGENT_SETTINGS,
    API_KEYS,
    TENANTS,
    MESSAGES,
    MAIL_ENTRIES,
    DELIVERIES,
    MAIL_ACCOUNTS,
    MAIL_THREADS,
    MAIL_DOMAINS,
    PRESETS,
    TASK_LISTS,
    LIST_ITEMS,
    SCHEDULES,
    SESSIONS,
    SESSION_MESSAGES,
    SESSION_VALUES,
    TASKS,
)
READ_MODELS: Sequence[ReadModel] = (*REPOSITORIES, RECIPIENTS, COUNTERS, DAILY_USAGE)
