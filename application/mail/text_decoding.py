"""Decode text of foreign messages: transfer encodings, character sets and encoded words.

Guarantees: nothing here raises for any bytes, time is linear, and every result can be encoded as
UTF-8 and has no NUL.
"""

import binascii
import re
from encodings import normalize_encoding
from encodings.aliases import aliases

CHARSET_LENGTH_MAX = 60
DEFAULT_CHARSETS = frozenset({"", "ascii", "us_ascii", "unknown_8bit"})
FALLBACK_CHARSET = "cp1252"
# A table of names: the codecs module remembers each unknown name that it is asked for.
_CHARSETS = frozenset({*aliases, *aliases.values(), "koi8_u", "koi8_t", "cp874", "utf_8_sig"})
_WORD = re.compile(r"=\?([^?\s*]{1,60})(?:\*[^?\s]{0,20})?\?([bBqQ])\?([^?\s]*)\?=")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")
_FOLD = re.compile(r"\r\n|[\r\n]")
# C0 and C1 control characters, and those that reverse the direction of the text that follows.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


def clean(text: str) -> str:
    """Return a text without NUL and lone surrogates, with LF as line end."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")
    return text.encode("utf-8", "replace").decode("utf-8")


def one_line(text: str, length_max: int) -> str:
    """Return a text without control characters, cut at a number of characters."""
    return clean(_CONTROL.sub(" ", text)).strip()[:length_max].rstrip()


def unfold(value: str) -> str:
    return _FOLD.sub("", value).strip()


def cut_at_bytes(text: str, bytes_max: int) -> str:
    """Cut a text at a character boundary, so that its UTF-8 has at most ``bytes_max`` bytes."""
    if len(text) * 4 <= bytes_max:
        return text
    return text[:bytes_max].encode("utf-8")[:bytes_max].decode("utf-8", "ignore")


def decode_charset(data: bytes, charset: str) -> str:
    """Decode bytes; without a known character set they are UTF-8, or else Windows-1252."""
    name = normalize_encoding(charset[:CHARSET_LENGTH_MAX]).lower()
    if name not in DEFAULT_CHARSETS and name in _CHARSETS:
        try:
            return clean(data.decode(name, "replace"))
        except (LookupError, ValueError):  # Codecs between bytes, and errors that "replace" keeps.
            pass
    try:
        return clean(data.decode("utf-8"))
    except UnicodeDecodeError:
        return clean(data.decode(FALLBACK_CHARSET, "replace"))


def decode_transfer(data: bytes, encoding: str) -> bytes:
    """Undo a Content-Transfer-Encoding; damaged base64 gives what can be read of it."""
    if encoding == "base64":
        try:
            return binascii.a2b_base64(data)
        except binascii.Error:
            kept = _NOT_BASE64.sub(b"", data)
            kept = kept[: len(kept) - (len(kept) % 4 == 1)]
            return binascii.a2b_base64(kept + b"=" * (-len(kept) % 4))
    if encoding == "quoted-printable":
        return binascii.a2b_qp(data)
    return data


def decode_words(value: str) -> str:
    """Decode the encoded words (RFC 2047) of a header.

    Neighbours of one character set are decoded together: senders split characters between words.
    """
    chunks: list[tuple[str | None, bytes | str]] = []
    end = 0
    for word in _WORD.finditer(value):
        between = value[end : word.start()]
        charset, encoding, text = word.groups()
        data = _decode_word(text.encode("utf-8"), encoding)
        if between.strip() or not chunks:
            chunks.append((None, between))
        last_charset, last = chunks[-1]
        if last_charset == charset.lower() and isinstance(last, bytes):
            chunks[-1] = (last_charset, last + data)
        else:
            chunks.append((charset.lower(), data))
        end = word.end()
    chunks.append((None, value[end:]))
    return "".join(
        chunk if isinstance(chunk, str) else decode_charset(chunk, charset or "")
        for charset, chunk in chunks
    )


def _decode_word(data: bytes, encoding: str) -> bytes:
    if encoding in "bB":
        return decode_transfer(data, "base64")
    return binascii.a2b_qp(data, header=True)
