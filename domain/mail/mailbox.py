"""Commands on one message in a mailbox: mark it, acknowledge it, delete it."""

from collections.abc import Sequence

from quorate.domain.identity.agents import AGENTS, AgentRef, acting
from quorate.domain.identity.principals import Principal
from quorate.domain.mail.accounts import MAIL_ACCOUNTS
from quorate.domain.mail.mailbox_entries import (
    MAIL_ENTRIES,
    Event,
    MailEntry,
    MessageAcknowledged,
    MessageDeleted,
    MessageRead,
    MessageStarred,
    MessageUnread,
    entry_id,
)
from quorate.domain.mail.messages import MESSAGE_HEADER, MESSAGES, Message, MessageNotFound
from quorate.domain.shared.aggregates import Reads
from quorate.domain.shared.records import record
from quorate.domain.shared.state import DecisionContext, TenantState
from quorate.domain.shared.timestamps import Timestamp


@record
class Marks:
    """The marks of a message in one mailbox; a sent message counts as read."""

    message_id: str
    read_at: Timestamp | None = None
    starred: bool = False
    acked_at: Timestamp | None = None
    deleted: bool = False


# -- Commands ----------------------------------------------------------------


class MailboxCommand:
    """A command on one message in the mailbox of one agent, which it names by its id."""

    __slots__ = ()
    caller: Principal
    agent_id: str
    message_id: str

    def reads(self) -> Reads:
        return (
            *AGENTS.by("id", self.agent_id),
            *MAIL_ENTRIES.by("id", entry_id(self.message_id, self.agent_id)),
            *MAIL_ACCOUNTS.by("id", self.agent_id),
            (MESSAGE_HEADER, self.message_id),
        )

    def _find(self, state: TenantState) -> MailEntry | Message:
        """Return the entry, or the message if the agent sent it; raise MessageNotFound."""
        acting(self.caller, AgentRef(id=self.agent_id), state)
        entry = state[MAIL_ENTRIES].get(entry_id(self.message_id, self.agent_id))
        if entry is not None and entry.deleted_at is None:
            return entry
        message = state[MESSAGES].get(self.message_id)
        if message is None or message.sender_id != self.agent_id or message.is_deleted_by_sender:
            raise MessageNotFound
        return message

    def result(self, state: TenantState, events: Sequence[Event]) -> Marks:
        entry = state[MAIL_ENTRIES].get(entry_id(self.message_id, self.agent_id))
        is_deleted_now = any(isinstance(one, MessageDeleted) and not one.is_sent for one in events)
        # A message to oneself is in both lists: without its entry, the sent one is meant.
        if entry is not None and (entry.deleted_at is None or is_deleted_now):
            return Marks(
                message_id=entry.message_id,
                read_at=entry.read_at,
                starred=entry.starred,
                acked_at=entry.acked_at,
                deleted=entry.deleted_at is not None,
            )
        message = state[MESSAGES][self.message_id]
        return Marks(
            message_id=message.id,
            read_at=message.created_at,
            starred=message.is_starred_by_sender,
            deleted=message.is_deleted_by_sender,
        )


@record
class MarkRead(MailboxCommand):
    caller: Principal
    agent_id: str
    message_id: str

    def decide(self, state: TenantState, _context: DecisionContext) -> Sequence[Event]:
        found = self._find(state)
        if isinstance(found, Message) or found.read_at is not None:
            return []
        return [_read(found)]


def _read(entry: MailEntry) -> MessageRead:
    return MessageRead(
        message_id=entry.message_id,
        agent_id=entry.agent_id,
        sender_id=entry.sender_id if entry.ack_required else None,
    )


@record
class MarkUnread(MailboxCommand):
    caller: Principal
    agent_id: str
    message_id: str

    def decide(self, state: TenantState, _context: DecisionContext) -> Sequence[Event]:
        found = self._find(state)
        if isinstance(found, Message) or found.read_at is None:
            return []
        return [MessageUnread(message_id=found.message_id, agent_id=found.agent_id)]


@record
class StarMessage(MailboxCommand):
    """``starred``: None toggles the star."""

    caller: Principal
    agent_id: str
    message_id: str
    starred: bool | None = None

    def decide(self, state: TenantState, _context: DecisionContext) -> Sequence[Event]:
        found = self._find(state)
        is_sent = isinstance(found, Message)
        before = found.is_starred_by_sender if isinstance(found, Message) else found.starred
        after = not before if self.starred is None else self.starred
        if after == before:
            return []
        return [
            MessageStarred(
                message_id=self.message_id,
                agent_id=self.agent_id,
                starred=after,
                is_sent=is_sent,
            )
        ]


@record
class AcknowledgeMessage(MailboxCommand):
    """Acknowledge a received message; it then is read as well."""

    caller: Principal
    agent_id: str
    message_id: str

    def decide(self, state: TenantState, _context: DecisionContext) -> Sequence[Event]:
        found = self._find(state)
        if isinstance(found, Message) or found.acked_at is not None:
            return []
        acknowledged = MessageAcknowledged(
            message_id=found.message_id, agent_id=found.agent_id, sender_id=found.sender_id
        )
        return [acknowledged] if found.read_at is not None else [_read(found), acknowledged]


@record
class DeleteMessage(MailboxCommand):
    """Delete a message from one mailbox. Others keep theirs."""

    caller: Principal
    agent_id: str
    message_id: str

    def decide(self, state: TenantState, _context: DecisionContext) -> Sequence[Event]:
        found = self._find(state)
        is_sent = isinstance(found, Message)
        unread, size = (
            (False, 0) if isinstance(found, Message) else (found.read_at is None, found.bytes)
        )
        return [
            MessageDeleted(
                message_id=self.message_id,
                agent_id=self.agent_id,
                was_unread=unread,
                bytes=size,
                is_sent=is_sent,
            )
        ]


MAILBOX_COMMANDS = (MarkRead, MarkUnread, StarMessage, AcknowledgeMessage, DeleteMessage)
