"""The inbox of an agent over HTTP and NATS, with long polls for new messages."""

import asyncio

from quorate.api.event_streams import check_cursor, wait_while_connected
from quorate.application.execution import Service
from quorate.application.mail import mailbox_owner
from quorate.application.mail.cursors import range_after, range_before
from quorate.application.mail.reading import read_inbox
from quorate.application.operations import Call, Reply, handles
from quorate.contracts.mail.messages import LIST_INBOX, InboxQuery
from quorate.contracts.problems import Problem
from quorate.projections.mail.queries import Range


@handles(LIST_INBOX)
async def list_inbox(service: Service, call: Call) -> Reply:
    query: InboxQuery = call.query
    if query.since is not None and query.cursor is not None:
        raise Problem("invalid_request", "cursor: not together with since.")
    agent_id = await mailbox_owner.agent_id(service, call)
    within = range_before(query.cursor)
    if query.since is not None:
        within = range_after(query.since, "since")
    result, body = await read_inbox(service, call, agent_id, within)
    check_cursor(service, None, within.after, result.sequence)
    if query.wait and not result.found.rows:
        sequence, body = await _wait(service, call, agent_id, within)
    else:
        sequence = result.sequence
    service.read_budget.charge(call.principal, len(body))
    return Reply(body=body, sequence=sequence)


async def _wait(service: Service, call: Call, agent_id: str, within: Range) -> tuple[int, bytes]:
    """Return the first page with a message, or the empty page when the wait ends."""
    query: InboxQuery = call.query
    principal, clock = call.principal, asyncio.get_running_loop().time
    until = clock() + query.wait
    subscription = service.subscriptions.subscribe_to_notifications(
        principal.tenant, agent_id, principal.key_id
    )
    async with wait_while_connected(call, subscription) as wait:
        while True:
            wait.begin()
            wait.restart()
            result, body = await read_inbox(service, call, agent_id, within)
            left = until - clock()
            if result.found.rows or wait.has_ended or left <= 0:
                break
            await wait.for_change(left)
        if wait.is_revoked:
            raise Problem("unauthorized", "The key was revoked.")
    return result.sequence, body
