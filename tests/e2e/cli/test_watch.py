"""`quorate watch`: events and notifications as text and JSON, each printed once."""

import json
import signal
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest

from quorate.cli.output.agent_names import Names
from quorate.cli.output.event_text import MAX_SENTENCE_LENGTH, TEMPLATES, describe
from quorate.domain.registry import (
    EVENT_TYPES,
    NOTIFICATION_NAMES,
    NOTIFYING_EVENTS,
    notifications_of,
)
from tests.e2e.cli.cli_process import Tenant, run_cli, start_cli
from tests.e2e.cli.terminal import new_tenant_name
from tests.e2e.service.service_process import ServiceProcess
from tests.support.paths import GOLDEN_EVENTS

CONTACT = "user@example.com"
AS_TEXT = {"QUORATE_JSON": "0"}
KEY = {
    "id": "k",
    "tenantId": "acme",
    "role": "tenant",
    "agentId": None,
    "agentName": None,
    "createdAt": "2026-03-01T12:00:00.000Z",
    "revokedAt": None,
}
GOLDEN = GOLDEN_EVENTS
NOTIFYING = sorted(
    file for file in GOLDEN.glob("*.json") if file.stem.partition(".")[0] in NOTIFYING_EVENTS
)


@pytest.fixture
def tenant(real: ServiceProcess) -> Iterator[Tenant]:
    """A tenant in which ann holds the contact and the request of bob was rejected."""
    tenant = Tenant(real, new_tenant_name())
    for agent in ("ann", "bob"):
        tenant.register(agent)
        tenant.lease(agent, CONTACT)
    yield tenant
    tenant.close()


# -- The log ---------------------------------------------------------------------


def test_events_are_printed_as_sentences(tenant: Tenant) -> None:
    outcome = run_cli(
        "watch", "--after", "0", "--count", str(tenant.head), **tenant.variables | AS_TEXT
    )

    lines = outcome.stdout.splitlines()
    (lease,) = tenant.leases()
    until = lease["expiresAt"][11:19]
    assert outcome.code == 0
    assert len(lines) == tenant.head
    assert lines[0].endswith(f"tenant {tenant.name} created")
    assert any(line.endswith("ann registered (general)") for line in lines)
    assert any(f"ann holds {CONTACT} until {until} (fence {lease['fence']})" in i for i in lines)
    assert lines[-1].endswith(f"bob could not lease {CONTACT}: ann holds it until {until}")


def test_events_are_printed_as_json_unchanged(tenant: Tenant) -> None:
    outcome = run_cli("watch", "--after", "0", "--count", str(tenant.head), **tenant.variables)

    assert [json.loads(line) for line in outcome.stdout.splitlines()] == tenant.events()


def test_new_event_is_printed_immediately(tenant: Tenant) -> None:
    with start_cli("watch", "--after", str(tenant.head), "--once", **tenant.variables) as command:
        agent_id = tenant.register("cleo")

        event = json.loads(command.read_line())

        assert (event["type"], event["data"]["agentId"]) == ("AgentRegistered", agent_id)
        assert command.wait().code == 0


def test_watch_without_after_prints_only_new_events(tenant: Tenant) -> None:
    head = tenant.head
    with start_cli("watch", "--once", **tenant.variables) as command:
        while command.process.poll() is None:
            tenant.register("ann")
        event = json.loads(command.wait().stdout)

    assert event["sequence"] > head
    assert event["type"] == "AgentReregistered"


def test_name_option_filters_events(tenant: Tenant) -> None:
    words = ("--name", "LeaseConflicted", "--name", "LeaseAcquired")
    outcome = run_cli("watch", "--after", "0", "--count", "2", *words, **tenant.variables)

    seen = [json.loads(line)["type"] for line in outcome.stdout.splitlines()]
    assert seen == ["LeaseAcquired", "LeaseConflicted"]


