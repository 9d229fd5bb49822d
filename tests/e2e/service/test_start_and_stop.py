"""`quorate serve` starts all parts, reports startup errors clearly, and stops cleanly."""

import asyncio
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from httpx2 import Response

from quorate import __version__
from tests.e2e.service.event_stream import follow_events
from tests.e2e.service.http_clients import AGENT, COORDINATION, EVENTS, LEASE, Caller, Operator
from tests.e2e.service.service_process import (
    FREE_PORTS,
    STOP_SECONDS_MAX,
    ServiceProcess,
    environment,
    run_until_exit,
)

CONTACT = "user@example.com"
PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600
STREAMS, LISTENERS = 20, 5
ACKNOWLEDGED_MIN = 100
DROP_TRIGGERS = "DROP TRIGGER events_no_update; DROP TRIGGER events_no_delete;"


@asynccontextmanager
async def started(data_dir: Path, *options: str) -> AsyncIterator[Operator]:
    """Start a service for one test, and return its operator."""
    service = ServiceProcess(data_dir, *options, executed=True)
    service.start()
    try:
        operator = Operator(service)
        try:
            yield operator
        finally:
            await operator.close()
    finally:
        service.end()


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def expect_startup_error(ended: "CompletedProcess[str]", *words: str) -> None:
    """Assert exit code 1 and a single error line without internals."""
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""
    errors = [line for line in ended.stderr.splitlines() if not line.startswith("{")]
    assert len(errors) == 1
    assert errors[0].startswith("Error: ")
    for word in words:
        assert word in errors[0]


@contextmanager
def occupied_port() -> Iterator[int]:
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


# -- Starting ----------------------------------------------------------------


async def test_first_start_creates_all_files_and_keys(data_dir: Path) -> None:
    async with started(data_dir) as operator:
        service = operator.service
        credentials = service.credentials

        assert list(credentials) == ["url", "natsUrl", "tenantId", "apiKey", "adminKey"]
        assert credentials["tenantId"] == "default"
        assert mode(data_dir) == PRIVATE_FOLDER
        assert mode(data_dir / "credentials.json") == PRIVATE_FILE
        assert mode(data_dir / "nats") == PRIVATE_FOLDER
        owner = Caller(operator.connection, service.api_key)
        assert (await owner.register("ann"))["tenantId"] == "default"
        assert (
            await owner.request_rejected("POST", "/v1/tenants", {"tenantId": "x"})
            == "role_forbidden"
        )
        tenant = await operator.create_tenant()
        listener = await (await tenant.create_agent("ann")).subscribe_to_all()
        assert listener.client.is_connected
        ready = await operator.request_ok("GET", "/readyz")
        assert ready == {
            "status": "ready",
            "log": "ok",
            "nats": "connected",
            "version": __version__,
        }
        assert await operator.request_ok("GET", "/livez") == {"status": "ok"}


async def test_banner_names_addresses_and_the_first_command(data_dir: Path) -> None:
    async with started(data_dir) as operator:
        service = operator.service
        url = service.url
        service.stop()
        banner = service.stdout.decode()
        assert url in banner
        assert str(data_dir / "credentials.json") in banner
        assert "(new)" in banner
        assert "qk_" not in banner, "a key would remain in the terminal history"
        [line] = [one for one in banner.splitlines() if " agents register " in one]
        service.start()

        words = [sys.executable, "-m", "quorate.cli.main", *line.split()[1:]]
        done = subprocess.run(words, env=environment(), capture_output=True, text=True, check=True)

        assert "outreach-agent" in done.stdout
        service.stop()
        assert "(existing data: " in service.stdout.decode()


async def test_second_start_keeps_state_and_keys(data_dir: Path) -> None:
    async with started(data_dir) as operator:
        tenant = await operator.create_tenant()
        ann = await tenant.create_agent("ann")
        lease = await ann.lease(ann.id, CONTACT)
        log, keys = await tenant.events(), operator.service.credentials

        await operator.restart()

        again = operator.service.credentials
        assert [again[name] for name in ("apiKey", "adminKey", "tenantId")] == [
            keys[name] for name in ("apiKey", "adminKey", "tenantId")
        ]
        assert mode(data_dir / "credentials.json") == PRIVATE_FILE
        assert await tenant.leases() == [lease]
        assert await tenant.events() == log
        assert (await ann.lease(ann.id, "next@example.com"))["fence"] == len(log) + 1
        listener = await ann.subscribe_to_all()
        await tenant.create_agent("bob")
        assert (await listener.notification("agent_registered"))["sequence"] == len(log) + 3


