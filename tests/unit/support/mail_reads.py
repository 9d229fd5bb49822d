"""What the reads of mail load: a second definition, written without the read models."""

from collections.abc import Iterable
from typing import Any

from quorate.domain.identity.agents import find_agent_by_name
from quorate.domain.mail.accounts import MAIL_ACCOUNTS
from quorate.domain.mail.deliveries import DELIVERIES
from quorate.domain.mail.mailbox_entries import MAIL_ENTRIES
from quorate.domain.mail.messages import MESSAGES, Message
from quorate.domain.mail.threads import MAIL_THREADS
from quorate.domain.shared.aggregates import Aggregate
from quorate.domain.shared.state import TenantState
from quorate.domain.shared.timestamps import Timestamp

Keys = dict[str, list[tuple[str, ...]]]


def put_mail(part: TenantState, complete: TenantState, keys: Keys, now: Timestamp) -> None:
    """Put what the reads of mail name into ``part``, and remove these reads from ``keys``."""

    def asked(read: str) -> list[str]:
        return [key for (key,) in keys.pop(read, [])]

    def copy(aggregate: Aggregate[Any], ids: Iterable[str]) -> None:
        for id_ in ids:
            if (known := complete[aggregate].get(id_)) is not None:
                part[aggregate].put(id_, known)

    def copy_entries(message_id: str) -> None:
        """A body that is erased frees space in every mailbox, so their accounts are needed."""
        entries = complete[MAIL_ENTRIES].owned_by(message_id)
        copy(MAIL_ENTRIES, [one.id for one in entries])
        copy(MAIL_ACCOUNTS, [one.agent_id for one in entries])

    copy(MAIL_ACCOUNTS, asked("mail_account.id"))
    named = [find_agent_by_name(complete, name) for name in asked("mail_account.name")]
    copy(MAIL_ACCOUNTS, [one.id for one in named if one is not None])
    deliveries = [complete[DELIVERIES].get(one) for one in asked("mail_account.delivery")]
    copy(MAIL_ACCOUNTS, [one.agent_id for one in deliveries if one is not None])
    copy(DELIVERIES, asked("delivery.id"))
    copy(MAIL_ENTRIES, asked("mail_entry.id"))
    copy(MESSAGES, (*asked("message.id"), *asked("message.header")))
    received = [_received(complete, one) for one in asked("message.rfc_message_id")]
    copy(MESSAGES, [one.id for one in received if one is not None])
    messages = [complete[MESSAGES].get(one) for one in asked("mail_thread.message")]
    copy(MAIL_THREADS, [one.thread_id for one in messages if one is not None])
    for message_id in asked("mail_entry.message"):
        copy_entries(message_id)
    for message in list(part[MESSAGES].values()):
        if message.erased_at is None and message.erase_at is not None and message.erase_at <= now:
            copy_entries(message.id)


def _received(complete: TenantState, rfc_message_id: str) -> Message | None:
    known = complete[MESSAGES].values()
    return next((one for one in known if one.rfc_message_id == rfc_message_id), None)
