"""The operations of all contexts with their handlers. This module only lists."""

from functools import partial
from typing import Any

from quorate.api import event_log, health, mail_inbox, notifications, session_sends, task_waits
from quorate.application import explanations
from quorate.application.as_of import handler_as_of
from quorate.application.coordination import consensus, leases, send_gate
from quorate.application.identity import agent_settings, agents, api_keys, quotas, tenants
from quorate.application.mail import (
    deliveries,
    domains,
    mailbox,
    reading,
    receiving,
    searching,
    sending,
)
from quorate.application.operations import HANDLERS, Handler
from quorate.application.sessions import (
    operator_lists,
    presets,
    schedules,
    session_messages,
    session_search,
    sessions,
    spawning,
    task_lists,
    tasks,
    tool_list,
)
from quorate.contracts.operations import AnyOperation
from quorate.contracts.registry import OPERATIONS

# Each of these modules registers its handlers.
HANDLER_MODULES = (
    *(agents, leases, send_gate, consensus, agent_settings),
    *(sending, mail_inbox, reading, searching, mailbox, deliveries, receiving),
    *(tool_list, presets),
    *(sessions, session_messages, session_sends, session_search),
    *(task_waits, spawning, tasks),
    *(task_lists, schedules, operator_lists),
    *(notifications, event_log, explanations),
    *(quotas, api_keys, tenants, domains, health),
)
# Those that an agent key may call over NATS, each under its name.
NATS_OPERATIONS: tuple[AnyOperation, ...] = tuple(one for one in OPERATIONS if one.over_nats)


def handler_for(operation: AnyOperation, service: Any) -> Handler:  # noqa: ANN401 - or documents.
    """Return the handler of an operation, bound to the service that it uses."""
    return partial(handler_as_of(operation, HANDLERS), service)
