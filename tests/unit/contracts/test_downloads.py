"""Files in responses: hostile names and media types reach neither a header nor a path."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.contracts.downloads import (
    UNKNOWN_MEDIA,
    UNNAMED,
    Download,
    download_headers,
    safe_file_name,
    safe_media,
)


@pytest.mark.parametrize(
    ("given_name", "expected"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Windows\\win.ini", "win.ini"),
        (".bashrc", "bashrc"),
        ("a\r\nSet-Cookie: x=1", "aSet-Cookie: x=1"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ('a"; filename="b.exe', 'a"; filename="b.exe'),
        ("Angebot für Kim — 1.pdf", "Angebot für Kim — 1.pdf"),
        *((name, UNNAMED) for name in ("", "..", "/", "\0", "a/")),
    ],
)
def test_file_name_survives_the_header_without_what_is_dangerous(
    given_name: str, expected: str
) -> None:
    headers = {name.decode(): value.decode() for name, value in download_headers(given_name)}

    assert headers["content-disposition"].startswith("attachment; ")
    assert Download.from_response(headers, b"").name == expected
    assert "sandbox" in headers["content-security-policy"]


@given(st.text(st.characters(codec="utf-8"), max_size=128))
def test_no_name_breaks_the_header(name: str) -> None:
    for _, value in download_headers(name):
        assert value.isascii()
        assert value.decode().isprintable()
    headers = {key.decode(): value.decode() for key, value in download_headers(name)}
    assert Download.from_response(headers, b"").name == safe_file_name(name)
    assert not set(safe_file_name(name)) & set("/\\\0\r\n")


@pytest.mark.parametrize(
    ("media", "expected"),
    [
        ("application/pdf", "application/pdf"),
        ("TEXT/HTML; charset=utf-8", "text/html"),
        ("image/svg+xml", "image/svg+xml"),
        *((bad, UNKNOWN_MEDIA) for bad in ("", "text", "a/b\r\nX: y", "*/*", "ü/x", "a/b/c")),
    ],
)
def test_media_type_that_is_malformed_says_nothing(media: str, expected: str) -> None:
    assert safe_media(media) == expected
