"""Read a file that is exactly one gzip member.

Python's gzip module also accepts zeros, empty members and further members behind it, so bytes
behind the end of a file would remain unnoticed.
"""

import io
import zlib
from typing import BinaryIO

READ_BYTES = 65_536
_GZIP = 16 + zlib.MAX_WBITS


class BytesBehindEnd(Exception):
    """The file continues after its only member."""


class _Member(io.RawIOBase):
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._member = zlib.decompressobj(_GZIP)
        self._input = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        """Fill the buffer; raises EOFError, zlib.error and BytesBehindEnd."""
        while not self._member.eof:
            self._input = self._input or self._file.read(READ_BYTES)
            if not self._input:
                raise EOFError
            data = self._member.decompress(self._input, len(buffer))
            self._input = self._member.unconsumed_tail
            if data:
                buffer[: len(data)] = data
                return len(data)
        if self._member.unused_data or self._file.read(1):
            raise BytesBehindEnd
        return 0


def open_member(file: BinaryIO) -> io.BufferedReader:
    """Return the decompressed content of ``file``."""
    return io.BufferedReader(_Member(file), READ_BYTES)
