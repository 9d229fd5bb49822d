"""`quorate doctor`: its checks find problems and give advice."""

import json
import shutil
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any, ClassVar

import pytest

from quorate import __version__
from quorate.cli.diagnostics import http_checks
from quorate.cli.diagnostics.http_checks import Clock, Target
from tests.e2e.cli.cli_process import Outcome, Tenant, run_cli
from tests.e2e.cli.terminal import new_tenant_name
from tests.e2e.service.service_process import ServiceProcess

Found = dict[str, dict[str, str]]
CHECKS = [
    *("configuration", "proxy", "address", "service", "clock", "key", "log", "notifications"),
    *("nats", "versions", "files"),
]


@pytest.fixture
def tenant(real: ServiceProcess) -> Iterator[Tenant]:
    tenant = Tenant(real, new_tenant_name())
    yield tenant
    tenant.close()


def run_doctor(*words: str, **variables: str) -> tuple[Found, Outcome]:
    outcome = run_cli("doctor", "--json", *words, **variables)
    report = json.loads(outcome.stdout)
    found = {one["check"]: one for one in report["checks"]}
    assert report["ok"] is (outcome.code == 0)
    return found, outcome


def get_outcomes(found: Found) -> dict[str, str]:
    return {name: one["outcome"] for name, one in found.items()}


# -- Healthy service -------------------------------------------------------------


def test_doctor_passes_for_a_running_service(real: ServiceProcess, home: dict[str, str]) -> None:
    found, outcome = run_doctor("--data-dir", str(real.data_dir), **home)

    assert outcome.code == 0
    assert list(found) == CHECKS
    assert set(get_outcomes(found).values()) == {"ok"}
    assert str(real.data_dir / "credentials.json") in found["configuration"]["says"]
    assert "tenant key of tenant default" in found["key"]["says"]
    assert real.nats_url in found["nats"]["says"]
    assert found["versions"]["says"].startswith(f"service {__version__}, client {__version__}")


def test_doctor_prints_one_line_per_check(real: ServiceProcess, home: dict[str, str]) -> None:
    outcome = run_cli("doctor", "--no-json", "--data-dir", str(real.data_dir), **home)

    lines = outcome.stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [["ok", name] for name in CHECKS]


def test_doctor_checks_nats_requests_with_an_agent_key(
    tenant: Tenant, home: dict[str, str]
) -> None:
    tenant.register("ann")
    key = tenant.issue("agent", "ann")
    variables = home | tenant.variables | {"QUORATE_API_KEY": key}

    found, outcome = run_doctor("--nats-url", tenant.service.nats_url, **variables)

    assert outcome.code == 0
    assert "ann" in found["key"]["says"]
    assert f"event {tenant.head}" in found["log"]["says"]
    assert found["notifications"]["outcome"] == "ok"
    assert found["nats"]["outcome"] == "ok"
    assert "requests OK" in found["nats"]["says"]


@pytest.mark.parametrize(("role", "nats"), [("auditor", "ok"), ("admin", "skipped")])
def test_doctor_checks_match_the_role_of_the_key(
    tenant: Tenant, home: dict[str, str], role: str, nats: str
) -> None:
    key = tenant.service.admin_key if role == "admin" else tenant.issue(role)
    variables = home | tenant.variables | {"QUORATE_API_KEY": key}

    found, outcome = run_doctor("--nats-url", tenant.service.nats_url, **variables)

    assert outcome.code == 0
    assert found["nats"]["outcome"] == nats
    assert role in found["key"]["says"]


def test_doctor_writes_no_events(tenant: Tenant, home: dict[str, str]) -> None:
    head = tenant.head

    run_doctor("--nats-url", tenant.service.nats_url, **home | tenant.variables)

    assert tenant.head == head


# -- Problems --------------------------------------------------------------------


def test_doctor_fails_without_configuration(home: dict[str, str]) -> None:
    found, outcome = run_doctor(**home)

    assert outcome.code == 2
    assert list(found) == ["configuration"]
    assert "quorate serve" in found["configuration"]["advice"]


def test_doctor_fails_for_an_unreachable_service(home: dict[str, str]) -> None:
    found, outcome = run_doctor("--url", "http://127.0.0.1:1", "--api-key", "qk_x", **home)

    assert outcome.code == 6
    assert found["address"]["outcome"] == "failed"
    assert {found[name]["outcome"] for name in ("service", "key", "log", "nats")} == {"skipped"}


