"""Split a message into its MIME parts, within limits of size, number and nesting.

MIME headers are parsed with ``email.policy.SMTP``. The structure is found here by searching the
bytes: the parser of the standard library (3.11) compares each line with the boundaries of all
levels, so that a hostile message of 25 MiB takes minutes, and nested parts exceed its recursion.

Parts of type ``message/*`` are not opened: their content is an attachment.
"""

import re
from collections.abc import Iterator
from email.policy import SMTP
from typing import Any

from quorate.application.mail.text_decoding import decode_charset, decode_transfer, unfold
from quorate.application.mail.unreadable_message import UnreadableMessage

HEADER_BYTES_MAX = 256 * 1024  # Of the message. Each relay adds signatures and traces.
PART_HEADER_BYTES_MAX = 16 * 1024
HEADERS_MAX = 1000
PARTS_MAX = 100
NESTING_MAX = 8
SEARCHED_BYTES = 1024 * 1024
MIME_HEADER_LENGTH_MAX = 2048
PARAMETERS_MAX = 32  # A long file name is sent in segments. Parsing takes 100 us for each.
DEFAULT_TYPE = "text/plain"
UNKNOWN_TYPE = "application/octet-stream"

# A name, a colon, and a value with its continuation lines.
_HEADER = re.compile(r"^([!-9;-~]{1,200})[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)", re.MULTILINE)
_BLANK_LINE = re.compile(rb"\n\r?\n")
_LINE_END = re.compile(rb"\r?\n")
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,127}/[a-z0-9!#$&^_.+-]{1,127}")


class Headers:
    """The headers of a message or part. No malformed value raises."""

    def __init__(self, block: bytes) -> None:
        # Headers in UTF-8 (RFC 6532) are as frequent as encoded ones.
        text = decode_charset(block, "")
        self._values: dict[str, list[str]] = {}
        for number, header in enumerate(_HEADER.finditer(text)):
            if number == HEADERS_MAX:
                raise UnreadableMessage(f"The message has more than {HEADERS_MAX} headers")
            self._values.setdefault(header[1].lower(), []).append(unfold(header[2]))
        self._type = _parse_mime_header("content-type", self.first("content-type"))
        self._disposition = _parse_mime_header(
            "content-disposition", self.first("content-disposition")
        )

    def all(self, name: str) -> list[str]:
        """Return the values of a header as they were sent, unfolded."""
        return self._values.get(name, [])

    def first(self, name: str) -> str | None:
        return next(iter(self.all(name)), None)

    def content_type(self, default: str = DEFAULT_TYPE) -> str:
        if self.first("content-type") is None:
            return default
        found = self._type[0]
        return found if _MEDIA_TYPE.fullmatch(found) else UNKNOWN_TYPE

    def boundary(self) -> str:
        return self._type[1].get("boundary", "").rstrip()

    def charset(self) -> str:
        return self._type[1].get("charset", "")

    def file_name(self) -> str:
        """Return the name as it was given: it may contain anything."""
        return self._disposition[1].get("filename") or self._type[1].get("name", "")

    def is_attachment(self) -> bool:
        return self._disposition[0] == "attachment"

    def transfer_encoding(self) -> str:
        given = self.first("content-transfer-encoding") or ""
        return given.partition(";")[0].strip().lower()


def _parse_mime_header(name: str, value: str | None) -> tuple[str, dict[str, str]]:
    """Return the value in lower case, and its parameters (RFC 2045 and 2231)."""
    if value is None or len(value) > MIME_HEADER_LENGTH_MAX or value.count(";") > PARAMETERS_MAX:
        return "", {}
    try:
        parsed: Any = SMTP.header_factory(name, value)
        first = parsed.content_type if name == "content-type" else parsed.content_disposition
        return str(first).lower(), {key.lower(): str(one) for key, one in parsed.params.items()}
    # The parser raises IndexError, AttributeError, RecursionError and more (Python 3.11).
    except Exception:  # noqa: BLE001
        return "", {}


class Part:
    """A part that contains no others."""

    def __init__(self, raw: bytes, span: tuple[int, int], headers: Headers, kind: str) -> None:
        self._raw = raw
        self._span = span
        self.headers = headers
        self.content_type = kind

    def data(self, bytes_max: int | None = None) -> bytes:
        """Return the decoded content of the first ``bytes_max`` bytes of the part."""
        start, end = self._span
        if bytes_max is not None:
            end = min(end, start + bytes_max)
        return decode_transfer(self._raw[start:end], self.headers.transfer_encoding())


def split_message(raw: bytes) -> tuple[Headers, list[Part]]:
    """Return the headers and the parts in order; raises UnreadableMessage."""
    root, body = _read_headers(raw, 0, len(raw), HEADER_BYTES_MAX)
    parts: list[Part] = []
    waiting = [(root, body, len(raw), root.content_type(), 0)]
    number = 0
    while waiting:
        headers, start, end, kind, depth = waiting.pop()
        number += 1
        if number > PARTS_MAX:
            raise UnreadableMessage(f"The message has more than {PARTS_MAX} parts")
        inner = _spans(raw, start, end, headers.boundary()) if kind.startswith("multipart/") else []
        if not inner:
            kind = DEFAULT_TYPE if kind.startswith("multipart/") else kind
            parts.append(Part(raw, (start, end), headers, kind))
            continue
        if depth == NESTING_MAX:
            raise UnreadableMessage(f"The parts are nested deeper than {NESTING_MAX} levels")
        default = "message/rfc822" if kind == "multipart/digest" else DEFAULT_TYPE
        for first, last in reversed(inner):  # So that the first part is taken next.
            own, body = _read_headers(raw, first, last, PART_HEADER_BYTES_MAX)
            waiting.append((own, body, last, own.content_type(default), depth + 1))
    return root, parts


def header_block(data: bytes) -> Headers:
    """Read the headers at the beginning of a quoted message, or of a report's fields."""
    return _read_headers(data, 0, len(data), HEADER_BYTES_MAX)[0]


def _read_headers(raw: bytes, start: int, end: int, bytes_max: int) -> tuple[Headers, int]:
    """Return the headers at ``start``, and where the body begins."""
    if blank := _LINE_END.match(raw, start, end):
        return Headers(b""), blank.end()
    found = _BLANK_LINE.search(raw, start, min(end, start + bytes_max))
    if found is None and end - start > bytes_max:
        raise UnreadableMessage(f"The headers are longer than {bytes_max} bytes")
    header_end, body = (end, end) if found is None else (found.start() + 1, found.end())
    return Headers(raw[start:header_end]), body


def _spans(raw: bytes, start: int, end: int, boundary: str) -> list[tuple[int, int]]:
    """Return where the parts begin and end; none if the boundary does not occur."""
    return list(_find_spans(raw, start, end, boundary)) if boundary else []


def _find_spans(raw: bytes, start: int, end: int, boundary: str) -> Iterator[tuple[int, int]]:
    delimiter = re.escape(boundary.encode("utf-8", "replace"))
    pattern = re.compile(rb"\n--" + delimiter + rb"(--)?[ \t]{0,80}(?=\r?\n|\Z)")
    begin: int | None = None
    # The body follows a line end, which belongs to the first delimiter.
    for number, found in enumerate(_matches(pattern, raw, max(start - 1, 0), end), start=1):
        if begin is not None:
            stop = found.start()
            stop -= raw[stop - 1 : stop] == b"\r"
            yield begin, max(begin, stop)
        if found[1]:
            return
        if number > PARTS_MAX:
            raise UnreadableMessage(f"The message has more than {PARTS_MAX} parts")
        line_end = _LINE_END.match(raw, found.end(), end)
        begin = line_end.end() if line_end else end
    if begin is not None:
        yield begin, end


def _matches(
    pattern: re.Pattern[bytes], raw: bytes, start: int, end: int
) -> Iterator[re.Match[bytes]]:
    """Search piece by piece: one search of the whole would keep all other threads waiting.

    Each piece ends before a line end, where a match can end, and the next one begins with it.
    """
    while start < end:
        line_end = raw.find(b"\n", start + SEARCHED_BYTES, end)
        piece_end = end if line_end < 0 else line_end
        yield from pattern.finditer(raw, start, piece_end)
        start = piece_end
