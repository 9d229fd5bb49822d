"""`/readyz` reports in time whether the service is ready, degraded or unavailable."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from quorate.bus.outbox import jetstream_mirror
from quorate.server import readiness
from tests.e2e.service.http_clients import Operator, connect_operator
from tests.e2e.service.nats_listener import wait_until
from tests.e2e.service.service_process import Json, run_service
from tests.support.postgres import PostgresServer

# A readiness probe of Kubernetes may have a timeout this short.
PROBE_TIMEOUT_SECONDS = 5.0
CONCURRENT_PROBES = 20


@pytest.fixture
def fragile() -> Iterator[PostgresServer]:
    """A PostgreSQL server that only this test uses and disrupts."""
    server = PostgresServer()
    server.start()
    try:
        yield server
    finally:
        server.remove()


@asynccontextmanager
async def running_service(data_dir: Path, *options: str) -> AsyncIterator[Operator]:
    with run_service(data_dir, *options) as service:
        async with connect_operator(service) as operator:
            yield operator


async def probe(operator: Operator) -> tuple[int, Json]:
    response = await operator.http.get("/readyz")
    return response.status_code, response.json()


async def test_hanging_database_is_reported_in_time_to_every_caller(
    fragile: PostgresServer, data_dir: Path
) -> None:
    async with running_service(data_dir, "--database-url", fragile.database_url()) as operator:
        status, response = await probe(operator)
        assert (status, response["status"], response["log"]) == (200, "ready", "ok")
        fragile.pause()
        try:
            began = time.monotonic()
            responses = await asyncio.gather(*(probe(operator) for _ in range(CONCURRENT_PROBES)))
            took = time.monotonic() - began
        finally:
            fragile.resume()

        for status, response in responses:
            assert (status, response["status"], response["log"]) == (
                503,
                "unavailable",
                "unavailable",
            )
        assert readiness.CHECK_SECONDS_MAX <= took < PROBE_TIMEOUT_SECONDS
        await wait_until(lambda: _is_ready(operator))


async def test_lost_and_recovered_database_is_reported(
    fragile: PostgresServer, data_dir: Path
) -> None:
    async with running_service(data_dir, "--database-url", fragile.database_url()) as operator:
        fragile.stop(signal.SIGQUIT)
        status, response = await probe(operator)
        assert (status, response["log"]) == (503, "unavailable")
        assert (await operator.http.get("/livez")).status_code == 200
        fragile.start()
        await wait_until(lambda: _is_ready(operator))


async def _is_ready(operator: Operator) -> bool:
    return str((await probe(operator))[1]["status"]) == "ready"


# -- Single components -------------------------------------------------------------


class _Log:
    def __init__(self) -> None:
        self.queries = 0
        self.responds = asyncio.Event()
        self.responds.set()

    async def committed_head(self) -> int:
        self.queries += 1
        await self.responds.wait()
        return 1


class _CommandBus:
    damage: str | None = None
    failing = False


class _Commits:
    notification_age_seconds = 0.0


class _Clock:
    seconds_ahead = 0.0


class _NatsService:
    state: str | None = jetstream_mirror.FOLLOWING

    def is_connected(self) -> bool:
        return True

    def mirror(self) -> str | None:
        return self.state


class Components:
    def __init__(self) -> None:
        self.log, self.command_bus, self.nats_service = _Log(), _CommandBus(), _NatsService()
        self.commits, self.clock = _Commits(), _Clock()
        self.readiness = readiness.Readiness(
            self.log,  # type: ignore[arg-type]  # Fakes with the used attributes only.
            self.command_bus,  # type: ignore[arg-type]
            self.nats_service,
            self.commits,  # type: ignore[arg-type]
            self.clock,  # type: ignore[arg-type]
        )


@pytest.fixture
def parts() -> Components:
    return Components()


@pytest.mark.parametrize("state", [jetstream_mirror.STOPPED, jetstream_mirror.UNAVAILABLE])
async def test_stopped_or_unavailable_mirror_degrades(parts: Components, state: str) -> None:
    parts.nats_service.state = state
    found = await parts.readiness.check()

    assert (found.status, found.mirror) == ("degraded", state)


@pytest.mark.parametrize("state", [None, jetstream_mirror.WAITING, jetstream_mirror.FOLLOWING])
async def test_external_or_starting_mirror_does_not_degrade(
    parts: Components, state: str | None
) -> None:
    parts.nats_service.state = state

    assert (await parts.readiness.check()).status == "ready"


async def test_stale_commit_notifications_degrade(parts: Components) -> None:
    parts.commits.notification_age_seconds = readiness.COMMIT_NOTIFICATION_AGE_SECONDS_MAX
    found = await parts.readiness.check()

    assert (found.status, found.receives_commits) == ("degraded", False)


async def test_failing_writes_degrade(parts: Components) -> None:
    parts.command_bus.failing = True
    found = await parts.readiness.check()

    assert (found.status, found.writes) == ("degraded", False)


@pytest.mark.parametrize(
    ("seconds", "status", "clock"),
    [(3_600, "degraded", "ahead"), (-3_600, "degraded", "behind"), (-4.9, "ready", None)],
)
async def test_clock_that_was_set_degrades(
    parts: Components, seconds: float, status: str, clock: str | None
) -> None:
    parts.clock.seconds_ahead = seconds
    found = await parts.readiness.check()

    assert (found.status, found.clock) == (status, clock)


async def test_corrupted_log_is_unavailable(parts: Components) -> None:
    parts.command_bus.damage = "a hash does not match"
    found = await parts.readiness.check()

    assert (found.status, found.log) == ("unavailable", "damaged")


async def test_concurrent_checks_share_one_database_query(
    parts: Components, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "CHECK_SECONDS_MAX", 0.05)
    parts.log.responds.clear()
    for _ in range(3):
        found = await asyncio.gather(*(parts.readiness.check() for _ in range(5)))
        assert {each.log for each in found} == {"unavailable"}
    assert parts.log.queries == 1

    parts.log.responds.set()
    monkeypatch.undo()
    assert (await parts.readiness.check()).log == "ok"
