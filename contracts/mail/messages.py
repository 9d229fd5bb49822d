"""Send messages, and read them: inbox, sent messages, threads, search (seed 002)."""

from typing import Annotated, Any, Literal

from pydantic import Field

from quorate.contracts.downloads import ANY_MEDIA, Download
from quorate.contracts.operations import Operation
from quorate.contracts.problems import LogMismatch
from quorate.contracts.roles import CAN_ACT, CAN_DELIVER_MAIL, CAN_READ
from quorate.contracts.wire_models import (
    SEQUENCE_MAX,
    QueryTime,
    SnakeAgentQuery,
    SnakeAgentRequest,
    SnakeQuery,
    SnakeResponse,
    Time,
    Wait,
    optional,
)
from quorate.domain.identity.agents import ActingAsAnother, AgentNotFound
from quorate.domain.mail.accounts import NotAnAgent, SendingLimitReached
from quorate.domain.mail.addresses import RECIPIENTS_MAX, RecipientInvalid, TooManyRecipients
from quorate.domain.mail.attachments import AttachmentNotFound, AttachmentNotStored
from quorate.domain.mail.messages import (
    BODY_BYTES_MAX,
    SUBJECT_LENGTH_MAX,
    DeliveryType,
    Importance,
    MessageNotFound,
    RecipientStatus,
    Status,
)
from quorate.domain.mail.receiving import RejectionReason
from quorate.domain.mail.sending import SubjectTooLong
from quorate.domain.mail.subjects import Kind
from quorate.domain.mail.threads import ThreadNotFound
from quorate.domain.shared.daily_quotas import DailyQuotaExceeded
from quorate.domain.shared.email_addresses import ADDRESS_LENGTH_MAX
from quorate.domain.shared.quotas import QuotaExceeded
from quorate.domain.shared.search_words import INDEXED_BYTES_MAX, QUERY_WORDS_MAX

EMAIL = "/email"
MESSAGE = EMAIL + "/message/{message_id}"
# JSON may escape each byte of both bodies; 2 MiB is enough for all text that people write.
SEND_BYTES_MAX = 2 * 1_024 * 1_024
INBOUND_BYTES_MAX = 25 * 1_024 * 1_024  # What most mail servers accept.
LIST_LENGTH_DEFAULT = 20
LIST_LENGTH_MAX = 100
ADDRESSES_ACCEPTED_MAX = 100  # More are malformed; RECIPIENTS_MAX is the rule.
SUBJECT_ACCEPTED_MAX = 10_000
CURSOR_LENGTH_MAX = 64
QUERY_LENGTH_MAX = 500

Address = Annotated[str, Field(min_length=1, max_length=ADDRESS_LENGTH_MAX + 64)]
MessageId = Annotated[
    str, Field(min_length=1, max_length=64, examples=["msg_0193f2a77c2c7f10b5a0c5d1e8f00a11"])
]
ListLength = Annotated[int, Field(ge=1, le=LIST_LENGTH_MAX)]
Cursor = Annotated[str, Field(max_length=CURSOR_LENGTH_MAX)]

_CURSOR = "`cursor` of the previous page: the page that follows it."


class SendMailBody(SnakeAgentRequest):
    """`in_reply_to` is the `message_id` of a message in a thread of the sender."""

    to: Annotated[list[Address], Field(max_length=ADDRESSES_ACCEPTED_MAX)] = Field(
        description=f"Recipients. With `cc` at most {RECIPIENTS_MAX}."
    )
    cc: Annotated[list[Address], Field(max_length=ADDRESSES_ACCEPTED_MAX)] = Field(
        default_factory=list
    )
    subject: Annotated[str, Field(max_length=SUBJECT_ACCEPTED_MAX)] = Field(
        default="", description=f"At most {SUBJECT_LENGTH_MAX} characters, without line breaks."
    )
    body_text: str = Field(
        default="", description=f"At most {BODY_BYTES_MAX // 1_024} KiB in UTF-8."
    )
    body_html: str | None = Field(default=None, description="An HTML form of the same text.")
    in_reply_to: MessageId | None = None
    importance: Importance = "normal"
    ack_required: bool = Field(
        default=False, description="Whether the recipients must acknowledge the message."
    )
    lease_fence: Annotated[int, Field(ge=1, le=SEQUENCE_MAX)] | None = Field(
        default=None,
        description="Fencing token of the sender's lease. The send gate blocks a stale token.",
    )


class RecipientInfo(SnakeResponse):
    """What became of the message for one recipient; ``reason`` says why it was not sent."""

    address: str
    delivery_type: DeliveryType
    status: RecipientStatus
    reason: str | None


