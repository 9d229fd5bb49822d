"""Delegate tasks by mail: ``TASK:`` is answered by ``RESULT:``, ``ERROR:`` or ``CANCEL:``.

* An answer has the id of the task in its subject, and comes from the agent that was asked. Other
  messages with that id are ignored.
* A caller that does not wait any longer, because its time is over or it was cancelled, sends
  ``CANCEL:`` to the agent.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Coroutine, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Protocol, TypeAlias, TypeVar
from uuid import uuid4

import orjson

from quorate.client.background_tasks import BackgroundTasks, logger
from quorate.client.errors import QuorateError, RequestFailedError
from quorate.client.mail_errors import (
    MailNotDeliveredError,
    MailTimeoutError,
    TaskCancelledError,
    TaskFailedError,
)
from quorate.contracts.mail.messages import MailMessage, SentInfo
from quorate.domain.mail.messages import SUBJECT_LENGTH_MAX
from quorate.domain.mail.subjects import TaskKind, parse_subject

T = TypeVar("T")
Task: TypeAlias = Mapping[str, Any]
TASK_SECONDS_DEFAULT = 3_600.0
GATHERED_MAX = 1_000
CANCEL_SECONDS_MAX = 3.0
_UNDELIVERED = {"blocked", "bounced", "held"}


def task_subject(kind: TaskKind, task_id: str, title: str = "") -> str:
    """Return a subject of the protocol; raise ValueError for an id that it cannot carry."""
    subject = f"{kind}:{task_id}" + (f" — {title}" if title else "")
    if parse_subject(subject).task_id != task_id:
        raise ValueError(f"a subject cannot carry this task id: {task_id!r}")
    return subject[:SUBJECT_LENGTH_MAX]


class TaskMailbox(Protocol):
    """What a request needs of the mailbox of its agent (client/mail.py)."""

    @property
    def background(self) -> BackgroundTasks: ...

    async def address(self) -> str: ...

    async def send(
        self, to: str, subject: str, text: str, *, in_reply_to: str | None = None
    ) -> SentInfo: ...

    async def send_located(
        self, to: str, subject: str, text: str, idempotency_key: str | None
    ) -> tuple[SentInfo, int]: ...

    def incoming(
        self, since: int, *, task_id: str | None = None
    ) -> AsyncGenerator[MailMessage, None]: ...


class TaskRequest:
    """One task for one agent, until its answer."""

    def __init__(self, mailbox: TaskMailbox, to: str, task: Task) -> None:
        self._mailbox = mailbox
        self._to = to
        self._fields = dict(task)
        self._name = str(self._fields.pop("name", ""))
        self.task_id = str(self._fields.pop("id", None) or uuid4().hex)
        self._subject = task_subject("TASK", self.task_id, self._name)
        self._is_sent = False
        self._message_id: str | None = None

    async def run(self, seconds: float | None, idempotency_key: str | None) -> MailMessage:
        """Send the task, and return its result; ``Mailbox.request`` names the exceptions."""
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                sent, position = await self._send(idempotency_key)
                return await self._wait(sent, position)
        except TimeoutError:
            if not limit.expired() or seconds is None:
                raise
            await self._cancel()
            raise MailTimeoutError(self.task_id, seconds) from None
        except asyncio.CancelledError:
            await self._cancel()
            raise

    async def _send(self, idempotency_key: str | None) -> tuple[SentInfo, int]:
        """Return what was sent, and the sequence after which the answer arrives."""
        body = {"task_id": self.task_id, "name": self._name, **self._fields}
        body.setdefault("callback", await self._mailbox.address())
        self._is_sent = True  # From now on the agent may have the task.
        sent, position = await self._mailbox.send_located(
            self._to, self._subject, orjson.dumps(body).decode(), idempotency_key
        )
        self._message_id = sent.message_id
        if {one.status for one in sent.recipients} <= _UNDELIVERED:
            raise MailNotDeliveredError(sent)
        return sent, position

    async def _wait(self, sent: SentInfo, position: int) -> MailMessage:
        asked = {self._to.lower(), *(one.address.lower() for one in sent.recipients)}
        incoming = self._mailbox.incoming(position, task_id=self.task_id)
        async with aclosing(incoming) as answers:
            async for answer in answers:
                if asked.isdisjoint(_names_of_sender(answer)):
                    continue
                match answer.kind:
                    case "RESULT":
                        return answer
                    case "ERROR":
                        raise TaskFailedError(self.task_id, answer)
                    case "CANCEL":
                        raise TaskCancelledError(self.task_id, answer)
        raise RequestFailedError("The agent has disconnected")

    async def _cancel(self) -> None:
        """Tell the agent that the caller does not wait any longer, as a best effort."""
        if self._is_sent:
            background = self._mailbox.background
            task = background.start(self._send_cancel, "cancellation of a task")
            await background.wait({task}, CANCEL_SECONDS_MAX)

    async def _send_cancel(self) -> None:
        subject = task_subject("CANCEL", self.task_id, self._name)
        body = orjson.dumps({"task_id": self.task_id}).decode()
        try:
            await self._mailbox.send(self._to, subject, body, in_reply_to=self._message_id)
        except QuorateError as failure:
            logger.info("The cancellation of task %s failed: %s", self.task_id, failure)


def _names_of_sender(message: MailMessage) -> set[str]:
    """Return the addresses of the sender: by its name and by its id."""
    address = message.from_address.lower()
    domain = address.rpartition("@")[2]
    return {address, f"{message.from_agent_id}@{domain}"}


def make_requests(
    mailbox: TaskMailbox, requests: Iterable[tuple[str, Task]]
) -> Sequence[TaskRequest]:
    made = [TaskRequest(mailbox, to, task) for to, task in requests]
    if len(made) > GATHERED_MAX:
        raise ValueError(f"at most {GATHERED_MAX} requests at once")
    return made


async def run_together(requests: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Return all results in order; the first failure cancels the other requests."""
    tasks = [asyncio.ensure_future(one) for one in requests]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def outcome_of(request: Awaitable[MailMessage]) -> MailMessage | QuorateError:
    """Return the result of a request, or its failure."""
    try:
        return await request
    except QuorateError as failure:
        return failure
