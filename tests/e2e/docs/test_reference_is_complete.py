"""Whatever the code has a table of is in the documents, and the numbers are the code's."""

import re

import click
import pytest

from quorate import client
from quorate.api import strict_json
from quorate.api.nats_commands import SERVED
from quorate.api.routes import ENDPOINTS
from quorate.application import execution, key_cache, subscriptions
from quorate.application.operations import Endpoint
from quorate.bus import command_dispatch
from quorate.bus.embedded import configuration, server
from quorate.bus.outbox import jetstream_stream, notification_publisher
from quorate.bus.subjects import FAMILIES
from quorate.cli import server_options
from quorate.cli.commands import serve
from quorate.cli.main import quorate
from quorate.cli.output import errors
from quorate.contracts import requests
from quorate.contracts.problems import KINDS
from quorate.domain.coordination import consensus, leases
from quorate.domain.identity import agents
from quorate.domain.identity.api_keys import ROLES
from quorate.domain.notifications import NOTIFICATION_NAMES
from quorate.eventlog import command_queue, idempotency
from quorate.eventlog.archive import archiver
from quorate.eventlog.postgres import database
from quorate.server import http_protocol, readiness, run
from tests.e2e.docs.markdown import Document, document

HTTP, NATS, CLI = document("docs/http.md"), document("docs/nats.md"), document("docs/cli.md")
CONCEPTS, OPERATING = document("docs/concepts.md"), document("docs/operating.md")
SDK, SECURITY = document("docs/sdk.md"), document("docs/security.md")

DURATION_SECONDS = leases.DURATION_MINUTES_MIN * 60
DURATION_HOURS = leases.DURATION_MINUTES_MAX / 60
TIMEOUT_SECONDS = consensus.TIMEOUT_MINUTES_MIN * 60
TIMEOUT_HOURS = consensus.TIMEOUT_MINUTES_MAX / 60

