"""Parse the address of the SMTP relay (``--smtp-url``)."""

import ipaddress
import re
from urllib.parse import unquote, urlsplit

from quorate.domain.shared.records import record

IMPLICIT_TLS_SCHEME = "smtps"
DEFAULT_PORTS = {"smtp": 587, IMPLICIT_TLS_SCHEME: 465}
EXAMPLE = "smtp://user@relay.example:587"
URL_LENGTH_MAX = 1024
LOCALHOST = "localhost"
_HOST_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?\.?")
_CONTROL = re.compile(r"[\x00-\x20\x7f]")


class InvalidSmtpUrl(ValueError):
    """The URL names no relay; the message says what to change."""


@record
class SmtpUrl:
    host: str
    port: int
    user: str | None
    implicit_tls: bool


def parse_smtp_url(url: str) -> SmtpUrl:
    """Parse ``smtp[s]://[user@]host[:port]``; raises InvalidSmtpUrl.

    The user may contain ``@`` or be percent-encoded. Ports default to 587, and to 465 for smtps.
    """
    if len(url) > URL_LENGTH_MAX:
        raise InvalidSmtpUrl(f"An SMTP URL has at most {URL_LENGTH_MAX} characters")
    if _CONTROL.search(url):
        raise InvalidSmtpUrl("An SMTP URL contains no spaces or control characters")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidSmtpUrl(f"The SMTP URL is invalid ({error}); expected {EXAMPLE}") from None
    if parts.scheme not in DEFAULT_PORTS:
        raise InvalidSmtpUrl(f"An SMTP URL begins with smtp:// or smtps://, not {parts.scheme!r}")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise InvalidSmtpUrl(f"An SMTP URL ends after the port; expected {EXAMPLE}")
    if not host or not _is_host(host):
        raise InvalidSmtpUrl(f"The SMTP URL has no valid host; expected {EXAMPLE}")
    if port == 0:
        raise InvalidSmtpUrl("The port of an SMTP URL is from 1 to 65535")
    return SmtpUrl(
        host=host,
        port=port or DEFAULT_PORTS[parts.scheme],
        user=_user(parts.netloc),
        implicit_tls=parts.scheme == IMPLICIT_TLS_SCHEME,
    )


def is_loopback(host: str) -> bool:
    """Whether the host is this machine by its name or address; names are not resolved."""
    try:
        return host == LOCALHOST or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return _HOST_NAME.fullmatch(host) is not None and ".." not in host
    return True


def _user(netloc: str) -> str | None:
    given, at, _ = netloc.rpartition("@")
    if not at:
        return None
    if ":" in given:
        raise InvalidSmtpUrl("An SMTP URL contains no password: give it with a file")
    user = unquote(given)
    if not user or _CONTROL.search(user):
        raise InvalidSmtpUrl("The user of the SMTP URL is empty or has control characters")
    return user
