"""Responses that are files: their headers, as the service writes and the SDK reads them.

* The name of a file is untrusted text. What a header carries has no directories, no control
  characters, and no characters that change the direction of text.
* A browser saves such a file and never displays it.
"""

import re
from collections.abc import Mapping
from typing import Self
from urllib.parse import quote, unquote

from quorate.domain.shared.records import record

ANY_MEDIA = "*/*"
UNKNOWN_MEDIA = "application/octet-stream"
UNNAMED = "attachment"
_MEDIA = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")
_SEPARATORS = re.compile(r"[/\\]")
_NAME = re.compile(r"filename\*=UTF-8''([^;\s]+)")
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9._ -]")


@record
class Download:
    """A file with its media type. ``name`` has no directories, and is otherwise untrusted."""

    name: str
    content_type: str
    data: bytes

    def __repr__(self) -> str:
        return f"Download({self.name!r}, {self.content_type}, {len(self.data)} bytes)"

    @classmethod
    def from_response(cls, headers: Mapping[str, str], data: bytes) -> Self:
        """``headers`` must ignore case, or have names in lower case."""
        found = _NAME.search(headers.get("content-disposition", ""))
        return cls(
            name=safe_file_name(unquote(found[1]) if found else ""),
            content_type=safe_media(headers.get("content-type", "")),
            data=data,
        )


def safe_file_name(name: str) -> str:
    """Return the last component of a name, without characters that are not displayed."""
    last = _SEPARATORS.split(name)[-1]
    return "".join(filter(str.isprintable, last)).strip(" .") or UNNAMED


def safe_media(media: str) -> str:
    """Return a media type without parameters; one that is malformed says nothing of the file."""
    plain = media.partition(";")[0].strip().lower()
    return plain if _MEDIA.fullmatch(plain) else UNKNOWN_MEDIA


def download_headers(name: str) -> tuple[tuple[bytes, bytes], ...]:
    """Return the headers by which a browser saves the file under this name (RFC 6266)."""
    name = safe_file_name(name)
    plain, encoded = _NOT_PLAIN.sub("_", name), quote(name, safe="")
    disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"
    return (
        (b"content-disposition", disposition.encode("ascii")),
        (b"content-security-policy", b"default-src 'none'; sandbox"),
    )