async def test_lost_credentials_are_recreated(data_dir: Path) -> None:
    async with started(data_dir) as operator:
        old = operator.service.credentials
        operator.service.stop()
        (data_dir / "credentials.json").unlink()
        operator.service.start()
        await operator.connection.reconnect()

        fresh = operator.service.credentials

        assert fresh["apiKey"] != old["apiKey"]
        assert mode(data_dir / "credentials.json") == PRIVATE_FILE
        await Caller(operator.connection, fresh["apiKey"]).register("ann")


async def test_options_can_be_set_by_environment_variables(tmp_path: Path) -> None:
    data_dir = tmp_path / "elsewhere"
    variables = {"QUORATE_HEARTBEAT_WINDOW_SECONDS": "7", "QUORATE_LOG_LEVEL": "debug"}
    service = ServiceProcess(data_dir, variables=variables)
    service.start()
    operator = Operator(service)
    try:
        agent = await Caller(operator.connection, service.api_key).register("ann")
    finally:
        await operator.close()
        service.stop()

    assert agent["activeUntil"][-5:] == agent["lastHeartbeat"][-5:]
    assert (int(agent["activeUntil"][-7:-5]) - int(agent["lastHeartbeat"][-7:-5])) % 60 == 7
    assert any(line["event"] == "http.served" for line in service.log_entries())


# -- Startup errors ----------------------------------------------------------


async def test_second_service_on_the_same_data_directory_is_rejected(data_dir: Path) -> None:
    async with started(data_dir) as operator:
        tenant = await operator.create_tenant()
        kept = operator.service.credentials

        ended = await asyncio.to_thread(run_until_exit, data_dir, *FREE_PORTS)

        expect_startup_error(ended, str(data_dir), str(operator.service.pid))
        assert operator.service.credentials == kept
        assert len(operator.service.nats_servers()) == 1
        await tenant.create_agent("ann")


def test_occupied_http_port_is_named(data_dir: Path) -> None:
    with occupied_port() as port:
        ended = run_until_exit(data_dir, "--port", str(port), "--nats-port", "0")

    expect_startup_error(ended, str(port), "--port")
    assert ServiceProcess(data_dir).nats_servers() == []


def test_occupied_nats_port_is_named(data_dir: Path) -> None:
    with occupied_port() as port:
        ended = run_until_exit(data_dir, "--port", "0", "--nats-port", str(port))

    expect_startup_error(ended, str(port), "--nats-port")
    assert ServiceProcess(data_dir).nats_servers() == []
    service = ServiceProcess(data_dir).start()
    service.stop()


def test_foreign_bind_address_is_named(data_dir: Path) -> None:
    expect_startup_error(run_until_exit(data_dir, "--host", "192.0.2.1", *FREE_PORTS), "192.0.2.1")


def test_invalid_database_file_is_named(data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / "quorate.db").write_text("this is not a database, and longer than a header" * 100)

    expect_startup_error(run_until_exit(data_dir, *FREE_PORTS), "not a database")


def test_invalid_credentials_file_is_named(data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / "credentials.json").write_text('{"apiKey": "qk_x"}')

    expect_startup_error(run_until_exit(data_dir, *FREE_PORTS), "credentials.json", "remove it")
    assert ServiceProcess(data_dir).nats_servers() == []


@pytest.mark.parametrize(
    "options",
    [
        *(("--port", "65536"), ("--nats-port", "-1"), ("--port", "http"), ("--no-such-option",)),
        *(("--heartbeat-window-seconds", "0"), ("--heartbeat-window-seconds", "nan")),
        *(("--workers", "many"), ("--workers", "0"), ("--database-url", "mysql://x/y")),
    ],
    ids=" ".join,
)
def test_invalid_option_is_rejected(data_dir: Path, options: tuple[str, ...]) -> None:
    ended = run_until_exit(data_dir, *FREE_PORTS, *options)

    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert options[0] in ended.stderr
    assert not data_dir.exists()


# -- Stopping ----------------------------------------------------------------


@pytest.mark.parametrize("signal_", [signal.SIGTERM, signal.SIGINT])
async def test_service_stops_in_time_with_connected_clients(
    data_dir: Path, signal_: signal.Signals
) -> None:
    async with started(data_dir) as operator:
        tenant = await operator.create_tenant()
        agents = [await tenant.create_agent(f"agent-{number}") for number in range(LISTENERS)]
        listeners = [await agent.subscribe_to_all() for agent in agents]
        open_streams = [follow_events(tenant) for _ in range(STREAMS)]
        streams = [await stream.__aenter__() for stream in open_streams]
        for stream in streams:
            await stream.event()

        took = await asyncio.to_thread(operator.service.stop, signal_)

        assert took < STOP_SECONDS_MAX
        for stream in streams:
            await stream.end()
        for listener in listeners:
            await asyncio.wait_for(listener.lost.wait(), STOP_SECONDS_MAX)
        for opened in open_streams:
            await opened.__aexit__(None, None, None)
        assert not list(data_dir.glob("quorate.db-*")), "no recovery is necessary"


