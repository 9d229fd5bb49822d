"""Passwords in URLs are replaced before a URL is printed."""

import pytest

from quorate.runtime.url_redaction import redact_url


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://me:secret@host:8420/path", "http://me:***@host:8420/path"),
        ("https://:secret@host", "https://:***@host"),
        ("postgresql+asyncpg://owner:p%40ss@host/db", "postgresql+asyncpg://owner:***@host/db"),
        ("http://me:a@b:c@host", "http://me:***@host"),
        ("nats://token@host:4222", "nats://***@host:4222"),
        ("nats://a:b@one:4222,nats://c:d@two:4222", "nats://a:***@one:4222,nats://c:***@two:4222"),
        ("http://me@host", "http://me@host"),
        ("http://host/a:b@c", "http://host/a:b@c"),
        ("ann@example.com", "ann@example.com"),
        ("cannot reach http://u:p@h: refused", "cannot reach http://u:***@h: refused"),
    ],
)
def test_password_is_replaced(text: str, expected: str) -> None:
    assert redact_url(text) == expected
