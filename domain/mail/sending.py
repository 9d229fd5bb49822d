"""Send a message: judge each recipient, and record what becomes of it, in one decision.

* An agent in the sender's own domain has the message when the sender has its answer. An address
  there that names no agent bounces at once. An agent may read its mail later: one that is inactive,
  has deregistered or has not registered yet receives it as well, as long as it has its name.
* A person outside is a contact: the send gate judges each of them. A block is a result.
* A message that cannot go to some of its recipients goes to the others.
* What limits the sender rejects the whole message: nothing of it is recorded.
* A reply joins the thread of a message that its sender can read; any other id is unknown to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from quorate.domain.coordination.send_gate import reads_of_contact
from quorate.domain.identity.agents import (
    AGENTS,
    Agent,
    AgentRef,
    acting,
    name_key,
    reads_of_agent,
)
from quorate.domain.identity.principals import Principal
from quorate.domain.mail.accounts import MAIL_ACCOUNTS, MailAccount, account_of, check_sending
from quorate.domain.mail.addresses import CC, TO, Recipient, agent_address
from quorate.domain.mail.deliveries import (
    CONTACT_BLOCKED,
    NO_RELAY,
    NO_SUCH_AGENT,
    MessageHeld,
    MessageQueued,
    MessageRefused,
    RefusalReason,
    delivery_id,
)
from quorate.domain.mail.mailbox_entries import MessageDelivered
from quorate.domain.mail.message_gate import find_message_block
from quorate.domain.mail.messages import (
    MESSAGE_HEADER,
    MESSAGES,
    SUBJECT_LENGTH_MAX,
    Importance,
    Message,
    MessageNotFound,
    MessageSent,
)
from quorate.domain.mail.settings import MailSettings
from quorate.domain.mail.subjects import parse_subject
from quorate.domain.mail.threads import MAIL_THREADS, THREAD_OF_MESSAGE, check_participants
from quorate.domain.shared import quotas
from quorate.domain.shared.aggregates import Read, Reads
from quorate.domain.shared.contents import Content
from quorate.domain.shared.errors import Invalid
from quorate.domain.shared.records import record
from quorate.domain.shared.state import DecisionContext, TenantState
from quorate.domain.shared.timestamps import Timestamp


@dataclass(eq=False)
class SubjectTooLong(Invalid):
    code, title = "subject_too_long", "The subject is too long"
    reason = "at most {length_max} characters"
    length_max: int


@dataclass(eq=False)
class NotSchedulable(Invalid):
    """Only mail to people is sent later; mail to agents is delivered at once."""

    code, title = "not_schedulable", "Mail to an agent cannot be scheduled"
    address: str


@record
class SendMessage:
    """Send a message of an agent. ``body`` are its contents, under the new id of the message."""

    caller: Principal
    agent: AgentRef
    recipients: Sequence[Recipient]
    subject: str
    body: tuple[Content, ...]
    settings: MailSettings
    new_message_id: str
    new_thread_id: str
    importance: Importance = "normal"
    ack_required: bool = False
    in_reply_to: str | None = None
    fence: int | None = None
    scheduled_at: Timestamp | None = None
    send_reason: str | None = None
    template_id: str | None = None

    def contents(self) -> Sequence[Content]:
        return self.body

    def reads(self) -> Reads:
        found: list[Any] = [
            *reads_of_agent(self.caller, self.agent, AGENTS.name, MAIL_ACCOUNTS.name),
            quotas.COUNTS,
        ]
        for one in self.recipients:
            if one.contact is not None:
                found += reads_of_contact(one.contact.key)
                continue
            found += reads_of_recipient(one)
        if self.in_reply_to is not None:
            found += [(MESSAGE_HEADER, self.in_reply_to), (THREAD_OF_MESSAGE, self.in_reply_to)]
        return tuple(found)

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Any]:
        agent = acting(self.caller, self.agent, state)
        if len(self.subject) > SUBJECT_LENGTH_MAX:
            raise SubjectTooLong(SUBJECT_LENGTH_MAX)
        replied = self._replied(state, agent)
        account = account_of(state, agent.id, context.now)
        check_sending(account, self.settings.limits.of(account.tier), context.now)
        size = sum([len(content.data) for content in self.body])
        count = state.count("mailbox_bytes")
        quotas.check("mailbox_bytes", count, context.quotas, more=size)
        sent = self._sent(agent, replied, context)
        events: list[Any] = [sent]
        readers = set()  # One agent may be named twice: by its name and by its id.
        for number, recipient in enumerate(self.recipients):
            event = self._deliver(state, context, agent, sent, number, recipient)
            if isinstance(event, MessageDelivered):
                if event.agent_id in readers:
                    continue
                readers.add(event.agent_id)
            events.append(event)
        return events

    def _replied(self, state: TenantState, agent: Agent) -> Message | None:
        """Return the message that is answered, if any."""
        if self.in_reply_to is None:
            return None
        message = state[MESSAGES].get(self.in_reply_to)
        thread = None if message is None else state[MAIL_THREADS].get(message.thread_id)
        if message is None or thread is None or agent.id not in thread.agent_ids:
            raise MessageNotFound
        check_participants(thread, len(self.recipients))
        return message

    def _sent(self, agent: Agent, replied: Message | None, context: DecisionContext) -> MessageSent:
        topic = parse_subject(self.subject)
        return MessageSent(
            message_id=self.new_message_id,
            thread_id=self.new_thread_id if replied is None else replied.thread_id,
            sequence=context.sequence,
            agent_id=agent.id,
            agent_name=agent.name,
            from_address=agent_address(agent.name, self.settings.domain),
            to=tuple([one.address for one in self.recipients if one.field == TO]),
            cc=tuple([one.address for one in self.recipients if one.field == CC]),
            subject=self.subject,
            contents=tuple([content.ref for content in self.body]),
            kind=topic.kind,
            task_id=topic.task_id,
            level=topic.level,
            in_reply_to=self.in_reply_to,
            importance=self.importance,
            ack_required=self.ack_required,
            fence=self.fence,
            scheduled_at=self.scheduled_at,
            send_reason=self.send_reason,
            template_id=self.template_id,
            erase_at=self.settings.erase_at(context.now),
        )

    def _deliver(  # noqa: PLR0917 - what the delivery of one recipient depends on.
        self,
        state: TenantState,
        context: DecisionContext,
        agent: Agent,
        sent: MessageSent,
        number: int,
        recipient: Recipient,
    ) -> Any:  # noqa: ANN401 - one of several events.
        if recipient.contact is None:
            return self._deliver_inside(state, context, agent, sent, recipient)
        its_delivery: dict[str, Any] = {
            "delivery_id": delivery_id(sent.message_id, number),
            "message_id": sent.message_id,
            "agent_id": agent.id,
            "address": recipient.address,
            "thread_id": sent.thread_id,
            "contact_key": recipient.contact.key,
        }
        block = find_message_block(state, context.now, its_delivery, agent.name, self.fence)
        if block is not None:
            return block
        if not self.settings.has_relay:
            return MessageHeld(**its_delivery, reason=NO_RELAY, fence=self.fence)
        at = Timestamp(max(context.now, self.scheduled_at or context.now))
        return MessageQueued(**its_delivery, next_attempt_at=at, fence=self.fence)

    def _deliver_inside(
        self,
        state: TenantState,
        context: DecisionContext,
        agent: Agent,
        sent: MessageSent,
        recipient: Recipient,
    ) -> MessageDelivered | MessageRefused:
        if self.scheduled_at is not None:
            raise NotSchedulable(recipient.address)
        reader = find_recipient(state, recipient)
        reason: RefusalReason | None = None
        if reader is None:
            reason = NO_SUCH_AGENT
        else:
            account = account_of(state, reader.id, context.now)
            reason = refusal_of(account, agent, sent.from_address)
        if reason is not None or reader is None:
            return MessageRefused(
                message_id=sent.message_id,
                agent_id=agent.id,
                address=recipient.address,
                reason=reason or NO_SUCH_AGENT,
            )
        size = sum([ref.bytes for ref in sent.contents])
        stored = account.stored_bytes
        quotas.check("mailbox_bytes_per_agent", stored, context.quotas, more=size)
        return delivered(
            sent,
            reader.id,
            recipient.address,
            sender_id=agent.id,
            ack_required=sent.ack_required,
            ack_minutes=self.settings.ack_minutes if sent.ack_required else None,
        )

    def result(self, state: TenantState, _events: Sequence[Any]) -> Message:
        return state[MESSAGES][self.new_message_id]


def refusal_of(account: MailAccount, sender: Agent, from_address: str) -> RefusalReason | None:
    """Return why the recipient's policy refuses a sender; None if it accepts the message."""
    alias = agent_address(sender.id, from_address.rpartition("@")[2])
    is_accepted = account.policy.accepts(sender.name, sender.id, from_address, alias)
    return None if is_accepted else CONTACT_BLOCKED


