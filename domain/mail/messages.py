"""A message: its sender, recipients and subject, and its delivery to each recipient.

* The body is not in the events: they hold its size and a salted hash (``ContentRef``). A reader
  with the body and its salt can prove what was said. The chain stays valid after an erasure.
* ``sequence`` is the tenant sequence of the event that records the message. It orders all lists.
* Erasing a body twice succeeds and records nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Literal, TypeAlias, assert_never, get_args

from quorate.domain.identity.principals import Principal
from quorate.domain.mail.accounts import MAIL_ACCOUNTS, counted_send
from quorate.domain.mail.subjects import Kind
from quorate.domain.mail.threads import MAIL_THREADS, MailThread, joined
from quorate.domain.shared.aggregates import Aggregate, Counter, Deadline, Effect, Reads
from quorate.domain.shared.contents import ContentRef
from quorate.domain.shared.errors import NotFound
from quorate.domain.shared.records import changed, record
from quorate.domain.shared.state import DecisionContext, TenantState
from quorate.domain.shared.timestamps import Timestamp

SUBJECT_LENGTH_MAX = 256
BODY_BYTES_MAX = 256 * 1_024  # Of each of the two forms of a body, in UTF-8.
TEXT_PART, HTML_PART = "text", "html"
# A read of a message that does not bring its deadline into force.
MESSAGE_HEADER = "message.header"
# A read of the entries of a message in all mailboxes.
ENTRIES_OF_MESSAGE = "mail_entry.message"

Importance: TypeAlias = Literal["low", "normal", "high", "urgent"]
DeliveryType: TypeAlias = Literal["internal", "external"]
RecipientStatus: TypeAlias = Literal[
    "delivered",
    "queued",
    "deferred",
    "relayed",
    "held",
    "blocked",
    "bounced",
    "dead_lettered",
    "dropped",
    "cancelled",
]
Status: TypeAlias = Literal[RecipientStatus, "partial"]
_WAITING: tuple[RecipientStatus, ...] = ("queued", "deferred", "held")
_FAILED = frozenset({"blocked", "bounced", "dead_lettered", "dropped", "cancelled"})
# A file of a message from outside: ``part`` (of the contents; empty if it is not stored), ``name``,
# ``media``, ``bytes`` and ``sha256`` (of the file, without salt).
Attachment: TypeAlias = Mapping[str, str | int]
ErasureReason: TypeAlias = Literal["requested", "retention"]

# -- Events ------------------------------------------------------------------


@record
class _Message:
    message_id: str
    thread_id: str
    sequence: int
    from_address: str
    to: tuple[str, ...]
    cc: tuple[str, ...]
    subject: str
    contents: tuple[ContentRef, ...]
    importance: Importance
    kind: Kind | None = None
    task_id: str | None = None
    level: int | None = None
    in_reply_to: str | None = None  # The id of a message of the same thread.
    erase_at: Timestamp | None = None


@record
class MessageSent(_Message):
    """An agent sent a message."""

    agent_id: str
    agent_name: str
    ack_required: bool
    fence: int | None = None
    scheduled_at: Timestamp | None = None
    send_reason: str | None = None  # These two are recorded and have no effect.
    template_id: str | None = None


@record
class MessageReceived(_Message):
    """A message came from outside. ``rfc_message_id`` is its Message-ID there."""

    attachments: tuple[Attachment, ...]
    rfc_message_id: str | None = None


@record
class MessageErased:
    message_id: str
    reason: ErasureReason
    detail: str | None = None


Event: TypeAlias = MessageSent | MessageReceived | MessageErased


# -- State -------------------------------------------------------------------


@record
class RecipientState:
    address: str
    delivery_type: DeliveryType
    status: RecipientStatus
    reason: str | None = None


@record
class Message:
    id: str
    thread_id: str
    sequence: int
    created_at: Timestamp
    from_address: str
    to: tuple[str, ...]
    cc: tuple[str, ...]
    subject: str
    contents: tuple[ContentRef, ...]
    sender_id: str | None = None  # None: it came from outside.
    kind: Kind | None = None
    task_id: str | None = None
    level: int | None = None
    in_reply_to: str | None = None
    importance: Importance = "normal"
    ack_required: bool = False
    fence: int | None = None
    scheduled_at: Timestamp | None = None
    rfc_message_id: str | None = None
    attachments: tuple[Attachment, ...] = ()
    recipients: tuple[RecipientState, ...] = ()
    erase_at: Timestamp | None = None
    erased_at: Timestamp | None = None
    is_starred_by_sender: bool = False
    is_deleted_by_sender: bool = False

    @property
    def bytes(self) -> int:
        return sum([ref.bytes for ref in self.contents])

    @property
    def status(self) -> Status:
        return overall_status([one.status for one in self.recipients])


def overall_status(statuses: Sequence[RecipientStatus]) -> Status:
    """Sum up the recipients: some failed is ``partial``; else what is still to be done."""
    known = set(statuses)
    if not known:
        return "delivered"
    failed = known & _FAILED
    if failed and failed != known:
        return "partial"
    if failed:
        return next(one for one in get_args(RecipientStatus) if one in failed)
    waiting = next((one for one in _WAITING if one in known), None)
    if waiting is not None:
        return "queued" if waiting == "deferred" else waiting
    return "relayed" if "relayed" in known else "delivered"


def with_recipient(
    message: Message,
    address: str,
    delivery_type: DeliveryType,
    status: RecipientStatus,
    reason: str | None = None,
) -> Message:
    """Return the message with the present status of one recipient."""
    this = RecipientState(
        address=address, delivery_type=delivery_type, status=status, reason=reason
    )
    if all(one.address != address for one in message.recipients):
        return changed(message, recipients=(*message.recipients, this))
    return changed(
        message,
        recipients=tuple([this if one.address == address else one for one in message.recipients]),
    )


# -- Errors ------------------------------------------------------------------


@dataclass(eq=False)
class MessageNotFound(NotFound):
    """Unknown, or not sent or received by this agent."""

    code, title = "message_not_found", "Message not found"


# -- Commands ----------------------------------------------------------------


@record
class EraseMessage:
    """Erase the body of a message everywhere. The record that it existed stays."""

    caller: Principal
    message_id: str
    detail: str | None = None

    def reads(self) -> Reads:
        return (*MESSAGES.by("id", self.message_id), (ENTRIES_OF_MESSAGE, self.message_id))

    def decide(self, state: TenantState, _context: DecisionContext) -> Sequence[Event]:
        message = state[MESSAGES].get(self.message_id)
        if message is None:
            raise MessageNotFound
        if message.erased_at is not None:
            return []
        return [MessageErased(message_id=message.id, reason="requested", detail=self.detail)]

    def result(self, state: TenantState, _events: Sequence[Event]) -> Message:
        return state[MESSAGES][self.message_id]


# -- Evolve ------------------------------------------------------------------

_SHARED = (
    *("thread_id", "sequence", "from_address", "to", "cc", "subject", "contents", "kind"),
    *("task_id", "level", "in_reply_to", "importance", "erase_at"),
)
_SHARED_VALUES = attrgetter(*_SHARED)


def evolve(state: Message | None, event: Event, at: Timestamp) -> Message:
    if isinstance(event, MessageErased):
        assert state is not None
        return changed(state, erased_at=at)
    shared: Mapping[str, object] = dict(zip(_SHARED, _SHARED_VALUES(event), strict=True))
    match event:
        case MessageSent():
            return Message(
                id=event.message_id,
                created_at=at,
                sender_id=event.agent_id,
                ack_required=event.ack_required,
                fence=event.fence,
                scheduled_at=event.scheduled_at,
                **shared,  # type: ignore[arg-type]
            )
        case MessageReceived():
            return Message(
                id=event.message_id,
                created_at=at,
                rfc_message_id=event.rfc_message_id,
                attachments=event.attachments,
                **shared,  # type: ignore[arg-type]
            )
        case _:
            assert_never(event)


def _sender_joins(state: MailThread | None, event: MessageSent, at: Timestamp) -> MailThread:
    return joined(_thread(state, event, at), event.from_address, event.agent_id)


def _outsider_joins(state: MailThread | None, event: MessageReceived, at: Timestamp) -> MailThread:
    return joined(_thread(state, event, at), event.from_address, None)


def _thread(state: MailThread | None, event: _Message, at: Timestamp) -> MailThread:
    if state is not None:
        return state
    return MailThread(id=event.thread_id, subject=event.subject, created_at=at)


def _check_sequence(event: Event, sequence: int) -> None:
    if isinstance(event, _Message):
        assert event.sequence == sequence, (
            f"the message names sequence {event.sequence}, but its event has {sequence}"
        )


MESSAGES: Aggregate[Message] = Aggregate(
    name="message",
    events=get_args(Event),
    stream=lambda event: f"message-{event.message_id}",
    commands=(EraseMessage,),
    id_of=attrgetter("message_id"),
    evolve=evolve,
    effects=(
        Effect(
            event=MessageSent,
            aggregate=MAIL_ACCOUNTS,
            id_of=attrgetter("agent_id"),
            evolve=lambda state, event, at: counted_send(state, event.agent_id, at),
        ),
        Effect(
            event=MessageSent,
            aggregate=MAIL_THREADS,
            id_of=attrgetter("thread_id"),
            evolve=_sender_joins,
        ),
        Effect(
            event=MessageReceived,
            aggregate=MAIL_THREADS,
            id_of=attrgetter("thread_id"),
            evolve=_outsider_joins,
        ),
    ),
    indexes={"rfc_message_id": attrgetter("rfc_message_id")},
    # ``phase_of``: what the counter and the index depend on.
    phase_of=attrgetter("erased_at"),
    counters={
        "mailbox_bytes": Counter(
            amount=lambda message: message.bytes if message.erased_at is None else 0
        )
    },
    deadline=Deadline(
        at=lambda message: message.erase_at or Timestamp(0),
        has_passed=lambda message, now: (
            message.erased_at is None and message.erase_at is not None and now >= message.erase_at
        ),
        events=lambda message: [MessageErased(message_id=message.id, reason="retention")],
        rank=3,
    ),
    erases={MessageErased: attrgetter("message_id")},
    check=_check_sequence,
)