def test_doctor_fails_for_a_rejected_key(tenant: Tenant, home: dict[str, str]) -> None:
    found, outcome = run_doctor(**home | tenant.variables | {"QUORATE_API_KEY": "qk_wrong"})

    assert outcome.code == 4
    assert found["address"]["outcome"] == "ok"
    assert found["key"]["outcome"] == "failed"
    assert "quorate keys issue" in found["key"]["advice"]
    assert "qk_wrong" not in outcome.stdout + outcome.stderr


def test_doctor_warns_about_one_unreachable_nats_server(
    tenant: Tenant, home: dict[str, str]
) -> None:
    servers = f"nats://127.0.0.1:1,{tenant.service.nats_url}"

    found, outcome = run_doctor("--nats-url", servers, **home | tenant.variables)

    assert (outcome.code, found["nats"]["outcome"]) == (0, "warning")
    assert "nats://127.0.0.1:1 does not respond" in found["nats"]["says"]


def test_doctor_fails_for_unreachable_nats(tenant: Tenant, home: dict[str, str]) -> None:
    found, outcome = run_doctor("--nats-url", "nats://127.0.0.1:1", **home | tenant.variables)

    assert outcome.code == 6
    failed = [name for name, one in found.items() if one["outcome"] == "failed"]
    assert failed == ["nats"]
    assert "does not respond" in found["nats"]["says"]


def test_doctor_fails_for_nats_of_another_service(
    tenant: Tenant, home: dict[str, str], tmp_path: Path
) -> None:
    other = ServiceProcess(tmp_path / "other").start()
    try:
        found, outcome = run_doctor("--nats-url", other.nats_url, **home | tenant.variables)
    finally:
        other.end()

    assert outcome.code == 4
    assert "rejects this key" in found["nats"]["says"]


@pytest.mark.parametrize("open_one", ["", "credentials.json"])
def test_doctor_fails_for_readable_secrets(
    real: ServiceProcess, home: dict[str, str], tmp_path: Path, open_one: str
) -> None:
    data_dir = tmp_path / "copy"
    data_dir.mkdir(mode=0o700)
    shutil.copy(real.data_dir / "credentials.json", data_dir)
    opened = data_dir / open_one
    opened.chmod(opened.stat().st_mode | 0o055)

    found, outcome = run_doctor("--data-dir", str(data_dir), **home)

    assert outcome.code == 1
    assert found["files"]["says"].endswith(f"can access {opened}")
    assert f"chmod go= {opened}" in found["files"]["advice"]


# -- Fake service ----------------------------------------------------------------


