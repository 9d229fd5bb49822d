"""A session is known to every replica, and ends everywhere with its key."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from quorate.api.app import create_http_application
from quorate.api.console import live
from quorate.server.bootstrap import ensure_credentials
from quorate.server.container import run_service
from quorate.server.options import Options
from tests.integration.api.console.test_console import issue, log_in, page
from tests.integration.api.in_process import InProcess
from tests.support.postgres import PostgresServer

END_SECONDS_MAX = 20.0  # On a busy machine; the promise is one second.


@asynccontextmanager
async def replica(folder: Path, database_url: str) -> AsyncIterator[InProcess]:
    folder.mkdir()
    async with run_service(
        Options(data_dir=folder, nats_port=0, database_url=database_url)
    ) as running:
        urls = {"url": "http://quorate.test", "nats_url": running.nats_service.url}
        credentials = await ensure_credentials(running.service, folder, **urls)
        app = create_http_application(running.service)
        yield InProcess(app=app, running=running, credentials=credentials)


async def opened(service: InProcess, cookie: str) -> "asyncio.Task[bytes]":
    """Return the stream of a page once it has begun."""

    async def read() -> bytes:
        return (await page(service, "/live/leases", cookie)).body

    subscriptions = service.running.service.subscriptions
    before = subscriptions.open_count
    stream = asyncio.create_task(read())
    async with asyncio.timeout(END_SECONDS_MAX):
        while subscriptions.open_count == before:  # noqa: ASYNC110 - it has no event.
            await asyncio.sleep(0.01)
    return stream


@pytest.fixture
async def replicas(
    tmp_path: Path, postgres: PostgresServer
) -> AsyncIterator[tuple[InProcess, InProcess]]:
    url = postgres.database_url()
    async with (
        replica(tmp_path / "first", url) as first,
        replica(tmp_path / "second", url) as second,
    ):
        yield first, second


async def test_session_is_known_to_a_second_replica_and_ends_with_its_key(
    replicas: tuple[InProcess, InProcess],
) -> None:
    first, second = replicas
    auditor = await issue(first, "auditor")
    cookie, kept = await log_in(first, auditor["key"]), await log_in(first, first.key)
    assert (await page(second, "/leases", cookie)).status == 200
    streams = [await opened(one, cookie) for one in replicas]

    revoked = await first.call("DELETE", f"/v1/keys/{auditor['id']}")
    assert revoked.status == 200
    async with asyncio.timeout(END_SECONDS_MAX):
        bodies = await asyncio.gather(*streams)

    assert all(body.endswith(live.END) for body in bodies)
    assert live.CHECK_SECONDS < 1
    for one in replicas:
        assert (await page(one, "/leases", cookie)).status == 303
        assert (await page(one, "/leases", kept)).status == 200
