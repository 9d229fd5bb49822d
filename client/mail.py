"""The mailbox of a connected agent: send, read, reply, and receive as messages arrive.

* A recipient is an address, or the name of an agent of the same tenant.
* Each call of ``send`` or ``reply`` has its own idempotency key, which all its attempts carry. So a
  retry never sends twice. To send once across restarts of the program, pass ``idempotency_key``.
* The position in a mailbox is ``message.sequence``. ``incoming(since=...)`` continues after it.
* Lists are pages. ``iterate_...`` requests further pages when they are needed.
"""

import re
from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import Protocol

from quorate.client import mail_requests
from quorate.client.agent_context import AgentContext
from quorate.client.background_tasks import BackgroundTasks
from quorate.client.errors import QuorateError
from quorate.client.mail_arrivals import follow_inbox
from quorate.client.mail_reading import MailReader, MessageOrId, message_id
from quorate.client.mail_tasks import (
    TASK_SECONDS_DEFAULT,
    Task,
    TaskRequest,
    make_requests,
    outcome_of,
    run_together,
    task_subject,
)
from quorate.client.notifications import NotificationFeed
from quorate.contracts.mail.messages import MailMessage, SentInfo
from quorate.domain.mail.addresses import agent_address
from quorate.domain.mail.messages import SUBJECT_LENGTH_MAX, Importance
from quorate.domain.mail.subjects import ESCALATION, Kind, TaskKind

_REPLY = re.compile(r"\s*re:", re.IGNORECASE)
_PROTOCOL = re.compile(r"[A-Z]+:\S*?(?:[\s:;,|\u2013\u2014]+|\Z)")


class Fenced(Protocol):
    """A lease, of either face of the SDK."""

    @property
    def fence(self) -> int: ...


def reply_subject(replied: MailMessage, kind: TaskKind | None) -> str:
    """Return the subject of a reply; raise ValueError for an answer to what is no task."""
    subject = replied.subject
    if kind is not None:
        if replied.kind is None or replied.kind == ESCALATION:
            raise ValueError("the message is no task: its subject has no kind")
        title = _PROTOCOL.sub("", subject, count=1)
        if replied.task_id is None:  # ``TASK: title``, without an id.
            return f"{kind}: {title}"[:SUBJECT_LENGTH_MAX]
        return task_subject(kind, replied.task_id, title)
    return (subject if _REPLY.match(subject) else f"Re: {subject}")[:SUBJECT_LENGTH_MAX]


