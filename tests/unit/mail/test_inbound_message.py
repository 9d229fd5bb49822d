"""Messages from outside: what they mean, and that no bytes do harm."""

from datetime import UTC, datetime
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.application.mail.inbound_message import (
    FILE_NAME_LENGTH_MAX,
    RECEIVED_MAX,
    REFERENCES_MAX,
    SUBJECT_LENGTH_MAX,
    TEXT_BYTES_MAX,
    InboundMessage,
    loop_reason,
    parse_inbound,
)
from quorate.application.mail.mail_reports import BounceReport, ComplaintReport, FailedRecipient
from quorate.application.mail.mime_parts import SEARCHED_BYTES
from quorate.application.mail.outgoing_message import OutgoingMessage, build_message
from tests.unit.mail.inbound_samples import ADDRESSED, BOUNCE, COMPLAINT, REPLY

OWN = "agents.test"


def with_headers(*headers: str) -> InboundMessage:
    return parse_inbound(ADDRESSED + "".join(f"{one}\r\n" for one in headers).encode() + b"\r\nHi")


def with_body(body: bytes, *headers: bytes) -> InboundMessage:
    return parse_inbound(ADDRESSED + b"".join(one + b"\r\n" for one in headers) + b"\r\n" + body)


def test_reply_is_read() -> None:
    message = parse_inbound(REPLY)

    assert message.from_address == "Ann@example.org"
    assert message.to == ("scout@agents.test", "bob@example.org", "eve@xn--bcher-kva.example")
    assert message.cc == ("carol@example.org",)
    assert message.delivered_to == ("scout@agents.test",)
    assert message.subject == "Re: Grüße and more"
    assert message.text == "Schöne Grüße"
    assert message.html == "<p>Schöne</p>"
    assert message.rfc_message_id == "reply-1@example.org"
    assert message.in_reply_to == ("msg_1@agents.test",)
    assert message.references == ("root@example.org", "msg_1@agents.test")
    assert (message.received_count, message.return_path) == (1, "ann@example.org")
    assert (message.is_automatic, message.is_text_cut, message.report) == (False, False, None)
    assert loop_reason(message, OWN) is None


def test_attachments_are_listed() -> None:
    document, inner = parse_inbound(REPLY).attachments

    assert (document.name, document.content_type) == ("béricht.pdf", "application/pdf")
    assert (document.data, document.size) == (b"%PDF", 4)
    assert document.sha256 == sha256(b"%PDF").hexdigest()
    assert (inner.name, inner.content_type) == ("attachment-2", "message/rfc822")
    assert inner.data == b"Subject: inside\r\n\r\nFrom inside"


@given(
    subject=st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Cf"]), max_size=99),
    text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r")),
    html=st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r")),
)
def test_own_message_is_read_as_it_was_built(subject: str, text: str, html: str | None) -> None:
    message = parse_inbound(
        build_message(
            OutgoingMessage(
                message_id="msg_1@agents.test",
                from_address="scout@agents.test",
                from_name="Scout, the agent",
                to=["person@example.org", "other@example.org"],
                cc=["third@example.org"],
                subject=subject,
                date=datetime(2026, 11, 29, tzinfo=UTC),
                text=text,
                html=html,
                in_reply_to="a@example.org",
                references=["a@example.org"],
            )
        )
    )

    assert message.subject == subject.strip()
    if text.strip() or html is None:
        assert message.text.removesuffix("\n") == text.removesuffix("\n")
    assert (message.html is None) == (html is None)
    assert (message.html or "").removesuffix("\n") == (html or "").removesuffix("\n")
    assert message.from_address == "scout@agents.test"
    assert (message.to, message.cc) == (
        ("person@example.org", "other@example.org"),
        ("third@example.org",),
    )
    assert message.in_reply_to == message.references == ("a@example.org",)
    assert loop_reason(message, OWN) is not None


def test_bounce_is_read() -> None:
    message = parse_inbound(BOUNCE)

    assert message.report == BounceReport(
        original_message_id="msg_1@agents.test",
        recipients=(
            FailedRecipient(
                address="person@example.org",
                status="5.1.1",
                diagnostic="550 5.1.1 <person@example.org>:    Recipient address rejected",
            ),
        ),
    )
    assert message.return_path == ""
    assert message.text.startswith("I'm sorry")


