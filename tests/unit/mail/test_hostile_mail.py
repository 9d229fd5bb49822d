"""No bytes do harm: hostile messages are read in linear time, or rejected with the reason."""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import asdict, replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from quorate.application.mail.inbound_message import (
    ATTACHMENTS_BYTES_MAX,
    MESSAGE_BYTES_MAX,
    RECIPIENTS_MAX,
    loop_reason,
    parse_inbound,
)
from quorate.application.mail.mime_parts import (
    HEADER_BYTES_MAX,
    HEADERS_MAX,
    NESTING_MAX,
    PARTS_MAX,
)
from quorate.application.mail.unreadable_message import UnreadableMessage
from tests.unit.mail.inbound_samples import ADDRESSED, BOUNCE, COMPLAINT, REPLY

OWN = "agents.test"


def nested(levels: int) -> bytes:
    return b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level)
        for level in range(levels)
    )


MANY = b",".join(b"%d@b.example" % number for number in range(RECIPIENTS_MAX + 1))
MULTIPART = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
IMAGE = b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n"
# Functions: some messages have many megabytes.
REJECTED: dict[str, Callable[[], tuple[bytes, str]]] = {
    "empty": lambda: (b"", "From"),
    "no headers": lambda: (b"\r\n\r\nbody", "From"),
    "no sender": lambda: (b"To: a@agents.test\r\n\r\n", "From"),
    "sender without address": lambda: (b"From: nonsense\r\nTo: a@agents.test\r\n\r\n", "From"),
    "null sender": lambda: (b"From: <>\r\nTo: a@agents.test\r\n\r\n", "From"),
    "no recipient": lambda: (b"From: a@x.org\r\n\r\n", "recipient"),
    "hidden recipients": lambda: (
        b"From: a@x.org\r\nTo: undisclosed-recipients:;\r\n\r\n",
        "recipient",
    ),
    "long recipients": lambda: (ADDRESSED + b"Cc: " + b"a@b.c," * 20_000 + b"\r\n\r\n", "longer"),
    "many recipients": lambda: (ADDRESSED + b"Cc: " + MANY + b"\r\n\r\n", "addresses"),
    "many headers": lambda: (ADDRESSED + b"X: y\r\n" * HEADERS_MAX + b"\r\n", "headers"),
    "long header": lambda: (ADDRESSED + b"X: " + b"y" * HEADER_BYTES_MAX, "longer"),
    "many parts": lambda: (ADDRESSED + MULTIPART + b"--b\r\n\r\n" * (PARTS_MAX + 1), "parts"),
    "deep": lambda: (ADDRESSED + nested(NESTING_MAX + 1), "nested"),
    "very deep": lambda: (ADDRESSED + nested(5_000), "nested"),
    "large": lambda: (ADDRESSED + b"\r\n" + b"x" * MESSAGE_BYTES_MAX, "larger"),
}
ACCEPTED: dict[str, Callable[[], bytes]] = {
    "comments": lambda: ADDRESSED + b"Cc: " + b"(" * 60_000 + b"\r\n\r\n",
    "deep": lambda: ADDRESSED + nested(NESTING_MAX),
    "large attachment": lambda: ADDRESSED + IMAGE + b64encode(b"x" * (ATTACHMENTS_BYTES_MAX + 1)),
    "encoded words": lambda: ADDRESSED + b"Subject: " + b"=?utf-8?q?a?= " * 15_000 + b"\r\n\r\n",
    "open encoded words": lambda: ADDRESSED + b"Subject: " + b"=?" * 100_000 + b"\r\n\r\n",
    "open ids": lambda: ADDRESSED + b"References: " + b"<" * 200_000 + b"\r\n\r\n",
    "long boundary": lambda: ADDRESSED + MULTIPART.strip() + b"b" * 200_000 + b"\r\n\r\n",
    "nested comments": lambda: ADDRESSED + b"Content-Type: text/plain" + b"(" * 2_000 + b"\r\n\r\n",
    "parameters": lambda: ADDRESSED + b"Content-Type: text/plain" + b";a*0*=b" * 280 + b"\r\n\r\n",
    "almost boundaries": lambda: ADDRESSED + nested(NESTING_MAX) + b"\n--b" * 1_000_000,
    "spaces after a boundary": lambda: ADDRESSED + MULTIPART + b"--b" + b" " * 5_000_000,
    "open tags": lambda: ADDRESSED + b"Content-Type: text/html\r\n\r\n" + b"<script" * 1_000_000,
    "blank lines": lambda: ADDRESSED + b"Content-Type: text/html\r\n\r\n" + b"<p> <p>" * 30_000,
    "punycode": lambda: (
        ADDRESSED + b"Content-Type: text/plain; charset=punycode\r\n\r\n" + b"a" * 5_000_000
    ),
    "utf-7": lambda: (
        ADDRESSED + b"Content-Type: text/plain; charset=utf-7\r\n\r\n" + b"+2AA-" * 1_000_000
    ),
}


