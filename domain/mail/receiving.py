"""Receive a message from outside for agents of the tenant.

* A message that was received before, by its Message-ID, is accepted again and recorded once: mail
  servers repeat what they are not sure of. Some also send one copy for each recipient:
  ``DeliverReceived`` delivers a message that exists to those that do not have it.
* It joins the thread of the message that it answers, if one of its recipients takes part in it.
  Else a reply could be used to enter the thread of others.
* Recipients are judged one by one, as in the tenant: unknown, not accepted by policy, or full.
"""

from collections.abc import Collection, Sequence
from typing import Any, Literal, TypeAlias

from quorate.domain.identity.agents import Agent
from quorate.domain.mail.accounts import account_of
from quorate.domain.mail.addresses import Recipient
from quorate.domain.mail.mailbox_entries import MAIL_ENTRIES, MessageDelivered, entry_id
from quorate.domain.mail.messages import (
    ENTRIES_OF_MESSAGE,
    MESSAGE_HEADER,
    MESSAGES,
    Attachment,
    Importance,
    Message,
    MessageReceived,
)
from quorate.domain.mail.sending import delivered, find_recipient, reads_of_recipient
from quorate.domain.mail.settings import MailSettings
from quorate.domain.mail.subjects import parse_subject
from quorate.domain.mail.threads import MAIL_THREADS, PARTICIPANTS_MAX, THREAD_OF_MESSAGE
from quorate.domain.shared import quotas
from quorate.domain.shared.aggregates import Reads
from quorate.domain.shared.contents import Content
from quorate.domain.shared.records import record
from quorate.domain.shared.state import DecisionContext, TenantState
from quorate.domain.shared.timestamps import Timestamp

RejectionReason: TypeAlias = Literal["no_such_agent", "contact_blocked", "mailbox_full"]


@record
class Rejection:
    address: str
    reason: RejectionReason


@record
class Reception:
    """Which recipients have the message now, and which cannot have it."""

    message_id: str | None
    accepted: tuple[str, ...] = ()
    rejected: tuple[Rejection, ...] = ()


class _Receiving:
    """What the commands have in common: which recipients have the message now, and why not."""

    __slots__ = ()
    recipients: Sequence[Recipient]
    from_address: str

    def _reads_of_recipients(self) -> list[Any]:
        found: list[Any] = [quotas.COUNTS]
        for one in self.recipients:
            found += reads_of_recipient(one)
        return found

    def _readers(
        self, state: TenantState, context: DecisionContext, size: int, *, is_new: bool = True
    ) -> dict[str, str]:
        """Return the ids of the agents that receive it, with their addresses."""
        more = size if is_new else 0
        if _is_full("mailbox_bytes", state.count("mailbox_bytes"), more, context):
            return {}
        readers: dict[str, str] = {}
        for one in self.recipients:
            agent = find_recipient(state, one)
            if agent is None:
                continue
            account = account_of(state, agent.id, context.now)
            is_full = _is_full("mailbox_bytes_per_agent", account.stored_bytes, size, context)
            if account.policy.accepts(self.from_address) and not is_full:
                readers.setdefault(agent.id, one.address)
        return readers

    def _reception(
        self, state: TenantState, message_id: str | None, having: Collection[str]
    ) -> Reception:
        """Return which recipients are accepted: those whose agents are in ``having``."""
        accepted, rejected = [], []
        for one in self.recipients:
            agent = find_recipient(state, one)
            if agent is not None and agent.id in having:
                accepted.append(one.address)
            else:
                reason = _why(state, agent, self.from_address)
                rejected.append(Rejection(address=one.address, reason=reason))
        return Reception(message_id=message_id, accepted=tuple(accepted), rejected=tuple(rejected))


