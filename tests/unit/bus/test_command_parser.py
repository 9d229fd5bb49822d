"""The parser of commands passes each message on, or skips it before it is kept."""

import asyncio
from typing import Any

import pytest
from nats.errors import ProtocolError

from quorate.bus.command_parser import (
    LINE_BYTES_MAX,
    THROTTLED,
    TOO_LARGE,
    TURN_MESSAGES,
    CommandParser,
    Verdict,
)

SUBJECT = b"quorate.acme.cmd.agent_1.heartbeat"
OTHER = b"quorate.acme.cmd.agent_2.heartbeat"
KEPT_BYTES_MAX = 64 * 1024


class FakeClient:
    """Stores what the parser passes on, like a nats-py client."""

    def __init__(self) -> None:
        self.received: list[Any] = []

    async def _process_msg(self, sid: int, *words: bytes | None) -> None:
        self.received.append((sid, *words))

    async def _process_ping(self) -> None:
        self.received.append("PING")

    async def _process_err(self, error: str) -> None:
        self.received.append(error)


class FakeAdmission:
    payload_bytes_max = 64
    headers_bytes_max = 32

    def __init__(self) -> None:
        self.verdicts: dict[bytes, Verdict] = {}
        self.judged: list[tuple[bytes, int]] = []
        self.dropped = 0
        self.turns = 0

    def judge(self, subject: bytes, size: int) -> Verdict:
        self.judged.append((subject, size))
        return self.verdicts.get(subject, Verdict.PASS)

    def drop(self, _subject: bytes, _size: int, count: int) -> None:
        self.dropped += count

    def end_turn(self) -> None:
        self.turns += 1


@pytest.fixture
def client() -> FakeClient:
    return FakeClient()


@pytest.fixture
def admission() -> FakeAdmission:
    return FakeAdmission()


@pytest.fixture
def parser(client: FakeClient, admission: FakeAdmission) -> CommandParser:
    return CommandParser(client, admission)


def message(subject: bytes, payload: bytes, reply: bytes = b"_INBOX.x") -> bytes:
    return b"MSG %s 1 %s %d\r\n%s\r\n" % (subject, reply, len(payload), payload)


def with_headers(headers: bytes, payload: bytes) -> bytes:
    total = len(headers) + len(payload)
    return b"HMSG %s 1 r %d %d\r\n%s%s\r\n" % (SUBJECT, len(headers), total, headers, payload)


HEADERS = b"NATS/1.0\r\na: b\r\n\r\n"
STREAM = b"".join(
    (
        message(SUBJECT, b"{}"),
        b"PING\r\n",
        with_headers(HEADERS, b"[1]"),
        b"MSG %s 2 0\r\n\r\n" % SUBJECT,
        b"-ERR 'Some Reason'\r\n",
        message(OTHER, b"MSG a 1 2\r\n{}\r\n"),
    )
)
PASSED_ON = [
    (1, SUBJECT, b"_INBOX.x", b"{}", None),
    "PING",
    (1, SUBJECT, b"r", b"[1]", HEADERS),
    (2, SUBJECT, b"", b"", None),
    "'some reason'",
    (1, OTHER, b"_INBOX.x", b"MSG a 1 2\r\n{}\r\n", None),
]


@pytest.mark.parametrize("part_bytes", [1, 2, 3, 7, 30, len(STREAM)])
async def test_messages_are_passed_on_however_the_bytes_arrive(
    part_bytes: int, parser: CommandParser, client: FakeClient, admission: FakeAdmission
) -> None:
    for start in range(0, len(STREAM), part_bytes):
        await parser.parse(STREAM[start : start + part_bytes])

    assert client.received == PASSED_ON
    assert len(admission.judged) == 4  # Once each, also when the payload arrives in parts.


async def test_bytes_of_before_are_parsed_first(
    client: FakeClient, admission: FakeAdmission
) -> None:
    parser = CommandParser(client, admission, unread=STREAM[:10])

    await parser.parse(STREAM[10:])

    assert client.received == PASSED_ON


@pytest.mark.parametrize("part_bytes", [1, 5, 1_000])
async def test_dropped_messages_are_skipped_and_others_are_passed_on(
    part_bytes: int, parser: CommandParser, client: FakeClient, admission: FakeAdmission
) -> None:
    admission.verdicts[SUBJECT] = Verdict.DROP
    stream = b"".join(
        (
            *(message(SUBJECT, b"x" * size) for size in range(20)),
            message(OTHER, b"{}"),
            with_headers(HEADERS, b"{}"),
            message(OTHER, b"[]"),
        )
    )

    for start in range(0, len(stream), part_bytes):
        await parser.parse(stream[start : start + part_bytes])

    assert [received[3] for received in client.received] == [b"{}", b"[]"]
    assert len(admission.judged) + admission.dropped == 23


async def test_sender_with_a_similar_name_is_not_skipped_with_a_dropped_one(
    parser: CommandParser, client: FakeClient, admission: FakeAdmission
) -> None:
    admission.verdicts[SUBJECT] = Verdict.DROP
    similar = b"quorate.acme.cmd.agent_11.heartbeat"

    await parser.parse(message(SUBJECT, b"{}") + message(similar, b"{}"))

    assert [received[1] for received in client.received] == [similar]


@pytest.mark.parametrize(
    ("begin", "payload_bytes"),
    [(b"MSG %s 1 r 8000000\r\n" % SUBJECT, 8_000_000), (b"HMSG %s 1 r 40 42\r\n" % SUBJECT, 42)],
)
async def test_payload_or_headers_that_are_too_large_are_not_kept(
    begin: bytes, payload_bytes: int, parser: CommandParser, client: FakeClient
) -> None:
    await parser.parse(begin)
    assert client.received == [(1, SUBJECT, b"r", TOO_LARGE, None)]

    for _ in range(0, payload_bytes, KEPT_BYTES_MAX):
        part = min(payload_bytes, KEPT_BYTES_MAX)
        await parser.parse(b"x" * part)
        assert len(parser._unread) == 0
        payload_bytes -= part
    await parser.parse(b"\r\n" + message(OTHER, b"{}"))

    assert client.received[1:] == [(1, OTHER, b"_INBOX.x", b"{}", None)]


async def test_headers_of_a_message_that_is_too_large_are_passed_on(
    parser: CommandParser, client: FakeClient, admission: FakeAdmission
) -> None:
    large = with_headers(HEADERS, b"x" * 1_000)

    for start in range(0, len(large), 10):
        await parser.parse(large[start : start + 10])

    assert client.received == [(1, SUBJECT, b"r", TOO_LARGE, HEADERS)]
    assert len(admission.judged) == 1


async def test_message_of_a_throttled_sender_has_no_payload(
    parser: CommandParser, client: FakeClient, admission: FakeAdmission
) -> None:
    admission.verdicts[SUBJECT] = Verdict.OMIT

    await parser.parse(message(SUBJECT, b"{}") + message(OTHER, b"{}"))

    assert [received[3] for received in client.received] == [THROTTLED, b"{}"]
    assert client.received[0][3] is THROTTLED


async def test_other_tasks_run_between_parts_of_a_flood(parser: CommandParser) -> None:
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(count_turns())
    for _ in range(5):
        await parser.parse(message(SUBJECT, b"{}") * TURN_MESSAGES)
    other.cancel()

    assert turns >= 4


async def test_line_without_end_is_a_protocol_error(parser: CommandParser) -> None:
    with pytest.raises(ProtocolError):
        await parser.parse(b"x" * (LINE_BYTES_MAX + 1))
