"""Send messages to sessions, mark them as read, and erase them."""

from collections.abc import Sequence
from typing import Any

from quorate.domain.identity.agents import AGENTS, AgentRef, acting, reads_of_agent
from quorate.domain.identity.principals import Principal
from quorate.domain.sessions.policies import Access
from quorate.domain.sessions.presets import Restrictions
from quorate.domain.sessions.session_errors import (
    SessionMessageNotFound,
    SessionNotOwned,
    SessionRoleForbidden,
)
from quorate.domain.sessions.session_messages import (
    MESSAGE_BYTES,
    SESSION_MESSAGES,
    SessionMessage,
    SessionMessageErased,
    SessionMessageRead,
    SessionRole,
    append_message,
    erased,
    is_unread,
    reads_of_message,
)
from quorate.domain.sessions.session_values import SESSION_VALUES, SessionValueErased
from quorate.domain.sessions.sessions import (
    SESSIONS,
    Session,
    SessionErased,
    check_visible,
    find_session,
    reads_of_session,
    visible_session,
)
from quorate.domain.shared import quotas
from quorate.domain.shared.aggregates import Reads
from quorate.domain.shared.contents import Content
from quorate.domain.shared.records import record
from quorate.domain.shared.state import DecisionContext, TenantState


@record
class SentMessage:
    message: SessionMessage
    session: Session


@record
class SendToSession:
    """Append a message. Without ``role`` it is ``assistant`` for the owner, else ``user``."""

    caller: Principal
    agent: AgentRef
    restrictions: Restrictions
    key: str
    body: Content
    role: SessionRole | None = None
    context_label: str | None = None
    in_reply_to: str | None = None
    model: str | None = None

    def contents(self) -> Sequence[Content]:
        return (self.body,)

    def reads(self) -> Reads:
        replied = () if self.in_reply_to is None else reads_of_message(self.in_reply_to)
        return (
            *reads_of_agent(self.caller, self.agent, AGENTS.name),
            *self.restrictions.reads(),
            *reads_of_session(self.key),
            *replied,
            quotas.COUNTS,
        )

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Any]:
        agent = acting(self.caller, self.agent, state)
        access = self.restrictions.access(state, agent.id)
        check_visible(state, access, self.key)
        access.check_send()
        session = visible_session(state, access, self.key)
        is_owner = session.owner_id == agent.id
        if self.role not in {None, "user"} and not is_owner:
            raise SessionRoleForbidden
        if self.in_reply_to is not None:
            self._check_replied(state, access, agent.id)
        more = len(self.body.data) + MESSAGE_BYTES
        quotas.check("session_bytes", state.count("session_bytes"), context.quotas, more=more)
        return append_message(
            state,
            session,
            sequence=context.sequence,
            message_id=self.body.id,
            role=self.role or ("assistant" if is_owner else "user"),
            content=self.body,
            from_agent_id=agent.id,
            context_label=self.context_label,
            in_reply_to=self.in_reply_to,
            model=self.model,
        )

    def _check_replied(self, state: TenantState, access: Access, agent_id: str) -> None:
        """Raise SessionMessageNotFound unless the caller sent, received or sees the message."""
        assert self.in_reply_to is not None
        message = state[SESSION_MESSAGES].get(self.in_reply_to)
        session = None if message is None else state[SESSIONS].get(message.session_id)
        if message is None or session is None or session.deleted_at is not None:
            raise SessionMessageNotFound(self.in_reply_to)
        is_own = agent_id in {message.from_agent_id, session.owner_id}
        if not is_own and not access.shows(session.key, session.owner_id):
            raise SessionMessageNotFound(self.in_reply_to)

    def result(self, state: TenantState, _events: Sequence[Any]) -> SentMessage:
        message = state[SESSION_MESSAGES][self.body.id]
        return SentMessage(message=message, session=state[SESSIONS][message.session_id])


@record
class MarkSessionRead:
    """Mark messages of a session as read by its owner; those that are read stay as they are."""

    caller: Principal
    agent: AgentRef
    restrictions: Restrictions
    key: str
    message_ids: tuple[str, ...]

    def reads(self) -> Reads:
        messages = [SESSION_MESSAGES.by("id", one) for one in self.message_ids]
        return (
            *reads_of_agent(self.caller, self.agent, AGENTS.name),
            *self.restrictions.reads(),
            *reads_of_session(self.key),
            *[read for reads in messages for read in reads],
        )

    def decide(self, state: TenantState, _context: DecisionContext) -> Sequence[SessionMessageRead]:
        agent = acting(self.caller, self.agent, state)
        session = visible_session(state, self.restrictions.access(state, agent.id), self.key)
        if session.owner_id != agent.id:
            raise SessionNotOwned(self.key)
        found = [state[SESSION_MESSAGES].get(one) for one in dict.fromkeys(self.message_ids)]
        return [
            SessionMessageRead(
                message_id=message.id,
                session_id=session.id,
                session_key=session.key,
                index=message.index,
                agent_id=agent.id,
                sender_id=message.from_agent_id,
            )
            for message in found
            if message is not None and is_unread(message, session)
        ]

    def result(self, state: TenantState, _events: Sequence[SessionMessageRead]) -> int:
        session = find_session(state, self.key)
        return 0 if session is None else session.unread


@record
class EraseSessionMessage:
    """Erase the body of a message, also in all branches. The record that it existed stays."""

    caller: Principal
    message_id: str
    detail: str | None = None

    def reads(self) -> Reads:
        return reads_of_message(self.message_id)

    def decide(
        self, state: TenantState, _context: DecisionContext
    ) -> Sequence[SessionMessageErased]:
        message = state[SESSION_MESSAGES].get(self.message_id)
        if message is None:
            raise SessionMessageNotFound(self.message_id)
        if message.erased_at is not None:
            return []
        return [erased(message, state[SESSIONS][message.session_id], "requested", self.detail)]

    def result(self, state: TenantState, _events: Sequence[Any]) -> SessionMessage:
        return state[SESSION_MESSAGES][self.message_id]


@record
class EraseDeletedSession:
    """Erase bodies of a deleted session: some, or record that none is left if none is given."""

    session_id: str
    message_ids: tuple[str, ...] = ()
    value_ids: tuple[str, ...] = ()

    def reads(self) -> Reads:
        messages = [SESSION_MESSAGES.by("id", one) for one in self.message_ids]
        values = [SESSION_VALUES.by("id", one) for one in self.value_ids]
        others = [read for reads in (*messages, *values) for read in reads]
        return (*SESSIONS.by("id", self.session_id), *others)

    def decide(self, state: TenantState, _context: DecisionContext) -> Sequence[Any]:
        session = state[SESSIONS].get(self.session_id)
        if session is None or session.deleted_at is None or session.erased_at is not None:
            return []
        if not self.message_ids and not self.value_ids:
            return [SessionErased(session_id=session.id)]
        messages = [state[SESSION_MESSAGES].get(one) for one in self.message_ids]
        values = [state[SESSION_VALUES].get(one) for one in self.value_ids]
        return [
            *[
                erased(one, session, "session_deleted")
                for one in messages
                if one is not None and one.session_id == session.id and one.erased_at is None
            ],
            *[
                SessionValueErased(value_id=one.id, session_id=session.id)
                for one in values
                if one is not None and one.session_id == session.id
            ],
        ]

    def result(self, _state: TenantState, _events: Sequence[Any]) -> None:
        return None


SENDING_COMMANDS = (SendToSession, MarkSessionRead, EraseSessionMessage, EraseDeletedSession)
