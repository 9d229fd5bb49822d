"""Print messages for people. Subjects and bodies are untrusted: they are made printable."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from quorate.cli.mailbox.messages import short_id
from quorate.cli.output.console import (
    WIDE,
    format_table_time,
    format_time,
    output_format,
    print_hint,
    print_line,
    print_table,
)
from quorate.cli.output.mail_text import join_addresses

if TYPE_CHECKING:
    from quorate.contracts.mail.messages import FoundMessage, MailMessage

KIB = 1_024
TAB_WIDTH = 4
BODY_INDENT = "  "


def print_messages(title: str, messages: "Sequence[MailMessage]", *, sent: bool = False) -> None:
    """Print one row for each message; ``sent`` shows recipients and delivery in place of marks."""
    other, state = ("to", "status") if sent else ("from", "marks")
    columns = ("time (UTC)", other, "subject", state, "id")
    rows = [
        (
            format_table_time(one.created_at),
            join_addresses(one.to_addresses) if sent else one.from_address,
            one.subject,
            one.status if sent else _marks(one),
            _shown_id(one),
        )
        for one in messages
    ]
    print_table(title, columns, rows, wide=())


def print_found(messages: "Sequence[FoundMessage]") -> None:
    columns = ("time (UTC)", "from", "subject", "text", "id")
    rows = [
        (
            format_table_time(one.created_at),
            one.from_address,
            one.subject,
            " ".join(one.snippet.split()),
            _shown_id(one),
        )
        for one in messages
    ]
    print_table("Messages found", columns, rows, wide=())


def print_more(cursor: str) -> None:
    print_hint(f"There are more messages: --cursor {cursor}.")


def _shown_id(message: "MailMessage") -> str:
    return message.message_id if output_format() == WIDE else short_id(message.message_id)


def _marks(message: "MailMessage") -> str:
    marks = []
    if message.read_at is None:
        marks.append("new")
    if message.starred:
        marks.append("starred")
    if message.ack_required:
        marks.append("acknowledged" if message.acked_at else "ack required")
    if message.importance != "normal":
        marks.append(message.importance)
    if message.has_attachments:
        marks.append("attachments")
    return ", ".join(marks)


# -- One message -----------------------------------------------------------------


def print_message(message: "MailMessage") -> None:
    for name, value in _headers(message):
        if value:
            print_line(f"{name + ':':<11}{value}")
    print_line("")
    print_body(message, indent="")


def _headers(message: "MailMessage") -> "Iterable[tuple[str, str]]":
    yield "From", message.from_address
    yield "To", ", ".join(message.to_addresses)
    yield "Cc", ", ".join(message.cc_addresses)
    yield "Subject", message.subject
    yield "Date", format_time(message.created_at)
    yield "Status", message.status if message.direction == "outbound" else ""
    yield "Importance", message.importance if message.importance != "normal" else ""
    yield "Ack", _acknowledgement(message)
    yield "Attached", _attachments(message)
    yield "Thread", message.thread_id
    yield "Message", message.message_id


def _acknowledgement(message: "MailMessage") -> str:
    if message.acked_at is not None:
        return f"given at {format_time(message.acked_at)}"
    return "required" if message.ack_required else ""


def _attachments(message: "MailMessage") -> str:
    files = [
        f"{one.number} {one.name} ({one.content_type}, {one.size / KIB:.1f} KiB"
        f"{'' if one.stored else ', not stored'})"
        for one in message.attachments
    ]
    return ", ".join(files)


def print_body(message: "MailMessage", *, indent: str = BODY_INDENT) -> None:
    """Print the text of a message, line by line."""
    if message.erased_at is not None:
        print_line(f"{indent}(The body was erased at {format_time(message.erased_at)}.)")
        return
    if message.body_text is None and message.body_html is None:
        print_line(f"{indent}(The body is long: `quorate mail read` prints it.)")
    for line in (message.body_text or "").splitlines():
        print_line(f"{indent}{line.expandtabs(TAB_WIDTH)}".rstrip())
    if message.body_html is not None:
        print_line(f"{indent}(The message also has an HTML form: -o json prints it.)")


def print_thread(messages: "Sequence[MailMessage]") -> None:
    """Print the messages of a thread, the bodies indented below who wrote them."""
    for message in messages:
        print_line("")
        marks = _marks(message) if message.direction == "inbound" else message.status
        detail = f", {marks}" if marks else ""
        at = format_time(message.created_at)
        print_line(f"{message.from_address}, {at} ({short_id(message.message_id)}{detail})")
        if message.subject:
            print_line(f"{BODY_INDENT}{message.subject}")
        print_body(message)
