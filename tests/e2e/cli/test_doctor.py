"""What stands between this machine and its service is found, and what to do about it is said."""

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
from tests.e2e.cli.cli_process import Outcome, Tenant, done
from tests.e2e.cli.terminal import new_tenant_name
from tests.e2e.service.service_process import Running

Found = dict[str, dict[str, str]]
CHECKS = [
    *("configuration", "address", "service", "clock", "key", "log", "notifications", "nats"),
    *("versions", "files"),
]


@pytest.fixture
def town(real: Running) -> Iterator[Tenant]:
    tenant = Tenant(real, new_tenant_name())
    yield tenant
    tenant.close()


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """Nothing of whoever runs the tests is looked into."""
    return {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}


def examined(*words: str, **variables: str) -> tuple[Found, Outcome]:
    outcome = done("doctor", "--json", *words, **variables)
    answer = json.loads(outcome.stdout)
    found = {one["check"]: one for one in answer["checks"]}
    assert answer["ok"] is (outcome.code == 0)
    return found, outcome


def outcomes(found: Found) -> dict[str, str]:
    return {name: one["outcome"] for name, one in found.items()}


# -- All is well -----------------------------------------------------------------


def test_all_is_well_where_a_service_runs(real: Running, home: dict[str, str]) -> None:
    found, outcome = examined("--data-dir", str(real.data_dir), **home)

    assert outcome.code == 0
    assert list(found) == CHECKS
    assert set(outcomes(found).values()) == {"ok"}
    assert str(real.data_dir / "credentials.json") in found["configuration"]["says"]
    assert "tenant key of tenant default" in found["key"]["says"]
    assert real.nats_url in found["nats"]["says"]
    assert found["versions"]["says"].startswith(f"service {__version__}, client {__version__}")


def test_people_get_a_line_for_each_check(real: Running, home: dict[str, str]) -> None:
    outcome = done("doctor", "--no-json", "--data-dir", str(real.data_dir), **home)

    lines = outcome.stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [["ok", name] for name in CHECKS]


def test_an_agents_key_hears_its_notifications_and_is_answered_over_nats(
    town: Tenant, home: dict[str, str]
) -> None:
    town.register("ann")
    key = town.issue("agent", "ann")
    variables = home | town.variables | {"QUORATE_API_KEY": key}

    found, outcome = examined("--nats-url", town.service.nats_url, **variables)

    assert outcome.code == 0
    assert "ann" in found["key"]["says"]
    assert f"event {town.head}" in found["log"]["says"]
    assert found["notifications"]["outcome"] == "ok"
    assert found["nats"]["outcome"] == "ok"
    assert "commands are answered" in found["nats"]["says"]


@pytest.mark.parametrize(("role", "nats"), [("auditor", "ok"), ("admin", "skipped")])
def test_other_keys_are_asked_for_what_they_may(
    town: Tenant, home: dict[str, str], role: str, nats: str
) -> None:
    key = town.service.admin_key if role == "admin" else town.issue(role)
    variables = home | town.variables | {"QUORATE_API_KEY": key}

    found, outcome = examined("--nats-url", town.service.nats_url, **variables)

    assert outcome.code == 0
    assert found["nats"]["outcome"] == nats
    assert role in found["key"]["says"]


def test_it_only_reads(town: Tenant, home: dict[str, str]) -> None:
    head = town.head

    examined("--nats-url", town.service.nats_url, **home | town.variables)

    assert town.head == head


# -- What may be wrong -----------------------------------------------------------


def test_nothing_is_configured(home: dict[str, str]) -> None:
    found, outcome = examined(**home)

    assert outcome.code == 4
    assert list(found) == ["configuration"]
    assert "quorate serve" in found["configuration"]["advice"]


def test_nobody_answers(home: dict[str, str]) -> None:
    found, outcome = examined("--url", "http://127.0.0.1:1", "--api-key", "qk_x", **home)

    assert outcome.code == 6
    assert found["address"]["outcome"] == "failed"
    assert {found[name]["outcome"] for name in ("service", "key", "log", "nats")} == {"skipped"}


def test_the_key_is_not_accepted(town: Tenant, home: dict[str, str]) -> None:
    found, outcome = examined(**home | town.variables | {"QUORATE_API_KEY": "qk_wrong"})

    assert outcome.code == 4
    assert found["address"]["outcome"] == "ok"
    assert found["key"]["outcome"] == "failed"
    assert "quorate keys issue" in found["key"]["advice"]
    assert "qk_wrong" not in outcome.stdout + outcome.stderr


def test_one_server_of_a_cluster_does_not_answer(town: Tenant, home: dict[str, str]) -> None:
    servers = f"nats://127.0.0.1:1,{town.service.nats_url}"

    found, outcome = examined("--nats-url", servers, **home | town.variables)

    assert (outcome.code, found["nats"]["outcome"]) == (0, "warning")
    assert "nats://127.0.0.1:1 does not answer" in found["nats"]["says"]


def test_nats_does_not_answer(town: Tenant, home: dict[str, str]) -> None:
    found, outcome = examined("--nats-url", "nats://127.0.0.1:1", **home | town.variables)

    assert outcome.code == 6
    failed = [name for name, one in found.items() if one["outcome"] == "failed"]
    assert failed == ["nats"]
    assert "does not answer" in found["nats"]["says"]


def test_the_nats_of_another_service_does_not_let_the_key_in(
    town: Tenant, home: dict[str, str], tmp_path: Path
) -> None:
    other = Running(tmp_path / "other").start()
    try:
        found, outcome = examined("--nats-url", other.nats_url, **home | town.variables)
    finally:
        other.end()

    assert outcome.code == 4
    assert "does not let this key in" in found["nats"]["says"]


