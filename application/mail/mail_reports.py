"""Reports about our messages: bounces (RFC 3464) and complaints (RFC 5965).

A report is not authenticated. Callers match it with a message and recipient that they sent.
"""

import re
from collections.abc import Sequence

from quorate.application.mail.mime_parts import Headers, Part, header_block
from quorate.application.mail.text_decoding import decode_words, one_line
from quorate.domain.shared.records import record

REPORT_BYTES_MAX = 256 * 1024
REPORTED_RECIPIENTS_MAX = 100
DIAGNOSTIC_LENGTH_MAX = 400
FEEDBACK_TYPE_LENGTH_MAX = 40
ADDRESS_LENGTH_MAX = 320
MESSAGE_ID_LENGTH_MAX = 300

REPORT = "multipart/report"
DELIVERY_STATUS = frozenset({"message/delivery-status", "message/global-delivery-status"})
FEEDBACK_REPORT = "message/feedback-report"
ORIGINAL = frozenset(
    {"message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers"}
)
_BLANK_LINES = re.compile(rb"\r?\n(?:[ \t]*\r?\n)+")
_MESSAGE_ID = re.compile(rf"<([^<>\s]{{1,{MESSAGE_ID_LENGTH_MAX}}})>")
_STATUS = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}")


@record
class FailedRecipient:
    """A recipient that a message did not reach; ``status`` is an enhanced code, as 5.1.1."""

    address: str
    status: str | None
    diagnostic: str


@record
class BounceReport:
    """A message that failed; without recipients it is only delayed, or was delivered."""

    original_message_id: str | None
    recipients: tuple[FailedRecipient, ...]


@record
class ComplaintReport:
    """A recipient called the message ``feedback_type``, most often ``abuse``."""

    original_message_id: str | None
    feedback_type: str
    recipient: str | None


def message_ids(value: str) -> tuple[str, ...]:
    """Return the Message-IDs in a header, without angle brackets."""
    return tuple(_MESSAGE_ID.findall(value))


def find_report(root: Headers, parts: Sequence[Part]) -> BounceReport | ComplaintReport | None:
    if root.content_type() != REPORT:
        return None
    for part in parts:
        if part.content_type in DELIVERY_STATUS:
            return BounceReport(
                original_message_id=_original_message_id(root, parts),
                recipients=_failed_recipients(part),
            )
        if part.content_type == FEEDBACK_REPORT:
            return _complaint(root, parts, part)
    return None


def _failed_recipients(part: Part) -> tuple[FailedRecipient, ...]:
    failed = []
    # The first group of fields is about the message, each other one about a recipient.
    groups = _BLANK_LINES.split(part.data(REPORT_BYTES_MAX).strip(), REPORTED_RECIPIENTS_MAX)
    for fields in map(header_block, groups):
        address = _typed(fields, "original-recipient") or _typed(fields, "final-recipient")
        status = _STATUS.match(fields.first("status") or "")
        action = (fields.first("action") or "").lower()
        has_failed = action == "failed" or (not action and status and status[0].startswith("5"))
        if address and has_failed:
            failed.append(
                FailedRecipient(
                    address=address,
                    status=status[0] if status else None,
                    diagnostic=_typed(fields, "diagnostic-code", DIAGNOSTIC_LENGTH_MAX),
                )
            )
    return tuple(failed)


def _complaint(root: Headers, parts: Sequence[Part], part: Part) -> ComplaintReport:
    fields = header_block(part.data(REPORT_BYTES_MAX).lstrip())
    recipient = _plain(fields, "original-rcpt-to", ADDRESS_LENGTH_MAX).strip("<>")
    feedback_type = _plain(fields, "feedback-type", FEEDBACK_TYPE_LENGTH_MAX).lower()
    return ComplaintReport(
        original_message_id=_original_message_id(root, parts),
        feedback_type=feedback_type or "other",
        recipient=recipient or None,
    )


def _original_message_id(root: Headers, parts: Sequence[Part]) -> str | None:
    """Return the Message-ID of the quoted message, or that which the report replies to."""
    for part in parts:
        if part.content_type in ORIGINAL:
            quoted = header_block(part.data(REPORT_BYTES_MAX).lstrip())
            if found := message_ids(quoted.first("message-id") or ""):
                return found[0]
    for name in ("in-reply-to", "references"):
        if found := message_ids(root.first(name) or ""):
            return found[-1]
    return None


def _typed(fields: Headers, name: str, length_max: int = ADDRESS_LENGTH_MAX) -> str:
    """Return the value of ``type; value``, as ``rfc822; user@example.org``."""
    value = _plain(fields, name, length_max)
    return value.partition(";")[2].strip().strip("<>") if ";" in value else value


def _plain(fields: Headers, name: str, length_max: int) -> str:
    return one_line(decode_words((fields.first(name) or "")[: 4 * length_max]), length_max)
