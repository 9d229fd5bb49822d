"""Contents: bodies that are kept beside the log, so that they can be erased.

* An event never holds a body. It holds a ``ContentRef`` of each: size and salted hash. The hash
  chain therefore proves a body for as long as it exists, and remains valid when it is erased.
* A command with contents has a method ``contents``. They are stored in the transaction that records
  its events, and not at all if it records none.
* A command that hands contents out, such as the text of a claimed task, has a method
  ``hands_out``. They are read in its transaction.
* The id of contents is that of their event's stream, ``category-id``. One event refers to all
  contents of an id.
* An aggregate declares which of its events erase contents (``Aggregate.erases``).
* The salt is random: without it, the hash in the event would reveal a short body after its erasure.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any, Protocol, TypeAlias

from quorate.domain.shared.records import record

SALT_BYTES = 16
CONTENT_BYTES_MAX = 10 * 1024 * 1024


@record
class ContentRef:
    """What an event holds of a content, in its field ``contents``."""

    part: str
    sha256: str  # Of salt and data, in hexadecimal digits.
    bytes: int  # Without the salt.


@record
class Content:
    """One part of a body; ``id`` is that of the instance to which the event belongs."""

    id: str
    part: str  # For example "text", "html" or "attachment-0".
    salt: bytes
    data: bytes
    is_searched: bool = field(default=True, compare=False)  # Not stored: only a new one has it.

    def __repr__(self) -> str:
        """Leave out the data, which must not be logged with a command."""
        return f"Content({self.id}, {self.part}, {len(self.data)} bytes)"

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.salt + self.data).hexdigest()

    @property
    def ref(self) -> ContentRef:
        return ContentRef(part=self.part, sha256=self.sha256, bytes=len(self.data))


Contents: TypeAlias = Mapping[tuple[str, str], Content]  # By id and part.


def content_id_of(stream: str) -> str:
    """Return the id of the contents to which the events of a stream refer."""
    return stream.partition("-")[2]


class CommandWithContents(Protocol):
    """A command whose contents are stored if it records events."""

    def contents(self) -> Sequence[Content]:
        """Return the contents. It is called several times, so they are made before."""


def contents_of(command: object) -> Sequence[Content]:
    """Return the contents of any command; most have none."""
    contents: Callable[[], Sequence[Content]] | None = getattr(command, "contents", None)
    return () if contents is None else contents()


def handed_out(command: object, result: Any) -> str | None:  # noqa: ANN401 - of any command.
    """Return the id whose contents belong to the result of a command; most hand out none."""
    hands_out: Callable[[Any], str | None] | None = getattr(command, "hands_out", None)
    return None if hands_out is None else hands_out(result)
