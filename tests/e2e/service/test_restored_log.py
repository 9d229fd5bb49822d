"""After a restore the copy in JetStream may know more than the log: it is left alone until an
operator says that it may go, and the service works all the while.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cli.cli_process import Outcome, Tenant, done, until
from tests.e2e.service.service_process import Running


@pytest.fixture
def service(data_dir: Path) -> Iterator[Running]:
    running = Running(data_dir).start()
    try:
        yield running
    finally:
        running.end()


def verb(service: Running, *words: str) -> Outcome:
    return done(*words, QUORATE_DATA_DIR=str(service.data_dir))


def works(service: Running, *words: str) -> None:
    outcome = verb(service, *words)
    assert outcome.code == 0, outcome.stderr


def restored_to_before(service: Running, file: Path) -> None:
    """The folder stays, with all that belongs to NATS and the keys; only the log is replaced."""
    service.stop()
    service.database.unlink()
    works(service, "restore", str(file))
    service.start()


def mirrored(service: Running) -> int:
    """How often a copy was begun."""
    return len(service.logged("mirror_created"))


def test_an_older_log_is_served_and_its_newer_copy_is_left_until_it_may_go(
    service: Running, tmp_path: Path
) -> None:
    tenant = Tenant(service, "acme")
    tenant.register("ann")
    file = tmp_path / "quorate.backup"
    works(service, "backup", str(file))
    lost = tenant.lease("ann", "kim@example.com")
    tenant.release(str(lost["id"]))
    tenant.close()

    restored_to_before(service, file)
    until(lambda: service.logged("mirror_halted"))

    (halted,) = service.logged("mirror_halted")
    assert "quorate mirror reset" in halted["error"]
    before = mirrored(service)
    with_key = Tenant(service, "globex")
    with_key.register("bob")
    assert with_key.lease("bob", "kim@example.com")["status"] == "active"
    with_key.close()
    assert mirrored(service) == before, "it was touched before anybody said so"

    works(service, "mirror", "reset", "--yes")
    until(lambda: mirrored(service) > before)
    assert service.logged("mirror_created")[-1]["first"] == 1


def test_a_log_that_is_as_new_as_its_copy_goes_on_with_it(service: Running, tmp_path: Path) -> None:
    """The control: a restore alone is nothing that would halt the copy."""
    tenant = Tenant(service, "acme")
    tenant.register("ann")
    tenant.close()
    file = tmp_path / "quorate.backup"
    works(service, "backup", str(file))

    restored_to_before(service, file)
    service.stop()

    assert service.logged("mirror_halted") == []
    assert mirrored(service) == 1


def test_nobody_is_asked_and_nothing_is_done_where_nats_is_not_known(tmp_path: Path) -> None:
    outcome = done("mirror", "reset", "--yes", QUORATE_DATA_DIR=str(tmp_path))

    assert outcome.code == 1
    assert "give --nats-url" in outcome.stderr


def test_without_yes_somebody_must_say_so(service: Running) -> None:
    outcome = verb(service, "mirror", "reset")

    assert outcome.code == 1
    assert "Delete the copy of the log" in outcome.stdout + outcome.stderr
    assert "Aborted" in outcome.stderr