def test_bounce_without_the_original_message_uses_its_references() -> None:
    raw = BOUNCE.replace(b"message/rfc822", b"application/x").replace(
        b"Auto-Submitted", b"References: <msg_7@agents.test>\r\nAuto-Submitted"
    )
    report = parse_inbound(raw).report

    assert isinstance(report, BounceReport)
    assert report.original_message_id == "msg_7@agents.test"


def test_delay_is_no_failure() -> None:
    report = parse_inbound(BOUNCE.replace(b"Action: failed", b"Action: delayed")).report

    assert isinstance(report, BounceReport)
    assert report.recipients == ()


def test_complaint_is_read() -> None:
    assert parse_inbound(COMPLAINT).report == ComplaintReport(
        original_message_id="msg_2@agents.test",
        feedback_type="abuse",
        recipient="user@provider.example",
    )


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        (["Auto-Submitted: auto-replied"], "Auto-Submitted: auto-replied"),
        (["Auto-Submitted: AUTO-GENERATED; type=x"], "Auto-Submitted: auto-generated"),
        (["Received: x"] * (RECEIVED_MAX + 1), "mail servers"),
        (["Message-ID: <msg_1@AGENTS.test>"], "own messages"),
        (["Return-Path: <>"], "null sender"),
        (["Auto-Submitted: no"], None),
        (["Auto-Submitted: No (comment)"], "Auto-Submitted"),
        (["Received: x"] * RECEIVED_MAX, None),
        (["Message-ID: <1@other.agents.test>"], None),
        (["Return-Path: <ann@example.org>"], None),
    ],
)
def test_loop_is_recognised(headers: list[str], reason: str | None) -> None:
    found = loop_reason(with_headers(*headers), OWN)

    assert found is None if reason is None else reason in str(found)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Precedence: bulk", True),
        ("List-Id: <news.example.org>", True),
        ("Auto-Submitted: auto-replied", True),
        ("Auto-Submitted: no", False),
        ("X-Other: bulk", False),
    ],
)
def test_automatic_message_is_recognised(header: str, expected: bool) -> None:
    assert with_headers(header).is_automatic is expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
        ("=?utf-8?b?4oI=?= =?utf-8?b?rA==?=", "€"),
        ("=?ISO-8859-15?Q?=A4_x?= plain", "€ x plain"),
        ("=?utf-8*en?q?x?=", "x"),
        ("=?nonsense?q?caf=C3=A9?=", "café"),
        ("=?hex?q?00?=", "00"),
        ("=?unicode_escape?q?=5Cud800?=", "\\ud800"),
        ("=?utf-8?b?broken!?=", None),
        ("=?utf-7?q?+2AA-?=", None),
        ("=?utf-8?q?a=0D=0Ab=00c?=", "a bc"),
        ("raw ü", "raw ü"),
        ("\u202egnp.exe", "gnp.exe"),
        ("s" * 1000, "s" * SUBJECT_LENGTH_MAX),
        ("", ""),
    ],
)
def test_subject_is_decoded(written: str, expected: str | None) -> None:
    subject = with_headers(f"Subject: {written}").subject

    assert expected is None or subject == expected
    subject.encode()
    assert subject.isprintable()


@pytest.mark.parametrize(
    ("charset", "data", "expected"),
    [
        (b"", "grün".encode(), "grün"),
        (b"", b"gr\xfcn", "grün"),
        (b"us-ascii", "grün".encode(), "grün"),
        (b"windows-1251", b"\xef\xf0", "пр"),
        (b"shift_jis", b"\x93\xfa", "日"),
        (b"nonsense", "grün".encode(), "grün"),
        (b"base64", b"YQ==", "YQ=="),
        (b"utf-16", b"\xff\xfeA\x00", "A"),
        (b"utf-8", b"a\x00b\xffc", "ab\ufffdc"),
        (b'"\x00"', b"a", "a"),
    ],
)
def test_text_is_decoded(charset: bytes, data: bytes, expected: str) -> None:
    assert with_body(data, b"Content-Type: text/plain; charset=" + charset).text == expected


