"""Send messages to sessions, and wait for the replies.

* A wait holds a subscription to the notifications of the sender, and no database connection. It is
  woken by the sender's notifications only, so it costs nothing while other agents work.
* A reply belongs to one message (``reply_id``), so several calls of one agent may wait at a time.
* A wait ends with the reply, its time, the end of the connection or of the key, or the end of the
  service. The message stays sent, and the reply can be read later.
"""

import asyncio
from typing import Any

import orjson

from quorate.api.event_streams import SubscriptionWait, wait_while_connected
from quorate.application.execution import Service, replay_headers
from quorate.application.new_contents import salted
from quorate.application.operations import Call, Reply
from quorate.application.rendering import Json, dump
from quorate.application.sessions.session_rendering import json_of, render_message
from quorate.application.sessions.tool_calls import ToolCaller, handles_tool
from quorate.contracts.problems import Problem
from quorate.contracts.sessions.session_messages import SESSIONS_SEND, SessionsSendInput
from quorate.domain.sessions.session_messages import (
    JSON_PART,
    MESSAGE_ID,
    SESSION_BODY_BYTES_MAX,
    TEXT_PART,
    SessionBodyTooLarge,
)
from quorate.domain.sessions.session_sending import SendToSession, SentMessage
from quorate.domain.shared.contents import Content
from quorate.eventlog.envelopes import Accepted
from quorate.projections.sessions.session_queries import KeyedMessage


@handles_tool(SESSIONS_SEND)
async def send_to_session(service: Service, call: Call, caller: ToolCaller) -> Reply:
    body: SessionsSendInput = call.body
    agent_id = caller.require_agent()
    command = SendToSession(
        caller=call.principal,
        agent=caller.agent,
        restrictions=caller.restrictions,
        key=body.key,
        body=make_session_content(service, body.message),
        role=body.role,
        context_label=body.context,
        in_reply_to=body.in_reply_to,
        model=body.model,
    )

    def render(sent: SentMessage) -> bytes:
        return dump(
            {
                "key": sent.session.key,
                "label": sent.session.label,
                "sent": True,
                "waitForReply": body.wait_for_reply,
                "message_id": sent.message.id,
                "index": sent.message.index,
            }
        )

    if not body.wait_for_reply:
        return _reply(service, call, await service.submit(call, command, render), None)
    # Before the message is sent: a wait that is refused must not leave it behind.
    subscription = service.subscriptions.subscribe_to_notifications(
        call.principal.tenant, agent_id, call.principal.key_id
    )
    async with wait_while_connected(call, subscription) as wait:
        accepted = await service.submit(call, command, render)
        message_id = orjson.loads(accepted.body)["message_id"]
        reply = await _wait_for_reply(service, call, wait, message_id)
        if wait.is_revoked:
            raise Problem("unauthorized", "The key was revoked.")
    return _reply(service, call, accepted, reply)


def _reply(service: Service, call: Call, accepted: Accepted, reply: KeyedMessage | None) -> Reply:
    response = dump({**orjson.loads(accepted.body), **_reply_fields(reply)})
    service.read_budget.charge(call.principal, len(response))
    return Reply(body=response, sequence=accepted.sequence, headers=replay_headers(accepted))


def _reply_fields(reply: KeyedMessage | None) -> Json:
    rendered: Any = None if reply is None else render_message(reply.row, reply.session_key)
    return {
        "replied": reply is not None,
        "reply": rendered,
        "result": {"ok": True, "text": None if rendered is None else rendered["content"]},
    }


def make_session_content(service: Service, message: Any) -> Content:  # noqa: ANN401 - JSON.
    """Return the body of a new message; raise SessionBodyTooLarge."""
    is_text = isinstance(message, str)
    data = message.encode() if is_text else json_of(message)
    if len(data) > SESSION_BODY_BYTES_MAX:
        raise SessionBodyTooLarge(SESSION_BODY_BYTES_MAX)
    part = TEXT_PART if is_text else JSON_PART
    return salted(service.prefixed_id(MESSAGE_ID), part, data)


async def _wait_for_reply(
    service: Service, call: Call, wait: SubscriptionWait, message_id: str
) -> KeyedMessage | None:
    """Return the reply to a message, or None when the wait ends without one."""
    body: SessionsSendInput = call.body
    tenant, clock = call.principal.tenant, asyncio.get_running_loop().time
    until = clock() + body.timeout_seconds
    sessions = service.sessions.sessions
    while True:
        wait.begin()
        wait.restart()
        reply = await sessions.reply(tenant, message_id)
        left = until - clock()
        if reply is not None or wait.has_ended or left <= 0:
            return reply
        await wait.for_change(left)