def reads_of_recipient(recipient: Recipient) -> Reads:
    """Read the agent that an address may name, and its account."""
    assert recipient.local is not None
    found: list[Read] = []
    for aggregate in (AGENTS, MAIL_ACCOUNTS):
        found += aggregate.by("name", name_key(recipient.local))
        if recipient.agent_id is not None:
            found += aggregate.by("id", recipient.agent_id)
    return tuple(found)


def find_recipient(state: TenantState, recipient: Recipient) -> Agent | None:
    """Return the agent that an address names, by its id or else by its name, while it has one."""
    if recipient.agent_id is not None:
        agent = state[AGENTS].get(recipient.agent_id)
        if agent is not None and agent.status != "removed":
            return agent
    assert recipient.local is not None
    agent = state[AGENTS].find("name", name_key(recipient.local))
    return None if agent is None or agent.status == "removed" else agent


def delivered(
    message: Any,  # noqa: ANN401 - the event of a message, or its state with its id.
    agent_id: str,
    address: str,
    *,
    message_id: str | None = None,
    **more: Any,  # noqa: ANN401 - other fields of the event.
) -> MessageDelivered:
    """Return the delivery of a message, sent or received, to one agent."""
    return MessageDelivered(
        message_id=message_id or message.message_id,
        thread_id=message.thread_id,
        sequence=message.sequence,
        agent_id=agent_id,
        address=address,
        from_address=message.from_address,
        subject=message.subject,
        bytes=sum([ref.bytes for ref in message.contents]),
        kind=message.kind,
        task_id=message.task_id,
        level=message.level,
        importance=message.importance,
        in_reply_to=message.in_reply_to,
        **more,
    )
