"""Commands of mail for the golden log: they produce every event type of mail."""

from typing import Any

from quorate.domain.identity.agents import AgentRef
from quorate.domain.identity.principals import Principal
from quorate.domain.mail.accounts import (
    FreezeSending,
    MailPolicy,
    SetMailPolicy,
    SetMailTier,
    ThawSending,
)
from quorate.domain.mail.addresses import parse_recipients
from quorate.domain.mail.delivery_attempts import (
    BeginDelivery,
    CancelErased,
    DropDeadLetter,
    QueueHeld,
    RecordBounce,
    RecordComplaint,
    RecordFailure,
    RecordRelayed,
    RetryDeadLetter,
)
from quorate.domain.mail.mailbox import (
    AcknowledgeMessage,
    DeleteMessage,
    MarkRead,
    MarkUnread,
    StarMessage,
)
from quorate.domain.mail.mailbox_entries import entry_id
from quorate.domain.mail.messages import EraseMessage
from quorate.domain.mail.receiving import ReceiveMessage
from quorate.domain.mail.sending import SendMessage
from quorate.domain.mail.settings import MailSettings, RetryPolicy
from quorate.domain.shared.contents import Content
from quorate.domain.shared.deadlines import RecordDue

DOMAIN = "acme.agents.localhost"
HELD = MailSettings(domain=DOMAIN)
RELAYED = MailSettings(domain=DOMAIN, has_relay=True, ack_minutes=30.0, retention_days=365.0)
POLICY = RetryPolicy()
KIM, LEE = "Kim@Example.com", "lee@b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.example"
_KEYS = {KIM: "kim@example.com", LEE: "lee@xn--bcher-kva.example"}


def _text(message_id: str, text: str) -> tuple[Content, ...]:
    salt = b"0123456789abcdef"
    return (Content(id=message_id, part="text", salt=salt, data=text.encode()),)


def _send(
    caller: Principal,
    sender: str,
    number: int,
    to: tuple[str, ...],
    text: str,
    **more: Any,  # noqa: ANN401 - of the command.
) -> SendMessage:
    settings = more.pop("settings", RELAYED)
    return SendMessage(
        caller=caller,
        agent=AgentRef(name=sender),
        recipients=parse_recipients(to, (), DOMAIN, lambda _: "xn--bcher-kva.example"),
        subject=more.pop("subject", f"TASK:{number} {text[:20]}".replace("\n", " ")),
        body=_text(f"msg_{number}", text),
        settings=settings,
        new_message_id=f"msg_{number}",
        new_thread_id=f"thr_{number}",
        **more,
    )


def _delivery(kind: type[Any], number: int, **more: Any) -> Any:  # noqa: ANN401
    return kind(message_id=f"msg_{number}", delivery_id=f"msg_{number}.0", **more)


def mail_story(
    caller: Principal, operator: Principal, reader: str, sender: str, text: str
) -> tuple[tuple[float, Any], ...]:
    """Return the commands: ``reader`` and ``sender`` are names of agents with ids by ``id_of``."""
    return (
        *_between_agents(caller, operator, reader, sender, text),
        *_to_people(caller, operator, sender, text),
        *_from_people(caller, reader, text),
    )


def _between_agents(
    caller: Principal, operator: Principal, reader: str, sender: str, text: str
) -> tuple[tuple[float, Any], ...]:
    reader_id = f"agent_00000000-0000-7000-8000-{reader:0>12}"
    inbox = f"{reader}@{DOMAIN}"
    mine: dict[str, Any] = {"caller": caller, "agent_id": reader_id}
    return (
        (0, _send(caller, sender, 1, (inbox, f"nobody@{DOMAIN}"), text, ack_required=True)),
        (0, MarkRead(**mine, message_id="msg_1")),
        (0, MarkUnread(**mine, message_id="msg_1")),
        (0, StarMessage(**mine, message_id="msg_1")),
        (30, RecordDue(aggregate="mail_entry", id=entry_id("msg_1", reader_id))),
        (30, RecordDue(aggregate="mail_entry", id=entry_id("msg_1", reader_id))),
        (0, AcknowledgeMessage(**mine, message_id="msg_1")),
        (0, _send(caller, reader, 2, (f"{sender}@{DOMAIN}",), "", in_reply_to="msg_1")),
        (0, EraseMessage(caller=operator, message_id="msg_1", detail=text)),
        (0, DeleteMessage(**mine, message_id="msg_1")),
    )


def _to_people(
    caller: Principal, operator: Principal, sender: str, text: str
) -> tuple[tuple[float, Any], ...]:
    failed: dict[str, Any] = {"is_permanent": False, "policy": POLICY, "smtp_code": 451}
    return (
        (0, _send(caller, sender, 3, (LEE,), text, settings=HELD)),
        (0, _delivery(QueueHeld, 3)),
        (0, _delivery(RecordFailure, 3, **failed, detail=text)),
        (0, _delivery(RecordRelayed, 3, smtp_code=250)),
        (0, _delivery(RecordComplaint, 3)),
        (0, _delivery(RecordBounce, 3, detail="returned")),
        (0, _send(caller, sender, 4, (LEE,), text)),
        (1_500, _delivery(RecordFailure, 4, **failed)),
        (0, _delivery(RetryDeadLetter, 4)),
        (1_500, _delivery(RecordFailure, 4, **failed)),
        (0, _delivery(DropDeadLetter, 4, detail=text)),
        (0, _send(caller, sender, 7, (LEE,), text)),
        (0, EraseMessage(caller=operator, message_id="msg_7", detail=None)),
        (0, _delivery(CancelErased, 7)),
        (0, _send(caller, sender, 5, (LEE,), text)),
        (0, FreezeSending(caller=operator, agent=AgentRef(name=sender), detail=text)),
        (
            0,
            _delivery(
                BeginDelivery,
                5,
                contact_key=_KEYS[LEE],
                agent_id=f"agent_00000000-0000-7000-8000-{sender:0>12}",
            ),
        ),
        (0, ThawSending(caller=operator, agent=AgentRef(name=sender), detail=None)),
        (0, SetMailTier(caller=operator, agent=AgentRef(name=sender), tier="trusted")),
    )


def _from_people(caller: Principal, reader: str, text: str) -> tuple[tuple[float, Any], ...]:
    inbox = f"{reader}@{DOMAIN}"
    return (
        (
            0,
            SetMailPolicy(
                caller=caller,
                agent=AgentRef(name=reader),
                policy=MailPolicy(mode="contacts_only", allow=("kim@example.com",), block=("x",)),
            ),
        ),
        (
            0,
            ReceiveMessage(
                recipients=parse_recipients((inbox,), (), DOMAIN, str),
                from_address="kim@example.com",
                to=(inbox,),
                cc=(),
                subject=text.partition("\n")[0],
                body=_text("msg_6", text),
                settings=RELAYED,
                new_message_id="msg_6",
                new_thread_id="thr_6",
                rfc_message_id="<1@example.com>",
                attachments=(
                    {
                        "part": "attachment-0",
                        "name": "a.txt",
                        "media": "text/plain",
                        "bytes": 1,
                        "sha256": "0" * 64,
                    },
                ),
            ),
        ),
    )