def test_auditor_key_can_watch(tenant: Tenant) -> None:
    variables = tenant.variables | {"QUORATE_API_KEY": tenant.issue("auditor")}

    assert "TenantCreated" in run_cli("watch", "--after", "0", "--once", **variables).stdout


def test_service_restart_loses_and_repeats_no_event(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    service = ServiceProcess(tmp_path / "data", "--port", port).start()
    try:
        tenant = Tenant(service, "restarted")
        words = ("watch", "--after", str(tenant.head), "--count", "2")
        with start_cli(*words, **tenant.variables) as command:
            tenant.register("ann")
            first = json.loads(command.read_line())
            service.restart()
            tenant.register("bob")
            second = json.loads(command.read_line())
            outcome = command.wait()
        tenant.close()
    finally:
        service.end()

    assert [one["data"]["agentName"] for one in (first, second)] == ["ann", "bob"]
    assert second["sequence"] == first["sequence"] + 1
    assert (outcome.code, outcome.stdout) == (0, "")


class _RepeatingServer(BaseHTTPRequestHandler):
    """Each stream starts at the first event, has one more event than the last one, and ends."""

    streams: ClassVar[list[int]]

    def do_GET(self) -> None:
        if self.path.endswith("/stream"):
            self.streams.append(len(self.streams) + 1)
            lines = [
                f"id: {n}\ndata: "
                f'{{"sequence": {n}, "at": "2026-03-01T12:00:00Z", "type": "X", "data": {{}}}}\n\n'
                for n in self.streams
            ]
            self._send("".join(lines), "text/event-stream")
        else:
            self._send(json.dumps(KEY), "application/json")

    def _send(self, text: str, type_: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", type_)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


def test_reopened_stream_repeats_no_event() -> None:
    made = type("Made", (_RepeatingServer,), {"streams": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), made) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        words = ("watch", "--after", "0", "--count", "3", "--url", url, "--api-key", "qk_x")
        outcome = run_cli(*words)
        server.shutdown()

    assert [json.loads(line)["sequence"] for line in outcome.stdout.splitlines()] == [1, 2, 3]


# -- Notifications of one agent ------------------------------------------------


def test_named_agent_selects_its_notifications(tenant: Tenant) -> None:
    words = ("watch", "--agent-name", "bob", "--after", "0", "--name", "lease_conflict", "--once")

    outcome = run_cli(*words, **tenant.variables)

    notification = json.loads(outcome.stdout)
    (event,) = tenant.events("LeaseConflicted")
    assert (notification["type"], notification["id"]) == ("quorate.lease_conflict", event["id"])
    assert notification["data"]["leaseHolder"]["agentName"] == "ann"


def test_agent_key_shows_only_its_own_notifications(tenant: Tenant) -> None:
    variables = tenant.variables | {"QUORATE_API_KEY": tenant.issue("agent", "cleo")}
    tenant.register("cleo")
    words = ("watch", "--after", "0", "--name", "lease_conflict", "--name", "agent_registered")

    outcome = run_cli(*words, "--count", "3", **variables)

    names = [json.loads(line)["data"]["agentName"] for line in outcome.stdout.splitlines()]
    assert names == ["ann", "bob", "cleo"]  # Not the conflict of the other agents.


def test_nats_and_http_print_the_same_notifications(tenant: Tenant) -> None:
    nats = ("--nats-url", tenant.service.nats_url)
    words = ("watch", "--agent-name", "ann", "--after", "0", "--count", "3")

    assert run_cli(*words, *nats, **tenant.variables) == run_cli(*words, **tenant.variables)


def test_notification_over_nats_is_printed_immediately(tenant: Tenant) -> None:
    words = ("--agent-name", "ann", "--after", str(tenant.head), "--once")
    with start_cli(
        "watch", *words, "--nats-url", tenant.service.nats_url, **tenant.variables
    ) as command:
        tenant.lease("bob", CONTACT)

        assert json.loads(command.read_line())["type"] == "quorate.lease_conflict"


def test_watch_writes_no_events(tenant: Tenant) -> None:
    head = tenant.head

    run_cli("watch", "--agent-name", "ann", "--after", "0", "--once", **tenant.variables)

    assert tenant.head == head


# -- End -------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_watch_and_prints_the_position(tenant: Tenant, number: signal.Signals) -> None:
    head = tenant.head
    with start_cli("watch", "--after", str(head - 1), **tenant.variables) as command:
        command.read_line()
        command.send_signal(number)
        outcome = command.wait()

    assert outcome.code == 128 + number
    assert outcome.stderr == f"Read up to event {head}: continue with --after {head}.\n"


def test_for_option_ends_watch(tenant: Tenant) -> None:
    assert run_cli("watch", "--for", "0.1", **tenant.variables).code == 0
    waited = run_cli("watch", "--for", "0.1", "--once", **tenant.variables)

    assert (waited.code, waited.stdout) == (1, "")
    assert "Received only 0 of 1 within 0.1 s" in waited.stderr


@pytest.mark.parametrize(
    ("words", "variables", "code", "message"),
    [
        (("--name", "lease_conflict"), {}, 2, "Unknown event 'lease_conflict'"),
        (("--agent-name", "ann", "--name", "nonsense"), {}, 2, "Unknown notification 'nonsense'"),
        (("--once", "--count", "2"), {}, 2, "--once"),
        ((), {"QUORATE_API_KEY": "qk_wrong"}, 4, "valid API key"),
        (("--agent-name", "unknown"), {}, 5, "unknown"),
        ((), {"QUORATE_URL": "http://127.0.0.1:1"}, 6, "does not answer"),
    ],
)
def test_watch_errors_are_reported(
    tenant: Tenant, words: tuple[str, ...], variables: dict[str, str], code: int, message: str
) -> None:
    outcome = run_cli("watch", *words, **tenant.variables | AS_TEXT | variables)

    assert (outcome.code, outcome.stdout) == (code, "")
    assert message in outcome.stderr


def test_admin_key_cannot_watch(tenant: Tenant) -> None:
    outcome = run_cli("watch", **tenant.variables | {"QUORATE_API_KEY": tenant.service.admin_key})

    assert outcome.code == 4
    assert "admin key" in outcome.stderr


# -- Descriptions ----------------------------------------------------------------


def test_every_event_and_notification_has_a_template() -> None:
    assert set(EVENT_TYPES) | NOTIFICATION_NAMES <= set(TEMPLATES)


@pytest.mark.parametrize("file", sorted(GOLDEN.glob("*.json")), ids=lambda file: file.stem)
def test_every_golden_event_is_described(file: Path) -> None:
    type_ = file.stem.partition(".")[0]

    assert not describe(type_, json.loads(file.read_text()), Names()).startswith(type_)


@pytest.mark.parametrize("file", NOTIFYING, ids=lambda file: file.stem)
def test_notifications_of_every_golden_event_are_described(file: Path) -> None:
    type_ = file.stem.partition(".")[0]

    for one in notifications_of(type_, json.loads(file.read_text())):
        assert not describe(one.name, one.data, Names()).startswith(one.name)


def test_unknown_event_is_printed_as_json() -> None:
    assert describe("ContactMoved", {"to": "x"}, Names()) == 'ContactMoved {"to":"x"}'
    assert describe("LeaseAcquired", {"lease": 1}, Names()) == 'LeaseAcquired {"lease":1}'


def test_untrusted_text_is_printable_and_bounded() -> None:
    details = {"agentId": "a", "action": "\x1b[2J\nx" * 200, "contactEmail": CONTACT}

    sentence = describe("ConsensusExpired", details, Names())

    assert sentence.isprintable()
    assert len(sentence) <= MAX_SENTENCE_LENGTH
