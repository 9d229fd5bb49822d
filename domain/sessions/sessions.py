"""A session: a named, durable history of messages that belongs to one agent (seed 003).

* ``agent:NAME:main`` exists from the registration of its agent on, and is not deleted while the
  agent exists. A key ``agent:NAME:...`` belongs to that agent, ``session:...`` to its creator.
* A key names a session while its owner exists. When the name of an agent is removed, its sessions
  are unknown at once, and the service deletes them. An agent that registers later under the same
  name is another agent: its sessions begin empty.
* A branch has the messages of its source before ``fork_point``, by reference. ``history`` names the
  sessions that hold them, and the index where the messages of each end.
* A deleted session is unknown at once. The service then erases its bodies, part by part, and
  records when none is left.
"""

import re
from operator import attrgetter
from typing import Any, Literal, TypeAlias, assert_never, get_args

from quorate.domain.identity.agents import (
    AGENT_NAME,
    AGENTS,
    Agent,
    AgentRegistered,
    name_key,
)
from quorate.domain.sessions.policies import SESSION_KEY_LENGTH_MAX, Access
from quorate.domain.sessions.session_errors import (
    SessionKeyInvalid,
    SessionNotFound,
)
from quorate.domain.shared.aggregates import Aggregate, Counter, Followed, Reads
from quorate.domain.shared.records import changed, record
from quorate.domain.shared.state import TenantState
from quorate.domain.shared.timestamps import Timestamp

AGENT_KEY, OWN_KEY = "agent:", "session:"  # How keys begin.
MAIN = "main"
SESSION_ID = "ses_"
_MAIN_ID = f"{SESSION_ID}{MAIN}_"
SESSION_LABEL_LENGTH_MAX = 200
SESSION_BYTES = (
    1_024  # What a session counts in the quota, besides its content. A main session counts none.
)
HISTORY_SEGMENTS_MAX = 32  # Branches of branches.
_KEY = re.compile(rf"[\x21-\x7e]{{1,{SESSION_KEY_LENGTH_MAX}}}")
DeletionReason: TypeAlias = Literal["requested", "agent_removed"]
# Where inherited messages are: the id of a session, and the index before which its messages end.
Segment: TypeAlias = tuple[str, int]

# -- Events ------------------------------------------------------------------


@record
class SessionCreated:
    session_id: str
    session_key: str
    owner_id: str
    agent_id: str  # Who created it.
    label: str | None = None
    model: str | None = None
    project_id: str | None = None


@record
class SessionBranched:
    """A session was created with the messages of ``source_id`` before ``fork_point``."""

    session_id: str
    session_key: str
    owner_id: str
    source_id: str
    fork_point: int
    history_ids: tuple[str, ...]
    history_ends: tuple[int, ...]
    label: str | None = None
    model: str | None = None
    project_id: str | None = None


@record
class SessionDeleted:
    session_id: str
    session_key: str
    owner_id: str
    reason: DeletionReason
    source_id: str | None = None


@record
class SessionErased:
    """All bodies of a deleted session were erased."""

    session_id: str


Event: TypeAlias = SessionCreated | SessionBranched | SessionDeleted | SessionErased


# -- State -------------------------------------------------------------------


