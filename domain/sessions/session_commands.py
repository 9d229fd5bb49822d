"""Create, branch and delete sessions."""

from collections.abc import Sequence
from typing import Any

from quorate.domain.identity.agents import (
    AGENTS,
    AgentNotFound,
    AgentRef,
    acting,
    reads_of_agent,
)
from quorate.domain.identity.principals import Principal
from quorate.domain.sessions.presets import Restrictions
from quorate.domain.sessions.session_errors import (
    ForkPointTooLarge,
    MainSessionKept,
    SessionHasBranches,
    SessionNotFound,
    TooManyBranches,
)
from quorate.domain.sessions.sessions import (
    AGENT_KEY,
    HISTORY_SEGMENTS_MAX,
    SESSION_BYTES,
    SESSIONS,
    Session,
    SessionBranched,
    SessionCreated,
    SessionDeleted,
    check_key,
    check_visible,
    find_session,
    find_session_by_id,
    history_before,
    owner_of_key,
    reads_of_session,
    visible_session,
)
from quorate.domain.shared import quotas
from quorate.domain.shared.aggregates import Reads
from quorate.domain.shared.records import record
from quorate.domain.shared.state import DecisionContext, TenantState

# Reads of the source of a branch: by the key of the branch, and by its id.
SOURCE_BY_KEY, SOURCE_BY_ID = "session.source_by_key", "session.source_by_id"


@record
class CreatedSession:
    session: Session
    created: bool


@record
class CreateSession:
    """Create a session, or return the one that has this key.

    ``inherit_from`` is the key of a session whose owner is to own the new one.
    """

    caller: Principal
    agent: AgentRef
    restrictions: Restrictions
    key: str
    new_session_id: str
    label: str | None = None
    model: str | None = None
    project_id: str | None = None
    inherit_from: str | None = None

    def reads(self) -> Reads:
        inherited = () if self.inherit_from is None else reads_of_session(self.inherit_from)
        return (
            *reads_of_agent(self.caller, self.agent, AGENTS.name),
            *self.restrictions.reads(),
            *reads_of_session(self.key),
            *inherited,
            quotas.COUNTS,
        )

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[SessionCreated]:
        check_key(self.key)
        agent = acting(self.caller, self.agent, state)
        access = self.restrictions.access(state, agent.id)
        owner_id: str | None = agent.id
        if self.inherit_from is not None:
            owner_id = visible_session(state, access, self.inherit_from).owner_id
        if self.key.startswith(AGENT_KEY):
            owner = owner_of_key(state, self.key)
            owner_id = None if owner is None else owner.id
        existing = find_session(state, self.key)
        access.check_visible(self.key, owner_id if existing is None else existing.owner_id)
        if existing is not None:
            return []
        if owner_id is None:
            raise AgentNotFound
        count = state.count("session_bytes")
        quotas.check("session_bytes", count, context.quotas, more=SESSION_BYTES)
        return [
            SessionCreated(
                session_id=self.new_session_id,
                session_key=self.key,
                owner_id=owner_id,
                agent_id=agent.id,
                label=self.label,
                model=self.model,
                project_id=self.project_id,
            )
        ]

    def result(self, state: TenantState, events: Sequence[SessionCreated]) -> CreatedSession:
        session = find_session(state, self.key)
        assert session is not None
        return CreatedSession(session=session, created=bool(events))


@record
class BranchSession:
    """Create a session that begins with the messages of another one before ``fork_point``."""

    caller: Principal
    agent: AgentRef
    restrictions: Restrictions
    source_key: str
    new_key: str
    new_session_id: str
    label: str
    fork_point: int | None = None

    def reads(self) -> Reads:
        return (
            *reads_of_agent(self.caller, self.agent, AGENTS.name),
            *self.restrictions.reads(),
            *reads_of_session(self.source_key),
            quotas.COUNTS,
        )

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[SessionBranched]:
        agent = acting(self.caller, self.agent, state)
        access = self.restrictions.access(state, agent.id)
        check_visible(state, access, self.source_key)
        access.check_send()
        source = visible_session(state, access, self.source_key)
        fork_point = source.message_count if self.fork_point is None else self.fork_point
        if fork_point > source.message_count:
            raise ForkPointTooLarge(fork_point, source.message_count)
        history = history_before(source, fork_point)
        if len(history) > HISTORY_SEGMENTS_MAX:
            raise TooManyBranches(HISTORY_SEGMENTS_MAX)
        count = state.count("session_bytes")
        quotas.check("session_bytes", count, context.quotas, more=SESSION_BYTES)
        return [
            SessionBranched(
                session_id=self.new_session_id,
                session_key=self.new_key,
                owner_id=agent.id,
                source_id=source.id,
                fork_point=fork_point,
                history_ids=tuple([session_id for session_id, _ in history]),
                history_ends=tuple([end for _, end in history]),
                label=self.label,
                model=source.model,
                project_id=source.project_id,
            )
        ]

    def result(self, state: TenantState, _events: Sequence[SessionBranched]) -> Session:
        return state[SESSIONS][self.new_session_id]


@record
class DeleteSession:
    caller: Principal
    agent: AgentRef
    restrictions: Restrictions
    key: str
    force: bool = False

    def reads(self) -> Reads:
        return (
            *reads_of_agent(self.caller, self.agent, AGENTS.name),
            *self.restrictions.reads(),
            *reads_of_session(self.key),
            (SOURCE_BY_KEY, self.key),
        )

    def decide(self, state: TenantState, _context: DecisionContext) -> Sequence[SessionDeleted]:
        agent = acting(self.caller, self.agent, state)
        session = visible_session(state, self.restrictions.access(state, agent.id), self.key)
        if session.is_main:
            raise MainSessionKept
        if session.branch_count and not self.force:
            raise SessionHasBranches(self.key)
        return [_deleted(session, "requested")]

    def result(self, _state: TenantState, _events: Sequence[SessionDeleted]) -> str:
        return self.key


@record
class DeleteOrphanedSession:
    """Delete a session whose owner was removed; the service does so."""

    session_id: str

    def reads(self) -> Reads:
        return (*SESSIONS.by("id", self.session_id), (SOURCE_BY_ID, self.session_id))

    def decide(self, state: TenantState, _context: DecisionContext) -> Sequence[SessionDeleted]:
        session = state[SESSIONS].get(self.session_id)
        if session is None or session.deleted_at is not None:
            return []
        if find_session_by_id(state, self.session_id) is not None:
            return []
        return [_deleted(session, "agent_removed")]

    def result(self, _state: TenantState, _events: Sequence[SessionDeleted]) -> None:
        return None


def _deleted(session: Session, reason: Any) -> SessionDeleted:  # noqa: ANN401 - a literal.
    return SessionDeleted(
        session_id=session.id,
        session_key=session.key,
        owner_id=session.owner_id,
        reason=reason,
        source_id=session.source_id,
    )


def own_session(state: TenantState, session_id: str, agent_id: str) -> Session:
    """Return a session of the caller; raise SessionNotFound for others."""
    session = find_session_by_id(state, session_id)
    if session is None or session.owner_id != agent_id:
        raise SessionNotFound(session_id)
    return session


SESSION_COMMANDS = (CreateSession, BranchSession, DeleteSession, DeleteOrphanedSession)
