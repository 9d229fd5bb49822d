"""What happens, as it happens: in words or as JSON, of one agent or of all, and nothing twice."""

import json
import signal
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest

from quorate.cli.output.event_text import SENTENCE_LENGTH_MAX, SENTENCES, Names, told
from quorate.domain.events import EVENT_TYPES
from quorate.domain.notifications import NOTIFICATION_NAMES
from tests.e2e.cli.cli_process import Tenant, done, started
from tests.e2e.cli.terminal import new_tenant_name
from tests.e2e.service.service_process import Running
from tests.support.paths import GOLDEN_EVENTS

CONTACT = "user@example.com"
WORDS = {"QUORATE_JSON": "0"}
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


@pytest.fixture
def town(real: Running) -> Iterator[Tenant]:
    """Ann holds the contact, and Bob was refused it."""
    tenant = Tenant(real, new_tenant_name())
    for agent in ("ann", "bob"):
        tenant.register(agent)
        tenant.lease(agent, CONTACT)
    yield tenant
    tenant.close()


# -- The log ---------------------------------------------------------------------


def test_the_log_is_told_in_words(town: Tenant) -> None:
    outcome = done("watch", "--after", "0", "--count", str(town.head), **town.variables | WORDS)

    lines = outcome.stdout.splitlines()
    (lease,) = town.leases()
    until = lease["expiresAt"][11:19]
    assert outcome.code == 0
    assert len(lines) == town.head
    assert lines[0].endswith(f"tenant {town.name} was created")
    assert any(line.endswith("ann registered (general)") for line in lines)
    assert any(f"ann holds {CONTACT} until {until} (fence {lease['fence']})" in i for i in lines)
    assert lines[-1].endswith(f"bob was refused {CONTACT}: ann holds it until {until}")


def test_programs_get_the_events_as_the_service_says_them(town: Tenant) -> None:
    outcome = done("watch", "--after", "0", "--count", str(town.head), **town.variables)

    assert [json.loads(line) for line in outcome.stdout.splitlines()] == town.events()


def test_what_happens_is_shown_as_it_happens(town: Tenant) -> None:
    with started("watch", "--after", str(town.head), "--once", **town.variables) as verb:
        agent_id = town.register("cleo")

        event = json.loads(verb.line())

        assert (event["type"], event["data"]["agentId"]) == ("AgentRegistered", agent_id)
        assert verb.ended().code == 0


def test_without_a_beginning_only_what_is_new_is_shown(town: Tenant) -> None:
    head = town.head
    with started("watch", "--once", **town.variables) as verb:
        while verb.process.poll() is None:
            town.register("ann")
        event = json.loads(verb.ended().stdout)

    assert event["sequence"] > head
    assert event["type"] == "AgentReregistered"


def test_only_some_names_are_shown(town: Tenant) -> None:
    words = ("--name", "LeaseConflicted", "--name", "LeaseAcquired")
    outcome = done("watch", "--after", "0", "--count", "2", *words, **town.variables)

    seen = [json.loads(line)["type"] for line in outcome.stdout.splitlines()]
    assert seen == ["LeaseAcquired", "LeaseConflicted"]


def test_an_auditor_may_look_on(town: Tenant) -> None:
    variables = town.variables | {"QUORATE_API_KEY": town.issue("auditor")}

    assert "TenantCreated" in done("watch", "--after", "0", "--once", **variables).stdout


