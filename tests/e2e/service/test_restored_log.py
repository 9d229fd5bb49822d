"""After a restore the copy in JetStream may know more than the log: it is left alone until an
operator says that it may go, and the service works all the while.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cli.cli_process import Outcome, Tenant, run_cli, wait_until
from tests.e2e.service.service_process import ServiceProcess


@pytest.fixture
def service(data_dir: Path) -> Iterator[ServiceProcess]:
    running = ServiceProcess(data_dir).start()
    try:
        yield running
    finally:
        running.end()


def verb(service: ServiceProcess, *words: str) -> Outcome:
    return run_cli(*words, QUORATE_DATA_DIR=str(service.data_dir))


def works(service: ServiceProcess, *words: str) -> None:
    outcome = verb(service, *words)
    assert outcome.code == 0, outcome.stderr


def restored_to_before(service: ServiceProcess, file: Path) -> None:
    """The folder stays, with all that belongs to NATS and the keys; only the log is replaced."""
    service.stop()
    service.database.unlink()
    works(service, "restore", str(file))
    service.start()


def mirrored(service: ServiceProcess) -> int:
    """How often a copy was begun."""
    return len(service.log_entries("mirror.created"))


def test_restored_log_is_served_while_the_newer_mirror_is_kept(
    service: ServiceProcess, tmp_path: Path
) -> None:
    tenant = Tenant(service, "acme")
    tenant.register("ann")
    file = tmp_path / "quorate.backup"
    works(service, "backup", str(file))
    lost = tenant.lease("ann", "kim@example.com")
    tenant.release(str(lost["id"]))
    tenant.close()

    restored_to_before(service, file)
    wait_until(lambda: service.log_entries("mirror.stopped"))

    (halted,) = service.log_entries("mirror.stopped")
    assert "quorate mirror reset" in halted["error"]
    before = mirrored(service)
    with_key = Tenant(service, "globex")
    with_key.register("bob")
    assert with_key.lease("bob", "kim@example.com")["status"] == "active"
    with_key.close()
    assert mirrored(service) == before, "it was touched before anybody said so"

    works(service, "mirror", "reset", "--yes")
    wait_until(lambda: mirrored(service) > before)
    assert service.log_entries("mirror.created")[-1]["first"] == 1


def test_current_log_continues_its_mirror(service: ServiceProcess, tmp_path: Path) -> None:
    """The control: a restore alone is nothing that would halt the copy."""
    tenant = Tenant(service, "acme")
    tenant.register("ann")
    tenant.close()
    file = tmp_path / "quorate.backup"
    works(service, "backup", str(file))

    restored_to_before(service, file)
    service.stop()

    assert service.log_entries("mirror.stopped") == []
    assert mirrored(service) == 1


def test_forget_mirror_does_nothing_without_nats(tmp_path: Path) -> None:
    outcome = run_cli("mirror", "reset", "--yes", QUORATE_DATA_DIR=str(tmp_path))

    assert outcome.code == 1
    assert "give --nats-url" in outcome.stderr


def test_forget_mirror_requires_confirmation(service: ServiceProcess) -> None:
    outcome = verb(service, "mirror", "reset")

    assert outcome.code == 1
    assert "Delete the copy of the log" in outcome.stdout + outcome.stderr
    assert "Aborted" in outcome.stderr
