"""After a restore, the JetStream mirror may be newer than the log.

The service keeps the mirror until an operator deletes it, and works in the meantime.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from quorate.client import Client, LogMismatchError
from tests.e2e.cli.cli_process import Outcome, Tenant, run_cli, wait_until
from tests.e2e.service.service_process import ServiceProcess


@pytest.fixture
def service(data_dir: Path) -> Iterator[ServiceProcess]:
    running = ServiceProcess(data_dir).start()
    try:
        yield running
    finally:
        running.end()


def run(service: ServiceProcess, *words: str) -> Outcome:
    return run_cli(*words, QUORATE_DATA_DIR=str(service.data_dir))


def run_ok(service: ServiceProcess, *words: str) -> None:
    outcome = run(service, *words)
    assert outcome.code == 0, outcome.stderr


def restore_backup(service: ServiceProcess, file: Path) -> None:
    """Replace only the log; the NATS data and the keys in the data directory remain."""
    service.stop()
    service.database.unlink()
    run_ok(service, "restore", str(file))
    service.start()


def count_mirrors(service: ServiceProcess) -> int:
    """Return how many times a mirror was created."""
    return len(service.log_entries("mirror.created"))


def test_restored_log_is_served_while_the_newer_mirror_is_kept(
    service: ServiceProcess, tmp_path: Path
) -> None:
    tenant = Tenant(service, "acme")
    tenant.register("ann")
    file = tmp_path / "quorate.backup"
    run_ok(service, "backup", str(file))
    lost = tenant.lease("ann", "kim@example.com")
    tenant.release(str(lost["id"]))
    tenant.close()

    restore_backup(service, file)
    wait_until(lambda: service.log_entries("mirror.stopped"))

    (stopped,) = service.log_entries("mirror.stopped")
    assert "quorate mirror reset" in stopped["error"]
    before = count_mirrors(service)
    with_key = Tenant(service, "globex")
    with_key.register("bob")
    assert with_key.lease("bob", "kim@example.com")["status"] == "active"
    with_key.close()
    assert count_mirrors(service) == before, "the mirror was changed without confirmation"

    run_ok(service, "mirror", "reset", "--yes")
    wait_until(lambda: count_mirrors(service) > before)
    assert service.log_entries("mirror.created")[-1]["first"] == 1


def test_current_log_continues_its_mirror(service: ServiceProcess, tmp_path: Path) -> None:
    """Control: a restore of the current log does not stop the mirror."""
    tenant = Tenant(service, "acme")
    tenant.register("ann")
    tenant.close()
    file = tmp_path / "quorate.backup"
    run_ok(service, "backup", str(file))

    restore_backup(service, file)
    service.stop()

    assert service.log_entries("mirror.stopped") == []
    assert count_mirrors(service) == 1


def test_cursor_of_the_log_before_the_restore_is_rejected(
    service: ServiceProcess, tmp_path: Path
) -> None:
    tenant = Tenant(service, "acme")
    tenant.register("ann")
    file = tmp_path / "quorate.backup"
    run_ok(service, "backup", str(file))
    with Client(service.url, tenant.key) as client:
        before = client.events.list(limit=1)
    for name in ("bob", "cid"):
        tenant.register(name)
    tenant.close()

    restore_backup(service, file)

    watching = run_cli(
        *("watch", "--after", str(before.head + 2), "--for", "5"),
        QUORATE_URL=service.url,
        QUORATE_API_KEY=tenant.key,
    )
    assert (watching.code, "another log" in watching.stderr) == (3, True), watching.stderr
    with Client(service.url, tenant.key) as client:
        with pytest.raises(LogMismatchError, match="another log"):
            client.events.list(after=before.head + 2)
        client.agents.register("dan")
        client.agents.register("eve")
        with pytest.raises(LogMismatchError, match="another log"):
            client.events.list(after=before.head + 2, log_id=before.log_id)
        assert client.events.list(after=before.head + 2).events == []


def test_mirror_reset_fails_without_a_nats_address(tmp_path: Path) -> None:
    outcome = run_cli("mirror", "reset", "--yes", QUORATE_DATA_DIR=str(tmp_path))

    assert outcome.code == 1
    assert "set --nats-url" in outcome.stderr


def test_mirror_reset_requires_confirmation(service: ServiceProcess) -> None:
    outcome = run(service, "mirror", "reset")

    assert outcome.code == 1
    assert "Delete the JetStream mirror" in outcome.stdout + outcome.stderr
    assert "Aborted" in outcome.stderr
