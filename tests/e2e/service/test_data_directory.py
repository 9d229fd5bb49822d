"""`quorate serve` notices that files are gone, belong to other data, or are open to everyone."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.e2e.service.http_clients import Operator
from tests.e2e.service.nats_listener import wait_until
from tests.e2e.service.service_process import FREE_PORTS, ServiceProcess, run_until_exit

DATABASE = "quorate.db"


async def test_removed_write_ahead_log_is_reported_and_loses_nothing(data_dir: Path) -> None:
    """The service is idle when the file is removed, and is killed when it has noticed."""
    service = ServiceProcess(data_dir).start()
    operator = Operator(service)
    try:
        tenant = await operator.create_tenant()
        ann = await tenant.create_agent("ann")
        lease = await ann.lease(ann.id, "user@example.com")
        (data_dir / f"{DATABASE}-wal").unlink()

        async def is_unavailable() -> bool:
            ready = await operator.http.request("GET", "/readyz")
            return (ready.status_code, ready.json()["log"]) == (503, "damaged")

        await wait_until(is_unavailable)
        refused = await ann.acquire(ann.id, "another@example.com")
        (entry,) = service.log_entries("log.files_replaced")
        assert refused.status_code == 503
        assert f"{DATABASE}-wal was removed, moved or replaced" in entry["damage"]
        assert await tenant.leases() == [lease], "reads continue"

        service.kill()
        service.start()
        await operator.connection.reconnect()

        assert await tenant.leases() == [lease]
    finally:
        await operator.close()
        await asyncio.to_thread(service.end)


def test_data_of_a_newer_version_or_without_a_database_are_refused(data_dir: Path) -> None:
    ServiceProcess(data_dir).start().stop()
    (data_dir / DATABASE).chmod(0o644)
    with closing(sqlite3.connect(data_dir / DATABASE)) as connection, connection:
        connection.execute("UPDATE schema_version SET version_num = '9999'")

    newer = run_until_exit(data_dir, *FREE_PORTS)
    allowed = ServiceProcess(data_dir, "--allow-newer-schema").start()
    exposed = allowed.log_entries("files.exposed")
    allowed.stop()
    (data_dir / DATABASE).unlink()
    without = run_until_exit(data_dir, *FREE_PORTS)

    assert (newer.returncode, without.returncode) == (1, 1)
    assert "newer version of Quorate (9999, not " in newer.stderr
    assert "the database is empty: restore a backup with `quorate restore`" in without.stderr
    assert "Traceback" not in newer.stderr + without.stderr
    assert str(data_dir / DATABASE) in exposed[0]["paths"]