@record
class Session:
    """``version`` counts its changes. ``first_index`` is that of the first message of its own."""

    id: str
    key: str
    owner_id: str
    created_at: Timestamp
    updated_at: Timestamp
    label: str | None = None
    model: str | None = None
    project_id: str | None = None
    message_count: int = 0
    unread: int = 0  # Messages of others that the owner has not read.
    value_count: int = 0
    version: int = 1
    source_id: str | None = None
    first_index: int = 0
    history: tuple[Segment, ...] = ()
    branch_count: int = 0
    deleted_at: Timestamp | None = None
    erased_at: Timestamp | None = None

    @property
    def is_main(self) -> bool:
        return self.id.startswith(_MAIN_ID)

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Return where all its messages are, in their order."""
        own: tuple[Segment, ...] = ((self.id, self.message_count),)
        return (*self.history, *(own if self.message_count > self.first_index else ()))


def history_before(session: Session, fork_point: int) -> tuple[Segment, ...]:
    """Return where the messages of a session before an index are."""
    found: list[Segment] = []
    start = 0
    for session_id, end in session.segments:
        if start >= fork_point:
            break
        found.append((session_id, min(end, fork_point)))
        start = end
    return tuple(found)


# -- Keys --------------------------------------------------------------------


def main_session_id(agent_id: str) -> str:
    return f"{_MAIN_ID}{agent_id.removeprefix('agent_')}"


def main_session_key(agent_name: str) -> str:
    return f"{AGENT_KEY}{agent_name}:{MAIN}"


def agent_name_in(key: str) -> str | None:
    """Return the name of the agent that a key names, or None."""
    if not key.startswith(AGENT_KEY):
        return None
    name, _, rest = key.removeprefix(AGENT_KEY).partition(":")
    return name if rest and AGENT_NAME.fullmatch(name) is not None else None


def check_key(key: str) -> None:
    """Raise SessionKeyInvalid unless a session can have this key."""
    is_own = key.startswith(OWN_KEY) and len(key) > len(OWN_KEY)
    if _KEY.fullmatch(key) is None or not (is_own or agent_name_in(key) is not None):
        raise SessionKeyInvalid(key)


def reads_of_session(key: str) -> Reads:
    """Read a session by its key, and the agent that owns it."""
    name = agent_name_in(key)
    agent = () if name is None else AGENTS.by("name", name_key(name))
    return (*SESSIONS.by("key", key), *agent)


def owner_of_key(state: TenantState, key: str) -> Agent | None:
    """Return the agent that a key ``agent:NAME:...`` names; its name is compared exactly."""
    name = agent_name_in(key)
    agent = None if name is None else state[AGENTS].find("name", name_key(name))
    return agent if agent is not None and agent.name == name and _exists(agent) else None


def find_session(state: TenantState, key: str) -> Session | None:
    """Return the session with this key; ``reads_of_session`` loads it."""
    return _of_existing_owner(state, state[SESSIONS].find("key", key))


def find_session_by_id(state: TenantState, session_id: str) -> Session | None:
    found = state[SESSIONS].get(session_id)
    if found is None or found.deleted_at is not None:
        return None
    return _of_existing_owner(state, found)


def _of_existing_owner(state: TenantState, session: Session | None) -> Session | None:
    owner = None if session is None else state[AGENTS].get(session.owner_id)
    return session if owner is not None and _exists(owner) else None


def _exists(agent: Agent) -> bool:
    return agent.status not in {"removed", "reserved"}


def check_visible(state: TenantState, access: Access, key: str) -> None:
    """Raise SessionAccessDenied: the policy comes before the existence of the session."""
    session, owner = find_session(state, key), owner_of_key(state, key)
    owner_id = session.owner_id if session is not None else None if owner is None else owner.id
    access.check_visible(key, owner_id)


def visible_session(state: TenantState, access: Access, key: str) -> Session:
    """Return the session with this key; raise SessionAccessDenied, or else SessionNotFound."""
    check_visible(state, access, key)
    session = find_session(state, key)
    if session is None:
        raise SessionNotFound(key)
    return session


# -- Evolve ------------------------------------------------------------------


def _main_session(state: Session | None, event: AgentRegistered, at: Timestamp) -> Session:
    if state is not None:
        return state
    return Session(
        id=main_session_id(event.agent_id),
        key=main_session_key(event.agent_name),
        owner_id=event.agent_id,
        created_at=at,
        updated_at=at,
    )


def evolve(state: Session | None, event: Event, at: Timestamp) -> Session:
    match event:
        case SessionCreated():
            return _created(event, at)
        case SessionBranched():
            return changed(
                _created(event, at),
                message_count=event.fork_point,
                first_index=event.fork_point,
                source_id=event.source_id,
                history=tuple(zip(event.history_ids, event.history_ends, strict=True)),
            )
        case SessionDeleted():
            assert state is not None
            return with_change(state, at, deleted_at=at)
        case SessionErased():
            assert state is not None
            return changed(state, erased_at=at)
        case _:
            assert_never(event)


def _created(event: SessionCreated | SessionBranched, at: Timestamp) -> Session:
    return Session(
        id=event.session_id,
        key=event.session_key,
        owner_id=event.owner_id,
        created_at=at,
        updated_at=at,
        label=event.label,
        model=event.model,
        project_id=event.project_id,
    )


def with_change(session: Session, at: Timestamp, **values: object) -> Session:
    return changed(session, updated_at=at, version=session.version + 1, **values)


def _branches_changed(more: int, event: type[Any]) -> Followed[Session]:
    def after(state: Session | None, _event: object, _at: Timestamp) -> Session:
        assert state is not None
        return changed(state, branch_count=state.branch_count + more)

    return Followed(event=event, id_of=attrgetter("source_id"), evolve=after)


SESSIONS: Aggregate[Session] = Aggregate(
    name="session",
    events=get_args(Event),
    stream=lambda event: f"session-{event.session_id}",
    id_of=attrgetter("session_id"),
    evolve=evolve,
    follows=(
        Followed(
            event=AgentRegistered,
            id_of=lambda event: main_session_id(event.agent_id),
            evolve=_main_session,
        ),
        _branches_changed(1, SessionBranched),
        _branches_changed(-1, SessionDeleted),
    ),
    indexes={"key": lambda session: session.key if session.deleted_at is None else None},
    phase_of=attrgetter("deleted_at", "erased_at"),
    counters={
        "session_bytes": Counter(
            amount=lambda session: (
                0 if session.is_main or session.erased_at is not None else SESSION_BYTES
            )
        )
    },
)
