"""Receive messages from outside: for agents, or reports about messages that were sent.

* Only recipients in the mail domain of the key's tenant are accepted. What is in another domain is
  ``not_local``, whether a tenant has that domain or not.
* The recipients of the envelope are not known here: those of To, Cc and of what the mail server
  adds (Delivered-To, X-Original-To, Envelope-To) count.
* A message whose sender claims to be in the tenant's own domain is rejected: agents send here.
* Reports are not authenticated. One has an effect only if it names a message and a recipient of it.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress
from typing import Any

import orjson
import structlog

from quorate.application.execution import Service
from quorate.application.mail.inbound_message import InboundMessage, loop_reason, parse_inbound
from quorate.application.mail.mail_reports import BounceReport, ComplaintReport
from quorate.application.mail.sending import MESSAGE_ID, THREAD_ID
from quorate.application.mail.unreadable_message import UnreadableMessage
from quorate.application.new_contents import salted
from quorate.application.operations import Call, Reply, handles
from quorate.application.rendering import dump
from quorate.contracts.mail.messages import RECEIVE_MAIL, InboundInfo, RejectedRecipient
from quorate.contracts.problems import Problem
from quorate.domain.identity.tenants import TenantIsPaused
from quorate.domain.mail.addresses import (
    CC,
    TO,
    Recipient,
    RecipientInvalid,
    parse_recipient,
)
from quorate.domain.mail.addresses import RECIPIENTS_MAX as SENT_RECIPIENTS_MAX
from quorate.domain.mail.attachments import NOT_STORED_PART
from quorate.domain.mail.deliveries import Delivery, delivery_id
from quorate.domain.mail.delivery_attempts import RecordBounce, RecordComplaint
from quorate.domain.mail.messages import HTML_PART, TEXT_PART, Attachment, Message
from quorate.domain.mail.receiving import DeliverReceived, ReceiveMessage
from quorate.domain.mail.settings import MailSettings
from quorate.domain.shared.email_addresses import AddressUnusable, contact
from quorate.domain.shared.records import record
from quorate.eventlog.envelopes import Accepted
from quorate.runtime.domain_names import to_a_labels

RECIPIENTS_MAX = 100  # Of the tenant's own.
PAUSED_RETRY_SECONDS = 300
ADDRESSES_SHOWN_MAX = 100  # Of To, and of Cc.
REFERENCES_MAX = 20  # The latest ones.
NOT_LOCAL, LOOP, FORGED = "not_local", "loop", "sender_is_local"
NO_SUCH_AGENT, TOO_MANY, UNKNOWN_REPORT = "no_such_agent", "too_many_recipients", "unknown_report"
_logger = structlog.get_logger(__name__)


@record
class _Recipients:
    """Those in the tenant's domain, and why others are rejected."""

    local: Sequence[Recipient]
    rejected: Sequence[RejectedRecipient]


@handles(RECEIVE_MAIL)
async def receive(service: Service, call: Call) -> Reply:
    try:
        return await _receive(service, call)
    except Problem as problem:
        if problem.code != TenantIsPaused.code:
            raise
    # Mail providers do not repeat what gets a status below 500.
    headers = {"Retry-After": str(PAUSED_RETRY_SECONDS)}
    raise Problem(
        "unavailable", "The tenant is paused. Deliver the message later.", headers=headers
    )


async def _receive(service: Service, call: Call) -> Reply:
    settings = service.mail.settings_of(call.principal.tenant)
    message = await _parse(service, call.body)
    recipients = _recipients(message, settings.domain)
    if message.report is not None:
        is_known = await _record_report(service, call, message.report)
        reason = None if is_known else UNKNOWN_REPORT
        return _reply(_all(recipients, reason), message)
    why = loop_reason(message, settings.domain)
    if why is not None:
        return _reply(_all(recipients, LOOP, why), message)
    if _domain(message.from_address) == settings.domain:
        return _reply(_all(recipients, FORGED), message)
    if not recipients.local:
        return _reply(_info(None, (), recipients.rejected), message)
    found, sequence = await _store(service, call, message, recipients.local, settings)
    rejected = [RejectedRecipient(**one) for one in found["rejected"]]
    info = _info(found["message_id"], found["accepted"], [*rejected, *recipients.rejected])
    return _reply(info, message, sequence)


async def _parse(service: Service, raw: bytes) -> InboundMessage:
    async with service.mail.parsers:
        try:
            return await asyncio.to_thread(parse_inbound, raw)
        except UnreadableMessage as error:
            raise Problem("malformed_request", f"{error.why}.") from None


