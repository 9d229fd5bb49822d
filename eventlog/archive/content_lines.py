"""Contents as JSON, in exports and backups, and what their event says of them.

This module needs only ``domain``, so that an auditor needs no server packages.
"""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

from quorate.domain.registry import SCHEMA
from quorate.domain.shared.contents import CONTENT_BYTES_MAX, Content, ContentRef, content_id_of
from quorate.domain.shared.records import record

CONTENT = "content"  # The only key of a line with a content.
REFS = "contents"  # The field of an event's data that refers to contents.
_FIELDS = ("id", "part", "salt", "data")
_REF = ("part", "sha256", "bytes")
# An event erases the contents of its own stream.
_ERASING = frozenset(type_.__name__ for type_ in SCHEMA.erases)
_LENGTH_MAX = 64  # Of ids and parts, in the database.


@record
class ContentRow:
    """A row of the table ``message_bodies``."""

    tenant: str
    content: Content


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


def row_line(row: ContentRow) -> dict[str, Any]:
    """Return the line of a content in a file with all tenants."""
    return {CONTENT: content_line(row.content), "tenant": row.tenant}


def parse_row(line: dict[str, Any]) -> ContentRow:
    """Return the content of such a line and its tenant; raises ValueError with the reason."""
    tenant = line.get("tenant")
    if len(line) != len((CONTENT, "tenant")) or not isinstance(tenant, str) or not tenant:
        raise ValueError("its tenant is missing, or it has additional fields")
    return ContentRow(tenant=tenant, content=parse_content(line[CONTENT]))


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


class ContentCheck:
    """Checks the contents that follow their events in an export, and counts them.

    Its memory grows with the contents that are missing and that no event has erased so far.
    """

    def __init__(self) -> None:
        self.verified = 0
        self.erased = 0  # They are missing, and an event says why.
        self._missing: dict[str, int] = {}  # The number of parts, by id.
        self._id = ""
        self._refs: dict[str, ContentRef] = {}  # Of the last event, without a content so far.

    @property
    def missing(self) -> int:
        """How many were not exported, or are erased by a later event than the last one."""
        return sum(self._missing.values())

    def begin(self, stream: str, type_: str, data: Mapping[str, Any]) -> None:
        """Take the references of the next event; raises ValueError."""
        self._id, self._refs = content_id_of(stream), dict(refs_in(data))
        if type_ in _ERASING:
            self.erased += self._missing.pop(self._id, 0)
        if self._refs:
            self._missing[self._id] = len(self._refs)

    def check(self, line: Any) -> Content:  # noqa: ANN401 - JSON.
        """Verify and return the next content; raises ValueError with the reason."""
        content = parse_content(line)
        if content.id != self._id:
            raise ValueError(f"it is of {content.id}, and the event before it is not")
        if (reason := explain_difference(content, self._refs)) is not None:
            raise ValueError(reason)
        del self._refs[content.part]
        self.verified += 1
        if self._refs:
            self._missing[self._id] = len(self._refs)
        else:
            del self._missing[self._id]
        return content
