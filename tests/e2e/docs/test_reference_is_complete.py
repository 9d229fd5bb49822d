"""Compare the reference pages with the code: every item is documented, and numbers are equal."""

import re
from typing import get_origin, get_type_hints

import click
import pytest

from quorate import client
from quorate.api import large_bodies
from quorate.api.registry import NATS_OPERATIONS
from quorate.api.routes import ENDPOINTS
from quorate.application import key_cache, strict_json, subscriptions
from quorate.bus import command_tasks, flood_guard
from quorate.bus.auth import client_limits, connections, subscription_check
from quorate.bus.embedded import configuration, server
from quorate.bus.outbox import jetstream_stream, notification_publisher
from quorate.bus.subjects import FAMILIES
from quorate.cli.commands import serve
from quorate.cli.commands.call import OperationGroup
from quorate.cli.main import quorate
from quorate.cli.output import errors
from quorate.client.resources import Resources
from quorate.contracts.coordination.consensus import ACTION_LENGTH_MAX
from quorate.contracts.coordination.leases import INTENT_LENGTH_MAX
from quorate.contracts.descriptions import IDEMPOTENCY_KEY_LENGTH_MAX
from quorate.contracts.notifications import NOTIFICATION_TYPES
from quorate.contracts.operations import BODY_BYTES_MAX, AnyOperation
from quorate.contracts.problems import KINDS
from quorate.contracts.wire_models import (
    PAGE_LENGTH_DEFAULT,
    PAGE_LENGTH_MAX,
    REASON_LENGTH_MAX,
    ROLE_LENGTH_MAX,
    SETTING_LENGTH_MAX,
    WAIT_SECONDS_MAX,
)
from quorate.domain.coordination import consensus, leases
from quorate.domain.identity import agents
from quorate.domain.identity.principals import ROLES
from quorate.domain.registry import NOTIFICATION_NAMES
from quorate.domain.shared import daily_quotas
from quorate.eventlog import command_queue, idempotency
from quorate.eventlog.archive import archiver
from quorate.eventlog.postgres import database
from quorate.runtime.service_defaults import (
    LIMITS_DEFAULT,
    NATS_PORT_DEFAULT,
    PORT_DEFAULT,
    RETENTION_HOURS_DEFAULT,
    TASK_RETENTION_DAYS_DEFAULT,
    WINDOW_SECONDS_DEFAULT,
)
from quorate.server import connection_rejections, http_protocol, readiness, run, shared_capacity
from tests.e2e.docs.markdown import Document, document

HTTP, NATS, CLI = document("docs/http.md"), document("docs/nats.md"), document("docs/cli.md")
CONCEPTS, CONFIGURE = document("docs/concepts.md"), document("docs/operations/configure.md")
DEPLOY, MONITOR = document("docs/operations/deploy.md"), document("docs/operations/monitor.md")
BACKUP = document("docs/operations/backup-and-restore.md")
SDK, SECURITY = document("docs/sdk.md"), document("docs/security.md")

DURATION_SECONDS = leases.DURATION_MINUTES_MIN * 60
DURATION_HOURS = leases.DURATION_MINUTES_MAX / 60
TIMEOUT_SECONDS = consensus.TIMEOUT_MINUTES_MIN * 60
TIMEOUT_HOURS = consensus.TIMEOUT_MINUTES_MAX / 60

