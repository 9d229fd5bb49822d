"""A message of a session: its index, role, sender and body, and who answered or read it.

* The messages of a session have the indexes 0, 1, 2, ... without gaps, in the order of the log.
* The sender follows from the key of the caller. ``context_label`` is text of the sender.
* The body is a content: events hold its size and a salted hash. Erasing it twice succeeds.
* The first answer of the session's owner to a message of another agent is its reply (``reply_id``).
  The sender of the message is notified of it, wherever it is appended.
* Only the owner marks messages as read. Their senders are notified.
"""

from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Literal, TypeAlias, assert_never, get_args

from quorate.domain.sessions.sessions import SESSIONS, Session, with_change
from quorate.domain.shared.aggregates import Aggregate, Counter, Effect, Followed, Reads
from quorate.domain.shared.contents import Content, ContentRef
from quorate.domain.shared.errors import Invalid
from quorate.domain.shared.records import changed, record
from quorate.domain.shared.state import TenantState
from quorate.domain.shared.timestamps import Timestamp

SESSION_BODY_BYTES_MAX = 256 * 1_024
MESSAGE_BYTES = 256  # What a message counts in the quota, besides its body.
CONTEXT_LABEL_LENGTH_MAX = 200
MODEL_LENGTH_MAX = 200
TEXT_PART, JSON_PART = "text", "json"
MESSAGE_ID = "smsg_"
# A read of the session that holds a message, by the id of the message.
SESSION_OF_MESSAGE = "session.of_message"
SessionRole: TypeAlias = Literal["user", "assistant", "system", "tool"]
SessionErasureReason: TypeAlias = Literal["requested", "session_deleted"]

# -- Events ------------------------------------------------------------------


@record
class SessionMessageAppended:
    """``asker_id`` sent the message that this one answers, and is notified of it.

    ``answers`` is the id of that message if this is its reply.
    """

    message_id: str
    session_id: str
    session_key: str
    owner_id: str
    index: int
    sequence: int
    role: SessionRole
    contents: tuple[ContentRef, ...]
    from_agent_id: str | None = None
    context_label: str | None = None
    in_reply_to: str | None = None
    answers: str | None = None
    asker_id: str | None = None
    model: str | None = None


@record
class SessionMessageRead:
    message_id: str
    session_id: str
    session_key: str
    index: int
    agent_id: str
    sender_id: str | None = None


@record
class SessionMessageErased:
    """``was_unread`` is true if the message counts as unread in its session, else absent."""

    message_id: str
    session_id: str
    reason: SessionErasureReason
    detail: str | None = None
    was_unread: bool | None = None


Event: TypeAlias = SessionMessageAppended | SessionMessageRead | SessionMessageErased


# -- State -------------------------------------------------------------------


@record
class SessionMessage:
    """``model`` is the one that the sender asks for."""

    id: str
    session_id: str
    index: int
    sequence: int
    role: SessionRole
    part: str
    sha256: str
    bytes: int
    created_at: Timestamp
    from_agent_id: str | None = None
    context_label: str | None = None
    in_reply_to: str | None = None
    model: str | None = None
    reply_id: str | None = None
    read_at: Timestamp | None = None
    erased_at: Timestamp | None = None


# -- Errors ------------------------------------------------------------------


@dataclass(eq=False)
class SessionBodyTooLarge(Invalid):
    code, title = "session_body_too_large", "The message is too large"
    bytes_max: int


# -- Append ------------------------------------------------------------------


def append_message(
    state: TenantState,
    session: Session,
    *,
    sequence: int,
    message_id: str,
    role: SessionRole,
    content: Content,
    from_agent_id: str | None,
    context_label: str | None = None,
    in_reply_to: str | None = None,
    model: str | None = None,
) -> list[Any]:
    """Return the event that appends a message to a loaded session.

    ``sequence`` is that of the event: the one of the decision's context, plus the events before it
    in the same decision. The command returns ``content`` from its ``contents``; its id is the one
    of the message. What ``in_reply_to`` names is loaded (``reads_of_message``).
    """
    if len(content.data) > SESSION_BODY_BYTES_MAX:
        raise SessionBodyTooLarge(SESSION_BODY_BYTES_MAX)
    replied = None if in_reply_to is None else state[SESSION_MESSAGES].get(in_reply_to)
    asker = None if replied is None or replied.from_agent_id == from_agent_id else replied
    return [
        SessionMessageAppended(
            message_id=message_id,
            session_id=session.id,
            session_key=session.key,
            owner_id=session.owner_id,
            index=session.message_count,
            sequence=sequence,
            role=role,
            contents=(content.ref,),
            from_agent_id=from_agent_id,
            context_label=context_label,
            in_reply_to=in_reply_to,
            answers=_answered(state, asker, from_agent_id),
            asker_id=None if asker is None else asker.from_agent_id,
            model=model,
        )
    ]


