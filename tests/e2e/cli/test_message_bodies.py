"""Message bodies: exported, verified, backed up and restored by the command line."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from quorate.domain.shared.contents import Content
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.sqlite.database import SqliteDatabase
from quorate.projections.migrations.schema import SCHEMA
from tests.conformance.archive.content_events import append
from tests.e2e.cli.conftest import Run
from tests.e2e.service.service_process import ServiceProcess
from tests.support.postgres import PostgresServer

SECRET = b"Come at five."
BODIES = (
    Content(id="msg_1", part="text", salt=b"s" * 16, data=SECRET),
    Content(id="msg_1", part="html", salt=b"t" * 16, data=b"<p>" * 100_000),
    Content(id="msg_2", part="text", salt=b"u" * 16, data=b"No, at six."),
)


async def fill(path: Path, tenant: str) -> None:
    log = EventStore(SqliteDatabase(path))
    await log.open(SCHEMA)
    await append(log, tenant, "msg_1", *BODIES[:2])
    await append(log, tenant, "msg_2", BODIES[2])
    await log.close()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """A service whose log refers to message bodies."""
    data_dir = tmp_path_factory.mktemp("bodies")
    ServiceProcess(data_dir).start().end()
    credentials = orjson.loads((data_dir / "credentials.json").read_bytes())
    asyncio.run(fill(data_dir / "quorate.db", credentials["tenantId"]))
    running = ServiceProcess(data_dir).start()
    try:
        yield running
    finally:
        running.end()


def test_exported_bodies_are_verified_offline(
    run: Run, service: ServiceProcess, tmp_path: Path
) -> None:
    target = ("--url", service.url, "--api-key", service.api_key)
    plain, full = tmp_path / "plain.jsonl", tmp_path / "full.jsonl"

    assert run("events", "export", plain, *target).exit_code == 0
    exported = run("events", "export", full, "--with-bodies", *target)
    assert exported.exit_code == 0, exported.stderr

    assert "3 message bodies are valid; 0 were erased" in run("verify", full).stdout
    bodiless = run("verify", plain).stdout
    assert "0 message bodies are valid; 0 were erased, 3 were not exported" in bodiless
    found = orjson.loads(run("verify", full, "--json").stdout)
    assert found["contents"] == {"verified": 3, "erased": 0, "missing": 0}
    for options in ((), ("--no-verify",)):
        assert run("replay", full, *options).stdout == run("replay", plain).stdout

    lines = full.read_bytes().splitlines(keepends=True)
    bodies = [number for number, line in enumerate(lines) if line.startswith(b'{"content":')]
    lines[bodies[0]], lines[bodies[2]] = lines[bodies[2]], lines[bodies[0]]
    full.write_bytes(b"".join(lines))
    damaged = run("verify", full)
    assert damaged.exit_code == 1
    assert "has another content" in damaged.stderr


def test_export_continues_after_bodies(run: Run, service: ServiceProcess, tmp_path: Path) -> None:
    target = ("--with-bodies", "--url", service.url, "--api-key", service.api_key)
    whole, path = tmp_path / "whole.jsonl", tmp_path / "log.jsonl"
    assert run("events", "export", whole, *target).exit_code == 0
    lines = whole.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-2]))

    assert run("events", "export", path, "--continue", *target).exit_code == 0

    assert path.read_bytes() == whole.read_bytes()


def test_bodies_are_restored_to_postgres_and_verified_there(
    run: Run, service: ServiceProcess, postgres: PostgresServer, tmp_path: Path
) -> None:
    file, url = tmp_path / "quorate.backup", postgres.empty_url()

    saved = run("backup", "--data-dir", service.data_dir, file, "--json")
    assert orjson.loads(saved.stdout)["contents"] == 3
    assert run("restore", "--database-url", url, file).exit_code == 0
    verified = orjson.loads(run("log", "verify", "--database-url", url, "--json").stdout)

    assert verified["contents"] == {"verified": 3, "erased": 0, "unverified": 0}


def test_changed_body_in_the_database_is_found(
    run: Run, service: ServiceProcess, tmp_path: Path
) -> None:
    file, data_dir = tmp_path / "quorate.backup", tmp_path / "elsewhere"
    assert run("backup", "--data-dir", service.data_dir, file).exit_code == 0
    assert run("restore", "--data-dir", data_dir, file).exit_code == 0
    valid = run("log", "verify", "--data-dir", data_dir)
    assert "3 message bodies are valid" in valid.stdout

    with closing(sqlite3.connect(data_dir / "quorate.db")) as database, database:
        changed = (SECRET.replace(b"five", b"four"), SECRET)
        assert database.execute(
            "UPDATE message_bodies SET body = ? WHERE body = ?", changed
        ).rowcount

    damaged = run("log", "verify", "--data-dir", data_dir)
    assert damaged.exit_code == 1
    assert "content 'text' differs from its hash in the event" in damaged.stderr
