"""Random commands of mail for a random history: every command type and every event type of mail."""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from quorate.domain.identity.agents import AgentRef
from quorate.domain.identity.principals import Principal
from quorate.domain.mail import accounts, delivery_attempts, mailbox
from quorate.domain.mail.addresses import Recipient, parse_recipients
from quorate.domain.mail.deliveries import delivery_id
from quorate.domain.mail.messages import EraseMessage
from quorate.domain.mail.receiving import ReceiveMessage
from quorate.domain.mail.sending import SendMessage
from quorate.domain.mail.settings import (
    MailSettings,
    RetryPolicy,
    SendingLimit,
    SendingLimits,
    Tier,
)
from quorate.domain.shared.contents import SALT_BYTES, Content
from quorate.domain.shared.state import Command
from quorate.domain.shared.timestamps import Timestamp
from quorate.runtime.domain_names import to_a_labels

LATEST_MAX = 4
OPEN_MAX = 5  # Messages whose deliveries are attempted.
SUBJECTS = ("TASK:7 weekly report", "RESULT:7", "[ESCALATION L2] no answer", "ünïcode \N{SNOWMAN}")
TEXTS = ("", "short", "a longer text " * 40)
# Waits shorter than the jumps of the clock: every deadline passes in a short history.
ACK_MINUTES, RETENTION_DAYS = 2.0, 0.004
RETRIES = RetryPolicy(seconds_min=5.0, seconds_max=60.0, hours=0.02)
LIMITS = SendingLimits(active=SendingLimit(hourly=40, daily=400))
_MARKS: tuple[Callable[..., Command], ...] = (
    mailbox.MarkRead,
    mailbox.MarkUnread,
    mailbox.StarMessage,
    mailbox.AcknowledgeMessage,
    mailbox.DeleteMessage,
)


