"""The SMTP transport against a real server: TLS, authentication, and relays that misbehave."""

import asyncio
import ssl
from pathlib import Path

import pytest

from quorate.application.mail.transport import DeliveryFailure, PermanentFailure, TemporaryFailure
from quorate.server.smtp import DETAIL_LENGTH_MAX, SmtpTimeLimits, SmtpTransport
from quorate.server.smtp_url import InvalidSmtpUrl
from tests.integration.server.smtp_server import (
    Behaviour,
    Misbehaviour,
    Reply,
    SmtpServer,
    Step,
)
from tests.support.certificates import Certificates

MESSAGE = b"From: a@agents.test\r\nTo: p@example.org\r\nSubject: hi\r\n\r\nHello\r\n"
# Sending takes milliseconds. A longer one fills the buffers of the connection.
LONG_MESSAGE = MESSAGE + b"A line of the body that is long enough\r\n" * 500_000
SENDER, RECIPIENT, USER, PASSWORD = "a@agents.test", "p@example.org", "relay@corp.test", "s3cret"
SHORT = SmtpTimeLimits(connect=0.3, command=0.3, transfer=0.3, acceptance=0.3)
LONG = SmtpTimeLimits(connect=30, command=30, transfer=30, acceptance=30)
T, P = TemporaryFailure, PermanentFailure
HANG, DROP = Misbehaviour.HANG, Misbehaviour.DROP


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def tls(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.certificate("http"), certificates.key("http"))
    return context


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text(f"{PASSWORD}\n")
    return path


def remote(_host: str) -> bool:
    return False


def plain(server: SmtpServer, limits: SmtpTimeLimits | None = None) -> SmtpTransport:
    return SmtpTransport(server.url, client_name="agents.test", limits=limits)


async def fail(transport: SmtpTransport, message: bytes = MESSAGE) -> DeliveryFailure:
    with pytest.raises(DeliveryFailure) as raised:
        await transport.send(message, sender=SENDER, recipient=RECIPIENT)
    return raised.value


async def test_message_is_accepted_with_envelope_and_content() -> None:
    async with SmtpServer() as server:
        sent = await plain(server).send(MESSAGE, sender=SENDER, recipient=RECIPIENT)

        assert (sent.code, sent.detail) == (250, "2.0.0 Queued as 4F2A")
        (accepted,) = await server.received(1)
        assert (accepted.sender, accepted.recipients) == (SENDER, (RECIPIENT,))
        assert accepted.data == MESSAGE
        assert (accepted.is_encrypted, accepted.user) == (False, None)


async def test_null_sender_is_accepted() -> None:
    async with SmtpServer() as server:
        await plain(server).send(MESSAGE, sender="", recipient=RECIPIENT)

        assert (await server.received(1))[0].sender == ""


async def test_periods_and_line_ends_arrive_as_given() -> None:
    async with SmtpServer() as server:
        body = b"Subject: x\n\n.\n..two\n.\r\nlone\rreturn\r\n.last"
        await plain(server).send(body, sender=SENDER, recipient=RECIPIENT)

        (accepted,) = await server.received(1)
        assert accepted.data == b"Subject: x\r\n\r\n.\r\n..two\r\n.\r\nlone\r\nreturn\r\n.last\r\n"


async def test_large_message_arrives_complete() -> None:
    async with SmtpServer() as server:
        message = MESSAGE + b"..A line that begins with periods\r\n" * 50_000
        await plain(server).send(message, sender=SENDER, recipient=RECIPIENT)

        assert (await server.received(1))[0].data == message


async def test_message_beyond_the_size_limit_of_the_relay_bounces() -> None:
    async with SmtpServer(data_size_limit=1000) as server:
        failure = await fail(plain(server), MESSAGE + b"x" * 1000)

        assert (type(failure), failure.code) == (P, 552)


async def test_starttls_and_authentication_are_used(
    tls: ssl.SSLContext, certificates: Certificates, password_file: Path
) -> None:
    async with SmtpServer(tls=tls, users={USER: PASSWORD}) as server:
        transport = SmtpTransport(
            server.url_for(USER),
            password_file,
            client_name="agents.test",
            ca_file=certificates.ca,
            is_loopback=remote,
        )
        await transport.send(MESSAGE, sender=SENDER, recipient=RECIPIENT)

        (accepted,) = await server.received(1)
        assert (accepted.is_encrypted, accepted.user) == (True, USER)