class SentInfo(SnakeResponse):
    """``message`` is a sentence for people. A block is a result, not an error."""

    message_id: str
    thread_id: str
    status: Status
    delivery_type: Literal["internal", "external", "mixed"]
    message: str
    recipients: list[RecipientInfo]


class AttachmentInfo(SnakeResponse):
    """``stored`` is false if it was erased, or too large: it cannot be downloaded then."""

    number: int
    name: str
    content_type: str
    size: int
    sha256: str
    stored: bool


class MailMessage(SnakeResponse):
    """A message as one mailbox has it.

    `direction` is `outbound` for the mailbox of the sender. The bodies of an erased message are
    null. `body_text` and `body_html` are also null where a list would become too long.
    `recipients` is for the sender, and for a key of the tenant that reads no mailbox.
    """

    message_id: str
    thread_id: str
    from_address: str
    from_agent_id: str | None
    to_addresses: list[str]
    cc_addresses: list[str]
    subject: str
    body_text: str | None
    body_html: str | None
    direction: Literal["inbound", "outbound"]
    status: Status
    has_attachments: bool
    attachments: list[AttachmentInfo]
    read_at: Time | None
    starred: bool
    acked_at: Time | None
    importance: Importance
    ack_required: bool
    in_reply_to: str | None
    kind: Kind | None
    task_id: str | None
    level: int | None
    erased_at: Time | None
    sequence: int
    created_at: Time
    recipients: list[RecipientInfo] | None = optional()


class InboxQuery(SnakeAgentQuery):
    limit: ListLength = LIST_LENGTH_DEFAULT
    unread_only: bool = False
    from_address: Address | None = None
    thread_id: Annotated[str, Field(max_length=64)] | None = None
    kind: Kind | None = None
    task_id: Annotated[str, Field(max_length=128)] | None = None
    since: Cursor | None = Field(
        default=None,
        description="A `cursor`: only messages that arrived after it, the oldest first. "
        "`0` begins with the first message.",
    )
    cursor: Cursor | None = Field(default=None, description=_CURSOR)
    wait: Wait = Field(
        default=0.0, description="Seconds to wait for a message while there is none."
    )


class InboxPage(SnakeResponse):
    """The newest message first, or with `since` the oldest first.

    `total` is the number of messages in this page, `unread_count` that of the mailbox. Pass
    `cursor` as `cursor` for the next page, or as `since` for what arrives later.
    """

    messages: list[MailMessage]
    total: int
    unread_count: int
    has_more: bool
    cursor: str


class SentQuery(SnakeAgentQuery):
    limit: ListLength = LIST_LENGTH_DEFAULT
    cursor: Cursor | None = Field(default=None, description=_CURSOR)


class MailPage(SnakeResponse):
    messages: list[MailMessage]
    total: int
    has_more: bool
    cursor: str


class MessageQuery(SnakeAgentQuery):
    mark_read: bool = Field(default=True, description="Whether the message is marked as read.")


class ThreadQuery(SnakeAgentQuery):
    limit: ListLength = LIST_LENGTH_MAX
    cursor: Cursor | None = Field(default=None, description=_CURSOR)
    order: Literal["asc", "desc"] = Field(
        default="asc", description="`asc`: the oldest message first."
    )


class ThreadPage(SnakeResponse):
    thread_id: str
    subject: str
    participant_addresses: list[str]
    messages: list[MailMessage]
    has_more: bool
    cursor: str


class SearchQuery(SnakeAgentQuery):
    q: Annotated[str, Field(min_length=1, max_length=QUERY_LENGTH_MAX)] = Field(
        description="Words that the message contains, without regard to case and accents. Quotes "
        f"and operators have no meaning. Words after the first {QUERY_WORDS_MAX} are ignored."
    )
    from_address: Address | None = None
    to_address: Address | None = None
    kind: Kind | None = None
    after: QueryTime | None = Field(default=None, description="Only messages sent at or after it.")
    before: QueryTime | None = Field(default=None, description="Only messages sent before it.")
    limit: ListLength = LIST_LENGTH_DEFAULT
    cursor: Cursor | None = Field(default=None, description=_CURSOR)


class FoundMessage(MailMessage):
    """`snippet` is the part of the message that matches; matches are between `**`."""

    snippet: str


class SearchPage(SnakeResponse):
    """The best match first."""

    messages: list[FoundMessage]
    total: int
    has_more: bool
    cursor: str


class RejectedRecipient(SnakeResponse):
    """`not_local`: not in the tenant's mail domain; `loop`: an automatic message or a loop;
    `sender_is_local`: forged; `unknown_report`: about no message of the tenant.
    """

    address: str
    reason: Literal[
        RejectionReason,
        "not_local",
        "too_many_recipients",
        "loop",
        "sender_is_local",
        "unknown_report",
    ]
    detail: str | None = None


