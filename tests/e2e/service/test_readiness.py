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
from tests.e2e.service.http_clients import Operator, speaking_to
from tests.e2e.service.nats_listener import until
from tests.e2e.service.service_process import Json, serving
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
    with serving(data_dir, *options) as service:
        async with speaking_to(service) as operator:
            yield operator


async def look(operator: Operator) -> tuple[int, Json]:
    response = await operator.http.get("/readyz")
    return response.status_code, response.json()


async def test_a_database_that_hangs_is_told_in_time_and_by_everyone_who_asks(
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
        assert readiness.LOOK_SECONDS_MAX <= took < ANSWERED_SECONDS_MAX
        await until(lambda: _is_ready(operator))


async def test_a_database_that_is_gone_is_told_and_that_it_is_back(
    fragile: PostgresServer, data_dir: Path
) -> None:
    async with served(data_dir, "--database-url", fragile.database_url()) as operator:
        fragile.stop(signal.SIGQUIT)
        status, answer = await look(operator)
        assert (status, answer["log"]) == (503, "unavailable")
        assert (await operator.http.get("/livez")).status_code == 200
        fragile.start()
        await until(lambda: _is_ready(operator))


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
    seconds_unheard = 0.0


class _Push:
    state: str | None = jetstream_mirror.FOLLOWING

    def is_connected(self) -> bool:
        return True

    def mirror(self) -> str | None:
        return self.state


class Parts:
    def __init__(self) -> None:
        self.log, self.door, self.push, self.commits = _Log(), _Door(), _Push(), _Commits()
        self.readiness = readiness.Readiness(
            self.log,  # type: ignore[arg-type]  # As much of each as is asked.
            self.door,  # type: ignore[arg-type]
            self.push,
            self.commits,  # type: ignore[arg-type]
        )


@pytest.fixture
def parts() -> Parts:
    return Parts()


@pytest.mark.parametrize("state", [jetstream_mirror.STOPPED, jetstream_mirror.UNAVAILABLE])
async def test_a_copy_that_has_ended_degrades(parts: Parts, state: str) -> None:
    parts.push.state = state
    found = await parts.readiness.look()

    assert (found.status, found.mirror) == ("degraded", state)


@pytest.mark.parametrize("state", [None, jetstream_mirror.WAITING, jetstream_mirror.FOLLOWING])
async def test_a_copy_that_is_somebody_elses_or_begins_does_not(
    parts: Parts, state: str | None
) -> None:
    parts.push.state = state

    assert (await parts.readiness.look()).status == "ready"


async def test_not_hearing_of_others_degrades(parts: Parts) -> None:
    parts.commits.seconds_unheard = readiness.UNHEARD_SECONDS_MAX
    found = await parts.readiness.look()

    assert (found.status, found.hears) == ("degraded", False)


async def test_a_disk_that_takes_no_writes_degrades(parts: Parts) -> None:
    parts.door.failing = True
    found = await parts.readiness.look()

    assert (found.status, found.writes) == ("degraded", False)


async def test_a_damaged_log_is_dead_whatever_else_is_well(parts: Parts) -> None:
    parts.door.damage = "a hash does not fit"
    found = await parts.readiness.look()

    assert (found.status, found.log) == ("unavailable", "damaged")


async def test_one_look_at_a_database_that_hangs_is_enough_for_all(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "LOOK_SECONDS_MAX", 0.05)
    parts.log.answers.clear()
    for _ in range(3):
        found = await asyncio.gather(*(parts.readiness.look() for _ in range(5)))
        assert {each.log for each in found} == {"unavailable"}
    assert parts.log.looks == 1

    parts.log.answers.set()
    monkeypatch.undo()
    assert (await parts.readiness.look()).log == "ok"