# What stands in a document, with the number that the code has.
NUMBERS = [
    (CONCEPTS, f"The window is {serve.WINDOW_SECONDS_DEFAULT:g} seconds"),
    (CONCEPTS, f"a {agents.HEARTBEATS_PER_WINDOW_MAX}th of the window"),
    (CONCEPTS, f"from {DURATION_SECONDS:g} second to {DURATION_HOURS:g} hours, "),
    (CONCEPTS, f"hours, {leases.DURATION_MINUTES_DEFAULT:g} minutes if nothing is said"),
    (CONCEPTS, f"The first {leases.CONTENDERS_MAX} that were refused"),
    (CONCEPTS, f"Timeouts are from {TIMEOUT_SECONDS:g} second to {TIMEOUT_HOURS:g} hours, "),
    (CONCEPTS, f"hours, {consensus.TIMEOUT_MINUTES_DEFAULT:g} minutes if nothing is said"),
    (CONCEPTS, f"during {serve.RETENTION_HOURS_DEFAULT:g} hours"),
    (CONCEPTS, f"(1 to {execution.IDEMPOTENCY_KEY_LENGTH_MAX} printable ASCII characters)"),
    (CONCEPTS, f"Answers are kept for {idempotency.ANSWERS_KEPT_HOURS} hours"),
    (HTTP, f"`limit` (1 to {requests.PAGE_LENGTH_MAX}, {requests.PAGE_LENGTH_DEFAULT} if"),
    (HTTP, f"| a body | {strict_json.BODY_BYTES_MAX} bytes |"),
    (HTTP, f"| {http_protocol.HEADER_BYTES_MAX} bytes, which arrive within "),
    (HTTP, f"which arrive within {http_protocol.HEADER_SECONDS_MAX:g} seconds |"),
    (HTTP, f"| arrives within {http_protocol.BODY_SECONDS_MAX:g} seconds |"),
    (HTTP, f"| is taken off our hands within {http_protocol.ANSWER_SECONDS_MAX:g} seconds |"),
    (HTTP, f"| connections at once | {http_protocol.CONNECTIONS_MAX}, or less"),
    (HTTP, f"| streams and waiting requests at once | {subscriptions.WAITING_MAX} |"),
    (
        HTTP,
        f"| of these, what wait for one agent's notifications | {subscriptions.OF_ONE_AGENT_MAX} |",
    ),
    (HTTP, f"| roles of agents | {requests.ROLE_LENGTH_MAX} characters |"),
    (HTTP, f"| intents of leases | {requests.INTENT_LENGTH_MAX} characters |"),
    (HTTP, f"| actions to vote on | {requests.ACTION_LENGTH_MAX} characters |"),
    (HTTP, f"| reasons | {requests.REASON_LENGTH_MAX} characters |"),
    (HTTP, f"| settings | {requests.SETTING_LENGTH_MAX} characters each |"),
    (HTTP, f"`wait` (up to {requests.WAIT_SECONDS_MAX:g} seconds)"),
    (NATS, f"(at most {strict_json.BODY_BYTES_MAX} bytes)"),
    (NATS, f"may have {command_dispatch.OF_ONE_AGENT_MAX} commands under way"),
    (NATS, f"refused (up to {leases.CONTENDERS_MAX})"),
    (NATS, f"in the last {notification_publisher.REPLAY_SECONDS:g} seconds"),
    (OPERATING, f"| `--port` | {serve.PORT_DEFAULT} |"),
    (OPERATING, f"| `--nats-port` | {serve.NATS_PORT_DEFAULT} |"),
    (
        OPERATING,
        f"| {server_options.RATE_PER_KEY_DEFAULT}, {server_options.BURST_PER_KEY_DEFAULT} |",
    ),
    (
        OPERATING,
        f"| {server_options.RATE_PER_TENANT_DEFAULT}, {server_options.BURST_PER_TENANT_DEFAULT} |",
    ),
    (OPERATING, f"`--failed-keys-per-minute` | {server_options.FAILED_KEYS_PER_MINUTE_DEFAULT} |"),
    (OPERATING, f"| `--quota-agents` | {server_options.QUOTA_AGENTS_DEFAULT} |"),
    (OPERATING, f"| `--quota-live-leases` | {server_options.QUOTA_LIVE_LEASES_DEFAULT} |"),
    (OPERATING, f"| `--quota-open-requests` | {server_options.QUOTA_OPEN_REQUESTS_DEFAULT} |"),
    (OPERATING, f"| `--quota-keys` | {server_options.QUOTA_KEYS_DEFAULT} |"),
    (OPERATING, f"| `--quota-settings-bytes` | {server_options.QUOTA_SETTINGS_BYTES_DEFAULT} |"),
    (
        OPERATING,
        (
            "| `--quota-live-leases-per-agent` | "
            f"{server_options.QUOTA_LIVE_LEASES_PER_AGENT_DEFAULT} |"
        ),
    ),
    (OPERATING, f"when {command_queue.ORDERS_MAX} wait"),
    (OPERATING, f"The last {command_queue.URGENT_PLACES} places"),
    (OPERATING, f"| `--heartbeat-window-seconds` | {serve.WINDOW_SECONDS_DEFAULT:g} |"),
    (OPERATING, f"| `--notification-retention-hours` | {serve.RETENTION_HOURS_DEFAULT:g} |"),
    (OPERATING, f"It answers within {readiness.LOOK_SECONDS_MAX:g} seconds"),
    (OPERATING, f"rotated at {server.LOG_MEGABYTES_MAX} MB"),
    (OPERATING, f"({'.'.join(map(str, server.VERSION_MIN))} or later)"),
    (OPERATING, f"of less than {configuration.MESSAGE_MEGABYTES_MAX} MB"),
    (OPERATING, f"| messages over NATS | {configuration.MESSAGE_MEGABYTES_MAX} MB |"),
    (OPERATING, f"| commands waiting for the log | {command_queue.ORDERS_MAX};"),
    (OPERATING, f"| commands in one transaction | {command_queue.BATCH_ORDERS_MAX} |"),
    (
        OPERATING,
        (
            f"over NATS | {command_dispatch.UNDER_WAY_MAX}, "
            f"and {command_dispatch.OF_ONE_AGENT_MAX} of one"
        ),
    ),
    (
        OPERATING,
        f"| subscriptions of one NATS connection | {configuration.SUBSCRIPTIONS_MAX} |",
    ),
    (OPERATING, f"| the newest {jetstream_stream.MIRROR_EVENTS_MAX} |"),
    (OPERATING, f"| events in one archive file | {archiver.EVENTS_PER_FILE_MAX} |"),
    (OPERATING, f"compressed files, {archiver.EVENTS_PER_FILE_MAX} events each"),
    (OPERATING, f"| answers kept for idempotency keys | {idempotency.ANSWERS_KEPT_HOURS} hours |"),
    (OPERATING, f"open files to {run.FILES_WANTED} where"),
    (OPERATING, f"takes at most {http_protocol.CONNECTIONS_MAX} connections"),
    (OPERATING, f"takes at most {database.READERS_MAX + 3} connections to PostgreSQL"),
    (OPERATING, f"wait for {database.IDLE_IN_TRANSACTION_SECONDS_MAX} seconds; then PostgreSQL"),
    (OPERATING, f"refused by all of them within {key_cache.KEY_SECONDS:g} seconds"),
]


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
def test_every_endpoint_is_in_the_table_of_its_section(endpoint: Endpoint) -> None:
    rows = [row for row in HTTP.rows() if row[0] == f"`{endpoint.method} {endpoint.path}`"]

    assert len(rows) == 1, f"{endpoint.method} {endpoint.path}"
    if endpoint.roles:
        assert rows[0][2] == ", ".join(role for role in ROLES if role in endpoint.roles)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