def test_unknown_charsets_are_not_remembered() -> None:
    """The codecs module keeps each unknown name for ever: names are checked before it is asked."""
    import encodings  # noqa: PLC0415

    known = len(encodings._cache)
    for number in range(20):
        with_body(b"x", f"Content-Type: text/plain; charset=unknown-{number}".encode())

    assert len(encodings._cache) <= known + 1


@pytest.mark.parametrize("text", ["x" * 300_000, "ü" * 200_000, "漢" * 100_000, "😀" * 70_000])
def test_long_text_is_cut_at_a_character(text: str) -> None:
    message = with_body(text.encode(), b"Content-Type: text/plain; charset=utf-8")

    assert message.is_text_cut
    assert TEXT_BYTES_MAX - 4 < len(message.text.encode()) <= TEXT_BYTES_MAX
    assert text.startswith(message.text)


@pytest.mark.parametrize(
    ("given_name", "expected"),
    [
        ("../../etc/passwd", "passwd"),
        (r"C:\\dir\\report.doc", "report.doc"),
        ("a\x01b\x7f.txt", "a b .txt"),
        ("..", "attachment-1"),
        ("", "attachment-1"),
        ("=?utf-8?q?b=C3=A9.pdf?=", "bé.pdf"),
        ("con<>|?*.txt", "con_____.txt"),
        ("n" * 500 + ".pdf", "n" * (FILE_NAME_LENGTH_MAX - 4) + ".pdf"),
    ],
)
def test_attachment_name_is_sanitised(given_name: str, expected: str) -> None:
    header = f'Content-Disposition: attachment; filename="{given_name}"'.encode()

    assert with_body(b"x", header).attachments[0].name == expected


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>One</p><p>Two &amp; &#51;&nbsp;x</p>", "One\n\nTwo & 3 x"),
        ("a<br>b<BR/>c", "a\nb\nc"),
        ("<style>p{}</style><script>if(a<b){}</script>Hi<!-- no -->", "Hi"),
        ("<b>no</b> break, 1 < 2", "no break, 1 < 2"),
        ("&#99999999999999999999999999;", "&#99999999999999999999999999;"),
        ("&#xD800;&#0;", "\ufffd\ufffd"),
        ("<script>never closed", ""),
        ("<" * 100_000 + "&" * 100_000, "<" * 100_000 + "&" * 100_000),
    ],
    ids=range(8),
)
def test_text_is_made_from_html_if_there_is_none(html: str, expected: str) -> None:
    message = with_body(html.encode(), b"Content-Type: text/html; charset=utf-8")

    assert (message.text, message.html) == (expected, html)


def test_damaged_base64_gives_what_can_be_read() -> None:
    header = b"Content-Transfer-Encoding: base64"

    assert with_body(b"SGVsbG8", header).text == "Hello"
    assert with_body(b"SGVs bG8=!\r\nA", header).text.startswith("Hello")


def test_multipart_without_its_boundary_is_text() -> None:
    assert with_body(b"just text", b"Content-Type: multipart/mixed; boundary=b").text == "just text"
    assert with_body(b"just text", b"Content-Type: multipart/mixed").text == "just text"


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("surplus", [-3, -2, -1, 0, 1, 2, 3])
def test_large_parts_are_found_wherever_they_end(line_end: bytes, surplus: int) -> None:
    data = [b"a" * (SEARCHED_BYTES + surplus), b"b" * (2 * SEARCHED_BYTES), b"--b--" * 9]
    header = line_end + b"--b" + line_end + b"Content-Type: image/png" + line_end * 2
    body = b"".join(header + one for one in data) + line_end + b"--b--"
    message = with_body(body, b"Content-Type: multipart/mixed; boundary=b")

    assert [one.data for one in message.attachments] == data


def test_multipart_that_is_not_closed_is_read() -> None:
    body = b"--b\r\n\r\none\r\n--bb\r\n--b  \r\nContent-Type: text/html\r\n\r\n<p>"
    message = with_body(body, b"Content-Type: multipart/mixed; boundary=b")

    assert (message.text, message.html) == ("one\n--bb", "<p>")


def test_references_keep_the_root_and_the_newest() -> None:
    ids = " ".join(f"<{number}@x.org>" for number in range(500))
    references = with_headers(f"References: {ids}").references

    assert len(references) == REFERENCES_MAX
    assert (references[0], references[-1]) == ("0@x.org", "499@x.org")
