"""The address of the SMTP relay is parsed strictly, with errors that say what to change."""

import pytest

from quorate.server.smtp_data import CHUNK_BYTES, data_chunks
from quorate.server.smtp_url import InvalidSmtpUrl, SmtpUrl, is_loopback, parse_smtp_url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://relay.example", ("relay.example", 587, None, False)),
        ("smtps://relay.example", ("relay.example", 465, None, True)),
        ("smtp://relay.example:25/", ("relay.example", 25, None, False)),
        ("smtp://me@relay.example:2525", ("relay.example", 2525, "me", False)),
        ("smtp://me@corp.test@relay.example", ("relay.example", 587, "me@corp.test", False)),
        ("smtp://me%40corp.test@relay.example", ("relay.example", 587, "me@corp.test", False)),
        ("smtp://[::1]:25", ("::1", 25, None, False)),
        ("smtp://10.0.0.1", ("10.0.0.1", 587, None, False)),
    ],
)
def test_url_is_parsed(url: str, expected: tuple[str, int, str | None, bool]) -> None:
    host, port, user, implicit_tls = expected

    assert parse_smtp_url(url) == SmtpUrl(
        host=host, port=port, user=user, implicit_tls=implicit_tls
    )


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "begins with"),
        ("relay.example:25", "begins with"),
        ("http://relay.example", "begins with"),
        ("smtp://", "no valid host"),
        ("smtp://user@", "no valid host"),
        ("smtp://-relay", "no valid host"),
        ("smtp://a..b", "no valid host"),
        ("smtp://relay:port", "invalid"),
        ("smtp://relay:99999", "invalid"),
        ("smtp://relay:0", "1 to 65535"),
        ("smtp://[::1", "invalid"),
        ("smtp://user:secret@relay", "no password"),
        ("smtp://@relay", "user"),
        ("smtp://a%0ab@relay", "user"),
        ("smtp://relay/path", "ends after the port"),
        ("smtp://relay?x=1", "ends after the port"),
        ("smtp://re lay", "no spaces"),
        ("smtp://relay\r\nX", "no spaces"),
        ("smtp://" + "a" * 2000, "at most"),
    ],
)
def test_wrong_url_is_refused_with_the_reason(url: str, why: str) -> None:
    with pytest.raises(InvalidSmtpUrl, match=why) as raised:
        parse_smtp_url(url)

    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("10.0.0.1", False),
        ("relay.example", False),
        ("localhost.example", False),
        ("", False),
    ],
)
def test_loopback_is_decided_by_name_or_address(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    "line", [b".\r\n", b"..\n", b"text\r\n", b"\r", b"\n", b"x" * 997 + b"\r\n"]
)
def test_chunks_are_the_message_in_transmitted_form(line: bytes) -> None:
    message = line * (3 * CHUNK_BYTES // len(line) + 1)
    lines = message.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")[:-1]
    stuffed = b"".join((b"." if one.startswith(b".") else b"") + one + b"\r\n" for one in lines)

    assert b"".join(data_chunks(message)) == stuffed + b".\r\n"


def test_chunks_are_small_and_end_with_a_period() -> None:
    chunks = list(data_chunks(b"a line\r\n" * 100_000))

    assert max(map(len, chunks)) < CHUNK_BYTES + 100
    assert chunks[-1] == b".\r\n"
    assert list(data_chunks(b"")) == [b".\r\n"]
    assert list(data_chunks(b"no end")) == [b"no end\r\n", b".\r\n"]
