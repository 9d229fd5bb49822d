"""Sample commands of mail. An agent named ``ann`` has the address ``ann@agents.localhost``."""

from quorate.domain.mail.addresses import parse_recipients
from quorate.domain.mail.mailbox import AcknowledgeMessage, DeleteMessage, MarkRead
from quorate.domain.mail.messages import HTML_PART, TEXT_PART, EraseMessage
from quorate.domain.mail.sending import SendMessage
from quorate.domain.mail.settings import MailSettings
from quorate.domain.shared.contents import SALT_BYTES, Content
from tests.unit.support.sample_commands import ITSELF, TENANT_KEY, id_of, key_of

DOMAIN = "agents.localhost"
ACK_MINUTES = 30.0
SETTINGS = MailSettings(domain=DOMAIN, ack_minutes=ACK_MINUTES)


def address_of(name: str) -> str:
    return f"{name}@{DOMAIN}"


def send(
    name: str,
    *to: str,
    message: str = "msg_1",
    subject: str = "Hello",
    text: str | None = "hello",
    html: str | None = None,
    ack_required: bool = False,
) -> SendMessage:
    """Send a message to agents, by their names, or to any addresses."""
    addresses = [one if "@" in one else address_of(one) for one in to]
    texts = {TEXT_PART: text, HTML_PART: html}
    return SendMessage(
        caller=key_of(name),
        agent=ITSELF,
        recipients=parse_recipients(addresses, (), DOMAIN, str),
        subject=subject,
        body=tuple(
            Content(id=message, part=part, salt=bytes(SALT_BYTES), data=body.encode())
            for part, body in texts.items()
            if body is not None
        ),
        settings=SETTINGS,
        new_message_id=message,
        new_thread_id=message.replace("msg", "thr"),
        ack_required=ack_required,
    )


def read(name: str, message: str = "msg_1") -> MarkRead:
    return MarkRead(caller=key_of(name), agent_id=id_of(name), message_id=message)


def acknowledge(name: str, message: str = "msg_1") -> AcknowledgeMessage:
    return AcknowledgeMessage(caller=key_of(name), agent_id=id_of(name), message_id=message)


def delete(name: str, message: str = "msg_1") -> DeleteMessage:
    return DeleteMessage(caller=key_of(name), agent_id=id_of(name), message_id=message)


def erase(message: str = "msg_1") -> EraseMessage:
    return EraseMessage(caller=TENANT_KEY, message_id=message)