# Expected text of each document, with the number from the code.
NUMBERS = [
    (CONCEPTS, f"The timeout is {WINDOW_SECONDS_DEFAULT:g} seconds"),
    (CONCEPTS, f"a {agents.HEARTBEATS_PER_WINDOW_MAX}th of the timeout"),
    (CONCEPTS, f"from {DURATION_SECONDS:g} second to {DURATION_HOURS:g} hours, "),
    (CONCEPTS, f"hours, {leases.DURATION_MINUTES_DEFAULT:g} minutes by default"),
    (CONCEPTS, f"stores the first {leases.CONTENDERS_MAX} contenders"),
    (CONCEPTS, f"Timeouts are from {TIMEOUT_SECONDS:g} second to {TIMEOUT_HOURS:g} hours, "),
    (CONCEPTS, f"hours, {consensus.TIMEOUT_MINUTES_DEFAULT:g} minutes by default"),
    (CONCEPTS, f"available for {RETENTION_HOURS_DEFAULT:g} hours"),
    (CONCEPTS, f"(1 to {IDEMPOTENCY_KEY_LENGTH_MAX} printable ASCII characters)"),
    (CONCEPTS, f"Responses are kept for {idempotency.RESPONSES_KEPT_HOURS} hours"),
    (HTTP, f"`limit` (1 to {PAGE_LENGTH_MAX}, {PAGE_LENGTH_DEFAULT} by default)"),
    (HTTP, f"| request body | {BODY_BYTES_MAX} bytes, unless"),
    (HTTP, f"{large_bodies.CALLER_BYTES_MAX // 2**20} MiB of one agent or key"),
    (HTTP, f"{large_bodies.PROCESS_BYTES_MAX // 2**20} MiB in all"),
    (HTTP, f"each {large_bodies.BYTES_PER_SECOND_MIN // 1024} KiB of a larger body"),
    (HTTP, f"may contain {strict_json.TEXTS_MAX} texts"),
    (HTTP, f"| {connection_rejections.HEADER_BYTES_MAX} bytes, to be sent within "),
    (HTTP, f"bytes, to be sent within {http_protocol.HEADER_SECONDS_MAX:g} seconds |"),
    (HTTP, f"| to be sent within {http_protocol.BODY_SECONDS_MAX:g} seconds, and"),
    (
        HTTP,
        f"must read the full response within {shared_capacity.RESPONSE_SECONDS_MAX:g} seconds |",
    ),
    (HTTP, f"| connections | {LIMITS_DEFAULT['connections_max']}, or fewer"),
    (HTTP, f"| event streams and long polls | {subscriptions.SUBSCRIPTIONS_MAX} |"),
    (
        HTTP,
        f"for the notifications of one agent | {subscriptions.SUBSCRIPTIONS_PER_AGENT_MAX} |",
    ),
    (HTTP, f"| role of an agent | {ROLE_LENGTH_MAX} characters |"),
    (HTTP, f"| intent of a lease | {INTENT_LENGTH_MAX} characters |"),
    (HTTP, f"| action of a proposal | {ACTION_LENGTH_MAX} characters |"),
    (HTTP, f"| reason | {REASON_LENGTH_MAX} characters |"),
    (HTTP, f"| setting | {SETTING_LENGTH_MAX} characters each |"),
    (HTTP, f"`wait` (up to {WAIT_SECONDS_MAX:g} seconds)"),
    (NATS, f"(at most {BODY_BYTES_MAX} bytes)"),
    (NATS, f"can have {command_tasks.IN_FLIGHT_PER_AGENT_MAX} commands in progress"),
    (NATS, f"| message | {configuration.MESSAGE_KILOBYTES_MAX} KB |"),
    (NATS, f"| connections of one key | {connections.CONNECTIONS_PER_KEY_MAX} |"),
    (NATS, f"| subscriptions of one connection | {configuration.SUBSCRIPTIONS_MAX} |"),
    (NATS, f"to the same subject | {subscription_check.EQUAL_SUBSCRIPTIONS_MAX} |"),
    (NATS, f"within {subscription_check.CHECK_SECONDS:g} seconds"),
    (NATS, f"refused for {flood_guard.BLOCKED_SECONDS:g} seconds"),
    (NATS, f"refused for {client_limits.EXCESS_REFUSED_SECONDS:g} seconds"),
    (NATS, f"at least {flood_guard.MESSAGES_PER_SECOND_MIN:g} per second"),
    (NATS, f"with a burst of {flood_guard.BURST_MIN:g};"),
    (
        NATS,
        f"{flood_guard.REJECTIONS_PER_SECOND} per second, burst {flood_guard.REJECTIONS_BURST} |",
    ),
    (CONFIGURE, f"| NATS connections of one key | {connections.CONNECTIONS_PER_KEY_MAX} |"),
    (NATS, f"rejected (up to {leases.CONTENDERS_MAX})"),
    (NATS, f"of the last {notification_publisher.REPLAY_SECONDS:g} seconds"),
    (CONFIGURE, f"| `--port` | {PORT_DEFAULT} |"),
    (CONFIGURE, f"| `--nats-port` | {NATS_PORT_DEFAULT} |"),
    (
        CONFIGURE,
        f"| {LIMITS_DEFAULT['rate_per_key']}, {LIMITS_DEFAULT['burst_per_key']} |",
    ),
    (
        CONFIGURE,
        f"| {LIMITS_DEFAULT['rate_per_tenant']}, {LIMITS_DEFAULT['burst_per_tenant']} |",
    ),
    (CONFIGURE, f"`--failed-keys-per-minute` | {LIMITS_DEFAULT['failed_keys_per_minute']} |"),
    (CONFIGURE, f"| `--quota-agents` | {LIMITS_DEFAULT['quota_agents']} |"),
    (CONFIGURE, f"| `--quota-live-leases` | {LIMITS_DEFAULT['quota_live_leases']} |"),
    (CONFIGURE, f"| `--quota-open-requests` | {LIMITS_DEFAULT['quota_open_requests']} |"),
    (CONFIGURE, f"| `--quota-keys` | {LIMITS_DEFAULT['quota_keys']} |"),
    (CONFIGURE, f"| `--quota-settings-bytes` | {LIMITS_DEFAULT['quota_settings_bytes']} |"),
    (
        CONFIGURE,
        (f"| `--quota-live-leases-per-agent` | {LIMITS_DEFAULT['quota_live_leases_per_agent']} |"),
    ),
    (
        CONFIGURE,
        f"| `--quota-open-tasks-per-agent` | {LIMITS_DEFAULT['quota_open_tasks_per_agent']} |",
    ),
    (
        CONFIGURE,
        (
            f"`--quota-bytes-per-day` | {LIMITS_DEFAULT['quota_events_per_day']}, "
            f"{LIMITS_DEFAULT['quota_bytes_per_day']} |"
        ),
    ),
    (
        CONFIGURE,
        (
            f"-per-day-per-agent` | {LIMITS_DEFAULT['quota_events_per_day_per_agent']}, "
            f"{LIMITS_DEFAULT['quota_bytes_per_day_per_agent']} |"
        ),
    ),
    (CONFIGURE, f"and {daily_quotas.EVENT_BYTES} bytes for everything else"),
    (CONFIGURE, f"when {command_queue.QUEUE_COMMANDS_MAX} wait"),
    (CONFIGURE, f"The last {command_queue.URGENT_CAPACITY} places"),
    (CONFIGURE, f"| `--heartbeat-window-seconds` | {WINDOW_SECONDS_DEFAULT:g} |"),
    (CONFIGURE, f"| `--notification-retention-hours` | {RETENTION_HOURS_DEFAULT:g} |"),
    (CONFIGURE, f"| `--task-retention-days` | {TASK_RETENTION_DAYS_DEFAULT:g} |"),
    (MONITOR, f"It answers within {readiness.CHECK_SECONDS_MAX:g} seconds"),
    (MONITOR, f"rotated at {server.LOG_MEGABYTES_MAX} MB"),
    (DEPLOY, f"({'.'.join(map(str, server.VERSION_MIN))} or later)"),
    (DEPLOY, f"of less than {configuration.MESSAGE_KILOBYTES_MAX} KB"),
    (CONFIGURE, f"| messages over NATS | {configuration.MESSAGE_KILOBYTES_MAX} KB |"),
    (CONFIGURE, f"| commands waiting for the log | {command_queue.QUEUE_COMMANDS_MAX};"),
    (CONFIGURE, f"| commands in one transaction | {command_queue.BATCH_COMMANDS_MAX} |"),
    (
        CONFIGURE,
        (
            f"over NATS | {command_tasks.IN_FLIGHT_MAX}, "
            f"and {command_tasks.IN_FLIGHT_PER_AGENT_MAX} of one"
        ),
    ),
    (
        CONFIGURE,
        f"| subscriptions of one NATS connection | {configuration.SUBSCRIPTIONS_MAX} |",
    ),
    (CONFIGURE, f"| the newest {jetstream_stream.MIRROR_EVENTS_MAX} |"),
    (CONFIGURE, f"| events in one archive file | {archiver.EVENTS_PER_FILE_MAX} |"),
    (BACKUP, f"compressed files, {archiver.EVENTS_PER_FILE_MAX} events each"),
    (
        CONFIGURE,
        f"| answers kept for idempotency keys | {idempotency.RESPONSES_KEPT_HOURS} hours |",
    ),
    (DEPLOY, f"open files to {run.OPEN_FILES_MAX} where"),
    (DEPLOY, f"takes at most {LIMITS_DEFAULT['connections_max']} connections"),
    (DEPLOY, f"takes at most {database.READERS_MAX + 3} connections to PostgreSQL"),
    (DEPLOY, f"wait for {database.IDLE_IN_TRANSACTION_SECONDS_MAX} seconds; then PostgreSQL"),
    (DEPLOY, f"refused by all of them within {key_cache.KEY_SECONDS:g} seconds"),
]


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
def test_endpoint_is_in_a_table_with_its_roles(endpoint: AnyOperation) -> None:
    rows = [row for row in HTTP.rows() if row[0] == f"`{endpoint.method} {endpoint.path}`"]

    assert len(rows) == 1, f"{endpoint.method} {endpoint.path}"
    if endpoint.roles:
        assert rows[0][2] == ", ".join(role for role in ROLES if role in endpoint.roles)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
