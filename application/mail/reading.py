"""Read sent messages, single messages and threads. The inbox is in ``api/``: it can wait."""

from quorate.application.acting_agents import acting_agent_id
from quorate.application.execution import Service
from quorate.application.mail import mailbox_owner
from quorate.application.mail.cursors import range_after, range_before
from quorate.application.mail.rendering import (
    cursor_of,
    make_page,
    render_inbox,
    render_message,
    render_page,
    render_thread,
)
from quorate.application.operations import Call, Reply, handles, too_large_for_nats
from quorate.application.rendering import Json, dump
from quorate.contracts.downloads import download_headers, safe_media
from quorate.contracts.mail.messages import (
    GET_ATTACHMENT,
    GET_MESSAGE,
    GET_THREAD,
    LIST_SENT,
    InboxQuery,
    MessageQuery,
    SentQuery,
    ThreadQuery,
)
from quorate.domain.mail.attachments import AttachmentNotStored, find_attachment
from quorate.domain.mail.mailbox import MarkRead
from quorate.domain.mail.messages import MessageNotFound
from quorate.domain.mail.threads import ThreadNotFound
from quorate.domain.shared.records import changed
from quorate.projections.mail.queries import InboxFilter, MailRow, MailRows, Range
from quorate.projections.snapshots import QueryResult


async def read_inbox(
    service: Service, call: Call, agent_id: str, within: Range
) -> tuple[QueryResult[MailRows], bytes]:
    """Return one page of an inbox, and its response."""
    query: InboxQuery = call.query
    sender = query.from_address
    filters = InboxFilter(
        unread_only=query.unread_only,
        from_address=None if sender is None else sender.lower(),
        thread_id=query.thread_id,
        kind=query.kind,
        task_id=query.task_id,
    )
    tenant = call.principal.tenant
    async with service.read_budget.turn(call.principal):
        result = await service.mail.reader.inbox(
            tenant, agent_id, filters, within, query.limit, call.page_bytes_max
        )
    rows = result.found
    page = make_page(
        _messages(rows, agent_id), has_more=rows.has_more, cursor=cursor_of(rows, within)
    )
    return result, dump(render_inbox(page, unread_count=rows.unread))


def _messages(rows: MailRows, agent_id: str | None) -> list[Json]:
    return [render_message(row, agent_id) for row in rows.rows]


@handles(LIST_SENT)
async def list_sent(service: Service, call: Call) -> Reply:
    query: SentQuery = call.query
    agent_id = await mailbox_owner.agent_id(service, call)
    within = range_before(query.cursor)
    async with service.read_budget.turn(call.principal):
        result = await service.mail.reader.sent(
            call.principal.tenant, agent_id, within, query.limit, call.page_bytes_max
        )
    rows = result.found
    page = make_page(
        _messages(rows, agent_id), has_more=rows.has_more, cursor=cursor_of(rows, within)
    )
    return _charged(service, call, dump(render_page(page)), result.sequence)


def _charged(service: Service, call: Call, body: bytes, sequence: int) -> Reply:
    service.read_budget.charge(call.principal, len(body))
    return Reply(body=body, sequence=sequence)


@handles(GET_MESSAGE)
async def get_message(service: Service, call: Call) -> Reply:
    query: MessageQuery = call.query
    message_id, principal = call.path["message_id"], call.principal
    agent_id = await acting_agent_id(service, call)
    found = await service.mail.reader.message(principal.tenant, message_id, agent_id)
    row = await _readable(service, principal.tenant, found.found, agent_id)
    is_unread = row.entry is not None and row.entry.read_at is None
    if agent_id is not None and is_unread and query.mark_read and principal.role != "auditor":
        command = MarkRead(caller=principal, agent_id=agent_id, message_id=message_id)
        await service.submit_mark(call, command, lambda _: b"")
        found = await service.mail.reader.message(principal.tenant, message_id, agent_id)
        row = row if found.found is None else _kept(found.found) or row
    return _charged(service, call, dump(render_message(row, agent_id)), found.sequence)


async def _readable(
    service: Service, tenant: str, found: MailRow | None, agent_id: str | None
) -> MailRow:
    """Return the message if the mailbox may read it; raise MessageNotFound."""
    row = None if found is None else _kept(found)
    if row is None or not await _may_read(service, tenant, row, agent_id):
        raise MessageNotFound
    return row


@handles(GET_ATTACHMENT)
async def get_attachment(service: Service, call: Call) -> Reply:
    message_id, principal = call.path["message_id"], call.principal
    agent_id = await acting_agent_id(service, call)
    found = await service.mail.reader.message(principal.tenant, message_id, agent_id)
    message = (await _readable(service, principal.tenant, found.found, agent_id)).message
    attachment = find_attachment(message, call.path["number"])
    size = int(attachment["bytes"])
    if call.response_bytes_max is not None and size > call.response_bytes_max:
        raise too_large_for_nats(GET_ATTACHMENT, size)
    async with service.read_budget.turn(principal):
        content = await service.reader.contents.one(
            principal.tenant, message_id, str(attachment["part"])
        )
        if content is None:  # It was erased in this moment.
            raise AttachmentNotStored("erased")
        service.read_budget.charge(principal, size)
    return Reply(
        body=content.data,
        sequence=found.sequence,
        media=safe_media(str(attachment["media"])).encode(),
        headers=download_headers(str(attachment["name"])),
    )


def _kept(row: MailRow) -> MailRow | None:
    """Return None if the agent deleted it; its thread still shows it."""
    if row.entry is None or row.entry.deleted_at is None:
        return row
    if row.message.sender_id == row.entry.agent_id:  # To itself: the sent one is left.
        return changed(row, entry=None)
    return None


async def _may_read(service: Service, tenant: str, row: MailRow, agent_id: str | None) -> bool:
    """Whether a mailbox has the message, or its agent takes part in the thread."""
    if agent_id is None:
        return True
    if row.entry is not None:
        return True
    if row.message.sender_id == agent_id:
        return not row.message.is_deleted_by_sender
    thread = await service.mail.reader.thread(tenant, row.message.thread_id)
    return thread.found is not None and agent_id in thread.found.agent_ids


@handles(GET_THREAD)
async def get_thread(service: Service, call: Call) -> Reply:
    query: ThreadQuery = call.query
    thread_id, tenant = call.path["thread_id"], call.principal.tenant
    agent_id = await acting_agent_id(service, call)
    thread = (await service.mail.reader.thread(tenant, thread_id)).found
    if thread is None or (agent_id is not None and agent_id not in thread.agent_ids):
        raise ThreadNotFound
    within = range_after(query.cursor) if query.order == "asc" else range_before(query.cursor)
    async with service.read_budget.turn(call.principal):
        result = await service.mail.reader.thread_messages(
            tenant, thread_id, agent_id, within, query.limit, call.page_bytes_max
        )
    rows = result.found
    page = make_page(
        _messages(rows, agent_id), has_more=rows.has_more, cursor=cursor_of(rows, within)
    )
    body = render_thread(
        page,
        thread_id=thread.id,
        subject=thread.subject,
        participant_addresses=list(thread.addresses),
    )
    return _charged(service, call, dump(body), result.sequence)
