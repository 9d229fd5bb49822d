"""Read a message from outside (RFC 5322 and MIME), whatever bytes it consists of.

Guarantees:

* Only UnreadableMessage is raised. Time and memory are bounded by the size of the message.
* Every text of the result can be encoded as UTF-8. Header values contain no control characters.
* HTML is returned as it was sent and must not be shown without sanitising.
* Nothing in a message is authenticated: ``From`` may be forged, and so may a report.

A caller handles ``report`` first, then ``loop_reason``: reports are automatic and have no sender.
"""

import re
from collections.abc import Iterator, Sequence
from email.utils import getaddresses
from hashlib import sha256

from quorate.application.mail.html_text import html_to_text
from quorate.application.mail.mail_reports import (
    BounceReport,
    ComplaintReport,
    find_report,
    message_ids,
)
from quorate.application.mail.mime_parts import Headers, Part, split_message
from quorate.application.mail.text_decoding import (
    clean,
    cut_at_bytes,
    decode_charset,
    decode_words,
    one_line,
)
from quorate.application.mail.unreadable_message import UnreadableMessage
from quorate.domain.shared.email_addresses import AddressUnusable, contact
from quorate.domain.shared.records import record
from quorate.runtime.domain_names import to_a_labels

MESSAGE_BYTES_MAX = 25 * 1024 * 1024
SUBJECT_LENGTH_MAX = 256
HEADER_VALUE_LENGTH_MAX = 8 * 1024  # Of a value that is decoded; the rest is ignored.
ADDRESSES_LENGTH_MAX = 64 * 1024
RECIPIENTS_MAX = 1000
LOCAL_LENGTH_MAX = 64
REFERENCES_MAX = 100
TEXT_BYTES_MAX = 256 * 1024
# Enough for a text of the maximum in any encoding: 3 characters for a byte, 4 bytes for a letter.
TEXT_SOURCE_BYTES_MAX = 12 * TEXT_BYTES_MAX
ATTACHMENTS_BYTES_MAX = 10 * 1024 * 1024
FILE_NAME_LENGTH_MAX = 128
RECEIVED_MAX = 25

_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+")
_RESERVED_IN_NAMES = re.compile(r'[<>:"|?*]')


@record
class Attachment:
    name: str
    content_type: str
    size: int
    sha256: str
    data: bytes | None  # None above ATTACHMENTS_BYTES_MAX: it is listed only.


@record
class InboundMessage:
    """A message from outside; Message-IDs are without angle brackets.

    ``text`` is made from ``html`` if the message has no text.
    ``delivered_to`` are recipients that the mail server added: with Bcc they are the only ones.
    ``return_path`` is the envelope's sender, empty for a bounce, None if it is not in the message.
    """

    from_address: str
    to: tuple[str, ...]
    cc: tuple[str, ...]
    delivered_to: tuple[str, ...]
    subject: str
    text: str
    is_text_cut: bool
    html: str | None
    attachments: tuple[Attachment, ...]
    rfc_message_id: str | None
    in_reply_to: tuple[str, ...]
    references: tuple[str, ...]
    auto_submitted: str
    is_automatic: bool
    received_count: int
    return_path: str | None
    report: BounceReport | ComplaintReport | None


def parse_inbound(raw: bytes) -> InboundMessage:
    """Parse a message; raises UnreadableMessage."""
    if len(raw) > MESSAGE_BYTES_MAX:
        raise UnreadableMessage(f"The message is larger than {MESSAGE_BYTES_MAX} bytes")
    headers, parts = split_message(raw)
    sender = next(_addresses(headers, "from"), None)
    if sender is None:
        raise UnreadableMessage("The message has no usable From address")
    to, cc = tuple(_addresses(headers, "to")), tuple(_addresses(headers, "cc"))
    delivered_to = tuple(_addresses(headers, "delivered-to", "x-original-to", "envelope-to"))
    if not (to or cc or delivered_to):
        raise UnreadableMessage("The message has no usable recipient address")
    texts, html, rest = _sort_parts(parts)
    markup = None if html is None else cut_at_bytes(_text(html), TEXT_BYTES_MAX)
    text = "\n".join(map(_text, texts))
    if markup and not text.strip():
        text = clean(html_to_text(markup))
    kept = cut_at_bytes(text, TEXT_BYTES_MAX)
    auto_submitted = _auto_submitted(headers)
    return_path = headers.first("return-path")
    return InboundMessage(
        from_address=sender,
        to=to,
        cc=cc,
        delivered_to=delivered_to,
        subject=_line(headers, "subject", SUBJECT_LENGTH_MAX),
        text=kept,
        is_text_cut=len(kept) < len(text),
        html=markup,
        attachments=_attachments(rest),
        rfc_message_id=next(iter(_ids(headers, "message-id")), None),
        in_reply_to=_ids(headers, "in-reply-to"),
        references=_ids(headers, "references"),
        auto_submitted=auto_submitted,
        is_automatic=auto_submitted != "no" or _is_bulk(headers),
        received_count=len(headers.all("received")),
        return_path=None if return_path is None else _return_path(return_path),
        report=find_report(headers, parts),
    )


