"""Send a message by a request to the send gate (seed 000): the decision and the send are one.

* A block is a result: every decision is answered with 200, and ``policyTrace`` shows the rules.
* The limits of the sender block as well. Nothing is recorded then, so a later request may pass.
"""

from typing import Any

from quorate.application.execution import Service, problem_of
from quorate.application.identity.agents import ref
from quorate.application.mail.sending import (
    MESSAGE_ID,
    THREAD_ID,
    check_subject,
    make_contents,
)
from quorate.application.operations import Call, Reply
from quorate.application.rendering import Json, dump
from quorate.contracts.coordination.send_gate import SendBody
from quorate.contracts.problems import Problem
from quorate.domain.mail.addresses import TO, RecipientInvalid, parse_recipient
from quorate.domain.mail.messages import HTML_PART, TEXT_PART, Message, MessageNotFound
from quorate.domain.mail.sending import SendMessage
from quorate.domain.mail.threads import ThreadNotFound
from quorate.domain.shared.timestamps import Timestamp, of
from quorate.projections.mail.queries import Range
from quorate.runtime.domain_names import to_a_labels

_LIMITS = frozenset({"rate_limit_exceeded", "quota_exceeded"})
_BLOCKED = frozenset({"blocked", "bounced"})
# By the reason of a block: the rule that the message did not pass.
_RULES = {
    "lease_conflict": "lease",
    "stale_fence": "fence",
    "contact_blocked": "contact_policy",
    "rate_limit_exceeded": "sending_limits",
    "quota_exceeded": "sending_limits",
    "sending_frozen": "frozen_sender",
    "no_such_agent": "recipient",
}
_ORDER = (
    *("deduplication", "lease", "fence", "contact_policy", "sending_limits", "frozen_sender"),
    "recipient",
)


async def send_payload(service: Service, call: Call, body: SendBody) -> Reply:
    assert body.payload is not None
    settings = service.mail.settings_of(call.principal.tenant)
    check_subject(body.payload.subject)
    if body.dedupe_key is not None and b"idempotency-key" not in call.headers:
        call.headers = {**call.headers, b"idempotency-key": body.dedupe_key.encode()}
    try:
        recipient = parse_recipient(body.contact_email, TO, settings.domain, to_a_labels)
    except RecipientInvalid as error:
        raise problem_of(error) from None
    message_id = service.prefixed_id(MESSAGE_ID)
    texts = {TEXT_PART: body.payload.text}
    if body.payload.html is not None:
        texts[HTML_PART] = body.payload.html
    scheduled_at = None if body.scheduled_at is None else of(body.scheduled_at)
    command = SendMessage(
        caller=call.principal,
        agent=ref(body),
        recipients=[recipient],
        subject=body.payload.subject,
        body=make_contents(message_id, texts),
        settings=settings,
        new_message_id=message_id,
        new_thread_id=service.prefixed_id(THREAD_ID),
        in_reply_to=await _last_of_thread(service, call, body.thread_id),
        fence=body.fence,
        scheduled_at=scheduled_at,
        send_reason=body.send_reason,
        template_id=body.template_id,
    )
    shared = {
        "tenantId": call.principal.tenant,
        "contactEmail": body.contact_email,
        "requestId": message_id,
        "id": message_id,
    }
    now = service.clock()

    def render(message: Message) -> bytes:
        return dump(_decision(message, shared, scheduled_at, now))

    try:
        return await service.execute(call, command, render)
    except Problem as problem:
        if problem.code == MessageNotFound.code:  # The thread of others is unknown as well.
            raise problem_of(ThreadNotFound()) from None
        if problem.code not in _LIMITS:
            raise
        blocked = {"status": "blocked", "reason": problem.code, **_trace(problem.code)}
        agent_id = call.principal.agent_id or body.agent_id or body.agent_name or ""
        return Reply(body=dump({**shared, "agentId": agent_id, **blocked}))


async def _last_of_thread(service: Service, call: Call, thread_id: str | None) -> str | None:
    """Return the id of the last message of a thread; the command checks who takes part in it."""
    if thread_id is None:
        return None
    tenant = call.principal.tenant
    result = await service.mail.reader.thread_messages(tenant, thread_id, None, Range(), 1, 1)
    if not result.found.rows:
        raise ThreadNotFound
    return result.found.rows[0].message.id


def _decision(
    message: Message, shared: Json, scheduled_at: Timestamp | None, now: Timestamp
) -> Json:
    (recipient,) = message.recipients
    is_blocked = recipient.status in _BLOCKED
    reason = recipient.reason if is_blocked or recipient.status == "held" else None
    is_later = scheduled_at is not None and scheduled_at > now
    status = "blocked" if is_blocked else "scheduled" if is_later else "queued"
    return {
        **shared,
        "agentId": message.sender_id,
        "messageId": message.id,
        "threadId": message.thread_id,
        "status": status,
        **({} if reason is None else {"reason": reason}),
        **_trace(reason if is_blocked else None),
    }


def _trace(reason: str | None) -> dict[str, Any]:
    """Return the rules; the one that did not pass is the one of the reason."""
    failed = None if reason is None else _RULES[reason]
    rules = [
        {"rule": rule, "passed": rule != failed, "detail": reason if rule == failed else None}
        for rule in _ORDER
    ]
    decision = {"allow": reason is None, "reason": reason}
    return {"policyTrace": {"decision": decision, "auditEvents": rules}}
