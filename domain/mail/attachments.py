"""Attachments of messages from outside: which of them are stored, and why others are not.

* They are numbered from 1, in the order of the message.
* What exceeds the limit of a message is listed and not stored. An erasure deletes them all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from quorate.domain.mail.messages import Attachment, Message
from quorate.domain.shared.errors import NotFound

NUMBER_LENGTH_MAX = 3
NOT_STORED_PART = ""  # Of an attachment above the limit.
WhyNotStored: TypeAlias = Literal["erased", "too_large"]


@dataclass(eq=False)
class AttachmentNotFound(NotFound):
    """The message has no attachment with this number."""

    code, title = "attachment_not_found", "Attachment not found"


@dataclass(eq=False)
class AttachmentNotStored(NotFound):
    """It was erased with the body, or it was larger than what is stored of a message."""

    code, title = "attachment_not_stored", "The attachment is not stored"
    reason = "{why}"
    why: WhyNotStored


def why_not_stored(message: Message, attachment: Attachment) -> WhyNotStored | None:
    if message.erased_at is not None:
        return "erased"
    return "too_large" if attachment["part"] == NOT_STORED_PART else None


def find_attachment(message: Message, number: str) -> Mapping[str, str | int]:
    """Return a stored attachment; raise AttachmentNotFound or AttachmentNotStored."""
    is_number = number.isascii() and number.isdecimal() and len(number) <= NUMBER_LENGTH_MAX
    if not is_number or not 1 <= int(number) <= len(message.attachments):
        raise AttachmentNotFound
    attachment = message.attachments[int(number) - 1]
    if (why := why_not_stored(message, attachment)) is not None:
        raise AttachmentNotStored(why)
    return attachment
