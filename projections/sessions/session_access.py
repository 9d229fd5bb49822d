"""The condition of SQL that a session is visible under an access policy.

It says the same as ``Access.shows``. ``tests`` compare both for all combinations of the fields.
"""

from collections.abc import Mapping
from typing import Any

import orjson
from sqlalchemy import ColumnElement, and_, bindparam, exists, false, or_, select, true

from quorate.domain.sessions.policies import Access, SessionRule
from quorate.domain.shared.records import record
from quorate.eventlog.database import Database
from quorate.projections.sessions.sessions import TABLE

# All keys are printable ASCII: those with a prefix are before the prefix and this character.
AFTER_PRINTABLE = "\x7f"


@record
class VisibleSessions:
    """A condition, the values of its parameters, and what the statement depends on."""

    condition: ColumnElement[bool]
    values: Mapping[str, Any]
    shape: tuple[Any, ...]


def visible_sessions(database: Database, access: Access) -> VisibleSessions:
    """Return the condition for one caller. Its statement is the same for the same ``shape``."""
    rules = [policy.sessions for policy in access.policies if policy.sessions is not None]
    values: dict[str, Any] = {}
    shapes: list[Any] = []
    conditions: list[ColumnElement[bool]] = []
    if any(_asks_owner(rule) for rule in rules):
        values["visible_owner"] = access.agent_id or ""
    for number, rule in enumerate(rules):
        conditions.append(_of_rule(database, rule, number, values))
        has_keys = rule.allowed_keys is not None
        shapes.append((has_keys, rule.key_prefix is not None, rule.cross_agent))
    return VisibleSessions(condition=and_(true(), *conditions), values=values, shape=tuple(shapes))


def _asks_owner(rule: SessionRule) -> bool:
    if rule.key_prefix is not None:
        return rule.cross_agent is False
    return rule.allowed_keys is None and rule.cross_agent is not True


def _of_rule(
    database: Database, rule: SessionRule, number: int, values: dict[str, Any]
) -> ColumnElement[bool]:
    found: list[ColumnElement[bool]] = [false()]
    is_own = TABLE.c.owner_id == bindparam("visible_owner")
    if rule.allowed_keys is not None:
        name = f"keys_{number}"
        keys, (key,) = database.rows(name, 1)
        values[name] = orjson.dumps([[one] for one in rule.allowed_keys]).decode()
        found.append(exists(select(key).select_from(keys).where(key == TABLE.c.key)))
    if rule.key_prefix is not None:
        values |= {
            f"prefix_{number}": rule.key_prefix,
            f"prefix_end_{number}": rule.key_prefix + AFTER_PRINTABLE,
        }
        begins = and_(
            TABLE.c.key >= bindparam(f"prefix_{number}"),
            TABLE.c.key < bindparam(f"prefix_end_{number}"),
        )
        found.append(and_(begins, is_own) if rule.cross_agent is False else begins)
    elif rule.allowed_keys is None:
        found.append(true() if rule.cross_agent is True else is_own)
    return or_(*found)
