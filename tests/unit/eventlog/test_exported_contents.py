"""Contents in an export are verified by the hashes in their events; missing ones are no error."""

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

import orjson
import pytest

from quorate.domain.registry import SCHEMA
from quorate.domain.shared.contents import Content, content_id_of
from quorate.eventlog.archive.export_format import (
    FileCorrupted,
    VerificationResult,
    encode_content,
    encode_line,
    read_unverified,
    verify,
)
from quorate.eventlog.hash_chain import GENESIS, link
from tests.unit.support import sample_mail_events, sample_session_events, sample_task_events

TEXT = Content(id="msg_1", part="text", salt=b"s" * 16, data=b"Come at five.")
IMAGE = Content(id="msg_1", part="attachment-0", salt=b"t" * 16, data=bytes(range(256)))
OTHER = Content(id="msg_2", part="text", salt=b"u" * 16, data=b"No, at six.")
Lines = list[bytes]


def exported(
    *events: Sequence[Content],
    left_out: Sequence[Content] = (),
    then: dict[str, Any] | None = None,
) -> Lines:
    """Return an export of events with these contents, each followed by them.

    ``left_out`` are not exported; ``then`` are fields of one more event.
    """
    lines, head = [], GENESIS.hash
    given: list[Sequence[Content]] = [*events, *([[]] if then else [])]
    for sequence, contents in enumerate(given, start=1):
        refs = [
            {"part": one.part, "sha256": one.sha256, "bytes": len(one.data)} for one in contents
        ]
        event: dict[str, Any] = {
            "sequence": sequence,
            "id": f"event-{sequence}",
            "stream": f"message-{contents[0].id}" if contents else "lease-kim@example.com",
            "type": "MessageSent",
            "version": 1,
            "at": "2026-03-01T12:00:00.000Z",
            "actor": "keytenant",
            "commandId": "cause",
            "data": {"contents": refs} if contents else {},
        } | ((then or {}) if sequence > len(events) else {})
        head = link(head, event)
        kept = [one for one in contents if one not in left_out]
        lines += [encode_line({**event, "hash": head.hex()}), *map(encode_content, kept)]
    return lines


LOG = exported([TEXT, IMAGE], [], [OTHER])
FIRST, TEXT_LINE, IMAGE_LINE, SECOND, THIRD, OTHER_LINE = range(len(LOG))


def check(lines: Lines) -> VerificationResult:
    found = verify(BytesIO(b"".join(lines)))
    assert found is not None
    return found


def edit(line: bytes, **changes: str) -> bytes:
    return encode_line({"content": orjson.loads(line)["content"] | changes})


def test_contents_are_counted() -> None:
    found = check(LOG)

    assert (found.events, found.contents, found.missing) == (3, 3, 0)
    assert found.head.sequence == 3


def test_contents_of_an_event_may_have_any_order() -> None:
    lines = [LOG[FIRST], LOG[IMAGE_LINE], LOG[TEXT_LINE], *LOG[SECOND:]]

    assert check(lines).contents == 3


@pytest.mark.parametrize("left_out", [[TEXT_LINE], [OTHER_LINE], [TEXT_LINE, IMAGE_LINE]])
def test_missing_contents_are_no_error(left_out: list[int]) -> None:
    found = check([line for number, line in enumerate(LOG) if number not in left_out])

    assert (found.contents, found.missing) == (3 - len(left_out), len(left_out))


def test_missing_contents_that_an_event_erased_are_counted_as_erased() -> None:
    erasing = {"type": "MessageErased", "stream": "message-msg_1"}
    found = check(exported([TEXT, IMAGE], [OTHER], left_out=[TEXT], then=erasing))

    assert (found.contents, found.erased, found.missing) == (2, 1, 0)


def test_erasing_event_is_of_the_stream_of_its_contents() -> None:
    samples = (sample_mail_events, sample_session_events, sample_task_events)
    events = [event for each in samples for event in each.SILENT]
    for type_, id_of in SCHEMA.erases.items():
        event = next(one for one in events if isinstance(one, type_))
        assert content_id_of(SCHEMA.stream_of[type_](event)) == id_of(event)


def test_file_without_contents_is_valid() -> None:
    found = check([LOG[FIRST], LOG[SECOND], LOG[THIRD]])

    assert (found.events, found.contents, found.missing) == (3, 0, 3)


def test_events_are_read_without_verification_too() -> None:
    found = read_unverified(BytesIO(b"".join(LOG)))

    assert [event["sequence"] for event in found] == [1, 2, 3]


def change(number: int, **changes: str) -> Callable[[Lines], None]:
    def apply(lines: Lines) -> None:
        lines[number] = edit(lines[number], **changes)

    return apply


def move(number: int, to: int) -> Callable[[Lines], None]:
    def apply(lines: Lines) -> None:
        lines.insert(to, lines.pop(number))

    return apply


def repeat(lines: Lines) -> None:
    lines.insert(TEXT_LINE, lines[TEXT_LINE])


def add_a_space(lines: Lines) -> None:
    lines[TEXT_LINE] = lines[TEXT_LINE].replace(b'","', b'", "', 1)


def add_a_field(lines: Lines) -> None:
    lines[TEXT_LINE] = encode_line(orjson.loads(lines[TEXT_LINE]) | {"more": 1})


WRONG: dict[str, Callable[[Lines], None]] = {
    "differs from its hash": change(TEXT_LINE, data="Q29tZSBhdCBmb3VyLg=="),
    "differs from its hash in the event": change(TEXT_LINE, salt="00" * 16),
    "has 5 bytes, not 13": change(TEXT_LINE, data="aGVsbG8="),
    "does not refer to a content 'html'": change(TEXT_LINE, part="html"),
    "is of msg_2": change(TEXT_LINE, id="msg_2"),
    "is of msg_1, and the event": move(TEXT_LINE, THIRD),
    "does not refer to a content 'text'": repeat,
    "another content": change(TEXT_LINE, data="not base64!"),
    "not written canonically": change(TEXT_LINE, salt="AB" * 16),
    "is not canonical JSON": add_a_space,
    "a content that": add_a_field,
}


@pytest.mark.parametrize("reason", WRONG)
def test_content_that_is_not_that_of_its_event_is_an_error(reason: str) -> None:
    lines = list(LOG)
    WRONG[reason](lines)

    with pytest.raises(FileCorrupted, match=reason):
        check(lines)


def test_content_before_the_first_event_is_an_error() -> None:
    with pytest.raises(FileCorrupted, match="line 1"):
        check([LOG[TEXT_LINE], *LOG])


def test_truncated_content_is_an_error() -> None:
    with pytest.raises(FileCorrupted, match="truncated"):
        check([*LOG[:TEXT_LINE], LOG[TEXT_LINE][:-5]])


def test_every_changed_byte_of_a_content_is_detected() -> None:
    for at in range(len(LOG[TEXT_LINE])):
        line = bytearray(LOG[TEXT_LINE])
        line[at] ^= 0x01
        with pytest.raises(FileCorrupted):
            check([LOG[FIRST], bytes(line), *LOG[IMAGE_LINE:]])