class RandomMail:
    """The mail of some tenants. ``note`` receives each accepted command."""

    def __init__(self, rng: random.Random, names: Sequence[str], people: Sequence[str]) -> None:
        self._random = rng
        self._names = names
        self._people = people
        self._counter = 0
        self._messages: dict[str, list[str]] = {}
        self._readers: dict[str, list[tuple[str, str]]] = {}  # Message, and name or id of an agent.
        self._sent: dict[str, list[SendMessage]] = {}  # With recipients outside.
        self._relayed: dict[str, dict[str, Any]] = {}  # The last delivery that was relayed.
        self._failed: dict[str, dict[str, Any]] = {}
        self._erased: dict[str, SendMessage] = {}  # The last one of those in ``_sent``.

    def command(
        self,
        tenant: str,
        caller: Principal,
        ref: AgentRef,
        agent_ids: Mapping[str, str],
        now: Timestamp,
    ) -> Command:
        match self._random.randrange(13):
            case 0 | 1 | 2:
                return self._send(tenant, caller, ref, agent_ids, now)
            case 3:
                return self._receive(tenant)
            case 4 | 5 | 6:
                return self._mark(tenant, caller, agent_ids)
            case 7 | 8 | 9 | 10:
                return self._attempt(tenant, agent_ids)
            case 11 if self._random.random() < 0.6:
                return EraseMessage(caller=caller, message_id=self._erasable(tenant))
            case _:
                return self._account(caller, ref)

    def note(self, tenant: str, command: Command) -> None:
        match command:
            case SendMessage():
                self._note_message(tenant, command)
                if any(one.contact is not None for one in command.recipients):
                    self._sent.setdefault(tenant, []).append(command)
            case ReceiveMessage():
                self._note_message(tenant, command)
            case EraseMessage():
                for one in self._sent.get(tenant, ()):
                    if one.new_message_id == command.message_id:
                        self._erased[tenant] = one
            case _:
                pass

    def _note_message(self, tenant: str, command: SendMessage | ReceiveMessage) -> None:
        message_id = command.new_message_id
        self._messages.setdefault(tenant, []).append(message_id)
        readers = self._readers.setdefault(tenant, [])
        readers += [(message_id, one.local) for one in command.recipients if one.local is not None]
        if isinstance(command, SendMessage):
            readers.append((message_id, command.agent.name or ""))

    # -- Commands ------------------------------------------------------------

    def _settings(self, tenant: str) -> MailSettings:
        return MailSettings(
            domain=f"{tenant}.localhost",
            has_relay=self._random.random() < 0.8,
            limits=LIMITS,
            ack_minutes=ACK_MINUTES,
            retention_days=self._random.choice((0.0, RETENTION_DAYS)),
        )

    def _send(
        self,
        tenant: str,
        caller: Principal,
        ref: AgentRef,
        agent_ids: Mapping[str, str],
        now: Timestamp,
    ) -> Command:
        message_id = self._new("msg")
        later = self._random.random() < 0.1
        recipients = self._recipients(tenant, agent_ids, only_people=later)
        return SendMessage(
            caller=caller,
            agent=ref,
            recipients=recipients,
            subject=self._random.choice(SUBJECTS),
            body=self._body(message_id),
            settings=self._settings(tenant),
            new_message_id=message_id,
            new_thread_id=self._new("thr"),
            ack_required=self._random.random() < 0.5,
            in_reply_to=self._known(tenant) if self._random.random() < 0.3 else None,
            fence=self._random.choice((None, None, None, 1)),
            scheduled_at=Timestamp(now + 30_000) if later else None,
        )

    def _recipients(
        self, tenant: str, agent_ids: Mapping[str, str], *, only_people: bool
    ) -> Sequence[Recipient]:
        domain = f"{tenant}.localhost"
        local = (*self._names, *(name.upper() for name in self._names), "nobody")
        inside = [f"{one}@{domain}" for one in (*local, *sorted(agent_ids.values()))]
        known = self._people if only_people else (*self._people, *inside)
        chosen = self._random.sample(known, self._random.randint(1, min(3, len(known))))
        return parse_recipients(chosen[:1], chosen[1:], domain, to_a_labels)

    def _receive(self, tenant: str) -> Command:
        message_id = self._new("msg")
        domain = f"{tenant}.localhost"
        to = tuple([f"{one}@{domain}" for one in self._random.sample(self._names, 2)])
        return ReceiveMessage(
            recipients=parse_recipients(to, (), domain, to_a_labels),
            from_address=self._random.choice(self._people),
            to=to,
            cc=(),
            subject=self._random.choice(SUBJECTS),
            body=self._body(message_id),
            settings=self._settings(tenant),
            new_message_id=message_id,
            new_thread_id=self._new("thr"),
            rfc_message_id=f"{self._random.randrange(200)}@example.com",
            replied_ids=(self._known(tenant),),
        )

    def _mark(self, tenant: str, caller: Principal, agent_ids: Mapping[str, str]) -> Command:
        readers = self._readers.get(tenant) or [("unknown", "nobody")]
        message_id, local = self._random.choice(readers[-2 * LATEST_MAX :])
        kind = self._random.choice(_MARKS)
        return kind(caller=caller, agent_id=agent_ids.get(local, local), message_id=message_id)

    def _attempt(  # noqa: PLR0911 - one for each command.
        self, tenant: str, agent_ids: Mapping[str, str]
    ) -> Command:
        sent = self._sent.get(tenant)
        if not sent:
            return delivery_attempts.QueueHeld(message_id="unknown", delivery_id="unknown.0")
        of = self._random.choice(sent[-self._random.randint(1, OPEN_MAX) :])
        kind = self._random.randrange(14)
        if kind >= 12:  # A delivery of an erased message is given up.
            of = self._erased.get(tenant, of)
        outside = [
            (number, one.contact)
            for number, one in enumerate(of.recipients)
            if one.contact is not None
        ]
        number, contact = self._random.choice(outside)
        which: dict[str, Any] = {
            "message_id": of.new_message_id,
            "delivery_id": delivery_id(of.new_message_id, number),
        }
        match kind:
            case 0:
                agent_id = agent_ids.get(of.agent.name or "", "agent_unknown")
                return delivery_attempts.BeginDelivery(
                    **which, contact_key=contact.key, agent_id=agent_id
                )
            case 1 | 2:
                self._relayed[tenant] = which
                return delivery_attempts.RecordRelayed(**which, smtp_code=250, detail="ok")
            case 3 | 4 | 5:
                self._failed[tenant] = which
                return delivery_attempts.RecordFailure(
                    **which,
                    is_permanent=self._random.random() < 0.3,
                    policy=RETRIES,
                    jitter=self._random.uniform(-1, 1),
                    smtp_code=451,
                )
            case 6:
                return delivery_attempts.RecordBounce(**self._relayed.get(tenant, which))
            case 7:
                return delivery_attempts.RecordComplaint(**self._relayed.get(tenant, which))
            case 8:
                return delivery_attempts.QueueHeld(**which)
            case 12 | 13:
                return delivery_attempts.CancelErased(**which)
            case _:
                kinds = (delivery_attempts.RetryDeadLetter, delivery_attempts.DropDeadLetter)
                return self._random.choice(kinds)(**self._failed.get(tenant, which))

    def _account(self, caller: Principal, ref: AgentRef) -> Command:
        match self._random.randrange(4):
            case 0:
                policy = accounts.MailPolicy(
                    mode=self._random.choice(("open", "open", "open", "contacts_only", "closed")),
                    allow=tuple(self._random.sample(self._names, 2)),
                )
                return accounts.SetMailPolicy(caller=caller, agent=ref, policy=policy)
            case 1 | 2:
                if self._random.random() < 0.5:
                    return accounts.FreezeSending(caller=caller, agent=ref, detail="why")
                return accounts.ThawSending(caller=caller, agent=ref)
            case _:
                tier: Tier = self._random.choice(("active", "trusted"))
                return accounts.SetMailTier(caller=caller, agent=ref, tier=tier)

    # -- Values --------------------------------------------------------------

    def _new(self, kind: str) -> str:
        self._counter += 1
        return f"{kind}_{self._counter:06d}"

    def _known(self, tenant: str) -> str:
        known = self._messages.get(tenant)
        return self._random.choice(known[-LATEST_MAX:]) if known else "unknown"

    def _erasable(self, tenant: str) -> str:
        sent = self._sent.get(tenant)
        if not sent or self._random.random() < 0.2:
            return self._known(tenant)
        return sent[-1].new_message_id

    def _body(self, message_id: str) -> tuple[Content, ...]:
        salt, text = self._random.randbytes(SALT_BYTES), self._random.choice(TEXTS)
        return (Content(id=message_id, part="text", salt=salt, data=text.encode()),)
