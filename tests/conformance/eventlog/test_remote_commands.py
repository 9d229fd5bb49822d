"""Commands of another process: over the socket they are executed as by the command bus itself."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import orjson
import pytest

from quorate.domain.shared.email_addresses import EmailAddress
from quorate.domain.shared.records import record
from quorate.eventlog.envelopes import (
    Accepted,
    CommandEnvelope,
    CommandFailed,
    CommandResult,
    Rejected,
    Unavailable,
)
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.remote import command_bus as remote_module
from quorate.eventlog.remote import sockets
from quorate.eventlog.remote.command_bus import RemoteCommandBus
from quorate.eventlog.remote.command_server import CommandServer
from quorate.eventlog.transactions import DatabaseTransaction
from quorate.runtime.tasks import cancel_and_wait
from tests.conformance.eventlog.conformance import (
    TENANT,
    WAIT_SECONDS_MAX,
    Key,
    Stage,
    Statement,
    until,
)
from tests.support.placed_functions import fixed, needing
from tests.unit.support.sample_commands import KIM, acquire, heartbeat, register

SHORT_SECONDS = 0.2
COMMANDS = 200


class Remote:
    """Another process of the service, as far as commands are concerned."""

    def __init__(self, path: Path) -> None:
        self.bus = RemoteCommandBus(path)
        self.bus.on_commit = self._record
        self.committed: list[RecordedEvent] = []
        self._task = asyncio.create_task(self.bus.run())

    def _record(self, rows: Sequence[RecordedEvent]) -> None:
        self.committed += rows

    async def submit(self, envelope: CommandEnvelope) -> CommandResult:
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            return await self.bus.submit(envelope)

    def start(self, envelope: CommandEnvelope) -> asyncio.Task[CommandResult]:
        return asyncio.create_task(self.submit(envelope))

    async def close(self) -> None:
        await self.bus.close()
        await cancel_and_wait([self._task])


@asynccontextmanager
async def served(stage: Stage, path: Path) -> AsyncIterator[CommandServer]:
    """Serve the commands of other processes, as a writer does until it ends."""
    server = CommandServer(stage.command_bus, path)
    tell = stage.committed.append

    def on_commit(rows: Sequence[RecordedEvent]) -> None:
        tell(rows)
        server.send_commit(rows)

    stage.command_bus._on_commit = on_commit
    await server.start()
    task = asyncio.create_task(server.run())
    try:
        yield server
    finally:
        stage.command_bus._on_commit = tell
        await cancel_and_wait([task])
        end(server)


def end(server: CommandServer) -> None:
    """End the server like a process that is killed."""
    assert server._server is not None
    server._server.close()
    for channel in list(server._channels):
        channel.abort()


@pytest.fixture
async def remote(tmp_path: Path) -> AsyncIterator[Remote]:
    remote = Remote(tmp_path / "commands.sock")
    try:
        yield remote
    finally:
        await remote.close()


@pytest.fixture
async def server(stage: Stage, tmp_path: Path, remote: Remote) -> AsyncIterator[CommandServer]:
    async with served(stage, tmp_path / "commands.sock") as server:
        await remote.bus.connected.wait()
        yield server


def contact(number: int) -> EmailAddress:
    return EmailAddress(email=f"c{number}@example.com", key=f"c{number}@example.com")


@record
class Crashing:
    """A command whose rules raise."""

    def reads(self) -> tuple[Any, ...]:
        return ()

    def decide(self, _state: object, _context: object) -> Sequence[Any]:
        raise ZeroDivisionError

    def result(self, _state: object, _events: object) -> None: ...


@record
class ReadAgents:
    """A chore that returns something."""

    async def __call__(self, transaction: DatabaseTransaction) -> int:
        return len(await transaction.fetch(Statement("SELECT id FROM agents"), {}))


# -- As with the command bus itself --------------------------------------------


@pytest.mark.usefixtures("server")
async def test_result_is_that_of_the_command_bus(stage: Stage, remote: Remote) -> None:
    await stage.create_agents("ann", "bob")
    granted = await remote.submit(stage.envelope(acquire("ann", KIM)))
    refused = await remote.submit(stage.envelope(acquire("bob", KIM, lease="second")))

    assert isinstance(granted, Accepted)
    assert orjson.loads(granted.body)
    assert isinstance(refused, Rejected)
    assert refused.code == "lease_conflict"


@pytest.mark.usefixtures("server")
async def test_response_is_rendered_by_a_function_that_was_defined_in_place(
    stage: Stage, remote: Remote
) -> None:
    await stage.create_agents("ann")
    result = await remote.submit(stage.envelope(acquire("ann", KIM), render=fixed("text")))

    assert isinstance(result, Accepted)
    assert result.body == b"TEXT"


@pytest.mark.usefixtures("server")
async def test_commands_keep_their_order_and_share_commits(stage: Stage, remote: Remote) -> None:
    await stage.create_agents("ann")
    before = stage.database.commits
    pending = [
        remote.start(stage.envelope(acquire("ann", contact(number), lease=f"l{number}")))
        for number in range(COMMANDS)
    ]
    results = await asyncio.gather(*pending)

    sequences = [one.sequence for one in results]
    assert sequences == sorted(sequences)
    assert stage.database.commits < before + COMMANDS / 4


@pytest.mark.usefixtures("server")
async def test_commit_is_told_before_the_result(stage: Stage, remote: Remote) -> None:
    await stage.create_agents("ann")
    result = await remote.submit(stage.envelope(acquire("ann", KIM)))

    assert remote.committed == await stage.events(TENANT)
    assert remote.committed[-1].sequence == result.sequence


@pytest.mark.usefixtures("server")
async def test_command_that_fails_raises_at_its_caller_only(stage: Stage, remote: Remote) -> None:
    await stage.create_agents("ann")
    failing = remote.start(stage.envelope(Crashing()))
    other = remote.start(stage.envelope(acquire("ann", KIM)))

    with pytest.raises(CommandFailed):
        await failing
    assert isinstance(await other, Accepted)


@pytest.mark.usefixtures("server")
async def test_command_that_cannot_be_sent_fails_alone(stage: Stage, remote: Remote) -> None:
    await stage.create_agents("ann")
    unsendable = stage.envelope(acquire("ann", KIM), render=needing(threading.Lock()))
    with pytest.raises(CommandFailed):
        await remote.submit(unsendable)

    assert isinstance(await remote.submit(stage.envelope(acquire("ann", KIM))), Accepted)


@pytest.mark.usefixtures("server")
async def test_command_that_cannot_be_read_fails_alone(
    stage: Stage, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stage.create_agents("ann")
    with monkeypatch.context() as patched:
        patched.setattr(remote_module, "pack_envelope", lambda _envelope: ("too few",))
        with pytest.raises(CommandFailed):
            await remote.submit(stage.envelope(acquire("ann", KIM)))

    assert isinstance(await remote.submit(stage.envelope(acquire("ann", KIM))), Accepted)


@pytest.mark.usefixtures("server")
async def test_listener_that_raises_holds_back_no_result(stage: Stage, remote: Remote) -> None:
    def fail(_rows: Sequence[RecordedEvent]) -> None:
        raise ZeroDivisionError

    remote.bus.on_commit = fail
    await stage.create_agents("ann")

    assert isinstance(await remote.submit(stage.envelope(acquire("ann", KIM))), Accepted)


@pytest.mark.parametrize("message", [b"\0\0\0\1x", b"\xff\xff\xff\xff"], ids=["text", "length"])
async def test_message_that_makes_no_sense_ends_its_connection_only(
    stage: Stage, remote: Remote, server: CommandServer, tmp_path: Path, message: bytes
) -> None:
    await stage.create_agents("ann")
    reader, writer = await asyncio.open_unix_connection(tmp_path / "commands.sock")
    writer.write(message)
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        with suppress(ConnectionError):
            await reader.read()  # Until the end of the connection.
    writer.close()

    assert isinstance(await remote.submit(stage.envelope(acquire("ann", KIM))), Accepted)
    assert len(server._channels) == 1


@pytest.mark.usefixtures("server")
async def test_chore_returns_its_result(stage: Stage, remote: Remote) -> None:
    await stage.create_agents("ann", "bob")

    assert await remote.bus.run_chore(ReadAgents()) == 2


@pytest.mark.usefixtures("server")
async def test_damaged_log_is_known_to_all_processes(stage: Stage, remote: Remote) -> None:
    await stage.create_agents("ann")
    stage.command_bus.stop_writing("position 3 is missing")
    await until(lambda: remote.bus.damage is not None)

    assert remote.bus.damage == "position 3 is missing"
    with pytest.raises(Unavailable, match="corrupted"):
        await remote.submit(stage.envelope(acquire("ann", KIM)))


# -- The writer ends ---------------------------------------------------------------


async def test_command_waits_for_a_writer(stage: Stage, remote: Remote, tmp_path: Path) -> None:
    await stage.create_agents("ann")
    pending = remote.start(stage.envelope(acquire("ann", KIM)))
    await asyncio.sleep(0)
    assert remote.bus.waiting == 1

    async with served(stage, tmp_path / "commands.sock"):
        assert isinstance(await pending, Accepted)


async def test_command_is_rejected_when_there_is_no_writer_for_long(
    stage: Stage, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_module, "WRITER_SECONDS_MAX", SHORT_SECONDS)
    with pytest.raises(Unavailable, match="not running"):
        await remote.submit(stage.envelope(heartbeat("ann"), key=Key(key="k1")))


async def test_command_with_a_key_is_executed_once_across_writers(
    stage: Stage, remote: Remote, tmp_path: Path
) -> None:
    """The first writer commits it, and ends before the result arrives."""
    path = tmp_path / "commands.sock"
    await stage.create_agents("ann")
    async with served(stage, path) as server:
        await remote.bus.connected.wait()
        with stage.database.hold():
            pending = remote.start(stage.envelope(acquire("ann", KIM), key=Key(key="k1")))
            await stage.database.held.wait()
            end(server)
            await until(lambda: remote.bus.failing)
        await until(lambda: len(stage.committed) == 3)
    async with served(stage, path):
        result = await pending

    assert isinstance(result, Accepted)
    assert result.replayed
    assert (await stage.types(TENANT)).count("LeaseAcquired") == 1


async def test_command_without_a_key_is_not_sent_twice(
    stage: Stage, remote: Remote, tmp_path: Path
) -> None:
    await stage.create_agents("ann")
    async with served(stage, tmp_path / "commands.sock") as server:
        await remote.bus.connected.wait()
        with stage.database.hold():
            pending = remote.start(stage.envelope(acquire("ann", KIM)))
            await stage.database.held.wait()
            end(server)
            with pytest.raises(Unavailable, match="has ended"):
                await pending
        await until(lambda: len(stage.committed) == 3)

    assert (await stage.types(TENANT)).count("LeaseAcquired") == 1


async def test_closed_bus_rejects_what_waits_and_what_comes(stage: Stage, remote: Remote) -> None:
    pending = remote.start(stage.envelope(register("ann")))
    await asyncio.sleep(0)
    await remote.bus.close()

    for one in (pending, remote.start(stage.envelope(register("bob")))):
        with pytest.raises(Unavailable):
            await one


async def test_number_of_waiting_commands_is_limited(
    stage: Stage, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_module, "WAITING_MAX", 1)
    first = remote.start(stage.envelope(register("ann")))
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="full"):
        await remote.submit(stage.envelope(register("bob")))
    await remote.bus.close()
    with pytest.raises(Unavailable):
        await first


@pytest.mark.usefixtures("server")
async def test_stop_waits_until_the_other_processes_have_left(
    stage: Stage, remote: Remote, server: CommandServer
) -> None:
    await stage.create_agents("ann")
    stopping = asyncio.create_task(server.stop())
    await asyncio.sleep(0)
    result = await remote.submit(stage.envelope(acquire("ann", KIM)))
    await remote.bus.close()
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        await stopping

    assert isinstance(result, Accepted)


async def test_socket_may_be_in_a_deep_directory(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / ("d" * sockets.PATH_BYTES_MAX)
    folder.mkdir()
    remote = Remote(folder / "commands.sock")
    try:
        async with served(stage, folder / "commands.sock"):
            await stage.create_agents("ann")
            assert isinstance(await remote.submit(stage.envelope(acquire("ann", KIM))), Accepted)
            mode = (folder / "commands.sock").stat().st_mode
    finally:
        await remote.close()

    assert mode & 0o777 == sockets.SOCKET_MODE
