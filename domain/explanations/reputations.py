"""Freeze a sender again whose reputation was lost by an outcome of its mail.

The outcomes belong to many messages. What counts is only the sender's account, so that alone is
replayed, and the messages themselves are not facts.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from quorate.domain.explanations.records import History, LoggedEvent
from quorate.domain.mail.accounts import MAIL_ACCOUNTS, MailAccount, MailSendingFrozen
from quorate.domain.mail.deliveries import ComplaintReceived, MessageBounced, MessageRelayed
from quorate.domain.mail.delivery_attempts import with_freeze
from quorate.domain.registry import SCHEMA, new_state

OUTCOMES = (MessageRelayed, MessageBounced, ComplaintReceived)


def freeze_again(history: History, decision: LoggedEvent) -> Sequence[Any]:
    """Record the last outcome again, on the account as it was before it."""
    event: MailSendingFrozen = decision.event
    if not history:
        return ()
    last = history[-1]
    is_its_cause = (
        isinstance(last.event, MessageBounced | ComplaintReceived)
        and last.command_id == decision.command_id
        and last.event.agent_id == event.agent_id
    )
    if not is_its_cause:
        return ()
    state = new_state()
    account = _account_after(history[:-1], event.agent_id)
    if account is not None:
        state[MAIL_ACCOUNTS].put(account.id, account)
    return with_freeze(state, decision.context, last.event)


def _account_after(history: Iterable[LoggedEvent], agent_id: str) -> MailAccount | None:
    account: MailAccount | None = None
    for one in history:
        for aggregate, id_of, evolve, _, _ in SCHEMA.effects[type(one.event)]:
            if aggregate is MAIL_ACCOUNTS and id_of(one.event) == agent_id:
                account = evolve(account, one.event, one.at)
    return account
