"""Filters on the events of a tenant.

Filters by content search the events of a page one after the other, at most SCAN_EVENTS_MAX of them.
Filters by time become a range of sequences (eventlog/event_times.py).
"""

from typing import Any

import orjson
from sqlalchemy import Select

from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.tables import events


@record
class Filter:
    """Conditions on events; None means any."""

    type: str | None = None
    agent_id: str | None = None
    contact_key: str | None = None
    actor: str | None = None
    since: Timestamp | None = None  # Inclusive.
    until: Timestamp | None = None  # Exclusive.


def add_conditions(statement: Select[Any], conditions: Filter) -> Select[Any]:
    """Add the conditions, except those of time: they are a range of sequences."""
    if conditions.type is not None:
        statement = statement.where(events.c.type == conditions.type)
    if conditions.agent_id is not None:
        # A quoted id in canonical JSON is a complete value: quotes in user text are escaped.
        named = events.c.data.contains(f'"{conditions.agent_id}"', autoescape=True)
        statement = statement.where(named | (events.c.actor == conditions.agent_id))
    if conditions.actor is not None:
        statement = statement.where(events.c.actor == conditions.actor)
    if conditions.contact_key is not None:
        member = f'"contactKey":{orjson.dumps(conditions.contact_key).decode()}'
        statement = statement.where(events.c.data.contains(member, autoescape=True))
    return statement
