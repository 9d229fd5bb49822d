"""A service in this process, and its ASGI application with or without the fast lane.

Each command travels as between two processes, so all commands of the tests can be sent.
"""

import asyncio
import pickle
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from quorate.api.app import create_http_application
from quorate.application.rate_limiter import UNBOUNDED, Rates
from quorate.domain.shared.contents import Content
from quorate.domain.shared.quotas import UNLIMITED, Quotas
from quorate.domain.shared.records import changed, record
from quorate.eventlog.command_bus import CommandBus
from quorate.eventlog.envelopes import CommandEnvelope, CommandResult
from quorate.eventlog.remote.messages import pack_envelope, unpack_envelope
from quorate.runtime.asgi import ASGIApplication
from quorate.runtime.service_defaults import TASK_RETENTION_DAYS_DEFAULT
from quorate.server.bootstrap import Credentials, ensure_credentials
from quorate.server.container import Options, RunningService, run_service
from tests.conformance.archive.content_events import append_in
from tests.integration.api.asgi_client import AsgiRequest, AsgiResponse, ask, json_request


@record
class InProcess:
    app: ASGIApplication
    running: RunningService
    credentials: Credentials

    @property
    def key(self) -> str:
        return self.credentials["apiKey"]

    async def ask(self, request: AsgiRequest) -> AsgiResponse:
        return await ask(self.app, request)

    async def call(
        self, method: str, path: str, body: object = None, *, key: str | None = None
    ) -> AsgiResponse:
        if body is None:
            headers = [("Authorization", f"Bearer {key or self.key}")]
            return await self.ask(AsgiRequest(method=method, path=path, headers=headers))
        return await self.ask(json_request(method, path, body, key=key or self.key))

    async def get(self, path: str, *, key: str | None = None) -> AsgiResponse:
        return await self.call("GET", path, key=key)


async def append_beside(service: InProcess, id_: str, *contents: Content) -> None:
    """Append an event with contents that no command makes, in the turn of the log's writer."""
    running, tenant = service.running.service, service.credentials["tenantId"]
    await running.command_bus.run_chore(
        lambda transaction: append_in(transaction, running.log, tenant, id_, *contents)
    )


def _send_between_processes(command_bus: CommandBus) -> None:
    """Let the bus take what arrives of each command at another process."""
    enqueue = command_bus.enqueue

    def receive(envelope: CommandEnvelope) -> asyncio.Future[CommandResult]:
        if str(envelope.render.__module__).startswith("tests."):  # pytest rewrites their code.
            return enqueue(envelope)
        sent = pickle.dumps(pack_envelope(envelope), pickle.HIGHEST_PROTOCOL)
        received = unpack_envelope(pickle.loads(sent))  # noqa: S301 - of this test.
        return enqueue(changed(received, trace=envelope.trace))

    command_bus.enqueue = receive  # type: ignore[method-assign]


@asynccontextmanager
async def run_in_process(
    folder: Path,
    *,
    fast_lane: bool = True,
    cors_origins: tuple[str, ...] = (),
    rates: Rates = UNBOUNDED,
    quotas: Quotas = UNLIMITED,
    task_retention_days: float = TASK_RETENTION_DAYS_DEFAULT,
) -> AsyncIterator[InProcess]:
    folder.mkdir(exist_ok=True)
    options = Options(
        data_dir=folder,
        nats_port=0,
        rates=rates,
        quotas=quotas,
        task_retention_days=task_retention_days,
    )
    async with run_service(options) as running:
        assert isinstance(running.service.command_bus, CommandBus)
        _send_between_processes(running.service.command_bus)
        credentials = await ensure_credentials(
            running.service, folder, url="http://quorate.test", nats_url=running.nats_service.url
        )
        app = create_http_application(
            running.service, fast_lane=fast_lane, cors_origins=cors_origins
        )
        yield InProcess(app=app, running=running, credentials=credentials)
