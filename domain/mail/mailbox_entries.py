"""The mailbox of an agent: one entry for each message that it received, with its marks.

* A delivery inside the tenant is an event in the transaction of the send: the message is in the
  inbox when the sender has its answer, and no later step can lose it.
* Marks belong to one mailbox. A mark that is set already succeeds again and records nothing.
* A sent message has marks of its sender as well (a star, deletion); they are kept in the message.
* An acknowledgement that is required and missing: after ``ack_minutes`` the recipient is reminded
  once; after the same time again the sender is notified.
* Erasing a body frees its bytes in each mailbox.
"""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, TypeAlias, assert_never, get_args

from quorate.domain.mail.accounts import MAIL_ACCOUNTS, MailAccount
from quorate.domain.mail.messages import (
    MESSAGES,
    Importance,
    Message,
    MessageErased,
    with_recipient,
)
from quorate.domain.mail.subjects import Kind
from quorate.domain.mail.threads import MAIL_THREADS, MailThread, joined
from quorate.domain.shared.aggregates import Aggregate, Deadline, Effect, Owner
from quorate.domain.shared.records import changed, record
from quorate.domain.shared.state import TenantState
from quorate.domain.shared.timestamps import MILLISECONDS_PER_MINUTE, Timestamp

ID_SEPARATOR = "/"  # In the id of an entry.

# -- Events ------------------------------------------------------------------


@record
class MessageDelivered:
    """A message is in the inbox of ``agent_id``. It repeats what its notification says."""

    message_id: str
    thread_id: str
    sequence: int  # Of the message.
    agent_id: str
    address: str
    from_address: str
    subject: str
    bytes: int
    importance: Importance
    ack_required: bool
    sender_id: str | None = None
    kind: Kind | None = None
    task_id: str | None = None
    level: int | None = None
    in_reply_to: str | None = None
    ack_minutes: float | None = None


@record
class _Marked:
    message_id: str
    agent_id: str


@record
class MessageRead(_Marked):
    """``sender_id`` is given if the sender asked for an acknowledgement, and is notified."""

    sender_id: str | None = None


@record
class MessageUnread(_Marked):
    pass


@record
class MessageStarred(_Marked):
    starred: bool
    is_sent: bool  # The mark is that of the sender.


@record
class MessageAcknowledged(_Marked):
    sender_id: str | None = None


@record
class MessageDeleted(_Marked):
    was_unread: bool
    bytes: int
    is_sent: bool


@record
class MailboxFreed(_Marked):
    """The body of a message in this mailbox was erased."""

    bytes: int


@record
class AcknowledgementReminded(_Marked):
    subject: str
    from_address: str


@record
class AcknowledgementOverdue(_Marked):
    sender_id: str | None = None


Event: TypeAlias = (
    MessageDelivered
    | MessageRead
    | MessageUnread
    | MessageStarred
    | MessageAcknowledged
    | MessageDeleted
    | MailboxFreed
    | AcknowledgementReminded
    | AcknowledgementOverdue
)


# -- State -------------------------------------------------------------------


@record
class MailEntry:
    id: str
    message_id: str
    agent_id: str
    sequence: int
    thread_id: str
    address: str
    from_address: str
    subject: str
    delivered_at: Timestamp
    bytes: int
    sender_id: str | None = None
    kind: Kind | None = None
    task_id: str | None = None
    read_at: Timestamp | None = None
    starred: bool = False
    acked_at: Timestamp | None = None
    deleted_at: Timestamp | None = None
    ack_required: bool = False
    ack_due_at: Timestamp | None = None
    reminded_at: Timestamp | None = None


def entry_id(message_id: str, agent_id: str) -> str:
    return f"{message_id}{ID_SEPARATOR}{agent_id}"


def _entry_id_of(event: _Marked | MessageDelivered) -> str | None:
    if isinstance(event, MessageStarred | MessageDeleted) and event.is_sent:
        return None
    return entry_id(event.message_id, event.agent_id)


# -- Without a command -------------------------------------------------------


def free_entries(state: TenantState, event: MessageErased) -> Sequence[MailboxFreed]:
    """Free the bytes of an erased body in each mailbox that has it, in the order of agents.

    Databases return entries in different orders; the log must not depend on it.
    """
    entries = sorted(state[MAIL_ENTRIES].owned_by(event.message_id), key=attrgetter("agent_id"))
    return [
        MailboxFreed(message_id=entry.message_id, agent_id=entry.agent_id, bytes=entry.bytes)
        for entry in entries
        if entry.bytes
    ]


def _ack_events(entry: MailEntry) -> Sequence[Event]:
    if entry.reminded_at is None:
        return [
            AcknowledgementReminded(
                message_id=entry.message_id,
                agent_id=entry.agent_id,
                subject=entry.subject,
                from_address=entry.from_address,
            )
        ]
    return [
        AcknowledgementOverdue(
            message_id=entry.message_id, agent_id=entry.agent_id, sender_id=entry.sender_id
        )
    ]


# -- Evolve ------------------------------------------------------------------


