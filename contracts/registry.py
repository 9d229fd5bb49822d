"""Every operation there is, in the order in which a new user needs them. This module only lists."""

from collections.abc import Mapping

from quorate.contracts import event_log, explanations, health, notification_pages
from quorate.contracts.as_of import with_as_of
from quorate.contracts.coordination import consensus, leases, send_gate
from quorate.contracts.identity import agent_settings, agents, api_keys, quotas, tenants
from quorate.contracts.mail import domains as mail_domains
from quorate.contracts.mail import mailbox, messages
from quorate.contracts.operations import AnyOperation
from quorate.contracts.sessions import (
    operator_lists,
    presets,
    schedules,
    session_messages,
    sessions,
    spawn,
    task_lists,
    tasks,
    tool_list,
)

_DECLARED: tuple[AnyOperation, ...] = (
    *agents.OPERATIONS,
    *leases.OPERATIONS,
    *send_gate.OPERATIONS,
    *consensus.OPERATIONS,
    *agent_settings.OPERATIONS,
    *notification_pages.OPERATIONS,
    *event_log.OPERATIONS,
    *explanations.OPERATIONS,
    *messages.OPERATIONS,
    *mailbox.OPERATIONS,
    *tool_list.OPERATIONS,
    *presets.OPERATIONS,
    *sessions.OPERATIONS,
    *session_messages.OPERATIONS,
    *spawn.OPERATIONS,
    *tasks.OPERATIONS,
    *task_lists.OPERATIONS,
    *schedules.OPERATIONS,
    *operator_lists.OPERATIONS,
    *quotas.OPERATIONS,
    *api_keys.OPERATIONS,
    *tenants.OPERATIONS,
    *mail_domains.OPERATIONS,
    *health.OPERATIONS,
)
OPERATIONS: tuple[AnyOperation, ...] = tuple(map(with_as_of, _DECLARED))
OPERATIONS_BY_NAME: Mapping[str, AnyOperation] = {one.name: one for one in OPERATIONS}
