"""Send messages."""

import re

from quorate.application.execution import Service, problem_of
from quorate.application.mail.mailbox_owner import agent_ref
from quorate.application.mail.rendering import render_sent
from quorate.application.new_contents import salted
from quorate.application.operations import Call, Reply, handles
from quorate.application.rendering import dump
from quorate.contracts.mail.messages import SEND_MAIL, SendMailBody
from quorate.contracts.problems import Problem
from quorate.domain.mail.addresses import parse_recipients
from quorate.domain.mail.messages import BODY_BYTES_MAX, HTML_PART, TEXT_PART
from quorate.domain.mail.sending import SendMessage
from quorate.domain.shared.contents import Content
from quorate.domain.shared.errors import DomainError
from quorate.runtime.domain_names import to_a_labels

MESSAGE_ID, THREAD_ID = "msg_", "thr_"
# Line breaks and control characters; a tab is allowed.
_UNPRINTABLE = re.compile("[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029]")


def make_contents(message_id: str, texts: dict[str, str]) -> tuple[Content, ...]:
    """Return the bodies with random salts; raise Problem if one is too large."""
    found = []
    for part, text in texts.items():
        data = text.encode()
        if len(data) > BODY_BYTES_MAX:
            raise Problem(
                "body_too_large", f"body_{part}: at most {BODY_BYTES_MAX} bytes of UTF-8."
            )
        found.append(salted(message_id, part, data))
    return tuple(found)


def check_subject(subject: str) -> None:
    if _UNPRINTABLE.search(subject):
        raise Problem("invalid_request", "subject: it must not contain control characters.")


@handles(SEND_MAIL)
async def send(service: Service, call: Call) -> Reply:
    body: SendMailBody = call.body
    settings = service.mail.settings_of(call.principal.tenant)
    check_subject(body.subject)
    try:
        recipients = parse_recipients(body.to, body.cc, settings.domain, to_a_labels)
        agent = agent_ref(call)
    except DomainError as error:
        raise problem_of(error) from None
    message_id = service.prefixed_id(MESSAGE_ID)
    texts = {TEXT_PART: body.body_text}
    if body.body_html is not None:
        texts[HTML_PART] = body.body_html
    command = SendMessage(
        caller=call.principal,
        agent=agent,
        recipients=recipients,
        subject=body.subject,
        body=make_contents(message_id, texts),
        settings=settings,
        new_message_id=message_id,
        new_thread_id=THREAD_ID + message_id.removeprefix(MESSAGE_ID),
        importance=body.importance,
        ack_required=body.ack_required,
        in_reply_to=body.in_reply_to,
        fence=body.lease_fence,
    )
    return await service.execute(call, command, lambda message: dump(render_sent(message)))