@record
class ReceiveMessage(_Receiving):
    """``replied_ids`` are ids of our messages that it refers to, the latest first."""

    recipients: Sequence[Recipient]
    from_address: str
    to: tuple[str, ...]
    cc: tuple[str, ...]
    subject: str
    body: tuple[Content, ...]
    settings: MailSettings
    new_message_id: str
    new_thread_id: str
    rfc_message_id: str | None = None
    replied_ids: tuple[str, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    importance: Importance = "normal"

    def contents(self) -> Sequence[Content]:
        return self.body

    def reads(self) -> Reads:
        found = self._reads_of_recipients()
        if self.rfc_message_id is not None:
            found += MESSAGES.by("rfc_message_id", self.rfc_message_id)
        for replied_id in self.replied_ids:
            found += [(MESSAGE_HEADER, replied_id), (THREAD_OF_MESSAGE, replied_id)]
        return tuple(found)

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Any]:
        if self._known(state) is not None:
            return []
        size = sum([len(content.data) for content in self.body])
        readers = self._readers(state, context, size)
        if not readers:
            return []
        thread_id, in_reply_to = self._thread(state, readers)
        topic = parse_subject(self.subject)
        received = MessageReceived(
            message_id=self.new_message_id,
            thread_id=thread_id,
            sequence=context.sequence,
            from_address=self.from_address,
            to=self.to,
            cc=self.cc,
            subject=self.subject,
            contents=tuple([content.ref for content in self.body]),
            kind=topic.kind,
            task_id=topic.task_id,
            level=topic.level,
            in_reply_to=in_reply_to,
            importance=self.importance,
            erase_at=self.settings.erase_at(context.now),
            rfc_message_id=self.rfc_message_id,
            attachments=self.attachments,
        )
        return [
            received,
            *(
                delivered(received, agent_id, address, ack_required=False)
                for agent_id, address in readers.items()
            ),
        ]

    def _known(self, state: TenantState) -> Message | None:
        if self.rfc_message_id is None:
            return None
        return state[MESSAGES].find("rfc_message_id", self.rfc_message_id)

    def _thread(self, state: TenantState, readers: dict[str, str]) -> tuple[str, str | None]:
        for replied_id in self.replied_ids:
            message = state[MESSAGES].get(replied_id)
            thread = None if message is None else state[MAIL_THREADS].get(message.thread_id)
            if (
                thread is not None
                and readers.keys() & set(thread.agent_ids)
                and len(thread.addresses) + len(readers) < PARTICIPANTS_MAX
            ):
                return thread.id, replied_id
        return self.new_thread_id, None

    def result(self, state: TenantState, events: Sequence[Any]) -> Reception:
        """For a message that exists, the result contains only its id."""
        known = None if events else self._known(state)
        if known is not None:
            return Reception(message_id=known.id)
        return self._reception(state, self.new_message_id if events else None, _readers_in(events))


@record
class DeliverReceived(_Receiving):
    """Deliver a message that was received before to those of its recipients without it."""

    recipients: Sequence[Recipient]
    from_address: str
    message_id: str

    def reads(self) -> Reads:
        return (
            *self._reads_of_recipients(),
            (MESSAGE_HEADER, self.message_id),
            (THREAD_OF_MESSAGE, self.message_id),
            (ENTRIES_OF_MESSAGE, self.message_id),
        )

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Any]:
        message = state[MESSAGES].get(self.message_id)
        if message is None or message.sender_id is not None or message.erased_at is not None:
            return []
        readers = self._readers(state, context, message.bytes, is_new=False)
        return [
            delivered(message, agent_id, address, message_id=message.id, ack_required=False)
            for agent_id, address in readers.items()
            if not self._has(state, agent_id)
        ]

    def result(self, state: TenantState, events: Sequence[Any]) -> Reception:
        having = set(_readers_in(events))
        for one in self.recipients:
            agent = find_recipient(state, one)
            if agent is not None and self._has(state, agent.id):
                having.add(agent.id)
        return self._reception(state, self.message_id if having else None, having)

    def _has(self, state: TenantState, agent_id: str) -> bool:
        return state[MAIL_ENTRIES].get(entry_id(self.message_id, agent_id)) is not None


def _readers_in(events: Sequence[Any]) -> set[str]:
    return {event.agent_id for event in events if isinstance(event, MessageDelivered)}


def _why(state: TenantState, agent: Agent | None, from_address: str) -> RejectionReason:
    """Return why an agent did not receive the message; what is left is a full mailbox."""
    if agent is None:
        return "no_such_agent"
    accepts = account_of(state, agent.id, Timestamp(0)).policy.accepts(from_address)
    return "mailbox_full" if accepts else "contact_blocked"


def _is_full(quota: quotas.Quota, count: int, more: int, context: DecisionContext) -> bool:
    try:
        quotas.check(quota, count, context.quotas, more=more)
    except quotas.QuotaExceeded:
        return True
    return False