def _recipients(message: InboundMessage, domain: str) -> _Recipients:
    local: dict[str, Recipient] = {}
    rejected: dict[str, RejectedRecipient] = {}
    given = [(one, TO) for one in message.to]
    given += [(one, CC) for one in (*message.cc, *message.delivered_to)]
    for address, field in given:
        reason = NOT_LOCAL
        if _domain(address) == domain:
            reason = TOO_MANY if len(local) >= RECIPIENTS_MAX else NO_SUCH_AGENT
            with suppress(RecipientInvalid):
                one = parse_recipient(address, field, domain, to_a_labels)
                if one.address in local:
                    continue
                if len(local) < RECIPIENTS_MAX:
                    local[one.address] = one
                    continue
        rejected[address] = RejectedRecipient(address=address, reason=reason)
    return _Recipients(local=list(local.values()), rejected=list(rejected.values()))


def _domain(address: str) -> str:
    return address.rpartition("@")[2].lower()


# -- A message for agents --------------------------------------------------------


async def _store(
    service: Service,
    call: Call,
    message: InboundMessage,
    recipients: Sequence[Recipient],
    settings: MailSettings,
) -> tuple[dict[str, Any], int]:
    """Return who has the message now and who is rejected, and the sequence of the log."""
    tenant, rfc_id = call.principal.tenant, message.rfc_message_id
    known = await service.mail.received.find(tenant, [rfc_id] if rfc_id else [])
    if rfc_id is not None and rfc_id in known:
        if await _is_same(service, tenant, known[rfc_id], message):
            return await _deliver(service, call, known[rfc_id], message, recipients)
        rfc_id = None  # Another message with the same Message-ID.
    command = await _command(service, tenant, message, recipients, settings, rfc_id)
    found, sequence = await _submit(service, call, command)
    if found["message_id"] not in {None, command.new_message_id}:
        # Another request has stored it meanwhile.
        return await _deliver(service, call, found["message_id"], message, recipients)
    return found, sequence


async def _is_same(service: Service, tenant: str, message_id: str, message: InboundMessage) -> bool:
    """Whether a stored message is this one. Else a message could be given to others by its id."""
    row = (await service.mail.reader.message(tenant, message_id, None)).found
    if row is None:
        return False
    stored = row.message
    return (stored.from_address, stored.to, stored.cc, stored.subject) == (
        message.from_address,
        message.to[:ADDRESSES_SHOWN_MAX],
        message.cc[:ADDRESSES_SHOWN_MAX],
        message.subject,
    ) and (stored.erased_at is not None or (row.text, row.html) == _texts(message))


async def _deliver(
    service: Service,
    call: Call,
    message_id: str,
    message: InboundMessage,
    recipients: Sequence[Recipient],
) -> tuple[dict[str, Any], int]:
    command = DeliverReceived(
        recipients=recipients, from_address=message.from_address, message_id=message_id
    )
    return await _submit(service, call, command)


async def _submit(
    service: Service, call: Call, command: ReceiveMessage | DeliverReceived
) -> tuple[dict[str, Any], int]:
    def render(reception: Any) -> bytes:  # noqa: ANN401 - a Reception.
        return orjson.dumps(
            {
                "message_id": reception.message_id,
                "accepted": reception.accepted,
                "rejected": [
                    {"address": one.address, "reason": one.reason} for one in reception.rejected
                ],
            }
        )

    result: Accepted = await service.submit(call, command, render)
    return orjson.loads(result.body), result.sequence


async def _command(  # noqa: PLR0917 - the parts of the command.
    service: Service,
    tenant: str,
    message: InboundMessage,
    recipients: Sequence[Recipient],
    settings: MailSettings,
    rfc_id: str | None,
) -> ReceiveMessage:
    message_id = service.prefixed_id(MESSAGE_ID)
    text, html = _texts(message)
    parts = {TEXT_PART: text.encode()} | ({} if html is None else {HTML_PART: html.encode()})
    attachments: list[Attachment] = []
    for number, one in enumerate(message.attachments):
        part = NOT_STORED_PART if one.data is None else f"attachment-{number}"
        if one.data is not None:
            parts[part] = one.data
        attachments.append(
            {
                "part": part,
                "name": one.name,
                "media": one.content_type,
                "bytes": one.size,
                "sha256": one.sha256,
            }
        )
    return ReceiveMessage(
        recipients=recipients,
        from_address=message.from_address,
        to=message.to[:ADDRESSES_SHOWN_MAX],
        cc=message.cc[:ADDRESSES_SHOWN_MAX],
        subject=message.subject,
        body=tuple(salted(message_id, part, data) for part, data in parts.items()),
        settings=settings,
        new_message_id=message_id,
        new_thread_id=service.prefixed_id(THREAD_ID),
        rfc_message_id=rfc_id,
        replied_ids=await _replied(service, tenant, message),
        attachments=tuple(attachments),
    )