@pytest.mark.parametrize("name", REJECTED)
def test_unreadable_message_is_rejected_with_the_reason(name: str) -> None:
    raw, why = REJECTED[name]()
    with pytest.raises(UnreadableMessage) as raised:
        parse_inbound(raw)

    assert why in raised.value.why


@pytest.mark.parametrize("name", ACCEPTED)
def test_hostile_message_is_read_in_linear_time(name: str) -> None:
    """A quadratic reader exceeds the time limit of the test."""
    assert parse_inbound(ACCEPTED[name]()).from_address == "ann@example.org"


fragments = st.sampled_from(
    [
        *(b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"--b", b"--b--", b"--", b" ", b"\t", b"\0", b"\xff"),
        *(b"From: ", b"To: ", b"Subject: ", b"a@x.org", b"<", b">", b"(", b'"', b",", b";", b":"),
        *(b"Content-Type: ", b"multipart/mixed; boundary=b", b"multipart/report; boundary=b"),
        *(b"multipart/digest; boundary=b", b"message/delivery-status", b"message/rfc822"),
        *(b"message/feedback-report", b"text/html", b"text/plain; charset=", b"utf-7", b"utf-16"),
        *(
            b"Content-Transfer-Encoding: ",
            b"base64",
            b"quoted-printable",
            b"=",
            b"=C3",
            b"=?",
            b"?=",
        ),
        *(b"=?utf-8?b?7aCA?=", b"=?utf-7?q?+2AA-?=", b"Content-Disposition: attachment; "),
        *(b"filename*0*=utf-8''%ED%A0%80", b"filename=", b"Status: 5.1.1", b"Final-Recipient: x;y"),
        *(
            b"Action: failed",
            b"Message-ID: <a@b>",
            b"<script>",
            b"</script>",
            b"&#",
            b"Return-Path: <>",
            b"\xed\xa0\x80",
            b"+2AA-",
        ),
    ]
)
hostile = st.lists(fragments | st.binary(max_size=4), max_size=60).map(b"".join)


@example(raw=ADDRESSED + b"Content-Type: multipart/mixed; boundary=b\n\n--b\n--b\n\n--b--")
@given(
    raw=st.binary(max_size=300)
    | hostile
    | hostile.map(lambda rest: ADDRESSED + rest)
    | st.tuples(st.sampled_from([REPLY, BOUNCE, COMPLAINT]), st.integers(0, 900), hostile).map(
        lambda given: given[0][: given[1]] + given[2] + given[0][given[1] :]
    )
)
def test_any_bytes_are_read_or_rejected(raw: bytes) -> None:
    try:
        message = parse_inbound(raw)
    except UnreadableMessage:
        return
    loop_reason(message, OWN)
    without_data = [replace(one, data=b"") for one in message.attachments]
    str(asdict(replace(message, attachments=tuple(without_data)))).encode()
    for value in (message.text, message.html or "", message.subject):
        assert "\0" not in value
        value.encode()
    for value in (message.from_address, message.subject, *(one.name for one in without_data)):
        assert not any(ord(letter) < 32 for letter in value)