def test_a_restart_of_the_service_loses_and_repeats_nothing(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    service = Running(tmp_path / "data", "--port", port).start()
    try:
        tenant = Tenant(service, "restarted")
        words = ("watch", "--after", str(tenant.head), "--count", "2")
        with started(*words, **tenant.variables) as verb:
            tenant.register("ann")
            first = json.loads(verb.line())
            service.restart()
            tenant.register("bob")
            second = json.loads(verb.line())
            outcome = verb.ended()
        tenant.close()
    finally:
        service.end()

    assert [one["data"]["agentName"] for one in (first, second)] == ["ann", "bob"]
    assert second["sequence"] == first["sequence"] + 1
    assert (outcome.code, outcome.stdout) == (0, "")


class _Forgetful(BaseHTTPRequestHandler):
    """Each stream begins with the first event again, has one more than the last, and ends."""

    streams: ClassVar[list[int]]

    def do_GET(self) -> None:
        if self.path.endswith("/stream"):
            self.streams.append(len(self.streams) + 1)
            lines = [
                f"id: {n}\ndata: "
                f'{{"sequence": {n}, "at": "2026-03-01T12:00:00Z", "type": "X", "data": {{}}}}\n\n'
                for n in self.streams
            ]
            self._say("".join(lines), "text/event-stream")
        else:
            self._say(json.dumps(KEY), "application/json")

    def _say(self, text: str, type_: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", type_)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


def test_a_stream_that_begins_anew_repeats_nothing() -> None:
    made = type("Made", (_Forgetful,), {"streams": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), made) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        words = ("watch", "--after", "0", "--count", "3", "--url", url, "--api-key", "qk_x")
        outcome = done(*words)
        server.shutdown()

    assert [json.loads(line)["sequence"] for line in outcome.stdout.splitlines()] == [1, 2, 3]


# -- One agent's notifications ---------------------------------------------------------


def test_an_agent_is_shown_what_concerns_it(town: Tenant) -> None:
    words = ("watch", "--agent-name", "bob", "--after", "0", "--name", "lease_conflict", "--once")

    outcome = done(*words, **town.variables)

    notification = json.loads(outcome.stdout)
    (event,) = town.events("LeaseConflicted")
    assert (notification["type"], notification["id"]) == ("quorate.lease_conflict", event["id"])
    assert notification["data"]["leaseHolder"]["agentName"] == "ann"


def test_an_agents_own_key_shows_its_notifications_and_no_others(town: Tenant) -> None:
    variables = town.variables | {"QUORATE_API_KEY": town.issue("agent", "cleo")}
    town.register("cleo")
    words = ("watch", "--after", "0", "--name", "lease_conflict", "--name", "agent_registered")

    outcome = done(*words, "--count", "3", **variables)

    names = [json.loads(line)["data"]["agentName"] for line in outcome.stdout.splitlines()]
    assert names == ["ann", "bob", "cleo"]  # And not the conflict of the other two.


def test_nats_says_the_same_as_http(town: Tenant) -> None:
    nats = ("--nats-url", town.service.nats_url)
    words = ("watch", "--agent-name", "ann", "--after", "0", "--count", "3")

    assert done(*words, *nats, **town.variables) == done(*words, **town.variables)


def test_notifications_are_pushed_over_nats_as_they_happen(town: Tenant) -> None:
    words = ("--agent-name", "ann", "--after", str(town.head), "--once")
    with started("watch", *words, "--nats-url", town.service.nats_url, **town.variables) as verb:
        town.lease("bob", CONTACT)

        assert json.loads(verb.line())["type"] == "quorate.lease_conflict"


def test_watching_registers_nobody_and_keeps_nobody_alive(town: Tenant) -> None:
    head = town.head

    done("watch", "--agent-name", "ann", "--after", "0", "--once", **town.variables)

    assert town.head == head


# -- Its end ---------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_tells_where_to_go_on(town: Tenant, number: signal.Signals) -> None:
    head = town.head
    with started("watch", "--after", str(head - 1), **town.variables) as verb:
        verb.line()
        verb.sent(number)
        outcome = verb.ended()

    assert outcome.code == 128 + number
    assert outcome.stderr == f"Seen up to {head}: --after {head} goes on from there.\n"


def test_time_ends_it(town: Tenant) -> None:
    assert done("watch", "--for", "0.1", **town.variables).code == 0
    waited = done("watch", "--for", "0.1", "--once", **town.variables)

    assert (waited.code, waited.stdout) == (1, "")
    assert "Only 0 of 1 came within 0.1 s" in waited.stderr


@pytest.mark.parametrize(
    ("words", "variables", "code", "said"),
    [
        (("--name", "lease_conflict"), {}, 2, "no event 'lease_conflict'"),
        (("--agent-name", "ann", "--name", "nonsense"), {}, 2, "no notification 'nonsense'"),
        (("--once", "--count", "2"), {}, 2, "--once"),
        ((), {"QUORATE_API_KEY": "qk_wrong"}, 4, "valid API key"),
        (("--agent-name", "nobody"), {}, 5, "nobody"),
        ((), {"QUORATE_URL": "http://127.0.0.1:1"}, 6, "does not answer"),
    ],
)
def test_what_stands_in_the_way_is_told(
    town: Tenant, words: tuple[str, ...], variables: dict[str, str], code: int, said: str
) -> None:
    outcome = done("watch", *words, **town.variables | WORDS | variables)

    assert (outcome.code, outcome.stdout) == (code, "")
    assert said in outcome.stderr


def test_an_operator_has_no_log_to_watch(town: Tenant) -> None:
    outcome = done("watch", **town.variables | {"QUORATE_API_KEY": town.service.admin_key})

    assert outcome.code == 4
    assert "operator" in outcome.stderr


# -- The sentences ---------------------------------------------------------------


def test_each_event_and_each_notification_has_its_sentence() -> None:
    assert set(EVENT_TYPES) | NOTIFICATION_NAMES <= set(SENTENCES)


@pytest.mark.parametrize("file", sorted(GOLDEN.glob("*.json")), ids=lambda file: file.stem)
def test_each_event_that_was_ever_written_is_told_in_words(file: Path) -> None:
    type_ = file.stem.partition(".")[0]

    assert not told(type_, json.loads(file.read_text()), Names()).startswith(type_)


def test_what_a_newer_service_says_is_told_as_it_came() -> None:
    assert told("ContactMoved", {"to": "x"}, Names()) == 'ContactMoved {"to":"x"}'
    assert told("LeaseAcquired", {"lease": 1}, Names()) == 'LeaseAcquired {"lease":1}'


def test_nothing_that_somebody_wrote_takes_over_the_terminal() -> None:
    facts = {"agentId": "a", "action": "\x1b[2J\nx" * 200, "contactEmail": CONTACT}

    sentence = told("ConsensusExpired", facts, Names())

    assert sentence.isprintable()
    assert len(sentence) <= SENTENCE_LENGTH_MAX
