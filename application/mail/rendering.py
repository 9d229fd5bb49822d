"""Write messages, marks and accounts as their response models say."""

from quorate.application.rendering import Json, renderer
from quorate.contracts.mail.mailbox import (
    AccountInfo,
    DeliveryInfo,
    LimitUse,
    MarksInfo,
    PolicyInfo,
)
from quorate.contracts.mail.messages import (
    AttachmentInfo,
    FoundMessage,
    InboxPage,
    MailMessage,
    MailPage,
    RecipientInfo,
    SearchPage,
    SentInfo,
    ThreadPage,
)
from quorate.domain.mail.accounts import MailAccount, MailPolicy, SendingUse, sending_use
from quorate.domain.mail.addresses import agent_address
from quorate.domain.mail.attachments import why_not_stored
from quorate.domain.mail.deliveries import Delivery
from quorate.domain.mail.mailbox import Marks
from quorate.domain.mail.messages import Message, RecipientState
from quorate.domain.mail.settings import MailSettings, SendingLimit
from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp
from quorate.projections.mail.queries import MailRow, MailRows, Range

render_marks = renderer(MarksInfo, Marks)
render_policy = renderer(PolicyInfo, MailPolicy)
render_delivery = renderer(DeliveryInfo, Delivery)
_render_recipient = renderer(RecipientInfo, RecipientState)


@record
class _Shown:
    """A message as one mailbox shows it."""

    message: Message
    direction: str
    text: str | None
    html: str | None
    read_at: Timestamp | None
    starred: bool
    acked_at: Timestamp | None
    recipients: list[Json] | None


def _attachments(shown: _Shown) -> list[Json]:
    return [
        AttachmentInfo(
            number=number,
            name=str(one["name"]),
            content_type=str(one["media"]),
            size=int(one["bytes"]),
            sha256=str(one["sha256"]),
            stored=why_not_stored(shown.message, one) is None,
        ).model_dump(mode="json", by_alias=True)
        for number, one in enumerate(shown.message.attachments, start=1)
    ]


_SOURCES = {
    "message_id": "message.id",
    "thread_id": "message.thread_id",
    "from_address": "message.from_address",
    "from_agent_id": "message.sender_id",
    "to_addresses": "message.to",
    "cc_addresses": "message.cc",
    "subject": "message.subject",
    "body_text": "text",
    "body_html": "html",
    "status": "message.status",
    "has_attachments": lambda shown: bool(shown.message.attachments),
    "attachments": _attachments,
    "importance": "message.importance",
    "ack_required": "message.ack_required",
    "in_reply_to": "message.in_reply_to",
    "kind": "message.kind",
    "task_id": "message.task_id",
    "level": "message.level",
    "erased_at": "message.erased_at",
    "sequence": "message.sequence",
    "created_at": "message.created_at",
}
_render_message = renderer(MailMessage, _Shown, **_SOURCES)  # type: ignore[arg-type]
_render_found = renderer(FoundMessage, _Shown, **_SOURCES)  # type: ignore[arg-type]


def _shown(row: MailRow, agent_id: str | None) -> _Shown:
    message, entry = row.message, row.entry
    is_own = entry is None and (message.sender_id is not None)
    by_sender = agent_id is not None and message.sender_id == agent_id
    return _Shown(
        message=message,
        direction="outbound" if is_own and (by_sender or agent_id is None) else "inbound",
        text=row.text,
        html=row.html,
        read_at=entry.read_at if entry else message.created_at if by_sender else None,
        starred=entry.starred if entry else by_sender and message.is_starred_by_sender,
        acked_at=entry.acked_at if entry else None,
        recipients=_recipients(message) if by_sender or agent_id is None else None,
    )


def _recipients(message: Message) -> list[Json]:
    return [_render_recipient(one) for one in message.recipients]


def render_message(row: MailRow, agent_id: str | None) -> Json:
    return _render_message(_shown(row, agent_id))


def render_found(row: MailRow, agent_id: str | None, snippet: str) -> Json:
    return _render_found(_shown(row, agent_id), snippet=snippet)


# -- Pages ---------------------------------------------------------------------


def cursor_of(rows: MailRows, within: Range) -> str:
    """Return the cursor of a page: the newest sequence that was seen, and the oldest one."""
    sequences = [row.message.sequence for row in rows.rows]
    newest = max([*sequences, within.after, within.newest or 0])
    return f"{newest}.{min([*sequences, within.before])}"


@record
class _Page:
    messages: list[Json]
    total: int
    has_more: bool
    cursor: str


render_inbox = renderer(InboxPage, _Page)
render_page = renderer(MailPage, _Page)
render_thread = renderer(ThreadPage, _Page)
render_search = renderer(SearchPage, _Page)


def make_page(messages: list[Json], *, has_more: bool, cursor: str) -> _Page:
    return _Page(messages=messages, total=len(messages), has_more=has_more, cursor=cursor)


# -- Sending -------------------------------------------------------------------

_SENTENCES = {
    "delivered": "The message was delivered.",
    "queued": "The message is queued for delivery.",
    "relayed": "The message was handed to the mail server.",
    "held": "The message is held until an SMTP relay is configured.",
    "blocked": "The message was blocked.",
    "bounced": "The message could not be delivered.",
    "cancelled": "The message was cancelled.",
    "partial": "The message could not be sent to all recipients.",
}


def _delivery_type(message: Message) -> str:
    types = {one.delivery_type for one in message.recipients}
    return "mixed" if len(types) > 1 else next(iter(types), "internal")


_render_sent = renderer(
    SentInfo,
    Message,
    message_id="id",
    status=lambda message: message.status,
    delivery_type=_delivery_type,
    message=lambda message: _SENTENCES[message.status],
    recipients=_recipients,
)


def render_sent(message: Message) -> Json:
    return _render_sent(message)


# -- Accounts ------------------------------------------------------------------


def _limit(used: int, limit: int, resets_at: Timestamp) -> Json:
    return _render_limit(
        _Used(used=used, limit=limit, remaining=max(0, limit - used), resets_at=resets_at)
    )


@record
class _Used:
    used: int
    limit: int
    remaining: int
    resets_at: Timestamp


_render_limit = renderer(LimitUse, _Used)


def _rate_limits(use: SendingUse, limit: SendingLimit) -> Json:
    hourly = _limit(use.hourly, limit.hourly, use.hourly_resets_at)
    daily = _limit(use.daily, limit.daily, use.daily_resets_at)
    return {"hourly": hourly, "daily": daily}


_render_account = renderer(
    AccountInfo,
    MailAccount,
    agent_id="id",
    status=lambda account: "active" if account.frozen_at is None else "frozen",
    send_tier="tier",
    reputation_score=lambda account: round(account.reputation, 4),
    total_spam_complaints="total_complaints",
    unread_count="unread",
    sending_frozen=lambda account: account.frozen_at is not None,
)


def render_account(account: MailAccount, name: str, settings: MailSettings, now: Timestamp) -> Json:
    limit = settings.limits.of(account.tier)
    return _render_account(
        account,
        email_address=agent_address(name, settings.domain),
        rate_limits=_rate_limits(sending_use(account, now), limit),
    )