def loop_reason(message: InboundMessage, own_domain: str) -> str | None:
    """Return why a message may come from a loop of programs that reply; None if it does not."""
    if message.auto_submitted != "no":
        return f"It is an automatic message (Auto-Submitted: {message.auto_submitted})"
    if message.received_count > RECEIVED_MAX:
        return f"It passed more than {RECEIVED_MAX} mail servers"
    domain = (message.rfc_message_id or "").rpartition("@")[2]
    if domain and domain.lower() == own_domain.lower():
        return "It is one of our own messages (its Message-ID has our mail domain)"
    if message.return_path == "":
        return "It has the null sender of a bounce (an empty Return-Path)"
    return None


def _addresses(headers: Headers, *names: str) -> Iterator[str]:
    """Yield each usable address once, with its domain as A-labels in lower case."""
    values = [value for name in names for value in headers.all(name)]
    if sum(map(len, values)) > ADDRESSES_LENGTH_MAX:
        raise UnreadableMessage(
            f"The header {names[0]} is longer than {ADDRESSES_LENGTH_MAX} characters"
        )
    try:
        given = getaddresses(values)
    # Nested comments recurse; other errors of the parser were seen with malformed addresses.
    except (RecursionError, LookupError, ValueError, TypeError, AttributeError):
        given = []
    found = dict.fromkeys(filter(None, (_usable(address) for _, address in given)))
    if len(found) > RECIPIENTS_MAX:
        raise UnreadableMessage(f"The header {names[0]} has more than {RECIPIENTS_MAX} addresses")
    yield from found


def _usable(address: str) -> str | None:
    local, _, domain = address.rpartition("@")
    if len(local) > LOCAL_LENGTH_MAX or not _LOCAL.fullmatch(local):
        return None
    try:
        return f"{local}@{contact(f'x@{domain}', to_a_labels).key.rpartition('@')[2]}"
    except AddressUnusable:
        return None


def _line(headers: Headers, name: str, length_max: int) -> str:
    value = (headers.first(name) or "")[:HEADER_VALUE_LENGTH_MAX]
    return one_line(decode_words(value), length_max)


def _ids(headers: Headers, name: str) -> tuple[str, ...]:
    found = message_ids(" ".join(headers.all(name)))
    # The first one is the root of the thread.
    return found if len(found) <= REFERENCES_MAX else (found[0], *found[1 - REFERENCES_MAX :])


def _auto_submitted(headers: Headers) -> str:
    value = headers.first("auto-submitted") or "no"
    return one_line(value[:HEADER_VALUE_LENGTH_MAX].partition(";")[0], 40).lower() or "no"


def _is_bulk(headers: Headers) -> bool:
    precedence = (headers.first("precedence") or "").lower()
    return precedence in {"bulk", "junk", "list", "auto_reply"} or bool(headers.all("list-id"))


def _return_path(value: str) -> str:
    return one_line(value[:HEADER_VALUE_LENGTH_MAX], 320).strip("<> ")


def _sort_parts(parts: Sequence[Part]) -> tuple[list[Part], Part | None, list[Part]]:
    """Return the parts with text, the first one with HTML, and all others."""
    texts: list[Part] = []
    html: Part | None = None
    rest: list[Part] = []
    for part in parts:
        is_inline = not part.headers.is_attachment() and not part.headers.file_name()
        if is_inline and part.content_type == "text/plain":
            texts.append(part)
        elif is_inline and part.content_type == "text/html" and html is None:
            html = part
        else:
            rest.append(part)
    return texts, html, rest


def _text(part: Part) -> str:
    return decode_charset(part.data(TEXT_SOURCE_BYTES_MAX), part.headers.charset())


def _attachments(parts: Sequence[Part]) -> tuple[Attachment, ...]:
    attachments = []
    kept = 0
    for number, part in enumerate(parts, start=1):
        data = part.data()
        is_kept = kept + len(data) <= ATTACHMENTS_BYTES_MAX
        kept += len(data) if is_kept else 0
        attachments.append(
            Attachment(
                name=_file_name(part.headers.file_name()) or f"attachment-{number}",
                content_type=part.content_type,
                size=len(data),
                sha256=sha256(data).hexdigest(),
                data=data if is_kept else None,
            )
        )
    return tuple(attachments)


def _file_name(given: str) -> str:
    """Return the last component of a name, without characters that a file system reserves."""
    name = one_line(decode_words(given), len(given)).replace("\\", "/").rpartition("/")[2]
    name = _RESERVED_IN_NAMES.sub("_", name).strip(" .")
    if len(name) <= FILE_NAME_LENGTH_MAX:
        return name
    stem, dot, suffix = name.rpartition(".")
    suffix = dot + suffix if stem and len(suffix) < FILE_NAME_LENGTH_MAX // 4 else ""
    return name[: FILE_NAME_LENGTH_MAX - len(suffix)] + suffix
