"""Messages for the relay: what was given can be parsed back, and nothing else is in them."""

from datetime import UTC, datetime
from email import message_from_bytes
from email.header import decode_header, make_header
from email.headerregistry import AddressHeader
from email.message import EmailMessage, MIMEPart
from email.policy import SMTP
from email.utils import parseaddr
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.application.mail.outgoing_message import (
    REFERENCES_MAX,
    SUBJECT_LENGTH_MAX,
    OutgoingMessage,
    build_message,
    rfc_message_id,
)

OCTETS_MAX = 998
DATE = datetime(2026, 11, 29, 19, 0, tzinfo=UTC)
HEADERS = ["Date", "From", "To", "Subject", "Message-ID", "Auto-Submitted"]
MIME_HEADERS = ["Content-Transfer-Encoding", "Content-Type", "MIME-Version"]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
one_line = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=200)
words = st.lists(st.text('ab=?_,;:<>()@"\\. é漢😀', min_size=1), max_size=30).map(" ".join)


def outgoing(**given: object) -> OutgoingMessage:
    values: dict[str, Any] = {
        "message_id": rfc_message_id("msg_1", "agents.test"),
        "from_address": "scout@agents.test",
        "to": ("person@example.org",),
        "subject": "Hello",
        "date": DATE,
        "text": "Hi\n",
    }
    return OutgoingMessage(**(values | given))


def parsed(message: OutgoingMessage) -> EmailMessage:
    data = build_message(message)
    lines = data.split(b"\r\n")
    assert data.isascii()
    assert b"\0" not in data
    assert not any(b"\r" in line or b"\n" in line for line in lines)
    assert max(map(len, lines)) <= OCTETS_MAX
    return message_from_bytes(data, policy=SMTP)


def addresses(message: EmailMessage, header: str) -> list[str]:
    return [one.addr_spec for one in cast(AddressHeader, message[header]).addresses]


def content(part: MIMEPart) -> str:
    return str(part.get_content()).replace("\r\n", "\n")


def as_lines(text: str) -> str:
    """Return a text as a message transmits it: any line end becomes one, the last is complete."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text if text.endswith("\n") else f"{text}\n"


@given(subject=one_line | words)
def test_subject_survives_and_adds_no_header(subject: str) -> None:
    message = parsed(outgoing(subject=subject))

    assert message["Subject"] == subject
    assert message.keys()[: len(HEADERS)] == HEADERS
    assert sorted(message.keys()[len(HEADERS) :]) == MIME_HEADERS


@given(name=(one_line | words).map(lambda name: " ".join(name.split())[:250].rstrip()))
def test_display_name_survives_and_adds_no_address(name: str) -> None:
    message = parsed(outgoing(from_name=name))

    # The parser of the policy (Python 3.11) keeps the space between two encoded words of a name.
    data = build_message(outgoing(from_name=name))
    written, address = parseaddr(message_from_bytes(data)["From"])
    assert (str(make_header(decode_header(written))), address) == (name, "scout@agents.test")
    assert addresses(message, "From") == ["scout@agents.test"]
    assert addresses(message, "To") == ["person@example.org"]
    assert message.keys()[: len(HEADERS)] == HEADERS
    assert sorted(message.keys()[len(HEADERS) :]) == MIME_HEADERS


@given(text=texts)
def test_text_survives(text: str) -> None:
    message = parsed(outgoing(text=text))

    assert message.get_content_type() == "text/plain"
    assert content(message) == as_lines(text)


@given(text=texts, html=texts)
def test_text_and_html_survive(text: str, html: str) -> None:
    message = parsed(outgoing(text=text, html=html))
    plain, rich = message.iter_parts()

    assert message.get_content_type() == "multipart/alternative"
    assert (content(plain), content(rich)) == (as_lines(text), as_lines(html))
    assert (plain.get_content_type(), rich.get_content_type()) == ("text/plain", "text/html")


@pytest.mark.parametrize("character", ["\r", "\n", "\0", "\r\nBcc: x@y.org\r\n\r\n"])
@pytest.mark.parametrize(
    "field", ["subject", "from_name", "from_address", "to", "cc", "message_id", "in_reply_to"]
)
def test_line_break_or_nul_is_rejected(field: str, character: str) -> None:
    value = f"a{character}b" if "address" not in field else f"a{character}@agents.test"
    with pytest.raises(ValueError, match=r"."):
        build_message(outgoing(**{field: [value] if field in {"to", "cc"} else value}))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("to", ["a@x.org, b@y.org"]),
        ("to", ["a@x.org>"]),
        ("to", ["<a@x.org>"]),
        ("to", ["no address"]),
        ("cc", ["a b@x.org"]),
        ("references", ["a@b> <c@d"]),
        ("references", ["no id"]),
        ("message_id", "a" * 1000 + "@x"),
        ("subject", "s" * (SUBJECT_LENGTH_MAX + 1)),
        ("subject", "lone \ud800 surrogate"),
        ("from_name", "lone \ud800 surrogate"),
        ("from_name", "n" * 300),
        ("text", "lone \ud800 surrogate"),
        ("date", datetime(2026, 1, 1)),  # noqa: DTZ001 - the time zone is missing on purpose.
    ],
)
def test_unusable_value_is_rejected(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        build_message(outgoing(**{field: value}))


def test_all_headers_are_written() -> None:
    message = parsed(
        outgoing(
            to=["a@x.org", "b@bücher.example"],
            cc=["c@x.org"],
            in_reply_to="root@x.org",
            references=["root@x.org", "second@x.org"],
            importance="urgent",
        )
    )

    assert message["Date"] == "Sun, 29 Nov 2026 19:00:00 +0000"
    assert message["Message-ID"] == "<msg_1@agents.test>"
    assert message["To"] == "a@x.org, b@xn--bcher-kva.example"
    assert message["Cc"] == "c@x.org"
    assert message["In-Reply-To"] == "<root@x.org>"
    assert message["References"] == "<root@x.org> <second@x.org>"
    assert message["Importance"] == "high"
    assert message["X-Priority"] == "1 (Highest)"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Bcc"] is None


def test_optional_headers_are_left_out() -> None:
    message = parsed(outgoing(auto_submitted=False))

    assert set(message.keys()) & {"Cc", "In-Reply-To", "References", "Importance"} == set()
    assert message["Auto-Submitted"] is None


def test_references_keep_the_root_and_the_newest() -> None:
    ids = [f"{number}@x.org" for number in range(200)]
    written = parsed(outgoing(references=ids))["References"].split()

    assert len(written) == REFERENCES_MAX
    assert (written[0], written[-1]) == ("<0@x.org>", "<199@x.org>")


def test_many_recipients_are_folded() -> None:
    to = [f"person-{number}@example.org" for number in range(10)]

    assert addresses(parsed(outgoing(to=to)), "To") == to


def test_repeated_build_gives_the_same_bytes() -> None:
    assert build_message(outgoing(html="<p>")) == build_message(outgoing(html="<p>"))
