"""Mail transport over SMTP (aiosmtplib): one connection for each message.

Guarantees:

* Nothing is sent without TLS, and the certificate is verified, unless the relay is on this machine.
* Every step has a time limit. A relay that hangs, drops the connection or sends nonsense at any
  step causes TemporaryFailure.
* A 5xx reply to MAIL, RCPT or DATA is permanent. Before them, and if it asks for authentication,
  it concerns our configuration and is temporary: an operator's mistake bounces no mail.
* After the relay accepted the message nothing is awaited, so that ``Sent`` is returned at once.

The transfer of DATA is written here: aiosmtplib 5.1 copies the message three times, limits only
the wait for the reply, and ignores a reply that arrives before the end of the message.
"""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import cast

from aiosmtplib import (
    SMTP,
    SMTPDataError,
    SMTPException,
    SMTPResponse,
    SMTPResponseException,
    SMTPServerDisconnected,
)
from aiosmtplib.protocol import SMTPProtocol

from quorate.application.mail.transport import PermanentFailure, Sent, TemporaryFailure
from quorate.domain.shared.records import record
from quorate.server.smtp_data import data_chunks
from quorate.server.smtp_url import InvalidSmtpUrl, is_loopback, parse_smtp_url

CONNECT_SECONDS_MAX = 30.0
COMMAND_SECONDS_MAX = 120.0
TRANSFER_SECONDS_MAX = 600.0
# RFC 5321, 4.5.3.2.6: a client that stops waiting earlier causes the message to be sent twice.
ACCEPTANCE_SECONDS_MAX = 600.0
DETAIL_LENGTH_MAX = 400
PASSWORD_BYTES_MAX = 4096
START_DATA = 354
ERRORS_BEGIN = 400
PERMANENT = range(500, 600)
REPLY_CODES = range(200, 600)
# STARTTLS or authentication required, mechanism too weak, credentials invalid (RFC 3207, 4954).
CONFIGURATION_CODES = frozenset({530, 534, 535, 538})
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9.-]+")
_NOT_PRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


@record
class SmtpTimeLimits:
    """Seconds for the connection, each command, the transfer of the body, and its acceptance."""

    connect: float = CONNECT_SECONDS_MAX
    command: float = COMMAND_SECONDS_MAX
    transfer: float = TRANSFER_SECONDS_MAX
    acceptance: float = ACCEPTANCE_SECONDS_MAX


class SmtpTransport:
    """A MailTransport for the relay of ``url``; raises InvalidSmtpUrl for a wrong configuration.

    ``ca_file`` replaces the certificate authorities of the system. ``client_name`` is the name in
    EHLO, usually the mail domain. The password is read for each connection, so it can be changed.
    """

    def __init__(
        self,
        url: str,
        password_file: Path | None = None,
        *,
        client_name: str,
        ca_file: Path | None = None,
        limits: SmtpTimeLimits | None = None,
        is_loopback: Callable[[str], bool] = is_loopback,
    ) -> None:
        self._relay = parse_smtp_url(url)
        if (self._relay.user is None) != (password_file is None):
            raise InvalidSmtpUrl("Give the user in the SMTP URL and a password file, or neither")
        self._password_file = password_file
        self._client_name = client_name
        self._limits = limits or SmtpTimeLimits()
        self._starttls = not self._relay.implicit_tls and not is_loopback(self._relay.host)
        self._tls: ssl.SSLContext | None = None
        if self._relay.implicit_tls or self._starttls:
            self._tls = _tls_context(ca_file)

    async def send(self, message: bytes, *, sender: str, recipient: str) -> Sent:
        """Hand over a message; raises TemporaryFailure or PermanentFailure."""
        for address in filter(None, (sender, recipient)):
            if not _ADDRESS.fullmatch(address):
                raise PermanentFailure(None, f"Not an address for SMTP: {_printable(address)}")
        async with self._connection() as smtp:
            await self._prepare(smtp)
            with _step("MAIL", about_message=True):
                await smtp.mail(sender, options=_mail_options(smtp, message))
            with _step("RCPT", about_message=True):
                await smtp.rcpt(recipient)
            with _step("DATA", about_message=True):
                reply = await self._transfer(smtp, message)
                if reply.code >= ERRORS_BEGIN:
                    raise SMTPDataError(reply.code, reply.message)
        return Sent(code=reply.code, detail=_printable(reply.message))

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[SMTP]:
        """Connect; afterwards say QUIT without waiting for the reply, or abort after an error."""
        smtp = SMTP(
            hostname=self._relay.host,
            port=self._relay.port,
            local_hostname=self._client_name,
            timeout=self._limits.command,
            use_tls=self._relay.implicit_tls,
            start_tls=False,
            tls_context=self._tls,
        )
        with _step("connection", about_message=False):
            await smtp.connect(timeout=self._limits.connect)
        first = smtp.transport
        try:
            yield smtp
        except BaseException:
            for transport in (smtp.transport, first):
                if transport is not None:
                    cast(asyncio.WriteTransport, transport).abort()
            raise
        if smtp.transport is not None:
            cast(asyncio.WriteTransport, smtp.transport).write(b"QUIT\r\n")
            smtp.close()

    async def _prepare(self, smtp: SMTP) -> None:
        with _step("EHLO", about_message=False):
            await smtp.ehlo()
        if self._starttls:
            with _step("STARTTLS", about_message=False):
                await smtp.starttls()
            with _step("EHLO", about_message=False):
                await smtp.ehlo()
        if self._relay.user is not None and self._password_file is not None:
            with _step("AUTH", about_message=False):
                password = await asyncio.to_thread(_read_password, self._password_file)
                await _authenticate(smtp, self._relay.user, password)

    async def _transfer(self, smtp: SMTP, message: bytes) -> SMTPResponse:
        """Send DATA and the message; return the reply, also if it arrives before the end."""
        start = await smtp.execute_command(b"DATA")
        if start.code != START_DATA:
            raise SMTPDataError(start.code, start.message)
        if smtp.protocol is None:
            raise SMTPServerDisconnected("Connection lost")
        reply = asyncio.create_task(smtp.protocol.read_response())
        try:
            async with asyncio.timeout(self._limits.transfer):
                complete = await _write(smtp.protocol, message, reply)
            async with asyncio.timeout(self._limits.acceptance):
                response = await reply
        finally:
            reply.cancel()
        if not complete and response.code < ERRORS_BEGIN:
            raise SMTPException("The relay replied before the end of the message")
        return response