async def test_acknowledged_commands_survive_a_stop(data_dir: Path) -> None:
    async with started(data_dir) as operator:
        tenant = await operator.create_tenant()
        ann = await tenant.create_agent("ann")
        acknowledged: list[int] = []
        enough = asyncio.Event()

        async def work(worker: int) -> None:
            number = 0
            while True:
                number += 1
                lease = await ann.lease(ann.id, f"{worker}-{number}@example.com")
                acknowledged.append(lease["fence"])
                if len(acknowledged) >= ACKNOWLEDGED_MIN:
                    enough.set()

        workers = [asyncio.create_task(work(number)) for number in range(8)]
        await enough.wait()
        await asyncio.to_thread(operator.service.stop)
        await asyncio.gather(*workers, return_exceptions=True)
        operator.service.start()
        await operator.connection.reconnect()

        granted = {event["sequence"] for event in await tenant.events("LeaseAcquired")}
        assert set(acknowledged) <= granted
        assert len(granted) <= len(acknowledged) + len(workers)


async def test_normal_operation_logs_no_warnings(data_dir: Path) -> None:
    async with started(data_dir) as operator:
        tenant = await operator.create_tenant()
        ann = await tenant.create_agent("ann")
        await ann.lease(ann.id, CONTACT)
        await operator.restart()
        await ann.lease(ann.id, CONTACT)
        service = operator.service
    assert [line for line in service.log_entries() if line["level"] not in {"debug", "info"}] == []


# -- Corrupted logs ----------------------------------------------------------


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory of a stopped service, with events."""
    data_dir = tmp_path_factory.mktemp("written") / "data"

    async def write() -> None:
        async with started(data_dir) as operator:
            owner = Caller(operator.connection, operator.service.api_key)
            agent = await owner.register("ann")
            for number in range(5):
                await owner.lease(agent["id"], f"{number}@example.com")

    asyncio.run(write())
    return data_dir


def test_database_rejects_changes_to_the_log(written: Path) -> None:
    with closing(sqlite3.connect(written / "quorate.db")) as database:
        for statement in ("UPDATE events SET data = '{}'", "DELETE FROM events WHERE position = 3"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                database.execute(statement)


TAMPERED: dict[str, str] = {
    "another holder": "UPDATE events SET data = replace(data, '1@example', '9@example')",
    "another time": "UPDATE events SET at = at + 1 WHERE position = 6",
    "another actor": "UPDATE events SET actor = 'another' WHERE position = 7",
    "another hash": "UPDATE events SET hash = zeroblob(32) WHERE position = 8",
    "a missing event": "DELETE FROM events WHERE position = 7",
}


@pytest.mark.parametrize("change", TAMPERED.values(), ids=TAMPERED)
async def test_corrupted_log_is_read_only(written: Path, data_dir: Path, change: str) -> None:
    shutil.copytree(written, data_dir)
    with closing(sqlite3.connect(data_dir / "quorate.db")) as database:
        database.executescript(f"{DROP_TRIGGERS} {change};")

    async with started(data_dir) as operator:
        service = operator.service
        owner = Caller(operator.connection, service.api_key)
        ready = await owner.request("GET", "/readyz")
        refused = [
            await owner.request("POST", f"{AGENT}/register", {"agentName": "bob"}),
            await owner.request("POST", LEASE, {"agentName": "ann", "contactEmail": CONTACT}),
            await operator.request("POST", "/v1/tenants", {"tenantId": "new"}),
        ]

        assert (ready.status_code, ready.json()["status"]) == (503, "unavailable")
        assert ready.json()["log"] == "damaged"
        for response in refused:
            expect_unavailable(response)
        assert len(await owner.request_list(f"{AGENT}/agents")) == 1
        assert len(await owner.leases()) == 5
        assert (await owner.request("GET", EVENTS)).status_code == 200
        assert (await owner.request("GET", f"{COORDINATION}/leases")).status_code == 200
        assert await operator.request_ok("GET", "/livez") == {"status": "ok"}
        assert [line["level"] for line in service.log_entries("log.corrupted")] == ["critical"]


def expect_unavailable(response: Response) -> None:
    problem = response.json()
    assert (response.status_code, problem["code"]) == (503, "unavailable")
    assert int(response.headers["retry-after"]) >= 1
    assert problem["detail"] == "The log is corrupted and read-only"  # Without the position.
    assert "Traceback" not in response.text
