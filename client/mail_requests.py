"""Requests of agent mail as data: one function for each operation of a mailbox, without I/O.

``Client.execute`` sends a request; ``Agent.mail`` has the friendly forms. With an agent key,
``agent`` may be ``AgentRef()``: the key names its mailbox.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, TypeAlias, TypeVar

from pydantic import BaseModel

from quorate.client.request_builder import Request, request_for
from quorate.contracts.downloads import Download
from quorate.contracts.mail.mailbox import (
    ACKNOWLEDGE,
    DELETE_MESSAGE,
    GET_ACCOUNT,
    GET_POLICY,
    MARK_READ,
    MARK_UNREAD,
    PUT_POLICY,
    STAR,
    AccountInfo,
    Deleted,
    MarksInfo,
    PolicyBody,
    PolicyInfo,
    StarBody,
    Starred,
)
from quorate.contracts.mail.messages import (
    GET_ATTACHMENT,
    GET_MESSAGE,
    GET_THREAD,
    LIST_INBOX,
    LIST_LENGTH_DEFAULT,
    LIST_LENGTH_MAX,
    LIST_SENT,
    SEARCH_MAIL,
    SEND_MAIL,
    InboxPage,
    InboxQuery,
    MailMessage,
    MailPage,
    MessageQuery,
    SearchPage,
    SearchQuery,
    SendMailBody,
    SentInfo,
    SentQuery,
    ThreadPage,
    ThreadQuery,
)
from quorate.contracts.operations import Operation
from quorate.contracts.wire_models import SnakeAgentQuery, SnakeAgentRequest, unchecked
from quorate.domain.identity.agents import AgentRef
from quorate.domain.mail.accounts import Mode
from quorate.domain.mail.messages import Importance
from quorate.domain.mail.subjects import Kind

Q = TypeVar("Q", bound=BaseModel)
Order: TypeAlias = Literal["asc", "desc"]


def _named(agent: AgentRef) -> dict[str, str]:
    fields = {"agent_id": agent.id, "agent_name": agent.name}
    return {name: value for name, value in fields.items() if value is not None}


def _query(model: type[Q], agent: AgentRef, **fields: Any) -> Q:  # noqa: ANN401 - any field.
    given = {name: value for name, value in fields.items() if value is not None}
    return unchecked(model)(**given, **_named(agent))


# -- Messages ----------------------------------------------------------------


def send(
    agent: AgentRef,
    to: Sequence[str],
    subject: str,
    text: str,
    *,
    html: str | None = None,
    cc: Sequence[str] = (),
    in_reply_to: str | None = None,
    importance: Importance = "normal",
    ack_required: bool = False,
    lease_fence: int | None = None,
) -> Request[SentInfo]:
    """Send a message to 1 to 10 addresses. A block by the send gate is a result."""
    body = unchecked(SendMailBody)(
        **_named(agent),
        to=list(to),
        cc=list(cc),
        subject=subject,
        body_text=text,
        body_html=html,
        in_reply_to=in_reply_to,
        importance=importance,
        ack_required=ack_required,
        lease_fence=lease_fence,
    )
    return request_for(SEND_MAIL, body)


def list_inbox(
    agent: AgentRef,
    *,
    unread_only: bool = False,
    from_address: str | None = None,
    thread_id: str | None = None,
    kind: Kind | None = None,
    task_id: str | None = None,
    since: str | None = None,
    cursor: str | None = None,
    limit: int = LIST_LENGTH_DEFAULT,
    wait_seconds: float = 0.0,
) -> Request[InboxPage]:
    """List received messages: the newest first, or those after ``since``, the oldest first.

    With ``wait_seconds`` > 0 this is a long poll for the first message.
    """
    query = _query(
        InboxQuery,
        agent,
        limit=limit,
        unread_only=unread_only or None,
        from_address=from_address,
        thread_id=thread_id,
        kind=kind,
        task_id=task_id,
        since=since,
        cursor=cursor,
        wait=wait_seconds or None,
    )
    return request_for(LIST_INBOX, query=query)


def list_sent(
    agent: AgentRef, *, cursor: str | None = None, limit: int = LIST_LENGTH_DEFAULT
) -> Request[MailPage]:
    return request_for(LIST_SENT, query=_query(SentQuery, agent, limit=limit, cursor=cursor))


def get_message(
    agent: AgentRef, message_id: str, *, mark_read: bool = True
) -> Request[MailMessage]:
    """Get one message, and mark it as read. Rejected with MessageNotFoundError."""
    query = _query(MessageQuery, agent, mark_read=mark_read)
    return request_for(GET_MESSAGE, query=query, message_id=message_id)


def get_attachment(agent: AgentRef, message_id: str, number: int) -> Request[Download]:
    """Download an attachment; they are numbered from 1."""
    query = _query(SnakeAgentQuery, agent)
    return request_for(GET_ATTACHMENT, query=query, message_id=message_id, number=str(number))


def get_thread(
    agent: AgentRef,
    thread_id: str,
    *,
    order: Order = "asc",
    cursor: str | None = None,
    limit: int = LIST_LENGTH_MAX,
) -> Request[ThreadPage]:
    """Get a thread and one page of its messages. Rejected with ThreadNotFoundError."""
    query = _query(ThreadQuery, agent, limit=limit, cursor=cursor, order=order)
    return request_for(GET_THREAD, query=query, thread_id=thread_id)


def search(
    agent: AgentRef,
    words: str,
    *,
    from_address: str | None = None,
    to_address: str | None = None,
    kind: Kind | None = None,
    after: datetime | None = None,
    before: datetime | None = None,
    cursor: str | None = None,
    limit: int = LIST_LENGTH_DEFAULT,
) -> Request[SearchPage]:
    """Search sent and received messages that contain all words, the best match first."""
    query = _query(
        SearchQuery,
        agent,
        q=words,
        from_address=from_address,
        to_address=to_address,
        kind=kind,
        after=after,
        before=before,
        cursor=cursor,
        limit=limit,
    )
    return request_for(SEARCH_MAIL, query=query)


# -- Marks, account and policy -----------------------------------------------


def _mark(operation: Operation[MarksInfo], agent: AgentRef, message_id: str) -> Request[MarksInfo]:
    body = unchecked(SnakeAgentRequest)(**_named(agent))
    return request_for(operation, body, message_id=message_id)


def mark_read(agent: AgentRef, message_id: str) -> Request[MarksInfo]:
    return _mark(MARK_READ, agent, message_id)


def mark_unread(agent: AgentRef, message_id: str) -> Request[MarksInfo]:
    return _mark(MARK_UNREAD, agent, message_id)


def acknowledge(agent: AgentRef, message_id: str) -> Request[MarksInfo]:
    """Acknowledge a message; its sender is notified."""
    return _mark(ACKNOWLEDGE, agent, message_id)


def star(agent: AgentRef, message_id: str, *, starred: bool | None = True) -> Request[Starred]:
    """Set or remove the star of a message; None toggles it."""
    body = unchecked(StarBody)(**_named(agent), starred=starred)
    return request_for(STAR, body, message_id=message_id)


def delete_message(agent: AgentRef, message_id: str) -> Request[Deleted]:
    """Delete a message from this mailbox; others keep it."""
    query = _query(SnakeAgentQuery, agent)
    return request_for(DELETE_MESSAGE, query=query, message_id=message_id)


def get_account(agent: AgentRef) -> Request[AccountInfo]:
    return request_for(GET_ACCOUNT, query=_query(SnakeAgentQuery, agent))


def get_policy(agent: AgentRef) -> Request[PolicyInfo]:
    return request_for(GET_POLICY, query=_query(SnakeAgentQuery, agent))


def set_policy(
    agent: AgentRef, mode: Mode, *, allow: Sequence[str] = (), block: Sequence[str] = ()
) -> Request[PolicyInfo]:
    """Replace the policy of a mailbox: whose mail it accepts."""
    body = unchecked(PolicyBody)(**_named(agent), mode=mode, allow=list(allow), block=list(block))
    return request_for(PUT_POLICY, body)
