"""Build messages in the Internet format (RFC 5322) for the SMTP relay.

Guarantees:

* The same record always gives the same bytes, so that a retry repeats the message exactly.
* All lines are ASCII and at most 998 octets long. Any relay can transmit the message.
* No value can add a header: text with a line break is rejected, other text is encoded.
* Bcc does not exist here. The envelope names the recipients.

The body is built with ``email.policy.SMTP``. The headers above it are folded here: the folding of
the standard library (3.11 to 3.13) loses quotes and spaces of long display names and subjects.
"""

import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from hashlib import sha256

from quorate.domain.shared.email_addresses import AddressUnusable, contact
from quorate.domain.shared.records import record
from quorate.runtime.domain_names import to_a_labels

LINE_LENGTH_MAX = 78
WORD_LENGTH_MAX = 60  # A longer word of plain text is encoded, so that it can be folded.
ENCODED_WORD_BYTES_MAX = 45  # 60 characters of base64: with its frame, a word has at most 75.
DISPLAY_NAME_LENGTH_MAX = 256
SUBJECT_LENGTH_MAX = 1000
REFERENCES_MAX = 50
AUTO_SUBMITTED = "auto-generated"
NUL = "\0"

_POLICY = SMTP.clone(cte_type="7bit")
_BREAKS = re.compile(r"[\r\n\x00]")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_PLAIN = re.compile(r"[!-~]+(?: [!-~]+)*")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_MESSAGE_ID = re.compile(r"[!#-;=?A-Z\[\]^-~]+@[!#-;=?A-Z\[\]^-~]+")
_IMPORTANCE = {
    "low": ("low", "5 (Lowest)"),
    "normal": ("normal", "3 (Normal)"),
    "high": ("high", "2 (High)"),
    "urgent": ("high", "1 (Highest)"),
}


@record
class OutgoingMessage:
    """A message to people outside; ids are without angle brackets, ``date`` has a time zone."""

    message_id: str
    from_address: str
    from_name: str | None = None
    to: Sequence[str]
    cc: Sequence[str] = ()
    subject: str
    date: datetime
    text: str
    html: str | None = None
    in_reply_to: str | None = None
    references: Sequence[str] = ()
    importance: str = "normal"
    auto_submitted: bool = True


def rfc_message_id(message_id: str, domain: str) -> str:
    """Return the Message-ID of one of our messages, without angle brackets."""
    return f"{message_id}@{domain}"


def build_message(message: OutgoingMessage) -> bytes:
    """Return the message with CRLF line ends; raises ValueError for values that fit no header."""
    lines = [line for name, words in _headers(message) for line in _folded(name, words)]
    return "".join(f"{line}\r\n" for line in lines).encode("ascii") + _body(message)


def _headers(message: OutgoingMessage) -> Iterator[tuple[str, list[str]]]:
    """Yield each header with the words between which it can be folded."""
    if message.date.tzinfo is None:
        raise ValueError("The date of a message has a time zone")
    yield "Date", [format_datetime(message.date.astimezone(UTC))]
    yield "From", [*_display_name(message.from_name), f"<{_address(message.from_address)}>"]
    for name, addresses in (("To", message.to), ("Cc", message.cc)):
        if addresses:
            *others, last = map(_address, addresses)
            yield name, [*(f"{other}," for other in others), last]
    yield "Subject", _subject(message.subject)
    yield "Message-ID", [_message_id(message.message_id)]
    if message.in_reply_to is not None:
        yield "In-Reply-To", [_message_id(message.in_reply_to)]
    if message.references:
        # The first one is the root of the thread (RFC 5322, 3.6.4). The newest follow it.
        first, *rest = message.references
        yield "References", [_message_id(one) for one in (first, *rest[-REFERENCES_MAX + 1 :])]
    importance, priority = _IMPORTANCE[message.importance]
    if message.importance != "normal":
        yield "Importance", [importance]
        yield "X-Priority", priority.split()
    if message.auto_submitted:
        yield "Auto-Submitted", [AUTO_SUBMITTED]


