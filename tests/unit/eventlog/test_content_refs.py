"""An event refers to contents by part, salted hash and size; an aggregate declares erasures."""

import hashlib
from typing import Any

import orjson
import pytest

from quorate.domain.registry import SCHEMA
from quorate.domain.shared.aggregates import Aggregate
from quorate.domain.shared.contents import Content, ContentRef
from quorate.domain.shared.records import record
from quorate.domain.shared.state import Schema
from quorate.eventlog import serialization
from quorate.eventlog.serialization import canonical

HELLO = Content(id="msg_1", part="text", salt=b"s" * 16, data="Grüße".encode())
PAGE = Content(id="msg_1", part="html", salt=b"t" * 16, data=b"<p>")


@record
class NoteWritten:
    note_id: str
    contents: tuple[ContentRef, ...]


@record
class NoteErased:
    note_id: str
    contents: tuple[ContentRef, ...] | None = None


NOTES: Aggregate[Any] = Aggregate(
    name="note",
    events=(NoteWritten, NoteErased),
    stream=lambda event: f"note-{event.note_id}",
    erases={NoteErased: lambda event: event.note_id},
)


def test_reference_has_the_salted_hash_and_the_size_without_the_salt() -> None:
    digest = hashlib.sha256(HELLO.salt + HELLO.data).hexdigest()

    assert HELLO.ref == ContentRef(part="text", sha256=digest, bytes=7)


@pytest.mark.parametrize(
    "event",
    [
        NoteWritten(note_id="msg_1", contents=(HELLO.ref, PAGE.ref)),
        NoteWritten(note_id="msg_1", contents=()),
        NoteErased(note_id="msg_1", contents=(PAGE.ref,)),
        NoteErased(note_id="msg_1"),
    ],
)
def test_references_are_stored_as_canonical_json_and_read_back(event: Any) -> None:  # noqa: ANN401
    written = serialization._compile_writer(type(event))(event)
    data = orjson.dumps(written, option=orjson.OPT_SORT_KEYS)

    assert canonical(orjson.loads(data)) == data
    assert serialization._reader(type(event))(orjson.loads(data)) == event


def test_schema_knows_which_events_erase_contents() -> None:
    erases = Schema([NOTES]).erases

    assert {event: id_of(NoteErased(note_id="msg_1")) for event, id_of in erases.items()} == {
        NoteErased: "msg_1"
    }


def test_every_event_that_erases_is_an_event_of_an_aggregate() -> None:
    assert set(SCHEMA.erases) <= set(SCHEMA.effects)