@pytest.mark.parametrize("open_one", ["", "credentials.json"])
def test_secrets_that_others_may_read(
    real: Running, home: dict[str, str], tmp_path: Path, open_one: str
) -> None:
    data_dir = tmp_path / "copy"
    data_dir.mkdir(mode=0o700)
    shutil.copy(real.data_dir / "credentials.json", data_dir)
    opened = data_dir / open_one
    opened.chmod(opened.stat().st_mode | 0o055)

    found, outcome = examined("--data-dir", str(data_dir), **home)

    assert outcome.code == 1
    assert found["files"]["says"].endswith(f"get at {opened}")
    assert f"chmod go= {opened}" in found["files"]["advice"]


# -- What lies in between --------------------------------------------------------


class _Stranger(BaseHTTPRequestHandler):
    """Answers like a service, as far as ``answers`` go, with a date of its own."""

    answers: ClassVar[dict[str, Any]]
    date: ClassVar[str | None]
    status: ClassVar[int] = 200
    over: ClassVar[Event]

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.endswith("/stream"):
            self._hold_back()
            return
        body = json.dumps(self.answers.get(path)).encode()
        self.send_response(self.status if path in self.answers else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _hold_back(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.over.wait()

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
ANSWERS = {
    "/livez": {"status": "ok"},
    "/readyz": {"status": "ready", "log": "ok", "nats": "connected"},
    "/v1/keys/self": KEY,
    "/v1/events": {"events": [{}], "head": 1, "next": 1},
    "/openapi.json": {"info": {"version": __version__}},
}


@pytest.fixture
def stranger() -> Iterator[type[_Stranger]]:
    """A server that can be told what to answer; ``url`` is where."""
    over = Event()
    made = type("Made", (_Stranger,), {"answers": dict(ANSWERS), "date": None, "over": over})
    server = ThreadingHTTPServer(("127.0.0.1", 0), made)
    made.url = f"http://127.0.0.1:{server.server_port}"  # type: ignore[attr-defined]  # For tests.
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield made
    over.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def patient(stranger: Any, tmp_path: Path) -> Iterator[Target]:  # noqa: ANN401 - a class with a url.
    with Target(stranger.url, "qk_x", None, tmp_path) as patient:
        yield patient


def test_something_else_answers(stranger: type[_Stranger], patient: Target) -> None:
    del stranger.answers["/livez"]

    found = http_checks.address(patient)

    assert (found.outcome, found.exit_code) == ("failed", 1)
    assert "not Quorate" in found.says


def test_the_disk_takes_no_writes(stranger: type[_Stranger], patient: Target) -> None:
    stranger.answers["/readyz"] = {"status": "degraded", "log": "ok", "writes": "failing"}
    http_checks.address(patient)

    found = http_checks.readiness(patient)

    assert (found.outcome, found.exit_code) == ("failed", 6)
    assert "log.write_failed" in (found.advice or "")


def test_a_proxy_answers_and_nobody_behind_it(stranger: type[_Stranger], patient: Target) -> None:
    stranger.status = 503

    found = http_checks.address(patient)

    assert (found.outcome, found.exit_code) == ("failed", 6)
    assert "no replica behind it" in found.says


def test_clocks_that_differ_are_told(stranger: type[_Stranger], patient: Target) -> None:
    stranger.date = "Sun, 01 Mar 2026 12:00:00 GMT"
    http_checks.address(patient)

    found = http_checks.clock(patient)

    assert found.outcome == "warning"
    assert "ahead of the service's" in found.says


@pytest.mark.parametrize(
    ("told_at", "ahead"),
    [(100.0, 0.0), (99.0, 0.0), (98.1, 0.0), (96.0, 2.0), (100.5, 0.0), (103.5, -3.0), (None, 0.0)],
)
def test_a_difference_is_what_a_date_cannot_explain(told_at: float | None, ahead: float) -> None:
    clock = Clock(asked_at=100.0, told_at=told_at, answered_at=100.5)

    assert clock.seconds_ahead == ahead


def test_a_service_without_nats_is_a_warning(stranger: type[_Stranger], patient: Target) -> None:
    stranger.answers["/readyz"] = {"status": "degraded", "log": "ok", "nats": "disconnected"}
    http_checks.address(patient)

    assert http_checks.readiness(patient).outcome == "warning"


@pytest.mark.parametrize(
    ("part", "said"), [({"mirror": "stopped"}, "JetStream"), ({"commits": "unheard"}, "commits")]
)
def test_whatever_else_degrades_a_service_is_a_warning_too(
    stranger: type[_Stranger], patient: Target, part: dict[str, str], said: str
) -> None:
    ready = {"status": "degraded", "log": "ok", "nats": "connected"}
    stranger.answers["/readyz"] = {**ready, **part}
    http_checks.address(patient)
    found = http_checks.readiness(patient)

    assert found.outcome == "warning"
    assert said in found.says


def test_a_stream_that_is_held_back_is_noticed(
    patient: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_checks, "FIRST_BYTES_SECONDS_MAX", 0.1)
    for check in (http_checks.address, http_checks.key, http_checks.log):
        assert check(patient).outcome == "ok"

    found = http_checks.notifications(patient)

    assert found.outcome == "warning"
    assert "proxy" in str(found.advice)


def test_other_versions_are_a_warning(stranger: type[_Stranger], patient: Target) -> None:
    stranger.answers["/openapi.json"] = {"info": {"version": "9.9.9"}}
    http_checks.address(patient)

    found = http_checks.versions(patient)

    assert found.outcome == "warning"
    assert "service 9.9.9" in found.says