def test_endpoint_has_an_example_request(endpoint: AnyOperation) -> None:
    commands = "\n".join(
        fence.text.replace("\\\n", " ") for fence in HTTP.fences if fence.language == "sh"
    )
    calls = re.findall(r"curl .*?\$URL(\S*?)[\"\s)]", commands)
    path = re.sub(r"\{\w+\}", r"[^/]+", endpoint.path)

    assert any(re.fullmatch(path, call.partition("?")[0]) for call in calls), endpoint.path


def test_problem_codes_are_documented_with_their_statuses() -> None:
    documented = {row[1]: row[0] for row in HTTP.rows() if row[0].isdigit()}

    assert documented == {f"`{code}`": str(kind.status) for code, kind in KINDS.items()}


def test_notifications_are_documented() -> None:
    documented = {row[0] for row in NATS.rows()}

    assert {f"`{name}`" for name in NOTIFICATION_NAMES} <= documented


def test_subject_families_are_documented() -> None:
    documented = {_pattern(row[0]) for row in NATS.rows()}

    assert {_pattern(family.template) for family in FAMILIES} <= documented


def _pattern(subject: str) -> str:
    """Replace the variable parts of a subject, whose names differ."""
    return re.sub(r"\{\w+\}|<\w+>", "*", subject.strip("`"))