def _texts(message: InboundMessage) -> tuple[str, str | None]:
    """Return the bodies without NUL, which no text of the service may contain."""
    html = None if message.html is None else message.html.replace("\0", "")
    return message.text.replace("\0", ""), html


async def _replied(service: Service, tenant: str, message: InboundMessage) -> tuple[str, ...]:
    """Return the ids of messages that it refers to, the latest first."""
    named = dict.fromkeys([*message.in_reply_to, *reversed(message.references)])
    latest = list(named)[:REFERENCES_MAX]
    foreign = await service.mail.received.find(tenant, latest)
    found = (foreign.get(one) or _own_id(one) for one in latest)
    return tuple(dict.fromkeys(filter(None, found)))


def _own_id(rfc_id: str | None) -> str | None:
    """Return the id of a message of ours. Its domain is ignored, for it may have changed since."""
    local = (rfc_id or "").partition("@")[0]
    return local if local.startswith(MESSAGE_ID) and len(local) <= len(MESSAGE_ID) + 32 else None


# -- Reports ---------------------------------------------------------------------


async def _record_report(
    service: Service, call: Call, report: BounceReport | ComplaintReport
) -> bool:
    """Record what a report says; return whether it is about a message of the tenant."""
    tenant, message_id = call.principal.tenant, _own_id(report.original_message_id)
    if message_id is None:
        return False
    row = (await service.mail.reader.message(tenant, message_id, None)).found
    if row is None:
        return False
    deliveries = [one async for one in _deliveries(service, tenant, row.message)]
    if isinstance(report, BounceReport):
        details = {_key(one.address): one.diagnostic or one.status for one in report.recipients}
        for one in _named(deliveries, details):
            detail = details[one.contact_key]
            bounce = RecordBounce(message_id=message_id, delivery_id=one.id, detail=detail)
            await service.submit(call, bounce, lambda _: b"")
        return True
    if report.recipient is not None:
        deliveries = _named(deliveries, [_key(report.recipient)])
    if len(deliveries) == 1:  # Without a recipient, a complaint may be about any of several.
        complaint = RecordComplaint(message_id=message_id, delivery_id=deliveries[0].id)
        await service.submit(call, complaint, lambda _: b"")
    return True


async def _deliveries(service: Service, tenant: str, message: Message) -> AsyncIterator[Delivery]:
    for number in range(SENT_RECIPIENTS_MAX):
        found = await service.mail.reader.delivery(tenant, delivery_id(message.id, number))
        if found.found is not None:
            yield found.found


def _named(deliveries: Sequence[Delivery], keys: Iterable[str | None]) -> list[Delivery]:
    known = set(keys)
    return [one for one in deliveries if one.contact_key in known]


def _key(address: str) -> str | None:
    try:
        return contact(address, to_a_labels).key
    except AddressUnusable:
        return None


# -- Responses ---------------------------------------------------------------------


def _all(recipients: _Recipients, reason: str | None, detail: str | None = None) -> InboundInfo:
    """Accept or reject all local recipients for one reason."""
    addresses = [one.address for one in recipients.local]
    if reason is None:
        return _info(None, addresses, recipients.rejected)
    rejected = [RejectedRecipient(address=one, reason=reason, detail=detail) for one in addresses]
    return _info(None, (), [*rejected, *recipients.rejected])


def _info(
    message_id: str | None, accepted: Sequence[str], rejected: Sequence[RejectedRecipient]
) -> InboundInfo:
    return InboundInfo(message_id=message_id, accepted=list(accepted), rejected=list(rejected))


def _reply(info: InboundInfo, message: InboundMessage, sequence: int | None = None) -> Reply:
    if info.rejected:
        reasons = sorted({one.reason for one in info.rejected})
        _logger.info("mail.rejected", reasons=reasons, message_id=message.rfc_message_id)
    return Reply(body=dump(info.model_dump(mode="json")), sequence=sequence)