def test_every_endpoint_has_a_request_to_paste(endpoint: Endpoint) -> None:
    typed = "\n".join(
        fence.text.replace("\\\n", " ") for fence in HTTP.fences if fence.language == "sh"
    )
    calls = re.findall(r"curl .*?\$URL(\S*?)[\"\s)]", typed)
    path = re.sub(r"\{\w+\}", r"[^/]+", endpoint.path)

    assert any(re.fullmatch(path, call.partition("?")[0]) for call in calls), endpoint.path


def test_every_problem_code_is_in_the_table_with_its_status() -> None:
    told = {row[1]: row[0] for row in HTTP.rows() if row[0].isdigit()}

    assert told == {f"`{code}`": str(kind.status) for code, kind in KINDS.items()}


def test_every_notification_is_in_the_table() -> None:
    told = {row[0] for row in NATS.rows()}

    assert {f"`{name}`" for name in NOTIFICATION_NAMES} <= told


def test_every_family_of_subjects_is_in_the_table() -> None:
    told = {_shape(row[0]) for row in NATS.rows()}

    assert {_shape(family.template) for family in FAMILIES} <= told


def _shape(subject: str) -> str:
    """Without what its variable parts are called."""
    return re.sub(r"\{\w+\}|<\w+>", "*", subject.strip("`"))


def test_every_operation_over_nats_is_in_the_table() -> None:
    told = {name for row in NATS.rows() for name in re.findall(r"`(\w+)`", row[-1])}

    assert {endpoint.name for endpoint in SERVED} <= told


def every_verb(group: click.Group, before: str) -> list[tuple[str, click.Command]]:
    context = click.Context(group)
    found: list[tuple[str, click.Command]] = []
    for name in group.list_commands(context):
        verb = group.get_command(context, name)
        assert verb is not None
        path = f"{before} {name}"
        found += every_verb(verb, path) if isinstance(verb, click.Group) else [(path, verb)]
    return found


VERBS = every_verb(quorate, "quorate")


@pytest.mark.parametrize("path", [path for path, _ in VERBS])
def test_every_verb_is_in_a_table(path: str) -> None:
    told = [row[0].strip("`") for row in CLI.rows()]

    assert any(line == path or line.startswith(f"{path} ") for line in told), path


def test_every_option_of_serve_is_in_the_operators_table() -> None:
    told = " ".join(row[0] for row in OPERATING.rows())
    shown = [one for one in serve.serve.params if not getattr(one, "hidden", False)]
    options = {option for parameter in shown for option in parameter.opts}

    assert {option for option in options if f"`{option}`" not in told} == set()


def test_every_exit_code_is_in_the_table() -> None:
    told = {row[0] for row in CLI.rows()}
    codes = {
        *(errors.ERROR, errors.USAGE, errors.CONFLICT),
        *(errors.UNAUTHORIZED, errors.NOT_FOUND, errors.UNAVAILABLE),
    }

    assert {str(code) for code in {0, *codes}} <= told


def test_every_class_in_the_table_of_errors_is_one() -> None:
    told = {name for row in SDK.rows() for name in re.findall(r"`([A-Z]\w+)`", " ".join(row[:2]))}

    assert {"Refused", "LeaseLost", "Unavailable", "LeaseConflict"} <= told
    assert [name for name in told if not issubclass(getattr(client, name), Exception)] == []


def test_every_role_is_explained() -> None:
    for told in (CONCEPTS, SECURITY):
        assert {f"`{role}`" for role in ROLES} <= {row[0] for row in told.rows()}


@pytest.mark.parametrize(
    ("told", "words"), NUMBERS, ids=[f"{told.path.stem}: {words}" for told, words in NUMBERS]
)
def test_the_numbers_are_those_of_the_code(told: Document, words: str) -> None:
    assert words in " ".join(told.text.split())
