"""`/readyz` tells a service that is dead from one that has merely lost a part, and in time."""

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

# Of those who ask whether it is ready: Kubernetes' own patience may be this short.
ANSWERED_SECONDS_MAX = 5.0
ASKING_AT_ONCE = 20


@pytest.fixture
def fragile() -> Iterator[PostgresServer]:
    """A PostgreSQL of the test's own, to be harmed."""
    server = PostgresServer()
    server.start()
    try:
        yield server
    finally:
        server.remove()


@asynccontextmanager
async def served(data_dir: Path, *options: str) -> AsyncIterator[Operator]:
    with run_service(data_dir, *options) as service:
        async with connect_operator(service) as operator:
            yield operator


async def look(operator: Operator) -> tuple[int, Json]:
    response = await operator.http.get("/readyz")
    return response.status_code, response.json()


async def test_hanging_database_is_reported_in_time_to_every_caller(
    fragile: PostgresServer, data_dir: Path
) -> None:
    async with served(data_dir, "--database-url", fragile.database_url()) as operator:
        assert await look(operator) == (200, {"status": "ready", "log": "ok", "nats": "connected"})
        fragile.pause()
        try:
            began = time.monotonic()
            answers = await asyncio.gather(*(look(operator) for _ in range(ASKING_AT_ONCE)))
            took = time.monotonic() - began
        finally:
            fragile.resume()

        for status, answer in answers:
            assert (status, answer["status"], answer["log"]) == (503, "unavailable", "unavailable")
        assert readiness.CHECK_SECONDS_MAX <= took < ANSWERED_SECONDS_MAX
        await wait_until(lambda: _is_ready(operator))


async def test_lost_and_recovered_database_is_reported(
    fragile: PostgresServer, data_dir: Path
) -> None:
    async with served(data_dir, "--database-url", fragile.database_url()) as operator:
        fragile.stop(signal.SIGQUIT)
        status, answer = await look(operator)
        assert (status, answer["log"]) == (503, "unavailable")
        assert (await operator.http.get("/livez")).status_code == 200
        fragile.start()
        await wait_until(lambda: _is_ready(operator))


async def _is_ready(operator: Operator) -> bool:
    return str((await look(operator))[1]["status"]) == "ready"


# -- Part by part ------------------------------------------------------------------


class _Log:
    def __init__(self) -> None:
        self.looks = 0
        self.answers = asyncio.Event()
        self.answers.set()

    async def committed_head(self) -> int:
        self.looks += 1
        await self.answers.wait()
        return 1


class _Door:
    damage: str | None = None
    failing = False


class _Commits:
    notification_age_seconds = 0.0


class _Push:
    state: str | None = jetstream_mirror.FOLLOWING

    def is_connected(self) -> bool:
        return True

    def mirror(self) -> str | None:
        return self.state


class Parts:
    def __init__(self) -> None:
        self.log, self.command_bus, self.nats_service, self.commits = (
            _Log(),
            _Door(),
            _Push(),
            _Commits(),
        )
        self.readiness = readiness.Readiness(
            self.log,  # type: ignore[arg-type]  # As much of each as is asked.
            self.command_bus,  # type: ignore[arg-type]
            self.nats_service,
            self.commits,  # type: ignore[arg-type]
        )


@pytest.fixture
def parts() -> Parts:
    return Parts()


@pytest.mark.parametrize("state", [jetstream_mirror.STOPPED, jetstream_mirror.UNAVAILABLE])
async def test_stopped_or_unavailable_mirror_degrades(parts: Parts, state: str) -> None:
    parts.nats_service.state = state
    found = await parts.readiness.check()

    assert (found.status, found.mirror) == ("degraded", state)


@pytest.mark.parametrize("state", [None, jetstream_mirror.WAITING, jetstream_mirror.FOLLOWING])
async def test_external_or_starting_mirror_does_not_degrade(
    parts: Parts, state: str | None
) -> None:
    parts.nats_service.state = state

    assert (await parts.readiness.check()).status == "ready"


async def test_stale_commit_notifications_degrade(parts: Parts) -> None:
    parts.commits.notification_age_seconds = readiness.COMMIT_NOTIFICATION_AGE_SECONDS_MAX
    found = await parts.readiness.check()

    assert (found.status, found.receives_commits) == ("degraded", False)


async def test_failing_writes_degrade(parts: Parts) -> None:
    parts.command_bus.failing = True
    found = await parts.readiness.check()

    assert (found.status, found.writes) == ("degraded", False)


async def test_corrupted_log_is_unavailable(parts: Parts) -> None:
    parts.command_bus.damage = "a hash does not fit"
    found = await parts.readiness.check()

    assert (found.status, found.log) == ("unavailable", "damaged")


async def test_concurrent_checks_share_one_database_query(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "CHECK_SECONDS_MAX", 0.05)
    parts.log.answers.clear()
    for _ in range(3):
        found = await asyncio.gather(*(parts.readiness.check() for _ in range(5)))
        assert {each.log for each in found} == {"unavailable"}
    assert parts.log.looks == 1

    parts.log.answers.set()
    monkeypatch.undo()
    assert (await parts.readiness.check()).log == "ok"