async def test_implicit_tls_is_used(tls: ssl.SSLContext, certificates: Certificates) -> None:
    async with SmtpServer(tls=tls, implicit_tls=True) as server:
        transport = SmtpTransport(
            server.url, client_name="agents.test", ca_file=certificates.ca, is_loopback=remote
        )
        await transport.send(MESSAGE, sender=SENDER, recipient=RECIPIENT)

        assert (await server.received(1))[0].is_encrypted


async def test_remote_relay_without_starttls_is_refused() -> None:
    async with SmtpServer() as server:
        transport = SmtpTransport(server.url, client_name="agents.test", is_loopback=remote)
        failure = await fail(transport)

        assert (type(failure), failure.code) == (T, None)
        assert "STARTTLS" in failure.detail
        assert "MAIL" not in server.commands


@pytest.mark.parametrize("implicit_tls", [False, True])
async def test_unknown_certificate_is_refused(tls: ssl.SSLContext, implicit_tls: bool) -> None:
    async with SmtpServer(tls=tls, implicit_tls=implicit_tls) as server:
        transport = SmtpTransport(server.url, client_name="agents.test", is_loopback=remote)
        failure = await fail(transport)

        assert (type(failure), failure.code) == (T, None)
        assert "certificate verify failed" in failure.detail
        assert "MAIL" not in server.commands


async def test_wrong_password_is_temporary_and_never_shown(password_file: Path) -> None:
    async with SmtpServer(users={USER: "another"}) as server:
        transport = SmtpTransport(server.url_for(USER), password_file, client_name="agents.test")
        failure = await fail(transport)

        assert (type(failure), failure.code) == (T, 535)
        assert failure.detail.startswith("AUTH: 535")
        assert PASSWORD not in str(failure)
        assert "MAIL" not in server.commands


@pytest.mark.parametrize("content", ["", "\n", "x" * 5000])
async def test_unusable_password_file_is_temporary(password_file: Path, content: str) -> None:
    password_file.write_text(content)
    async with SmtpServer(users={USER: PASSWORD}) as server:
        transport = SmtpTransport(server.url_for(USER), password_file, client_name="agents.test")
        failure = await fail(transport)

        assert type(failure) is T
        assert "password file" in failure.detail


async def test_password_is_read_for_each_message(password_file: Path) -> None:
    async with SmtpServer(users={USER: "new"}) as server:
        transport = SmtpTransport(server.url_for(USER), password_file, client_name="agents.test")
        assert (await fail(transport)).code == 535
        password_file.write_text("new")

        await transport.send(MESSAGE, sender=SENDER, recipient=RECIPIENT)
        assert (await server.received(1))[0].user == USER


@pytest.mark.parametrize(
    ("step", "behaviour", "expected", "code"),
    [
        *(
            (step, Reply(f"{code} 5.0.0 no"), T, code)
            for step in (Step.CONNECT, Step.EHLO, Step.STARTTLS, Step.AUTH)
            for code in (421, 454, 554)
        ),
        *(
            (step, Reply(f"{code} 5.0.0 no"), expected, code)
            for step in (Step.MAIL, Step.RCPT, Step.DATA, Step.END)
            for code, expected in ((421, T), (451, T), (550, P), (554, P), (530, T), (535, T))
        ),
        *((step, HANG, T, None) for step in Step),
        *((step, DROP, T, None) for step in Step),
        *((step, Reply("nonsense"), T, None) for step in Step if step is not Step.BODY),
        *((step, Reply("250-" + "x" * 40_000), T, None) for step in (Step.EHLO, Step.RCPT)),
        *((step, Reply("354 go on"), T, 354) for step in (Step.EHLO, Step.MAIL, Step.RCPT)),
        (Step.EHLO_AFTER_STARTTLS, Reply("550 no"), T, 550),
        (Step.DATA, Reply("250 what"), T, 250),
        (Step.BODY, Reply("552 5.3.4 Too big", then_close=True), P, 552),
        (Step.BODY, Reply("451 4.3.0 Disk full"), T, 451),
        (Step.BODY, Reply("250 Already enough"), T, None),
        (Step.END, Misbehaviour.ACCEPT_THEN_DROP, T, None),
    ],
)
async def test_misbehaviour_is_classified(  # noqa: PLR0917
    tls: ssl.SSLContext,
    certificates: Certificates,
    password_file: Path,
    step: Step,
    behaviour: Behaviour,
    expected: type[DeliveryFailure],
    code: int | None,
) -> None:
    message = LONG_MESSAGE if step is Step.BODY else MESSAGE
    async with SmtpServer(tls=tls, users={USER: PASSWORD}, script={step: behaviour}) as server:
        # A time limit ends only the scripted step, so that slow machines do not change the result.
        limits = (
            SHORT
            if behaviour is HANG
            else SmtpTimeLimits(connect=30, command=30, transfer=30, acceptance=30)
        )
        transport = SmtpTransport(
            server.url_for(USER),
            password_file,
            client_name="agents.test",
            ca_file=certificates.ca,
            limits=limits,
            is_loopback=remote,
        )
        async with asyncio.timeout(30):
            failure = await fail(transport, message)

        assert (type(failure), failure.code) == (expected, code)
        assert len(server.messages) == (behaviour is Misbehaviour.ACCEPT_THEN_DROP)


