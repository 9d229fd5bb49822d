"""Contents as JSON, in exports and backups, and what their event says of them.

This module needs only ``domain``, so that an auditor needs no server packages.
"""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

from quorate.domain.shared.contents import CONTENT_BYTES_MAX, Content, ContentRef

CONTENT = "content"  # The only key of a line with a content.
REFS = "contents"  # The field of an event's data that refers to contents.
_FIELDS = ("id", "part", "salt", "data")
_REF = ("part", "sha256", "bytes")
_LENGTH_MAX = 64  # Of ids and parts, in the database.


def content_line(content: Content) -> dict[str, str]:
    return {
        "id": content.id,
        "part": content.part,
        "salt": content.salt.hex(),
        "data": b64encode(content.data).decode(),
    }


def parse_content(line: Any) -> Content:  # noqa: ANN401 - JSON.
    """Return the content of a line; raises ValueError with the reason."""
    if not isinstance(line, dict) or set(line) != set(_FIELDS):
        raise ValueError("it has missing or additional fields")
    if not all(isinstance(value, str) for value in line.values()):
        raise ValueError("a field has another type")
    for name in ("id", "part"):
        if not 0 < len(line[name]) <= _LENGTH_MAX or "\0" in line[name]:
            raise ValueError(f"its {name} is empty, too long or contains NUL")
    data = b64decode(line["data"], validate=True)
    if len(data) > CONTENT_BYTES_MAX:
        raise ValueError(f"it has more than {CONTENT_BYTES_MAX} bytes")
    content = Content(id=line["id"], part=line["part"], salt=bytes.fromhex(line["salt"]), data=data)
    if content_line(content) != line:
        raise ValueError("its salt or data is not written canonically")
    return content


def refs_in(data: Mapping[str, Any]) -> Mapping[str, ContentRef]:
    """Return what the data of an event say of its contents, by part; most events have none.

    Raises ValueError if the field has another form, which no version has written.
    """
    found = data.get(REFS)
    if found is None:
        return {}
    try:
        refs = [ContentRef(**{name: one[name] for name in _REF}) for one in found]
    except (LookupError, TypeError) as error:
        raise ValueError("its references to contents have another form") from error
    by_part = {ref.part: ref for ref in refs}
    if len(by_part) != len(refs):
        raise ValueError("it refers to a part twice")
    return by_part


def explain_difference(content: Content, refs: Mapping[str, ContentRef]) -> str | None:
    """Return why a content is not what its event says; None if it is."""
    ref = refs.get(content.part)
    if ref is None:
        return f"the event does not refer to a content {content.part!r}"
    if len(content.data) != ref.bytes:
        return f"content {content.part!r} has {len(content.data)} bytes, not {ref.bytes}"
    if content.sha256 != ref.sha256:
        return f"content {content.part!r} differs from its hash in the event"
    return None
