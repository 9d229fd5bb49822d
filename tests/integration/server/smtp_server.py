"""An SMTP relay for tests: aiosmtpd in the loop of the test, with scripted misbehaviour.

    async with SmtpServer() as server:
        transport = SmtpTransport(server.url, client_name="agents.test")
        server.script[Step.RCPT] = Reply("450 4.2.1 Mailbox busy")
        ...
        server.script.clear()
        assert server.messages[0].recipients == ("person@example.org",)

``server.rejected`` maps recipients to replies. ``await server.received(n)`` waits for messages.
"""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from typing_extensions import override

HOST = "127.0.0.1"
WAIT_SECONDS_MAX = 30.0


class Step(Enum):
    """Where the relay misbehaves; BODY is in the middle of DATA, END after its last line."""

    CONNECT = auto()
    EHLO = auto()
    STARTTLS = auto()
    EHLO_AFTER_STARTTLS = auto()
    AUTH = auto()
    MAIL = auto()
    RCPT = auto()
    DATA = auto()
    BODY = auto()
    END = auto()


@dataclass(frozen=True)
class Reply:
    """Reply with this text, then close the connection if it is said so."""

    text: str
    then_close: bool = False


class Misbehaviour(Enum):
    HANG = auto()
    DROP = auto()
    ACCEPT_THEN_DROP = auto()  # At END only: the message is kept, the client sees no reply.


Behaviour = Reply | Misbehaviour


@dataclass(frozen=True)
class AcceptedMessage:
    sender: str
    recipients: tuple[str, ...]
    data: bytes
    is_encrypted: bool
    user: str | None


@dataclass
class SmtpServer:
    tls: ssl.SSLContext | None = None
    implicit_tls: bool = False
    users: dict[str, str] = field(default_factory=dict)
    script: dict[Step, Behaviour] = field(default_factory=dict)
    rejected: dict[str, str] = field(default_factory=dict)
    messages: list[AcceptedMessage] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    data_size_limit: int = 32 * 1024 * 1024
    port: int = 0
    _connections: set["_Connection"] = field(default_factory=set)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Connection(self), HOST, self.port, ssl=self.tls if self.implicit_tls else None
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for connection in list(self._connections):
            connection.abort()
        await asyncio.sleep(0)  # The transports call connection_lost in the next iteration.
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        return f"smtp{'s' if self.implicit_tls else ''}://{HOST}:{self.port}"

    def url_for(self, user: str) -> str:
        return self.url.replace("://", f"://{user}@")

    async def received(self, number: int) -> list[AcceptedMessage]:
        """Wait until this many messages were accepted."""
        await self._until(lambda: len(self.messages) >= number)
        return list(self.messages)

    async def command(self, name: str) -> None:
        """Wait until a client sent this command; DATA is counted at the end of the message."""
        await self._until(lambda: name in self.commands)

    async def disconnected(self) -> None:
        """Wait until no client is connected."""
        await self._until(lambda: not self._connections)

    def changed(self) -> None:
        """Wake what waits for messages, commands or connections."""
        self._changed.set()

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: object
    ) -> AuthResult:
        assert isinstance(given, LoginPassword)
        user, password = given.login.decode(), given.password.decode()
        return AuthResult(success=self.users.get(user) == password, handled=False, auth_data=given)


class _Connection(SMTP):
    def __init__(self, server: SmtpServer) -> None:
        self._test = server
        super().__init__(
            self,
            hostname="relay.test",
            tls_context=None if server.implicit_tls else server.tls,
            auth_require_tls=False,
            authenticator=server.authenticate,
            data_size_limit=server.data_size_limit,
            loop=asyncio.get_running_loop(),
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._test._connections.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._test._connections.discard(self)
        self._test.changed()
        super().connection_lost(error)

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()  # type: ignore[attr-defined]

    async def _is_scripted(self, step: Step) -> bool:
        """Act as scripted for a step; return whether that was done."""
        behaviour = self._test.script.get(step)
        match behaviour:
            case None | Misbehaviour.ACCEPT_THEN_DROP:
                return False
            case Reply(text=text, then_close=then_close):
                await self.push(text)
                if then_close and self.transport is not None:
                    self.transport.close()
            case Misbehaviour.DROP:
                self.abort()
                await asyncio.Event().wait()
            case Misbehaviour.HANG:
                await asyncio.Event().wait()  # Cancelled when the connection ends.
        return True

    async def _handle_client(self) -> None:
        if not await self._is_scripted(Step.CONNECT):
            await super()._handle_client()

    async def _call_handler_hook(self, command: str, *args: Any) -> Any:  # noqa: ANN401
        self._test.commands.append(command)
        self._test.changed()
        return await super()._call_handler_hook(command, *args)

    @override
    async def smtp_EHLO(self, hostname: str) -> None:
        step = Step.EHLO_AFTER_STARTTLS if self._tls_protocol else Step.EHLO
        if not await self._is_scripted(step):
            await super().smtp_EHLO(hostname)

    @override
    async def smtp_STARTTLS(self, arg: str) -> None:
        if not await self._is_scripted(Step.STARTTLS):
            await super().smtp_STARTTLS(arg)

    @override
    async def smtp_AUTH(self, arg: str) -> None:
        if not await self._is_scripted(Step.AUTH):
            await super().smtp_AUTH(arg)

    @override
    async def smtp_MAIL(self, arg: str | None) -> None:
        if not await self._is_scripted(Step.MAIL):
            await super().smtp_MAIL(arg)

    @override
    async def smtp_RCPT(self, arg: str | None) -> None:
        rejected = self._test.rejected.items()
        rejection = next((text for to, text in rejected if to in str(arg)), None)
        if rejection is not None:
            await self.push(rejection)
        elif not await self._is_scripted(Step.RCPT):
            await super().smtp_RCPT(arg)

    @override
    async def smtp_DATA(self, arg: str) -> None:
        if Step.BODY in self._test.script:
            await self.push("354 End data with <CR><LF>.<CR><LF>")
            await self._reader.readexactly(1)
            await self._is_scripted(Step.BODY)
        elif not await self._is_scripted(Step.DATA):
            await super().smtp_DATA(arg)

    async def handle_DATA(  # noqa: N802
        self, _server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        scripted = self._test.script.get(Step.END)
        if isinstance(scripted, Reply):
            return scripted.text
        await self._is_scripted(Step.END)
        login = getattr(session.auth_data, "login", None)
        self._test.messages.append(
            AcceptedMessage(
                sender="" if envelope.mail_from == "<>" else str(envelope.mail_from),
                recipients=tuple(envelope.rcpt_tos),
                data=bytes(envelope.original_content or b""),
                is_encrypted=session.ssl is not None or self._test.implicit_tls,
                user=login.decode() if login else None,
            )
        )
        self._test.changed()
        if scripted is Misbehaviour.ACCEPT_THEN_DROP:
            self.abort()
            await asyncio.Event().wait()
        return "250 2.0.0 Queued as 4F2A"