def evolve(  # noqa: PLR0911 - one for each event.
    state: MailEntry | None, event: Event, at: Timestamp
) -> MailEntry:
    if isinstance(event, MessageDelivered):
        return _delivered(event, at)
    assert state is not None, "the log marks a message that it never delivered"
    match event:
        case MessageRead():
            return changed(state, read_at=at)
        case MessageUnread():
            return changed(state, read_at=None)
        case MessageStarred():
            return changed(state, starred=event.starred)
        case MessageAcknowledged():
            return changed(state, acked_at=at, ack_due_at=None)
        case MessageDeleted():
            return changed(state, deleted_at=at, bytes=0, ack_due_at=None)
        case MailboxFreed():
            return changed(state, bytes=0)
        case AcknowledgementReminded():
            assert state.ack_due_at is not None
            wait = state.ack_due_at - state.delivered_at
            return changed(state, reminded_at=at, ack_due_at=Timestamp(state.ack_due_at + wait))
        case AcknowledgementOverdue():
            return changed(state, ack_due_at=None)
        case _:
            assert_never(event)


def _delivered(event: MessageDelivered, at: Timestamp) -> MailEntry:
    due_at = None
    if event.ack_required and event.ack_minutes is not None:
        due_at = Timestamp(at + round(event.ack_minutes * MILLISECONDS_PER_MINUTE))
    return MailEntry(
        id=entry_id(event.message_id, event.agent_id),
        message_id=event.message_id,
        agent_id=event.agent_id,
        sequence=event.sequence,
        thread_id=event.thread_id,
        address=event.address,
        from_address=event.from_address,
        subject=event.subject,
        delivered_at=at,
        bytes=event.bytes,
        sender_id=event.sender_id,
        kind=event.kind,
        task_id=event.task_id,
        ack_required=event.ack_required,
        ack_due_at=due_at,
    )


_Change: TypeAlias = Callable[[MailAccount, Any], MailAccount]


def _account_effect(event: type[Any], change: _Change) -> Effect[MailAccount]:
    def after(state: MailAccount | None, event: Any, at: Timestamp) -> MailAccount:  # noqa: ANN401
        account = MailAccount(id=event.agent_id, created_at=at) if state is None else state
        return change(account, event)

    return Effect(event=event, aggregate=MAIL_ACCOUNTS, id_of=attrgetter("agent_id"), evolve=after)


def _received(account: MailAccount, event: MessageDelivered) -> MailAccount:
    return changed(
        account,
        total_received=account.total_received + 1,
        unread=account.unread + 1,
        stored_bytes=account.stored_bytes + event.bytes,
    )


def _without(account: MailAccount, event: MessageDeleted) -> MailAccount:
    if event.is_sent:
        return account
    return changed(
        account,
        unread=account.unread - event.was_unread,
        stored_bytes=account.stored_bytes - event.bytes,
    )


def _more_unread(account: MailAccount, more: int) -> MailAccount:
    return changed(account, unread=account.unread + more)


def _freed(account: MailAccount, event: MailboxFreed) -> MailAccount:
    return changed(account, stored_bytes=account.stored_bytes - event.bytes)


def _sender_marked(state: Message | None, event: Any, _at: Timestamp) -> Message:  # noqa: ANN401
    assert state is not None
    if isinstance(event, MessageStarred):
        return changed(state, is_starred_by_sender=event.starred)
    return changed(state, is_deleted_by_sender=True)


def _sent_id(event: MessageStarred | MessageDeleted) -> str | None:
    return event.message_id if event.is_sent else None


def _recipient_delivered(state: Message | None, event: MessageDelivered, _at: Timestamp) -> Message:
    assert state is not None
    return with_recipient(state, event.address, "internal", "delivered")


def _recipient_joins(
    state: MailThread | None, event: MessageDelivered, _at: Timestamp
) -> MailThread:
    assert state is not None
    return joined(state, event.address, event.agent_id)


MAIL_ENTRIES: Aggregate[MailEntry] = Aggregate(
    name="mail_entry",
    events=get_args(Event),
    stream=lambda event: f"mailbox-{event.agent_id.removeprefix('agent_')}",
    id_of=_entry_id_of,
    evolve=evolve,
    effects=(
        _account_effect(MessageDelivered, _received),
        _account_effect(MessageRead, lambda account, _event: _more_unread(account, -1)),
        _account_effect(MessageUnread, lambda account, _event: _more_unread(account, 1)),
        _account_effect(MessageDeleted, _without),
        _account_effect(MailboxFreed, _freed),
        Effect(
            event=MessageDelivered,
            aggregate=MESSAGES,
            id_of=attrgetter("message_id"),
            evolve=_recipient_delivered,
        ),
        Effect(
            event=MessageDelivered,
            aggregate=MAIL_THREADS,
            id_of=attrgetter("thread_id"),
            evolve=_recipient_joins,
        ),
        *(
            Effect(event=event, aggregate=MESSAGES, id_of=_sent_id, evolve=_sender_marked)
            for event in (MessageStarred, MessageDeleted)
        ),
    ),
    deadline=Deadline(
        at=lambda entry: entry.ack_due_at or Timestamp(0),
        has_passed=lambda entry, now: entry.ack_due_at is not None and now >= entry.ack_due_at,
        events=_ack_events,
        rank=2,
    ),
    owner=Owner(
        aggregate=MESSAGES,
        id_of=lambda entry: entry.message_id if entry.deleted_at is None else None,
    ),
    phase_of=attrgetter("deleted_at"),
    is_final=lambda entry: entry.deleted_at is not None,
    reacts_to={MessageErased: free_entries},
)
