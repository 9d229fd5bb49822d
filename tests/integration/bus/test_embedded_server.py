"""The embedded nats-server starts, restarts and stops with the service."""

import asyncio
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from quorate.bus.connection import connect
from quorate.bus.embedded.configuration import ServiceKeys, server_configuration, service_keys
from quorate.bus.embedded.server import EmbeddedServer, PortInUse, ServerFailed, find_program
from tests.integration.bus.stage import WAIT_SECONDS_MAX, until

STARTS_ONE_AND_WAITS = """
import asyncio, pathlib, sys
from quorate.bus.embedded.server import EmbeddedServer
from quorate.bus.embedded.configuration import service_keys

async def main() -> None:
    data_dir = pathlib.Path(sys.argv[1])
    server = EmbeddedServer(data_dir, service_keys(data_dir / "nats"))
    await server.start()
    print(server.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def keys(tmp_path: Path) -> ServiceKeys:
    return service_keys(tmp_path / "nats")


@pytest.fixture
async def running(tmp_path: Path, keys: ServiceKeys) -> AsyncIterator[EmbeddedServer]:
    running = EmbeddedServer(tmp_path, keys)
    await running.start()
    try:
        yield running
    finally:
        await running.stop()


async def answers(running: EmbeddedServer, keys: ServiceKeys) -> bool:
    connection = await connect(running.url, keys.service, "test")
    await connection.flush()
    await connection.close()
    return True


def pid_of(running: EmbeddedServer) -> int:
    assert running.pid is not None
    return running.pid


def ends(pid: int, seconds: float = WAIT_SECONDS_MAX) -> bool:
    """Return whether a process that is not a child ends in time."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([process], [], [], seconds)[0])
    finally:
        os.close(process)


async def test_server_is_ready_when_start_returns(
    running: EmbeddedServer, keys: ServiceKeys
) -> None:
    assert running.port > 0
    assert await answers(running, keys)


async def test_server_files_are_readable_by_their_owner_only(running: EmbeddedServer) -> None:
    assert running.folder.stat().st_mode & 0o777 == 0o700
    assert (running.folder / "keys.json").stat().st_mode & 0o777 == 0o600
    assert (running.folder / "nats-server.conf").stat().st_mode & 0o777 == 0o600


async def test_keys_are_created_once_and_never_printed(tmp_path: Path, keys: ServiceKeys) -> None:
    again = service_keys(tmp_path / "nats")

    assert again.service.public == keys.service.public
    assert len({keys.service.public, keys.system.public, keys.issuer.public}) == 3
    for key in (keys.service, keys.system, keys.issuer):
        assert key.seed not in repr(keys)
        assert key.seed.startswith("S")


async def test_used_port_is_reported_in_one_sentence(
    running: EmbeddedServer, tmp_path: Path, keys: ServiceKeys
) -> None:
    late = EmbeddedServer(tmp_path / "other", keys, port=running.port)

    with pytest.raises(PortInUse) as rejected:
        await late.start()

    assert str(running.port) in str(rejected.value)
    assert "--nats-port" in str(rejected.value)
    assert late.pid is None
    assert await answers(running, keys)


async def test_failed_start_reports_its_reason(tmp_path: Path, keys: ServiceKeys) -> None:
    (tmp_path / "nats" / "jetstream").write_text("a file where a folder should be")

    with pytest.raises(ServerFailed, match=r"did not start: .*storage directory"):
        await EmbeddedServer(tmp_path, keys).start()


async def test_server_is_restarted_on_the_same_port(
    running: EmbeddedServer, keys: ServiceKeys
) -> None:
    for _ in range(3):
        port, pid = running.port, pid_of(running)
        os.kill(pid, signal.SIGKILL)
        await until(lambda: running.pid not in (None, pid))  # noqa: B023 - awaited.
        await until(running.ready.is_set)
        assert running.port == port
        assert await answers(running, keys)


async def test_server_stops_on_request(tmp_path: Path, keys: ServiceKeys) -> None:
    running = EmbeddedServer(tmp_path, keys)
    await running.start()
    pid = pid_of(running)
    began = time.monotonic()

    await running.stop()

    assert time.monotonic() - began < 2
    assert running.pid is None
    assert ends(pid, seconds=0)


async def test_server_that_ignores_sigterm_is_killed(tmp_path: Path, keys: ServiceKeys) -> None:
    running = EmbeddedServer(tmp_path, keys)
    await running.start()
    pid = pid_of(running)
    os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()

    await running.stop()

    assert time.monotonic() - began < 2
    assert ends(pid, seconds=0)


async def test_server_does_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    program = [sys.executable, "-c", STARTS_ONE_AND_WAITS, str(tmp_path)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert not ends(pid, seconds=0)

        parent.kill()

        assert ends(pid)


async def test_orphan_is_terminated_first(
    running: EmbeddedServer, tmp_path: Path, keys: ServiceKeys
) -> None:
    conf = running.folder / "nats-server.conf"
    await running.stop()
    orphan = subprocess.Popen([await find_program(), "-c", str(conf)])
    (running.folder / "nats-server.pid").write_text(str(orphan.pid))
    successor = EmbeddedServer(tmp_path, keys)
    try:
        await successor.start()

        assert orphan.wait(WAIT_SECONDS_MAX) is not None
        assert await answers(successor, keys)
    finally:
        orphan.kill()
        orphan.wait()
        await successor.stop()


async def test_other_process_with_the_old_pid_is_not_terminated(
    tmp_path: Path, keys: ServiceKeys
) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other_server:
        (tmp_path / "nats" / "nats-server.pid").write_text(str(other_server.pid))
        running = EmbeddedServer(tmp_path, keys)
        await running.start()
        await running.stop()

        assert other_server.poll() is None
        other_server.kill()


@pytest.mark.parametrize("version", ["nats-server: v2.13.9", "nats-server: v1.4.1", "who knows"])
async def test_old_server_version_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    program = tmp_path / "nats-server"
    program.write_text(f"#!/bin/sh\necho '{version}'\n")
    program.chmod(0o755)
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))

    with pytest.raises(ServerFailed, match=r"needs nats-server 2\.14"):
        await find_program()


async def test_missing_server_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)

    with pytest.raises(ServerFailed, match="--nats-url"):
        await find_program()


async def test_configuration_for_a_separate_server_is_valid(
    tmp_path: Path, keys: ServiceKeys
) -> None:
    text = server_configuration(keys, "127.0.0.1:4222", str(tmp_path / 'with "quotes"'))
    path = tmp_path / "own.conf"
    path.write_text(text)

    checked = await asyncio.create_subprocess_exec(await find_program(), "-t", "-c", str(path))

    assert await checked.wait() == 0
    for key in (keys.service, keys.system, keys.issuer):
        assert key.public in text
        assert key.seed not in text
