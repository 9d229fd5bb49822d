"""The service logs its start, with the facts an operator needs, and its end."""

from pathlib import Path

import quorate
from tests.e2e.service.service_process import Running


def test_service_logs_its_start_and_its_end(tmp_path: Path) -> None:
    service = Running(tmp_path / "data").start()
    try:
        pid, url, nats_url = service.pid, service.url, service.nats_url
        (started,) = service.logged("service.started")
        assert service.logged("service.stopped") == []
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
    assert service.logged()[-1]["event"] == "service.stopped"
    assert service.logged()[-1]["pid"] == pid
