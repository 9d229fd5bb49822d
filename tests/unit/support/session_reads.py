"""What the reads of presets and sessions load: a second definition, without the read models."""

from collections.abc import Iterable
from typing import Any

from quorate.domain.identity.agents import AGENTS
from quorate.domain.sessions.presets import PRESETS
from quorate.domain.sessions.session_messages import SESSION_MESSAGES
from quorate.domain.sessions.session_values import SESSION_VALUES
from quorate.domain.sessions.sessions import SESSIONS, Session
from quorate.domain.shared.aggregates import Aggregate
from quorate.domain.shared.state import TenantState

Keys = dict[str, list[tuple[str, ...]]]


def put_sessions(part: TenantState, complete: TenantState, keys: Keys) -> None:
    """Put what the reads of sessions name into ``part``, and remove these reads from ``keys``."""

    def asked(read: str) -> list[str]:
        return [key for (key,) in keys.pop(read, [])]

    def copy(aggregate: Aggregate[Any], ids: Iterable[str]) -> None:
        for id_ in ids:
            if (known := complete[aggregate].get(id_)) is not None:
                part[aggregate].put(id_, known)

    def owner_exists(session: Session) -> bool:
        owner = complete[AGENTS].get(session.owner_id)
        return owner is not None and owner.status != "removed"

    def with_key(key: str) -> list[Session]:
        every = complete[SESSIONS].values()
        return [one for one in every if one.key == key and one.deleted_at is None]

    copy(PRESETS, asked("preset.id"))
    named = [one for key in asked("session.key") for one in with_key(key) if owner_exists(one)]
    copy(SESSIONS, [one.id for one in named])
    by_id = asked("session.id")
    copy(SESSIONS, by_id)
    found = [*named, *filter(None, map(complete[SESSIONS].get, by_id))]
    copy(AGENTS, [one.owner_id for one in found if owner_exists(one) and one.deleted_at is None])
    branches = [one for key in asked("session.source_by_key") for one in with_key(key)]
    branches += filter(None, map(complete[SESSIONS].get, asked("session.source_by_id")))
    copy(SESSIONS, [one.source_id for one in branches if one.source_id is not None])
    copy(SESSION_MESSAGES, asked("session_message.id"))
    held = map(complete[SESSION_MESSAGES].get, asked("session.of_message"))
    copy(SESSIONS, [one.session_id for one in held if one is not None])
    copy(SESSION_VALUES, asked("session_value.id"))
    for session_id, namespace in keys.pop("session_value.namespace", []):
        values = complete[SESSION_VALUES].items()
        place = (session_id, namespace)
        copy(SESSION_VALUES, [i for i, v in values if (v.session_id, v.namespace) == place])
