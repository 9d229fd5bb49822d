"""The service logs its start, with the facts an operator needs, and its end."""

from pathlib import Path

import quorate
from tests.e2e.service.service_process import ServiceProcess, run_service
from tests.support.postgres import PostgresServer

WORKERS = 2


def test_service_logs_its_start_and_its_end(tmp_path: Path) -> None:
    service = ServiceProcess(tmp_path / "data").start()
    try:
        pid, url, nats_url = service.pid, service.url, service.nats_url
        (started,) = service.log_entries("service.started")
        assert service.log_entries("service.stopped") == []
    finally:
        service.end()

    expected = {
        "version": quorate.__version__,
        "data_dir": str(tmp_path / "data"),
        "http": url,
        "nats": nats_url,
        "pid": pid,
    }
    assert expected.items() <= started.items()
    assert started["level"] == "info"
    assert service.log_entries()[-1]["event"] == "service.stopped"
    assert service.log_entries()[-1]["pid"] == pid


def test_each_worker_logs_its_start_and_its_end(tmp_path: Path, postgres: PostgresServer) -> None:
    options = ("--workers", str(WORKERS), "--database-url", postgres.database_url())
    with run_service(tmp_path / "data", *options) as service:
        pid = service.pid

    (started,) = service.log_entries("service.started")
    assert started["pid"] == service.log_entries("service.stopped")[0]["pid"] == pid
    workers = {line["pid"] for line in service.log_entries("worker.started")}
    assert workers == {line["pid"] for line in service.log_entries("worker.stopped")}
    assert len(workers - {pid}) == WORKERS