def _folded(name: str, words: list[str]) -> Iterator[str]:
    line = f"{name}:"
    for index, word in enumerate(words):
        if index and len(line) + 1 + len(word) > LINE_LENGTH_MAX:
            yield line
            line = ""
        line = f"{line} {word}"
    yield line


def _subject(subject: str) -> list[str]:
    if len(subject) > SUBJECT_LENGTH_MAX:
        raise ValueError(f"The subject has more than {SUBJECT_LENGTH_MAX} characters")
    _reject_breaks("subject", subject)
    return subject.split(" ") if _is_plain(subject) else _encoded_words(subject)


def _display_name(name: str | None) -> list[str]:
    """Return the words of a display name: atoms, a quoted string, or encoded words."""
    if not name:
        return []
    if len(name) > DISPLAY_NAME_LENGTH_MAX:
        raise ValueError(f"The display name has more than {DISPLAY_NAME_LENGTH_MAX} characters")
    _reject_breaks("display name", name)
    if not _is_plain(name):
        return _encoded_words(name)
    if _ATOMS.fullmatch(name):
        return name.split(" ")
    # Some readers do not understand a quoted string that continues on the next line.
    quoted = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return [quoted] if len(quoted) <= WORD_LENGTH_MAX else _encoded_words(name)


def _is_plain(text: str) -> bool:
    """Whether a text is ASCII that survives folding: single spaces, and words of limited length."""
    is_printable = _PLAIN.fullmatch(text) is not None and "=?" not in text
    return is_printable and max(map(len, text.split(" "))) <= WORD_LENGTH_MAX


def _encoded_words(text: str) -> list[str]:
    """Encode a text as RFC 2047 words; each word holds whole characters."""
    chunks = [b""]
    for character in text:
        encoded = character.encode("utf-8")  # A lone surrogate raises UnicodeEncodeError.
        if len(chunks[-1]) + len(encoded) > ENCODED_WORD_BYTES_MAX:
            chunks.append(b"")
        chunks[-1] += encoded
    return [f"=?utf-8?b?{b64encode(chunk).decode('ascii')}?=" for chunk in chunks if chunk]


def _address(address: str) -> str:
    """Return an address for a header, its domain as A-labels; raises ValueError."""
    try:
        key = contact(address, to_a_labels).key
    except AddressUnusable as error:
        raise ValueError(f"The address {address!r} is unusable: {error.why}") from None
    return f"{address.rpartition('@')[0]}@{key.rpartition('@')[2]}"


def _message_id(message_id: str) -> str:
    if len(message_id) >= LINE_LENGTH_MAX * 4 or not _MESSAGE_ID.fullmatch(message_id):
        raise ValueError(f"{message_id[:LINE_LENGTH_MAX]!r} is not a Message-ID")
    return f"<{message_id}>"


def _reject_breaks(what: str, text: str) -> None:
    if _BREAKS.search(text):
        raise ValueError(f"The {what} contains a line break or NUL")


def _body(message: OutgoingMessage) -> bytes:
    """Return the MIME headers, a blank line and the content."""
    body = EmailMessage(policy=_POLICY)
    body.set_content(message.text, cte=_encoding(message.text))
    if message.html is not None:
        body.add_alternative(message.html, subtype="html", cte=_encoding(message.html))
        body.set_boundary(_boundary(message.message_id, message.text, message.html))
    return body.as_bytes()


def _encoding(text: str) -> str | None:
    """Encode control characters, which SMTP does not transmit; None lets the library choose."""
    return "quoted-printable" if _CONTROL.search(text) else None


def _boundary(*parts: str) -> str:
    """Return a boundary that no part contains: it depends on all of them."""
    return f"=_{sha256(NUL.join(parts).encode()).hexdigest()[:32]}"
