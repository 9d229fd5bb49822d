"""Random commands of presets and sessions: every command type and every event type of theirs."""

import random
from collections.abc import Mapping
from typing import Any

from quorate.domain.identity.agents import AgentRef
from quorate.domain.identity.principals import Principal
from quorate.domain.sessions.policies import Policy, SessionRule
from quorate.domain.sessions.presets import ApplyPreset, RemovePreset, Restrictions
from quorate.domain.sessions.session_commands import (
    BranchSession,
    CreateSession,
    DeleteOrphanedSession,
    DeleteSession,
)
from quorate.domain.sessions.session_sending import (
    EraseDeletedSession,
    EraseSessionMessage,
    MarkSessionRead,
    SendToSession,
)
from quorate.domain.sessions.session_value_commands import DeleteSessionValues, SetSessionValue
from quorate.domain.sessions.sessions import main_session_id
from quorate.domain.shared.contents import SALT_BYTES, Content
from quorate.domain.shared.state import Command

LATEST_MAX = 6
TEXTS = ("short", "a longer text " * 40, "ünïcode \N{SNOWMAN}")
RESTRICTIONS = (
    *([Restrictions()] * 6),
    Restrictions(preset_names=("observer",)),
    Restrictions(policies=(Policy(sessions=SessionRule(key_prefix="agent:")),)),
)


class RandomSessions:
    """The sessions of some tenants. ``note`` receives each accepted command."""

    def __init__(self, rng: random.Random, names: tuple[str, ...]) -> None:
        self._random = rng
        self._names = names
        self._counter = 0
        self._keys: dict[str, list[tuple[str, str]]] = {}  # Key and id.
        self._messages: dict[str, list[tuple[str, str]]] = {}  # Id, and the key of its session.
        self._deleted: dict[str, list[tuple[str, str]]] = {}
        self._values: dict[str, list[tuple[str, str]]] = {}  # Id, and the id of its session.

    def command(  # noqa: PLR0911 - one for each command.
        self, tenant: str, caller: Principal, ref: AgentRef, agent_ids: Mapping[str, str]
    ) -> Command:
        as_agent: dict[str, Any] = {
            "caller": caller,
            "agent": ref,
            "restrictions": self._random.choice(RESTRICTIONS),
        }
        match self._random.randrange(24):
            case 0:
                name = self._random.choice(("observer", "old"))
                fields = {"sessions": {"cross_agent": True}}
                return ApplyPreset(caller=caller, name=name, fields=fields, count=0)
            case 1:
                return RemovePreset(caller=caller, name="old")
            case 2 | 3 | 4:
                return self._create(as_agent)
            case 5 | 6:
                return self._branch(tenant, as_agent)
            case 7 | 8:
                force = self._random.random() < 0.5
                return DeleteSession(**as_agent, key=self._key(tenant), force=force)
            case 9 | 10 | 11:
                return self._erase_deleted(tenant)
            case 12 if self._random.random() < 0.5:
                return EraseSessionMessage(caller=caller, message_id=self._message(tenant)[0])
            case 13 | 14:
                message_id, key = self._message(tenant)
                return MarkSessionRead(**as_agent, key=key, message_ids=(message_id,))
            case 15 | 16 | 17:
                return self._value(tenant, as_agent, agent_ids)
            case _:
                return self._send(tenant, as_agent)

    def note(self, tenant: str, command: Command) -> None:
        match command:
            case CreateSession():
                self._note_key(tenant, command.key, command.new_session_id)
            case BranchSession():
                self._note_key(tenant, command.new_key, command.new_session_id)
            case DeleteSession():
                known = [one for one in self._keys.get(tenant, ()) if one[0] == command.key]
                self._deleted.setdefault(tenant, []).extend(known)
            case SendToSession():
                self._messages.setdefault(tenant, []).append((command.body.id, command.key))
            case SetSessionValue():
                self._values.setdefault(tenant, []).append((command.body.id, command.session_id))
            case _:
                pass

    def _note_key(self, tenant: str, key: str, session_id: str) -> None:
        self._keys.setdefault(tenant, []).append((key, session_id))

    # -- Commands ------------------------------------------------------------

    def _create(self, as_agent: dict[str, Any]) -> Command:
        name = self._random.choice(self._names)
        keys = (f"agent:{name}:plan", f"session:{self._new('key')}")
        return CreateSession(
            **as_agent,
            key=self._random.choice(keys),
            new_session_id=self._new("ses"),
            label=self._random.choice((None, "Plan")),
        )

    def _branch(self, tenant: str, as_agent: dict[str, Any]) -> Command:
        return BranchSession(
            **as_agent,
            source_key=self._key(tenant),
            new_key=f"session:{self._new('key')}",
            new_session_id=self._new("ses"),
            label="branch",
            fork_point=self._random.choice((None, 0, 1, 3)),
        )

    def _send(self, tenant: str, as_agent: dict[str, Any]) -> Command:
        message_id, text = self._new("smsg"), self._random.choice(TEXTS)
        is_reply = self._random.random() < 0.4
        return SendToSession(
            **as_agent,
            key=self._key(tenant),
            body=self._content(message_id, "text", text.encode()),
            in_reply_to=self._message(tenant)[0] if is_reply else None,
            context_label=self._random.choice((None, "coordinator")),
        )

    def _value(
        self, tenant: str, as_agent: dict[str, Any], agent_ids: Mapping[str, str]
    ) -> Command:
        agent_id = agent_ids.get(as_agent["agent"].name or "", "agent_unknown")
        own = [one for key, one in self._keys.get(tenant, [])[-LATEST_MAX:] if "session:" in key]
        session_id = self._random.choice((main_session_id(agent_id), *own))
        place = {**as_agent, "session_id": session_id, "namespace": "plan"}
        if self._random.random() < 0.5:
            return DeleteSessionValues(**place, name=self._random.choice((None, "a")))
        body = self._content(self._new("sval"), "json", b"{}")
        return SetSessionValue(**place, name=self._random.choice("ab"), body=body)

    def _erase_deleted(self, tenant: str) -> Command:
        """The sessions of removed agents, and what is left of deleted ones."""
        keys = self._keys.get(tenant) or [("unknown", "unknown")]
        key, session_id = self._random.choice(self._deleted.get(tenant) or keys)
        if self._random.random() < 0.3:
            _, any_id = self._random.choice(keys)
            return DeleteOrphanedSession(session_id=any_id)
        messages = [one for one, of in self._messages.get(tenant, ()) if of == key]
        values = [one for one, of in self._values.get(tenant, ()) if of == session_id]
        is_last = self._random.random() < 0.5
        return EraseDeletedSession(
            session_id=session_id,
            message_ids=() if is_last else tuple(messages[-LATEST_MAX:]),
            value_ids=() if is_last else tuple(values[-LATEST_MAX:]),
        )

    # -- Known and new ids ---------------------------------------------------

    def _key(self, tenant: str) -> str:
        known = [key for key, _ in self._keys.get(tenant, ())][-LATEST_MAX:]
        mains = [f"agent:{name}:main" for name in self._names]
        return self._random.choice((*known, *mains))

    def _message(self, tenant: str) -> tuple[str, str]:
        known = self._messages.get(tenant) or [("unknown", "agent:unknown:main")]
        return self._random.choice(known[-LATEST_MAX:])

    @staticmethod
    def _content(id_: str, part: str, data: bytes) -> Content:
        return Content(id=id_, part=part, salt=b"s" * SALT_BYTES, data=data)

    def _new(self, kind: str) -> str:
        self._counter += 1
        return f"{kind}_{self._counter}"