class InboundInfo(SnakeResponse):
    """``message_id`` is null if no recipient has the message."""

    message_id: str | None
    accepted: list[str]
    rejected: list[RejectedRecipient]


_COMMON: dict[str, Any] = {"error_object": True}
_READ_ERRORS = (AgentNotFound, ActingAsAnother, NotAnAgent)

SEND_MAIL = Operation(
    method="POST",
    path=EMAIL + "/send",
    name="sendMail",
    summary="Send a message",
    description="To agents of the tenant it is delivered at once. To people outside it leaves "
    "through the send gate: a contact that another agent holds is blocked, which is a result.",
    roles=CAN_ACT,
    body=SendMailBody,
    query=SnakeAgentQuery,
    response=SentInfo,
    errors=(
        *(AgentNotFound, ActingAsAnother, NotAnAgent, RecipientInvalid, TooManyRecipients),
        *(SubjectTooLong, MessageNotFound, SendingLimitReached, QuotaExceeded),
    ),
    command=True,
    hot=True,
    body_bytes_max=SEND_BYTES_MAX,
    **_COMMON,
)
LIST_INBOX = Operation(
    method="GET",
    path=EMAIL + "/inbox",
    name="listInbox",
    summary="List received messages",
    description="Reading the inbox marks nothing as read.",
    roles=CAN_ACT,
    query=InboxQuery,
    response=InboxPage,
    errors=(*_READ_ERRORS, LogMismatch),
    **_COMMON,
)
LIST_SENT = Operation(
    method="GET",
    path=EMAIL + "/sent",
    name="listSentMail",
    summary="List sent messages",
    roles=CAN_ACT,
    query=SentQuery,
    response=MailPage,
    errors=_READ_ERRORS,
    **_COMMON,
)
GET_MESSAGE = Operation(
    method="GET",
    path=MESSAGE,
    name="getMessage",
    summary="Get a message",
    description="The message is marked as read, unless `mark_read` is false or the key reads only.",
    roles=CAN_READ,
    query=MessageQuery,
    response=MailMessage,
    errors=(*_READ_ERRORS, MessageNotFound),
    **_COMMON,
)
GET_ATTACHMENT: Operation[Download] = Operation(
    method="GET",
    path=MESSAGE + "/attachment/{number}",
    name="getAttachment",
    summary="Download an attachment",
    description="The bytes as they were sent. They are numbered from 1, in the order of "
    "`attachments` of the message. Over NATS the file must fit in one message; HTTP has no such "
    "limit.",
    roles=CAN_READ,
    query=SnakeAgentQuery,
    media=ANY_MEDIA,
    errors=(*_READ_ERRORS, MessageNotFound, AttachmentNotFound, AttachmentNotStored),
    **_COMMON,
)
GET_THREAD = Operation(
    method="GET",
    path=EMAIL + "/thread/{thread_id}",
    name="getThread",
    summary="Get a thread and its messages",
    description="Agents that sent or received a message of the thread may read all of it.",
    roles=CAN_READ,
    query=ThreadQuery,
    response=ThreadPage,
    errors=(*_READ_ERRORS, ThreadNotFound),
    **_COMMON,
)
SEARCH_MAIL = Operation(
    method="GET",
    path=EMAIL + "/search",
    name="searchMail",
    summary="Search the messages of a mailbox",
    description="Sent and received messages that contain all words of `q` in their subject or in "
    f"the first {INDEXED_BYTES_MAX // 1_024} KiB of their text. New messages are found after about "
    "a second.",
    roles=CAN_ACT,
    query=SearchQuery,
    response=SearchPage,
    errors=_READ_ERRORS,
    **_COMMON,
)
RECEIVE_MAIL = Operation(
    method="POST",
    path=EMAIL + "/inbound",
    name="receiveMail",
    summary="Receive a message from outside",
    description="A raw message (RFC 5322) of the operator's mail server. A message that was "
    "received before is accepted again and stored once. Reports about bounces and complaints are "
    "recorded for the message that they name.",
    roles=CAN_DELIVER_MAIL,
    errors=(DailyQuotaExceeded,),
    body_media="message/rfc822",
    body_bytes_max=INBOUND_BYTES_MAX,
    query=SnakeQuery,
    response=InboundInfo,
    **_COMMON,
)
OPERATIONS = (
    *(SEND_MAIL, LIST_INBOX, LIST_SENT, GET_MESSAGE, GET_ATTACHMENT, GET_THREAD),
    *(SEARCH_MAIL, RECEIVE_MAIL),
)