async def test_greeting_that_never_comes_over_implicit_tls_is_temporary(
    tls: ssl.SSLContext, certificates: Certificates
) -> None:
    async with SmtpServer(tls=tls, implicit_tls=True, script={Step.CONNECT: HANG}) as server:
        transport = SmtpTransport(
            server.url, client_name="agents.test", ca_file=certificates.ca, limits=SHORT
        )

        assert type(await fail(transport)) is T


async def test_refused_connection_is_temporary() -> None:
    async with SmtpServer() as server:
        transport = plain(server)
    failure = await fail(transport)

    assert (type(failure), failure.code) == (T, None)
    assert failure.detail.startswith("connection: ")


async def test_relay_is_used_again_after_it_recovers() -> None:
    async with SmtpServer(script={Step.RCPT: Reply("450 4.2.1 Busy")}) as server:
        transport = plain(server)
        assert (await fail(transport)).code == 450
        server.script.clear()

        await transport.send(MESSAGE, sender=SENDER, recipient=RECIPIENT)
        assert len(server.messages) == 1


async def test_only_the_rejected_recipient_fails() -> None:
    async with SmtpServer(rejected={RECIPIENT: "550 5.1.1 Unknown user"}) as server:
        failure = await fail(plain(server))
        await plain(server).send(MESSAGE, sender=SENDER, recipient="other@example.org")

        assert failure.detail == "RCPT: 550 5.1.1 Unknown user"
        assert [message.recipients for message in server.messages] == [("other@example.org",)]


async def test_reply_text_is_bounded_and_printable() -> None:
    text = "550-\x1b[31mred\x00\r\n550 " + "y" * 5000
    async with SmtpServer(script={Step.RCPT: Reply(text)}) as server:
        failure = await fail(plain(server))

        assert failure.code == 550
        assert len(failure.detail) <= DETAIL_LENGTH_MAX
        assert failure.detail.isprintable()


@pytest.mark.parametrize(
    "address",
    ["p@example.org>\r\nRCPT TO:<q@x", "p", "p q@x.org", "ö@x.org", "@x.org", "<p@x.org>"],
)
async def test_unusable_address_bounces_without_a_connection(address: str) -> None:
    transport = SmtpTransport("smtp://127.0.0.1:9", client_name="agents.test")

    with pytest.raises(PermanentFailure, match="Not an address"):
        await transport.send(MESSAGE, sender=SENDER, recipient=address)


async def test_cancelled_send_closes_its_connection() -> None:
    async with SmtpServer(script={Step.END: HANG}) as server:
        task = asyncio.create_task(fail(plain(server)))
        await server.command("DATA")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        await server.disconnected()


def test_user_without_password_file_is_refused(password_file: Path) -> None:
    with pytest.raises(InvalidSmtpUrl, match="password file"):
        SmtpTransport("smtp://user@relay.test", client_name="agents.test")
    with pytest.raises(InvalidSmtpUrl, match="password file"):
        SmtpTransport("smtp://relay.test", password_file, client_name="agents.test")


def test_missing_ca_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSmtpUrl, match="CA file"):
        SmtpTransport("smtps://relay.test", client_name="a.test", ca_file=tmp_path / "none")
