"""The body of an SMTP DATA command, in pieces: CRLF line ends and doubled leading periods.

Only one piece is copied at a time, so that a message of many megabytes is not held twice.
"""

import re
from collections.abc import Iterator

CHUNK_BYTES = 64 * 1024
END_OF_DATA = b".\r\n"
_LINE_ENDS = re.compile(rb"\r\n|\n|\r")
_LEADING_PERIOD = re.compile(rb"(?m)^\.")


def data_chunks(message: bytes) -> Iterator[bytes]:
    """Yield the message as it is transmitted, with the terminating period.

    A piece ends at a line end: a message whose lines are short gives pieces of ``CHUNK_BYTES``.
    """
    start, chunk = 0, b""
    while start < len(message):
        found = message.find(b"\n", start + CHUNK_BYTES - 1)
        end = len(message) if found < 0 else found + 1
        chunk = _LINE_ENDS.sub(b"\r\n", message[start:end])
        start = end
        if start == len(message) and not chunk.endswith(b"\r\n"):
            chunk += b"\r\n"
        yield _LEADING_PERIOD.sub(b"..", chunk)
    yield END_OF_DATA