class _FakeService(BaseHTTPRequestHandler):
    """A server with configurable responses and Date header."""

    bodies: ClassVar[dict[str, Any]]
    date: ClassVar[str | None]
    status: ClassVar[int] = 200
    finished: ClassVar[Event]

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.endswith("/stream"):
            self._block()
            return
        body = json.dumps(self.bodies.get(path)).encode()
        self.send_response(self.status if path in self.bodies else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _block(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.finished.wait()

    def date_time_string(self, timestamp: float | None = None) -> str:
        return self.date or super().date_time_string(timestamp)

    def log_message(self, *_: object) -> None:
        pass


KEY = {
    "id": "k",
    "tenantId": "acme",
    "role": "tenant",
    "agentId": None,
    "agentName": None,
    "createdAt": "2026-03-01T12:00:00.000Z",
    "revokedAt": None,
}
BODIES = {
    "/livez": {"status": "ok"},
    "/readyz": {
        "status": "ready",
        "log": "ok",
        "nats": "connected",
        "version": __version__,
    },
    "/v1/keys/self": KEY,
    "/v1/events": {"events": [{}], "head": 1, "next": 1},
}


@pytest.fixture
def fake_service() -> Iterator[type[_FakeService]]:
    """A server with configurable responses, at ``url``."""
    finished = Event()
    made = type(
        "Made", (_FakeService,), {"bodies": dict(BODIES), "date": None, "finished": finished}
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), made)
    made.url = f"http://127.0.0.1:{server.server_port}"  # type: ignore[attr-defined]  # For tests.
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield made
    finished.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def target(fake_service: Any, tmp_path: Path) -> Iterator[Target]:  # noqa: ANN401 - a class with a url.
    with Target(fake_service.url, "qk_x", None, tmp_path) as target:
        yield target


def test_address_check_fails_for_another_server(
    fake_service: type[_FakeService], target: Target
) -> None:
    del fake_service.bodies["/livez"]

    found = http_checks.address(target)

    assert (found.outcome, found.exit_code) == ("failed", 1)
    assert "is not a Quorate service" in found.message


def test_readiness_check_fails_when_writes_fail(
    fake_service: type[_FakeService], target: Target
) -> None:
    fake_service.bodies["/readyz"] = {"status": "degraded", "log": "ok", "writes": "failing"}
    http_checks.address(target)

    found = http_checks.readiness(target)

    assert (found.outcome, found.exit_code) == ("failed", 6)
    assert "log.write_failed" in (found.advice or "")


@pytest.mark.parametrize(
    ("clock", "message"), [("ahead", "was set back"), ("behind", "jumped ahead")]
)
def test_readiness_check_warns_of_a_clock_that_was_set(
    fake_service: type[_FakeService], target: Target, clock: str, message: str
) -> None:
    fake_service.bodies["/readyz"] = {
        "status": "degraded",
        "log": "ok",
        "nats": "connected",
        "clock": clock,
    }
    http_checks.address(target)

    found = http_checks.readiness(target)

    assert found.outcome == "warning"
    assert message in found.message


def test_address_check_fails_for_a_proxy_without_replica(
    fake_service: type[_FakeService], target: Target
) -> None:
    fake_service.status = 503

    found = http_checks.address(target)

    assert (found.outcome, found.exit_code) == ("failed", 6)
    assert "a proxy without a replica" in found.message


def test_clock_check_warns_about_skew(fake_service: type[_FakeService], target: Target) -> None:
    fake_service.date = "Sun, 01 Mar 2026 12:00:00 GMT"
    http_checks.address(target)

    found = http_checks.clock(target)

    assert found.outcome == "warning"
    assert "ahead of the clock of the service" in found.message


@pytest.mark.parametrize(
    ("server_time", "ahead"),
    [(100.0, 0.0), (99.0, 0.0), (98.1, 0.0), (96.0, 2.0), (100.5, 0.0), (103.5, -3.0), (None, 0.0)],
)
def test_clock_skew_allows_for_the_date_resolution(server_time: float | None, ahead: float) -> None:
    clock = Clock(sent_at=100.0, server_time=server_time, received_at=100.5)

    assert clock.seconds_ahead == ahead


def test_readiness_check_warns_without_nats(
    fake_service: type[_FakeService], target: Target
) -> None:
    fake_service.bodies["/readyz"] = {"status": "degraded", "log": "ok", "nats": "disconnected"}
    http_checks.address(target)

    assert http_checks.readiness(target).outcome == "warning"


@pytest.mark.parametrize(
    ("part", "message"),
    [({"mirror": "stopped"}, "JetStream"), ({"commits": "stale"}, "commit notifications")],
)
def test_readiness_check_warns_about_degraded_parts(
    fake_service: type[_FakeService], target: Target, part: dict[str, str], message: str
) -> None:
    ready = {"status": "degraded", "log": "ok", "nats": "connected"}
    fake_service.bodies["/readyz"] = {**ready, **part}
    http_checks.address(target)
    found = http_checks.readiness(target)

    assert found.outcome == "warning"
    assert message in found.message


def test_stream_check_warns_about_buffering(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_checks, "FIRST_BYTES_TIMEOUT_SECONDS", 0.1)
    for check in (http_checks.address, http_checks.key, http_checks.log):
        assert check(target).outcome == "ok"

    found = http_checks.notifications(target)

    assert found.outcome == "warning"
    assert "proxy" in str(found.advice)


def test_version_check_warns_about_another_version(
    fake_service: type[_FakeService], target: Target
) -> None:
    fake_service.bodies["/readyz"] = {"version": "9.9.9"}
    http_checks.address(target)

    found = http_checks.versions(target)

    assert found.outcome == "warning"
    assert "service 9.9.9" in found.message
