"""Receive a message from outside for agents of the tenant.

* A message that was received before, by its Message-ID, is accepted again and recorded once: mail
  servers repeat what they are not sure of. Recipients that it was not delivered to stay rejected.
* It joins the thread of the message that it answers, if one of its recipients takes part in it.
  Else a reply could be used to enter the thread of others.
* Recipients are judged one by one, as in the tenant: unknown, not accepted by policy, or full.
"""

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from quorate.domain.identity.agents import AGENTS, Agent, name_key
from quorate.domain.mail.accounts import MAIL_ACCOUNTS, account_of
from quorate.domain.mail.addresses import Recipient, agent_address
from quorate.domain.mail.mailbox_entries import MessageDelivered
from quorate.domain.mail.messages import (
    MESSAGE_HEADER,
    MESSAGES,
    Attachment,
    Importance,
    Message,
    MessageReceived,
)
from quorate.domain.mail.sending import THREAD_OF_MESSAGE, delivered, find_recipient
from quorate.domain.mail.settings import MailSettings
from quorate.domain.mail.subjects import parse_subject
from quorate.domain.mail.threads import MAIL_THREADS, PARTICIPANTS_MAX
from quorate.domain.shared import quotas
from quorate.domain.shared.aggregates import Reads
from quorate.domain.shared.contents import Content
from quorate.domain.shared.records import record
from quorate.domain.shared.state import DecisionContext, TenantState
from quorate.domain.shared.timestamps import Timestamp

MILLISECONDS_PER_DAY = 86_400_000
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


@record
class ReceiveMessage:
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
        found: list[Any] = [quotas.COUNTS]
        for one in self.recipients:
            assert one.local is not None
            for aggregate in (AGENTS, MAIL_ACCOUNTS):
                found += aggregate.by("name", name_key(one.local))
                if one.agent_id is not None:
                    found += aggregate.by("id", one.agent_id)
        if self.rfc_message_id is not None:
            found += MESSAGES.by("rfc_message_id", self.rfc_message_id)
        for replied_id in self.replied_ids:
            found += [(MESSAGE_HEADER, replied_id), (THREAD_OF_MESSAGE, replied_id)]
        return tuple(found)

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Any]:
        if self._known(state) is not None:
            return []
        readers = self._readers(state, context)
        if not readers:
            return []
        thread_id, in_reply_to = self._thread(state, readers)
        topic = parse_subject(self.subject)
        days, erase_at = self.settings.retention_days, None
        if days:
            erase_at = Timestamp(context.now + round(days * MILLISECONDS_PER_DAY))
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
            erase_at=erase_at,
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

    def _readers(self, state: TenantState, context: DecisionContext) -> dict[str, str]:
        """Return the ids of the agents that receive it, with their addresses."""
        size = sum([content.ref.bytes for content in self.body])
        if _is_full("mailbox_bytes", state.count("mailbox_bytes"), size, context):
            return {}
        readers: dict[str, str] = {}
        for one in self.recipients:
            agent = find_recipient(state, one)
            if agent is None or not agent.is_registered:
                continue
            account = account_of(state, agent.id, context.now)
            is_full = _is_full("mailbox_bytes_per_agent", account.stored_bytes, size, context)
            if account.policy.accepts(self.from_address) and not is_full:
                readers.setdefault(agent.id, one.address)
        return readers

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
        known = self._known(state)
        if not events and known is not None:
            return self._repeated(state, known)
        readers = {event.address for event in events if isinstance(event, MessageDelivered)}
        rejected = []
        for one in self.recipients:
            agent = find_recipient(state, one)
            if one.address in readers or (events and agent is not None and _has(events, agent.id)):
                continue
            rejected.append(Rejection(address=one.address, reason=_why(state, agent, self)))
        refused = {one.address for one in rejected}
        accepted = [one.address for one in self.recipients if one.address not in refused]
        return Reception(
            message_id=self.new_message_id if events else None,
            accepted=tuple(accepted),
            rejected=tuple(rejected),
        )

    def _repeated(self, state: TenantState, known: Message) -> Reception:
        """Accept it for those who have it; the first decision on the others stands."""
        have = {one.address for one in known.recipients}
        accepted, rejected = [], []
        for one in self.recipients:
            agent = find_recipient(state, one)
            if agent is not None and have & {
                one.address,
                agent_address(agent.name, self.settings.domain),
                agent_address(agent.id, self.settings.domain),
            }:
                accepted.append(one.address)
            else:
                rejected.append(Rejection(address=one.address, reason=_why(state, agent, self)))
        return Reception(message_id=known.id, accepted=tuple(accepted), rejected=tuple(rejected))


def _has(events: Sequence[Any], agent_id: str) -> bool:
    return any(isinstance(one, MessageDelivered) and one.agent_id == agent_id for one in events)


def _why(state: TenantState, agent: Agent | None, command: ReceiveMessage) -> RejectionReason:
    """Return why an agent did not receive the message; what is left is a full mailbox."""
    if agent is None or not agent.is_registered:
        return "no_such_agent"
    account = account_of(state, agent.id, Timestamp(0))
    accepts = account.policy.accepts(command.from_address)
    return "mailbox_full" if accepts else "contact_blocked"


def _is_full(quota: quotas.Quota, count: int, more: int, context: DecisionContext) -> bool:
    try:
        quotas.check(quota, count, context.quotas, more=more)
    except quotas.QuotaExceeded:
        return True
    return False