class Mailbox(MailReader):
    """The mailbox of an agent: ``agent.mail``. Its methods raise the exceptions of ``Agent``."""

    def __init__(self, context: AgentContext, feed: NotificationFeed) -> None:
        super().__init__(context)
        self._feed = feed
        self._address: str | None = None

    @property
    def background(self) -> BackgroundTasks:
        """The background tasks of the agent."""
        return self._context.background

    async def address(self) -> str:
        """Return the address of the agent. The service is asked once."""
        if self._address is None:
            self._address = (await self.account()).email_address
        return self._address

    # -- Send ----------------------------------------------------------------

    async def send(
        self,
        to: str | Sequence[str],
        subject: str,
        text: str,
        *,
        html: str | None = None,
        cc: str | Sequence[str] = (),
        in_reply_to: MessageOrId | None = None,
        importance: Importance = "normal",
        ack_required: bool = False,
        lease: Fenced | None = None,
        lease_fence: int | None = None,
        idempotency_key: str | None = None,
    ) -> SentInfo:
        """Send a message to 1 to 10 recipients, ``to`` and ``cc`` together.

        * ``in_reply_to``: a message of the same thread, or its id.
        * ``ack_required``: the recipients must acknowledge the message.
        * ``lease``, ``lease_fence``: the lease on a person, or its fence. The send gate blocks a
          stale one.
        * ``idempotency_key``: the message is sent once for this key, also by later calls.

        A block by the send gate is a result: see ``status``, and ``reason`` of each recipient.

        Raises RecipientInvalidError, TooManyRecipientsError, SubjectTooLongError,
        MessageNotFoundError for ``in_reply_to``, and SendingLimitReachedError.
        """
        request = mail_requests.send(
            self._context.agent_ref,
            await self._addresses(to),
            subject,
            text,
            html=html,
            cc=await self._addresses(cc),
            in_reply_to=None if in_reply_to is None else message_id(in_reply_to),
            importance=importance,
            ack_required=ack_required,
            lease_fence=lease.fence if lease is not None else lease_fence,
        )
        response = await self._context.transport.send(request, idempotency_key=idempotency_key)
        return response.result

    async def reply(
        self,
        message: MessageOrId,
        text: str,
        *,
        html: str | None = None,
        kind: TaskKind | None = None,
        subject: str | None = None,
        reply_all: bool = False,
        importance: Importance = "normal",
        ack_required: bool = False,
        lease: Fenced | None = None,
        lease_fence: int | None = None,
        idempotency_key: str | None = None,
    ) -> SentInfo:
        """Reply in the thread of a message, to its sender. The rest is as in ``send``.

        * ``kind``: answer a task. The subject is ``RESULT:{task_id}`` or the like, with the title
          of the task. Raises ValueError for a message without a task id.
        * ``subject``: the default is that of the message after one ``Re:``.
        * ``reply_all``: the other recipients get a copy.

        A reply to a message of the agent itself goes to the recipients of that message.
        """
        replied = message
        if isinstance(replied, str):
            replied = await self.message(replied, mark_read=False)
        to, cc = await self._repliers(replied, reply_all=reply_all)
        return await self.send(
            to,
            subject if subject is not None else reply_subject(replied, kind),
            text,
            html=html,
            cc=cc,
            in_reply_to=replied,
            importance=importance,
            ack_required=ack_required,
            lease=lease,
            lease_fence=lease_fence,
            idempotency_key=idempotency_key,
        )

    async def _repliers(
        self, replied: MailMessage, *, reply_all: bool
    ) -> tuple[Sequence[str], Sequence[str]]:
        """Return the recipients of a reply, and those of its copies."""
        others = [*replied.to_addresses, *replied.cc_addresses]
        if replied.direction == "outbound":
            return (others, ()) if reply_all else (replied.to_addresses, ())
        if not reply_all:
            return [replied.from_address], ()
        address = (await self.address()).lower()
        own = {address, agent_address(self._context.agent_id, address.rpartition("@")[2])}
        left_out = {*own, replied.from_address.lower()}
        return [replied.from_address], [one for one in others if one.lower() not in left_out]

    async def send_located(
        self, to: str, subject: str, text: str, idempotency_key: str | None
    ) -> tuple[SentInfo, int]:
        """Send a message; return the position after which its answers arrive as well."""
        ref = self._context.agent_ref
        request = mail_requests.send(ref, await self._addresses(to), subject, text)
        response = await self._context.transport.send(request, idempotency_key=idempotency_key)
        sent, position = response.result, response.sequence
        if position is None or response.replayed:
            position = (await self.message(sent.message_id, mark_read=False)).sequence
        return sent, position

    async def _addresses(self, to: str | Sequence[str]) -> Sequence[str]:
        """Return addresses; a name without a domain is of an agent of the same tenant."""
        names = [to] if isinstance(to, str) else list(to)
        if all("@" in name for name in names):
            return names
        domain = (await self.address()).rpartition("@")[2]
        return [name if "@" in name else agent_address(name, domain) for name in names]

    # -- Tasks ---------------------------------------------------------------

    async def request(
        self,
        to: str,
        task: Task,
        *,
        timeout_seconds: float | None = TASK_SECONDS_DEFAULT,
        idempotency_key: str | None = None,
    ) -> MailMessage:
        """Send a task to an agent, and return its ``RESULT:``.

        The subject is ``TASK:{id} — {name}``. The body is a JSON object: the fields of ``task``,
        ``task_id`` and, as ``callback``, the address of this agent. Without ``id`` the task has a
        new one. Only an answer of that agent with that id counts.

        With ``idempotency_key`` and ``id``, a program that was restarted can repeat the call: the
        task is not sent again, and an answer that has arrived meanwhile is returned.

        Exceptions:

        * TaskFailedError, TaskCancelledError: the agent answered ``ERROR:`` or ``CANCEL:``;
        * MailTimeoutError: no answer within ``timeout_seconds``; None waits without limit;
        * MailNotDeliveredError: the task did not reach the agent.

        At the timeout, and when the caller is cancelled, ``CANCEL:{id}`` is sent to the agent.
        """
        self._context.process.check()
        return await TaskRequest(self, to, task).run(timeout_seconds, idempotency_key)

    async def gather(
        self,
        requests: Iterable[tuple[str, Task]],
        *,
        timeout_seconds: float | None = TASK_SECONDS_DEFAULT,
    ) -> list[MailMessage]:
        """Send tasks to agents at once, and return their results in the order of ``requests``.

        The first failure cancels all other requests and is raised; ``request`` names the
        exceptions. ``collect`` waits for all instead.
        """
        made = make_requests(self, requests)
        return await run_together([one.run(timeout_seconds, None) for one in made])

    async def collect(
        self,
        requests: Iterable[tuple[str, Task]],
        *,
        timeout_seconds: float | None = TASK_SECONDS_DEFAULT,
    ) -> list[MailMessage | QuorateError]:
        """Like ``gather``, but return a failed request as its exception."""
        made = make_requests(self, requests)
        return await run_together([outcome_of(one.run(timeout_seconds, None)) for one in made])

    # -- Receive and read ----------------------------------------------------

    def incoming(
        self,
        since: int | str | None = None,
        *,
        kind: Kind | None = None,
        task_id: str | None = None,
        from_address: str | None = None,
        thread_id: str | None = None,
        unread_only: bool = False,
    ) -> AsyncGenerator[MailMessage, None]:
        """Yield messages as they arrive: in order, each once, also across outages.

        ``since`` is the ``sequence`` of the last message that you processed, also by an earlier
        process, or the ``cursor`` of a page; 0 begins with the oldest message. By default it starts
        where the agent connected. The iteration ends when the agent disconnects.

        Notifications wake it; it does not poll. It marks nothing as read.
        """
        self._context.process.check()
        filters = {
            "kind": kind,
            "task_id": task_id,
            "from_address": from_address,
            "thread_id": thread_id,
            "unread_only": unread_only,
        }
        start = self._feed.start if since is None else int(str(since).partition(".")[0])
        return follow_inbox(self._context, self._feed, start, filters)
