"""Threads of a tenant at one time: messages, and what became of them for each recipient.

Bodies are not in the event log, so a snapshot has none. The field names are those of the HTTP API
of mail.
"""

from typing import Any, TypeAlias

from quorate.cli.output.console import print_table
from quorate.cli.output.mail_text import join_addresses
from quorate.domain.mail.mailbox_entries import MAIL_ENTRIES
from quorate.domain.mail.messages import MESSAGES, Message
from quorate.domain.mail.threads import MAIL_THREADS, MailThread
from quorate.domain.shared.state import TenantState
from quorate.domain.shared.timestamps import Timestamp, iso

Json: TypeAlias = dict[str, Any]
_SECOND_WIDTH = len("2026-03-01T12:00:00")


def take_threads(tenant_state: TenantState) -> list[Json]:
    """Return the threads, each with its messages, the oldest first."""
    messages: dict[str, list[Message]] = {}
    for message in sorted(tenant_state[MESSAGES].values(), key=lambda one: one.sequence):
        messages.setdefault(message.thread_id, []).append(message)
    marks = _marks(tenant_state)
    return [
        _thread(tenant_state[MAIL_THREADS][thread_id], found, marks)
        for thread_id, found in messages.items()
    ]


def _marks(tenant_state: TenantState) -> dict[tuple[str, str], Json]:
    """Return the times of reading and acknowledgement by message and address."""
    return {
        (entry.message_id, entry.address): {
            "read_at": _iso(entry.read_at),
            "acked_at": _iso(entry.acked_at),
        }
        for entry in tenant_state[MAIL_ENTRIES].values()
    }


def _thread(
    thread: MailThread, messages: list[Message], marks: dict[tuple[str, str], Json]
) -> Json:
    return {
        "thread_id": thread.id,
        "subject": thread.subject,
        "participant_addresses": list(thread.addresses),
        "messages": [_message(message, marks) for message in messages],
    }


def _message(message: Message, marks: dict[tuple[str, str], Json]) -> Json:
    unmarked = {"read_at": None, "acked_at": None}
    return {
        "message_id": message.id,
        "sequence": message.sequence,
        "created_at": iso(message.created_at),
        "from_address": message.from_address,
        "to_addresses": list(message.to),
        "cc_addresses": list(message.cc),
        "subject": message.subject,
        "kind": message.kind,
        "task_id": message.task_id,
        "in_reply_to": message.in_reply_to,
        "status": message.status,
        "erased_at": _iso(message.erased_at),
        "recipients": [
            {
                "address": one.address,
                "delivery_type": one.delivery_type,
                "status": one.status,
                "reason": one.reason,
                **marks.get((message.id, one.address), unmarked),
            }
            for one in message.recipients
        ],
    }


def _iso(at: Timestamp | None) -> str | None:
    return None if at is None else iso(at)


# -- Tables --------------------------------------------------------------------


def print_threads(threads: list[Json]) -> None:
    print_table(
        "Threads",
        ("subject", "participants", "messages", "id"),
        [
            (
                thread["subject"],
                join_addresses(thread["participant_addresses"]),
                str(len(thread["messages"])),
                thread["thread_id"],
            )
            for thread in threads
        ],
    )
    print_table(
        "Deliveries",
        ("sent", "from", "to", "subject", "status", "id"),
        [
            _delivery_row(message, recipient)
            for thread in threads
            for message in thread["messages"]
            for recipient in message["recipients"]
        ],
    )


def _delivery_row(message: Json, recipient: Json) -> tuple[str, ...]:
    return (
        message["created_at"][:_SECOND_WIDTH].replace("T", " "),
        message["from_address"],
        recipient["address"],
        message["subject"],
        _describe_status(recipient),
        message["message_id"],
    )


def _describe_status(recipient: Json) -> str:
    if recipient["acked_at"] is not None:
        return "acknowledged"
    if recipient["read_at"] is not None:
        return "read"
    reason = recipient["reason"]
    return str(recipient["status"]) + (f" ({reason})" if reason else "")