async def _write(protocol: SMTPProtocol, message: bytes, reply: asyncio.Task[SMTPResponse]) -> bool:
    """Write the message; return whether all of it was written before the relay replied."""
    for chunk in data_chunks(message):
        if reply.done():
            return False
        protocol.write(chunk)
        # What StreamWriter.drain awaits; a StreamWriter would close the connection when it is lost.
        drained = asyncio.ensure_future(protocol._drain_helper())  # noqa: SLF001
        try:
            await asyncio.wait({drained, reply}, return_when=asyncio.FIRST_COMPLETED)
            if drained.done():
                drained.result()
        finally:
            drained.cancel()
    return True


async def _authenticate(smtp: SMTP, user: str, password: str) -> None:
    """Try one mechanism only: aiosmtplib tries all, and three failures may lock the account."""
    offered = smtp.server_auth_methods
    if "plain" in offered:
        await smtp.auth_plain(user, password)
    elif "login" in offered:
        await smtp.auth_login(user, password)
    elif "cram-md5" in offered:
        await smtp.auth_crammd5(user, password)
    else:
        raise SMTPException("The relay offers none of PLAIN, LOGIN and CRAM-MD5")


@contextmanager
def _step(name: str, *, about_message: bool) -> Iterator[None]:
    """Turn every error of a step into TemporaryFailure or PermanentFailure."""
    try:
        yield
    except SMTPResponseException as error:
        code = error.code if error.code in REPLY_CODES else None
        detail = _printable(f"{name}: {error.code} {error.message}")
        is_permanent = about_message and code in PERMANENT and code not in CONFIGURATION_CODES
        raise (PermanentFailure if is_permanent else TemporaryFailure)(code, detail) from error
    except (SMTPException, OSError, ValueError, LookupError) as error:
        why = str(error) or "Timed out"
        raise TemporaryFailure(None, _printable(f"{name}: {why}")) from error


def _mail_options(smtp: SMTP, message: bytes) -> list[str]:
    options = []
    if smtp.supports_extension("size"):
        options.append(f"SIZE={len(message)}")
    if not message.isascii() and smtp.supports_extension("8bitmime"):
        options.append("BODY=8BITMIME")
    return options


def _printable(text: str) -> str:
    """Make a text of the relay safe to store and to print: one line of limited length."""
    return _NOT_PRINTABLE.sub(" ", text[: 2 * DETAIL_LENGTH_MAX]).strip()[:DETAIL_LENGTH_MAX]


def _read_password(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(PASSWORD_BYTES_MAX + 1)
    if len(data) > PASSWORD_BYTES_MAX:
        raise ValueError(f"The password file has more than {PASSWORD_BYTES_MAX} bytes")
    password = data.decode("utf-8").strip()
    if not password:
        raise ValueError("The password file is empty")
    return password


def _tls_context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise InvalidSmtpUrl(f"Cannot read the CA file {ca_file}: {error}") from error