def test_nats_operations_are_documented() -> None:
    documented = {name for row in NATS.rows() for name in re.findall(r"`(\w+)`", row[-1])}

    assert {endpoint.name for endpoint in NATS_OPERATIONS} <= documented


def all_commands(group: click.Group, prefix: str) -> list[tuple[str, click.Command]]:
    context = click.Context(group)
    commands: list[tuple[str, click.Command]] = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        path = f"{prefix} {name}"
        # `quorate call OPERATION` documents every operation; docs/http.md lists them.
        if isinstance(command, OperationGroup) or not isinstance(command, click.Group):
            commands.append((path, command))
        else:
            commands += all_commands(command, path)
    return commands


COMMANDS = all_commands(quorate, "quorate")


@pytest.mark.parametrize("path", [path for path, _ in COMMANDS])
def test_command_is_documented(path: str) -> None:
    documented = [row[0].strip("`") for row in CLI.rows()]

    assert any(each == path or each.startswith(f"{path} ") for each in documented), path


def test_serve_options_are_documented() -> None:
    documented = " ".join(row[0] for row in CONFIGURE.rows())
    visible = [one for one in serve.serve.params if not getattr(one, "hidden", False)]
    options = {option for parameter in visible for option in parameter.opts}

    assert {option for option in options if f"`{option}`" not in documented} == set()


def test_exit_codes_are_documented() -> None:
    documented = {row[0] for row in CLI.rows()}
    codes = {
        *(errors.ERROR, errors.USAGE, errors.CONFLICT),
        *(errors.UNAUTHORIZED, errors.NOT_FOUND, errors.UNAVAILABLE),
    }

    assert {str(code) for code in {0, *codes}} <= documented


def test_documented_errors_are_exceptions() -> None:
    documented = {
        name for row in SDK.rows() for name in re.findall(r"`([A-Z]\w+)`", " ".join(row[:2]))
    }

    assert {
        "RejectedError",
        "LeaseLostError",
        "UnavailableError",
        "LeaseConflictError",
    } <= documented
    errors_ = [name for name in documented if name.endswith("Error")]
    assert [name for name in errors_ if not issubclass(getattr(client, name), Exception)] == []


def test_notification_classes_are_documented() -> None:
    documented = {name for row in SDK.rows() for name in re.findall(r"`([A-Z]\w+)`", row[0])}

    assert {model.__name__ for model in NOTIFICATION_TYPES.values()} <= documented


def test_groups_of_the_client_are_documented() -> None:
    documented = {
        row[0].strip("`"): set(re.findall(r"`(\w+)`", row[1]))
        for row in SDK.rows()
        if row[0].startswith("`client.")
    }
    members = {
        f"client.{name}": {one for one in vars(_group_class(name)) if not one.startswith("_")}
        for name in vars(Resources)
        if not name.startswith("_")
    }

    assert members == documented


def _group_class(name: str) -> type[object]:
    """Return the class of a group, from the annotation of its property."""
    group: type[object] = get_origin(get_type_hints(vars(Resources)[name].fget)["return"])
    return group


def test_roles_are_documented() -> None:
    for page in (CONCEPTS, SECURITY):
        assert {f"`{role}`" for role in ROLES} <= {row[0] for row in page.rows()}


@pytest.mark.parametrize(
    ("page", "expected"),
    NUMBERS,
    ids=[f"{page.path.stem}: {expected}" for page, expected in NUMBERS],
)
def test_number_equals_the_code(page: Document, expected: str) -> None:
    assert expected in " ".join(page.text.split())
