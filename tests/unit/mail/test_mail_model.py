"""Counts, bytes, limits and statuses of mail agree with a naive model for random commands."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from quorate.domain.mail import accounts, deliveries, delivery_attempts, message_gate, sending
from quorate.domain.mail.accounts import MailAccount, SendingUse
from quorate.domain.mail.delivery_attempts import RecordRelayed, with_freeze
from quorate.domain.mail.mailbox import (
    AcknowledgeMessage,
    DeleteMessage,
    MailboxCommand,
    MarkRead,
    MarkUnread,
    StarMessage,
)
from quorate.domain.mail.mailbox_entries import MessageRead, MessageUnread
from quorate.domain.mail.messages import MESSAGES, MessageErased
from quorate.domain.mail.settings import MailSettings, SendingLimit, SendingLimits
from quorate.domain.shared import quotas
from quorate.domain.shared.deadlines import RecordDue
from quorate.domain.shared.quotas import Quotas
from quorate.domain.shared.state import Command, DecisionContext, Store, TenantState
from quorate.domain.shared.timestamps import Timestamp
from tests.unit.mail.mail_model import DAY, HOUR, MailModel
from tests.unit.support.sample_mail import (
    DOMAIN,
    accept_mail,
    account_in,
    address_of,
    agents_with_mail,
    erase,
    fail,
    freeze,
    incoming,
    mail,
    marks,
    of_delivery,
    thaw,
)
from tests.unit.support.search_budget import find_failure, run_machine
from tests.unit.support.specification import NOON, Outcome

NAMES = ("ann", "bob", "cat")
PEOPLE = ("kim@example.com", "lee@example.com")
ADDRESSED = (*NAMES, *PEOPLE, "nobody")
LIMIT = SendingLimit(hourly=6, daily=14)
TENANT_BYTES, AGENT_BYTES = 60, 25
SIZES = (0, 1, 4, 9)
RETENTION_DAYS = 0.02  # About half an hour.
STEPS = (0, 0, 0, 1_000, 600_000, HOUR - 1, HOUR, 5 * HOUR)
COMMANDS_PER_RULE = 12
STEPS_MAX = 4  # Each is a rule; the state is copied around every command.
LATEST_MAX = 5
MARKS = (MarkRead, MarkUnread, StarMessage, AcknowledgeMessage, DeleteMessage)


class MailMachine(RuleBasedStateMachine):
    """Every rule executes random commands on the rules and on the model."""

    def __init__(self) -> None:
        super().__init__()
        limits = Quotas(mailbox_bytes=TENANT_BYTES, mailbox_bytes_per_agent=AGENT_BYTES)
        self.scenario = agents_with_mail(*NAMES, quotas=limits)
        self.model = MailModel(NAMES, LIMIT, TENANT_BYTES, AGENT_BYTES)
        self.now = NOON
        self.tried = 0

    @rule(seed=st.integers(0, 2**32 - 1))
    def execute_many(self, seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(COMMANDS_PER_RULE):
            self._execute_one(rng)

    def _execute_one(self, rng: random.Random) -> None:
        match rng.randrange(12):
            case 0 | 1 | 2:
                self.send(rng)
            case 3:
                self.receive(rng)
            case 4 | 5 | 6:
                self.mark(rng)
            case 7 | 8:
                self.attempt(rng)
            case 9:
                self.configure(rng)
            case 10:
                self.erase_or_expire(rng)
            case _:
                self.now = Timestamp(self.now + rng.choice(STEPS))
        self.check()

    def execute(self, command: Command) -> Outcome:
        """Execute a command; what it erased because of its age is noted before its result."""
        outcome = self.scenario.execute(command, self.now)
        for event in outcome.recorded_first:
            if isinstance(event, MessageErased):
                sent = self.model.messages[event.message_id]
                assert event.reason == "retention"
                assert sent.erase_at is not None
                assert sent.erase_at <= self.now
                sent.erased = True
        return outcome

    def any_message(self, rng: random.Random) -> str:
        known = list(self.model.messages)[-LATEST_MAX:]
        return rng.choice(known) if known and rng.random() < 0.95 else "msg_never"

    # -- Commands --------------------------------------------------------------

    def send(self, rng: random.Random) -> None:
        self.tried += 1
        message, sender = f"msg_{self.tried}", rng.choice(NAMES)
        to = rng.sample(ADDRESSED, rng.randint(1, 3))
        size, days = rng.choice(SIZES), rng.choice((0.0, RETENTION_DAYS))
        settings = MailSettings(
            domain=DOMAIN,
            has_relay=True,
            limits=SendingLimits(active=LIMIT),
            retention_days=days,
        )
        outcome = self.execute(
            mail(sender, *to, message=message, text="x" * size, settings=settings)
        )
        erase_at = self.now + round(days * DAY) if days else None
        expected = self.model.send(message, sender, to, size, self.now, erase_at)
        assert code_of(outcome) == expected

    def receive(self, rng: random.Random) -> None:
        self.tried += 1
        message, rfc_id = f"msg_{self.tried}", f"{rng.randrange(30)}@example.com"
        to, size = rng.sample((*NAMES, "nobody"), 2), rng.choice(SIZES)
        outcome = self.execute(incoming(*to, message=message, rfc_id=rfc_id, text="x" * size))
        is_new = rfc_id not in self.model.rfc_ids
        readers = self.model.receive(message, rfc_id, to, size, self.now)
        if is_new:
            assert outcome.result.accepted == tuple(map(address_of, readers))

    def mark(self, rng: random.Random) -> None:
        kind, name, message = rng.choice(MARKS), rng.choice(NAMES), self.any_message(rng)
        outcome = self.execute(marks(kind, name, message))
        entry = self.model.entry(name, message)
        if entry is None:  # Marks of senders are not counted.
            return
        assert code_of(outcome) is None
        match kind:
            case _ if kind is MarkRead:
                entry.read = True
            case _ if kind is MarkUnread:
                entry.read = False
            case _ if kind is StarMessage:
                entry.starred = not entry.starred
            case _ if kind is AcknowledgeMessage:
                entry.read = entry.read or not entry.acked
                entry.acked = True
            case _:
                entry.deleted = True
        shown = outcome.result
        assert (shown.read_at is not None, shown.starred, shown.acked_at is not None) == (
            *(entry.read, entry.starred),
            entry.acked,
        )

    def attempt(self, rng: random.Random) -> None:
        message = self.any_message(rng)
        sent = self.model.messages.get(message)
        outside = [one for one in (sent.recipients if sent else ()) if "@" in one]
        if sent is None or not outside:
            return
        address = rng.choice(outside)
        number = list(sent.recipients).index(address)
        fails = rng.random() < 0.5
        command = (
            fail(message, permanent=True, number=number)
            if fails
            else of_delivery(RecordRelayed, message, number)
        )
        if code_of(self.execute(command)) is None and sent.recipients[address] == "queued":
            sent.recipients[address] = "bounced" if fails else "relayed"

    def configure(self, rng: random.Random) -> None:
        name = rng.choice(NAMES)
        match rng.randrange(4):
            case 0:
                self.execute(accept_mail(name, "closed"))
                self.model.closed.add(name)
            case 1:
                self.execute(freeze(name))
                self.model.frozen.add(name)
            case 2:
                self.execute(thaw(name))
                self.model.frozen.discard(name)
            case _:
                self.execute(accept_mail(name))
                self.model.closed.discard(name)

    def erase_or_expire(self, rng: random.Random) -> None:
        message = self.any_message(rng)
        if rng.random() < 0.6:
            self.execute(RecordDue(aggregate="message", id=message))
            sent = self.model.messages.get(message)
            if sent is not None and sent.erase_at is not None and sent.erase_at <= self.now:
                assert sent.erased, "its retention has ended"
        elif code_of(self.execute(erase(message))) is None:
            self.model.messages[message].erased = True

    # -- Invariants ------------------------------------------------------------

    @invariant()
    def check(self) -> None:
        state = self.scenario.tenant_state
        assert state.count("mailbox_bytes") == self.model.stored_by_tenant() <= TENANT_BYTES
        for name in NAMES:
            account = account_in(self.scenario, name)
            assert account.unread == self.model.unread(name)
            assert account.stored_bytes == self.model.stored(name) <= AGENT_BYTES
            use = accounts.sending_use(account, self.now)
            assert use.hourly == self.model.used(name, self.now, HOUR) <= LIMIT.hourly
            assert use.daily == self.model.used(name, self.now, DAY) <= LIMIT.daily
        for message, sent in list(self.model.messages.items())[-LATEST_MAX:]:
            found = {one.address: one.status for one in state[MESSAGES][message].recipients}
            expected = {
                one if "@" in one else address_of(one): status
                for one, status in sent.recipients.items()
            }
            assert found == expected


def code_of(outcome: Outcome) -> str | None:
    return None if outcome.rejection is None else outcome.rejection.kind.code


def test_mail_agrees_with_the_naive_model() -> None:
    run_machine(MailMachine, steps=STEPS_MAX)


# -- Planted bugs ------------------------------------------------------------------


def free_no_bytes_of_deleted_messages(patch: pytest.MonkeyPatch) -> None:
    decide: Callable[..., Sequence[Any]] = DeleteMessage.decide
    patch.setattr(
        DeleteMessage, "decide", lambda *args: [replace(one, bytes=0) for one in decide(*args)]
    )


def count_read_messages_as_unread(patch: pytest.MonkeyPatch) -> None:
    decide: Callable[..., Sequence[Any]] = DeleteMessage.decide
    patch.setattr(
        DeleteMessage,
        "decide",
        lambda *args: [replace(one, was_unread=True) for one in decide(*args)],
    )


def free_no_mailbox_of_erased_messages(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Store, "owned_by", lambda _self, _id: [])


def mark_again(
    kind: type[MailboxCommand], event: type[Any]
) -> Callable[[pytest.MonkeyPatch], None]:
    def plant(patch: pytest.MonkeyPatch) -> None:
        def decide(command: Any, state: TenantState, _context: DecisionContext) -> Sequence[Any]:  # noqa: ANN401
            command._find(state)
            return [event(message_id=command.message_id, agent_id=command.agent_id)]

        patch.setattr(kind, "decide", decide)

    plant.__name__ = f"mark_again_{kind.__name__}"
    return plant


def ignore_sending_limits(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sending, "check_sending", lambda *_: None)


def permit_one_more(patch: pytest.MonkeyPatch) -> None:
    check = accounts.check_sending
    patch.setattr(
        sending,
        "check_sending",
        lambda account, limit, now: check(account, replace(limit, hourly=limit.hourly + 1), now),
    )


def never_reset_the_hour(patch: pytest.MonkeyPatch) -> None:
    use_of = accounts.sending_use

    def endless(account: MailAccount, now: Timestamp) -> SendingUse:
        return replace(use_of(account, now), hourly=account.hour_used)

    patch.setattr(accounts, "sending_use", endless)


def ignore_quotas(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(quotas, "check", lambda *_, **__: None)


def forget_the_size(patch: pytest.MonkeyPatch) -> None:
    check = quotas.check
    patch.setattr(quotas, "check", lambda *args, **_: check(*args, more=1))


def keep_statuses(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(deliveries, "with_recipient", lambda message, *_: message)


def relay_bounced_mail(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        delivery_attempts,
        "with_freeze",
        lambda state, context, event: [
            *with_freeze(state, context, event),
            deliveries.MessageRelayed(
                delivery_id=event.delivery_id,
                message_id=event.message_id,
                agent_id=event.agent_id,
                address=event.address,
                attempts=1,
            ),
        ],
    )


def ignore_policies(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(accounts.MailPolicy, "accepts", lambda *_: True)


def ignore_freezes(patch: pytest.MonkeyPatch) -> None:
    account_of = accounts.account_of
    patch.setattr(
        message_gate, "account_of", lambda *args: replace(account_of(*args), frozen_at=None)
    )


@pytest.mark.parametrize(
    "plant_bug",
    [
        free_no_bytes_of_deleted_messages,
        count_read_messages_as_unread,
        free_no_mailbox_of_erased_messages,
        mark_again(MarkRead, MessageRead),
        mark_again(MarkUnread, MessageUnread),
        ignore_sending_limits,
        permit_one_more,
        never_reset_the_hour,
        ignore_quotas,
        forget_the_size,
        keep_statuses,
        relay_bounced_mail,
        ignore_policies,
        ignore_freezes,
    ],
)
def test_planted_bug_is_found(
    plant_bug: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant_bug(monkeypatch)

    with pytest.raises(AssertionError):
        find_failure(MailMachine)
