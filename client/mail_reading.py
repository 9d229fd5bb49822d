"""Read a mailbox: pages and iterations of messages, their marks, the account and the policy."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from datetime import datetime
from typing import Protocol, TypeAlias

from quorate.client import mail_requests
from quorate.client.agent_context import AgentContext
from quorate.client.mail_arrivals import complete
from quorate.client.mail_requests import Order
from quorate.contracts.downloads import Download
from quorate.contracts.mail.mailbox import AccountInfo, MarksInfo, PolicyInfo
from quorate.contracts.mail.messages import (
    LIST_LENGTH_DEFAULT,
    LIST_LENGTH_MAX,
    InboxPage,
    MailMessage,
    MailPage,
    SearchPage,
    ThreadPage,
)
from quorate.domain.mail.accounts import Mode
from quorate.domain.mail.subjects import Kind

MessageOrId: TypeAlias = MailMessage | str


class _Page(Protocol):
    @property
    def messages(self) -> Sequence[MailMessage]: ...
    @property
    def has_more(self) -> bool: ...
    @property
    def cursor(self) -> str: ...


def message_id(message: MessageOrId) -> str:
    return message if isinstance(message, str) else message.message_id


class MailReader:
    """The reading half of a mailbox. A message is given as it was received, or by its id."""

    def __init__(self, context: AgentContext) -> None:
        self._context = context

    # -- Pages ---------------------------------------------------------------

    async def inbox(
        self,
        *,
        unread_only: bool = False,
        from_address: str | None = None,
        thread_id: str | None = None,
        kind: Kind | None = None,
        task_id: str | None = None,
        since: int | str | None = None,
        cursor: str | None = None,
        limit: int = LIST_LENGTH_DEFAULT,
        wait_seconds: float = 0.0,
    ) -> InboxPage:
        """Return one page of received messages, the newest first. Marks nothing as read.

        With ``since`` these are the messages after it, the oldest first. ``cursor`` of a page gives
        the page that follows.
        """
        request = mail_requests.list_inbox(
            self._context.agent_ref,
            unread_only=unread_only,
            from_address=from_address,
            thread_id=thread_id,
            kind=kind,
            task_id=task_id,
            since=None if since is None else str(since),
            cursor=cursor,
            limit=limit,
            wait_seconds=wait_seconds,
        )
        return await self._context.execute(request)

    async def sent(
        self, *, cursor: str | None = None, limit: int = LIST_LENGTH_DEFAULT
    ) -> MailPage:
        """Return one page of sent messages, the newest first."""
        ref = self._context.agent_ref
        return await self._context.execute(mail_requests.list_sent(ref, cursor=cursor, limit=limit))

    async def message(self, message_id: str, *, mark_read: bool = True) -> MailMessage:
        """Return one message, and mark it as read. Raises MessageNotFoundError."""
        ref = self._context.agent_ref
        return await self._context.execute(
            mail_requests.get_message(ref, message_id, mark_read=mark_read)
        )

    async def attachment(self, message: MessageOrId, number: int = 1) -> Download:
        """Download an attachment of a message from outside; they are numbered from 1.

        Its name and its bytes are untrusted. Raises MessageNotFoundError, AttachmentNotFoundError,
        and AttachmentNotStoredError for one that was erased or too large.
        """
        ref = self._context.agent_ref
        return await self._context.execute(
            mail_requests.get_attachment(ref, message_id(message), number)
        )

    async def thread(
        self,
        thread_id: str,
        *,
        order: Order = "asc",
        cursor: str | None = None,
        limit: int = LIST_LENGTH_MAX,
    ) -> ThreadPage:
        """Return a thread with one page of its messages, the oldest first.

        Raises ThreadNotFoundError.
        """
        return await self._context.execute(
            mail_requests.get_thread(
                self._context.agent_ref, thread_id, order=order, cursor=cursor, limit=limit
            )
        )

    async def search(
        self,
        words: str,
        *,
        from_address: str | None = None,
        to_address: str | None = None,
        kind: Kind | None = None,
        after: datetime | None = None,
        before: datetime | None = None,
        cursor: str | None = None,
        limit: int = LIST_LENGTH_DEFAULT,
    ) -> SearchPage:
        """Return one page of messages that contain all words, the best match first."""
        return await self._context.execute(
            mail_requests.search(
                self._context.agent_ref,
                words,
                from_address=from_address,
                to_address=to_address,
                kind=kind,
                after=after,
                before=before,
                cursor=cursor,
                limit=limit,
            )
        )

    # -- All pages -----------------------------------------------------------

    def iterate_inbox(
        self,
        *,
        unread_only: bool = False,
        from_address: str | None = None,
        thread_id: str | None = None,
        kind: Kind | None = None,
        task_id: str | None = None,
    ) -> AsyncGenerator[MailMessage, None]:
        """Yield all received messages, the newest first; the filters are those of ``inbox``."""

        async def page(cursor: str | None) -> InboxPage:
            return await self.inbox(
                unread_only=unread_only,
                from_address=from_address,
                thread_id=thread_id,
                kind=kind,
                task_id=task_id,
                cursor=cursor,
                limit=LIST_LENGTH_MAX,
            )

        return self._iterate(page)

    def iterate_sent(self) -> AsyncGenerator[MailMessage, None]:
        """Yield all sent messages, the newest first."""

        async def page(cursor: str | None) -> MailPage:
            return await self.sent(cursor=cursor, limit=LIST_LENGTH_MAX)

        return self._iterate(page)

    def iterate_thread(
        self, thread_id: str, *, order: Order = "asc"
    ) -> AsyncGenerator[MailMessage, None]:
        """Yield all messages of a thread, the oldest first. Raises ThreadNotFoundError."""

        async def page(cursor: str | None) -> ThreadPage:
            return await self.thread(thread_id, order=order, cursor=cursor)

        return self._iterate(page)

    async def _iterate(
        self, read_page: Callable[[str | None], Awaitable[_Page]]
    ) -> AsyncGenerator[MailMessage, None]:
        cursor: str | None = None
        has_more = True
        while has_more:
            page = await read_page(cursor)
            for message in page.messages:
                yield await complete(self._context, message)
            cursor, has_more = page.cursor, page.has_more and bool(page.messages)

    # -- Marks ---------------------------------------------------------------

    async def ack(self, message: MessageOrId) -> MarksInfo:
        """Acknowledge a message: it is read as well, and its sender is notified."""
        request = mail_requests.acknowledge(self._context.agent_ref, message_id(message))
        return await self._context.execute(request)

    async def read(self, message: MessageOrId) -> MarksInfo:
        """Mark a message as read."""
        request = mail_requests.mark_read(self._context.agent_ref, message_id(message))
        return await self._context.execute(request)

    async def unread(self, message: MessageOrId) -> MarksInfo:
        """Mark a message as unread."""
        request = mail_requests.mark_unread(self._context.agent_ref, message_id(message))
        return await self._context.execute(request)

    async def star(self, message: MessageOrId, *, starred: bool = True) -> bool:
        """Set or remove the star of a message; return whether it has one."""
        request = mail_requests.star(self._context.agent_ref, message_id(message), starred=starred)
        return (await self._context.execute(request)).starred

    async def delete(self, message: MessageOrId) -> None:
        """Delete a message from this mailbox. Other mailboxes keep it."""
        request = mail_requests.delete_message(self._context.agent_ref, message_id(message))
        await self._context.execute(request)

    # -- Account and policy --------------------------------------------------

    async def account(self) -> AccountInfo:
        """Return the account: address, tier, reputation, and what may still be sent."""
        return await self._context.execute(mail_requests.get_account(self._context.agent_ref))

    async def policy(self) -> PolicyInfo:
        """Return whose mail the agent accepts."""
        return await self._context.execute(mail_requests.get_policy(self._context.agent_ref))

    async def set_policy(
        self, mode: Mode, *, allow: Sequence[str] = (), block: Sequence[str] = ()
    ) -> PolicyInfo:
        """Replace the policy. ``allow`` and ``block`` are addresses, agent names or ids.

        * ``open``: accept all mail, except of ``block``;
        * ``contacts_only``: accept mail of ``allow`` only;
        * ``closed``: accept no mail.
        """
        request = mail_requests.set_policy(self._context.agent_ref, mode, allow=allow, block=block)
        return await self._context.execute(request)