def _answered(
    state: TenantState, message: SessionMessage | None, agent_id: str | None
) -> str | None:
    """Return the id of a message if an answer of this agent is its reply."""
    if message is None or message.reply_id is not None or message.erased_at is not None:
        return None
    session = state[SESSIONS].get(message.session_id)
    return message.id if session is not None and session.owner_id == agent_id else None


def reads_of_message(message_id: str) -> Reads:
    """Read a message and the session that holds it."""
    return (*SESSION_MESSAGES.by("id", message_id), (SESSION_OF_MESSAGE, message_id))


def is_unread(message: SessionMessage, session: Session) -> bool:
    """Whether the owner of the session, which holds the message, has yet to read it."""
    is_of_another = message.from_agent_id != session.owner_id
    is_unread_yet = message.read_at is None and message.erased_at is None
    return message.session_id == session.id and is_of_another and is_unread_yet


def erased(
    message: SessionMessage,
    session: Session,
    reason: SessionErasureReason,
    detail: str | None = None,
) -> SessionMessageErased:
    return SessionMessageErased(
        message_id=message.id,
        session_id=message.session_id,
        reason=reason,
        detail=detail,
        was_unread=is_unread(message, session) or None,
    )


# -- Evolve ------------------------------------------------------------------


def evolve(state: SessionMessage | None, event: Event, at: Timestamp) -> SessionMessage:
    match event:
        case SessionMessageAppended():
            (ref,) = event.contents
            return SessionMessage(
                id=event.message_id,
                session_id=event.session_id,
                index=event.index,
                sequence=event.sequence,
                role=event.role,
                part=ref.part,
                sha256=ref.sha256,
                bytes=ref.bytes,
                created_at=at,
                from_agent_id=event.from_agent_id,
                context_label=event.context_label,
                in_reply_to=event.in_reply_to,
                model=event.model,
            )
        case SessionMessageRead():
            assert state is not None
            return changed(state, read_at=at)
        case SessionMessageErased():
            assert state is not None
            return changed(state, erased_at=at)
        case _:
            assert_never(event)


def _answer(
    state: SessionMessage | None, event: SessionMessageAppended, _at: Timestamp
) -> SessionMessage:
    assert state is not None
    return changed(state, reply_id=event.message_id)


def _appended(state: Session | None, event: SessionMessageAppended, at: Timestamp) -> Session:
    assert state is not None
    unread = state.unread + (event.from_agent_id != event.owner_id)
    return with_change(state, at, message_count=event.index + 1, unread=unread)


def _fewer_unread(state: Session | None, _event: object, _at: Timestamp) -> Session:
    assert state is not None
    return changed(state, unread=state.unread - 1)


def _check(event: Event, sequence: int) -> None:
    if isinstance(event, SessionMessageAppended):
        assert event.sequence == sequence, (
            f"the message names sequence {event.sequence}, but its event has {sequence}"
        )


SESSION_MESSAGES: Aggregate[SessionMessage] = Aggregate(
    name="session_message",
    events=get_args(Event),
    stream=lambda event: f"session_message-{event.message_id}",
    id_of=attrgetter("message_id"),
    evolve=evolve,
    effects=(
        Effect(
            event=SessionMessageAppended,
            aggregate=SESSIONS,
            id_of=attrgetter("session_id"),
            evolve=_appended,
        ),
        Effect(
            event=SessionMessageRead,
            aggregate=SESSIONS,
            id_of=attrgetter("session_id"),
            evolve=_fewer_unread,
        ),
        Effect(
            event=SessionMessageErased,
            aggregate=SESSIONS,
            id_of=lambda event: event.session_id if event.was_unread else None,
            evolve=_fewer_unread,
        ),
    ),
    follows=(Followed(event=SessionMessageAppended, id_of=attrgetter("answers"), evolve=_answer),),
    phase_of=attrgetter("erased_at"),
    counters={
        "session_bytes": Counter(
            amount=lambda message: message.bytes + MESSAGE_BYTES if message.erased_at is None else 0
        )
    },
    is_final=lambda message: message.erased_at is not None,
    erases={SessionMessageErased: attrgetter("message_id")},
    check=_check,
)
