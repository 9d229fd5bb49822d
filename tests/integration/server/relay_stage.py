"""An event log, the outbound relay on it, and a real SMTP server, with a clock that tests move."""

import asyncio
import email
import email.policy
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import orjson

from quorate.application.mail.outbound import CommitSignal, OutboundRelay
from quorate.application.mail.relay_metrics import RelayMetrics
from quorate.application.mail.sending import make_contents
from quorate.application.mail.transport import MailTransport, Sent
from quorate.domain.mail.addresses import parse_recipients
from quorate.domain.mail.deliveries import Delivery
from quorate.domain.mail.sending import SendMessage
from quorate.domain.mail.settings import MailSettings, RetryPolicy
from quorate.domain.shared.state import Command
from quorate.eventlog.command_bus import CommandBus
from quorate.eventlog.envelopes import Accepted, CommandEnvelope, CommandResult
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.projections.mail.outgoing import OutgoingMail
from quorate.projections.mail.queries import MailReader
from quorate.runtime.tasks import cancel_and_wait
from quorate.server.smtp import SmtpTimeLimits, SmtpTransport
from tests.conformance.eventlog.conformance import PLATFORMS, TENANT, Stage, until
from tests.integration.server.smtp_server import AcceptedMessage, SmtpServer
from tests.unit.support.sample_commands import ITSELF, key_of

DOMAIN = "acme.test"
SHORT = SmtpTimeLimits(connect=5.0, command=0.3, transfer=0.3, acceptance=0.3)
POLICY = RetryPolicy()
WAIT_SECONDS_MAX = 30.0


class _Commits(list[Sequence[RecordedEvent]]):
    def __init__(self, signal: CommitSignal) -> None:
        super().__init__()
        self._signal = signal

    def append(self, rows: Sequence[RecordedEvent]) -> None:
        super().append(rows)
        self._signal.wake(rows)


class StoppingBus:
    """A command bus that stops for ever before or after a command of the relay, as a crash does."""

    def __init__(self, bus: CommandBus, stop: tuple[str, str] | None) -> None:
        self._bus = bus
        self._stop = stop
        self.reached = asyncio.Event()

    async def submit(self, envelope: CommandEnvelope) -> CommandResult:
        name = type(envelope.command).__name__
        await self.reach("before", name)
        result = await self._bus.submit(envelope)
        await self.reach("after", name)
        return result

    async def reach(self, *point: str) -> None:
        if point == self._stop:
            self.reached.set()
            await asyncio.Event().wait()


class StoppingTransport:
    def __init__(self, transport: MailTransport, bus: StoppingBus) -> None:
        self._transport = transport
        self._bus = bus

    async def send(self, message: bytes, *, sender: str, recipient: str) -> Sent:
        await self._bus.reach("before", "SMTP")
        sent = await self._transport.send(message, sender=sender, recipient=recipient)
        await self._bus.reach("after", "SMTP")
        return sent


class RelayStage(Stage):
    """``start`` and ``stop`` are the election and the end of a leader."""

    def __init__(self, database: str, folder: Path, smtp: SmtpServer) -> None:
        self.smtp = smtp
        self.policy = POLICY
        self.settings = MailSettings(domain=DOMAIN, has_relay=True)
        self._numbers = itertools.count(1)
        self._running: asyncio.Task[Any] | None = None
        super().__init__(PLATFORMS[database](folder))

    def _build(self) -> None:
        self.signal = CommitSignal()
        self.committed = _Commits(self.signal)
        super()._build()
        self.reader = MailReader(self.log, self.clock)

    # -- The relay -------------------------------------------------------------

    def start(  # type: ignore[override]
        self, stop: tuple[str, str] | None = None, transport: MailTransport | None = None
    ) -> StoppingBus:
        bus = StoppingBus(self.command_bus, stop)
        transport = transport or SmtpTransport(self.smtp.url, client_name=DOMAIN, limits=SHORT)
        self.relay = OutboundRelay(
            bus,  # type: ignore[arg-type]
            OutgoingMail(self.log),
            StoppingTransport(transport, bus),
            self.policy,
            self.clock,
            self.command_ids,
            signal=self.signal,
            metrics=RelayMetrics(),
            jitter=lambda: 0.0,
        )
        self.lead()
        return bus

    def lead(self) -> None:
        """Run the same relay again, like a process that becomes leader once more."""
        self._running = asyncio.create_task(self.relay.run())

    async def stop(self) -> None:
        if self._running is not None:
            await cancel_and_wait([self._running])
            self._running = None

    async def close(self) -> None:
        await self.stop()
        await super().close()

    def move(self, **time: float) -> None:
        """Move the clock, and wake the relay as its timer does."""
        self.clock.move(**time)  # type: ignore[arg-type]
        self.signal.event.set()

    async def execute_quietly(self, *commands: Command, tenant: str = TENANT) -> None:
        """Execute commands whose results are no JSON."""
        for command in commands:
            answer = await self.submit(command, tenant=tenant, render=lambda _: b"{}")
            assert isinstance(answer, Accepted), answer

    # -- Messages ----------------------------------------------------------------

    async def send(
        self,
        *to: str,
        subject: str = "Hello",
        text: str = "Hi.\n",
        **more: Any,  # noqa: ANN401
    ) -> str:
        """Send a message of ann; return its id."""
        message_id = f"msg_{next(self._numbers):032x}"
        command = SendMessage(
            caller=key_of("ann"),
            agent=ITSELF,
            recipients=parse_recipients(to, (), DOMAIN, str.lower),
            subject=subject,
            body=make_contents(message_id, {"text": text}),
            settings=self.settings,
            new_message_id=message_id,
            new_thread_id=message_id.replace("msg", "thr"),
            **more,
        )
        answer = await self.submit(command, render=lambda message: message.id.encode())
        assert getattr(answer, "body", None) == message_id.encode(), answer
        return message_id

    async def delivery(self, message_id: str, number: int = 0) -> Delivery:
        found = (await self.reader.delivery(TENANT, f"{message_id}.{number}")).found
        assert found is not None
        return found

    async def reaches(self, status: str, message_id: str, number: int = 0) -> Delivery:
        """Wait until a delivery has a status."""

        async def has_status() -> bool:
            return (await self.delivery(message_id, number)).status == status

        await until(has_status)
        return await self.delivery(message_id, number)

    async def has(self, type_: str, count: int = 1) -> Sequence[dict[str, Any]]:
        """Wait until this many events of a type are in the log; return their data."""

        async def is_recorded() -> bool:
            return (await self.types(TENANT)).count(type_) >= count

        await until(is_recorded)
        return [orjson.loads(one.data) for one in await self.events(TENANT) if one.type == type_]


def parsed(accepted: AcceptedMessage) -> EmailMessage:
    return email.message_from_bytes(accepted.data, policy=email.policy.default)


def ids(messages: Sequence[AcceptedMessage]) -> list[str]:
    return [str(parsed(one)["Message-ID"]) for one in messages]


@asynccontextmanager
async def open_stage(database: str, folder: Path) -> AsyncIterator[RelayStage]:
    """A stage with the agents ann and bob; the relay is not started."""
    async with SmtpServer() as smtp:
        stage = RelayStage(database, folder, smtp)
        await stage.open()
        try:
            await stage.create_agents("ann", "bob")
            yield stage
        finally:
            await stage.close()
