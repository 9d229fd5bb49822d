"""`quorate call`: one command for each operation, against a real service."""

import re
import shlex
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import orjson
import pytest
from click.testing import CliRunner

from quorate.cli.commands.call import call
from quorate.cli.main import quorate
from quorate.cli.operations.command import OperationCommand
from quorate.cli.operations.example import example_lines
from quorate.cli.operations.fields import RESERVED, Field, fields_of, option_for
from quorate.cli.operations.names import kebab_case
from quorate.cli.operations.requests import make_request
from quorate.cli.output.errors import (
    ADVICE,
    CONFLICT,
    ERROR,
    NOT_FOUND,
    OPERATOR_ADVICE,
    QUOTA,
    UNAUTHORIZED,
    UNAVAILABLE,
    USAGE,
    exit_code_of,
)
from quorate.contracts.coordination.leases import ACQUIRE_LEASE
from quorate.contracts.operations import AnyOperation, known_codes, path_parameters
from quorate.contracts.problems import KINDS, InvalidRequest
from quorate.contracts.registry import OPERATIONS
from quorate.domain.shared.errors import Conflict, Forbidden, Invalid, LimitReached, NotFound
from tests.e2e.cli.cli_process import run_cli, start_cli
from tests.e2e.cli.conftest import Run
from tests.e2e.cli.terminal import Terminal, run_in_terminal
from tests.e2e.cli.test_shell_completion import complete
from tests.e2e.service.service_process import ServiceProcess, environment

WIDTH = 80
CONTACT = "user@example.com"
every_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.name)


class Caller:
    """Runs `quorate call` as a tenant, and parses what it prints."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal

    def fail(self, *words: str) -> tuple[int, str, str]:
        result = self._terminal.run("call", *words)
        return result.exit_code, result.stdout, result.stderr

    def __call__(self, *words: str) -> Any:  # noqa: ANN401 - any JSON value.
        code, stdout, stderr = self.fail(*words)
        assert code == 0, stderr
        return orjson.loads(stdout)


@pytest.fixture
def caller(tenant: Terminal) -> Caller:
    return Caller(tenant)


def command_of(operation: AnyOperation) -> OperationCommand:
    command = call.get_command(click.Context(call), operation.name)
    assert isinstance(command, OperationCommand)
    return command


def parse(operation: AnyOperation, words: list[str]) -> dict[str, Any]:
    """Return the values of the options by parameter name."""
    return command_of(operation).make_context(operation.name, words).params


# -- Commands from the declarations ------------------------------------------------


@every_operation
def test_operation_has_an_option_for_every_field(operation: AnyOperation) -> None:
    options = {name for param in command_of(operation).params for name in param.opts}
    models = [model for model in (operation.body, operation.query) if model is not None]
    names = {info.alias or name for one in models for name, info in one.model_fields.items()}
    ids = {kebab_case(name) for name in path_parameters(operation)}

    assert {f"--{kebab_case(name)}" for name in names} | {f"--{one}" for one in ids} <= options


@every_operation
def test_operation_help_describes_it_in_80_columns(operation: AnyOperation) -> None:
    arguments = ["call", kebab_case(operation.name), "--help"]
    result = CliRunner().invoke(quorate, arguments, terminal_width=WIDTH)

    assert result.exit_code == 0
    shown = " ".join(result.stdout.split())
    assert f"{operation.summary}." in shown
    assert f"{operation.method} {operation.path}" in shown
    assert all(role in shown for role in operation.roles)
    assert all(f"{code} (" in shown for code in known_codes(operation))
    assert f"Example: quorate call {operation.name}" in shown
    assert [line for line in result.stdout.splitlines() if len(line) > WIDTH] == []
    assert all(param.help for param in command_of(operation).params)


@every_operation
def test_operation_example_is_valid(operation: AnyOperation) -> None:
    fields = fields_of(operation)
    text = "\n".join(example_lines(operation, fields)).replace("\\\n", " ")
    program, group, name, *words = shlex.split(text)
    request = make_request(operation, fields, parse(operation, words), {})

    assert [program, group, name] == ["quorate", "call", operation.name]
    assert request.name == operation.name


@every_operation
def test_operation_is_listed_and_completed(operation: AnyOperation, run: Run) -> None:
    listed = run("call").output

    assert re.search(rf"^  {operation.name} +{operation.summary}\.$", listed, re.MULTILINE)
    for name in (operation.name, kebab_case(operation.name)):
        names = call.shell_complete(click.Context(call), name)
        assert name in {one.value for one in names}


def test_operation_names_and_choices_are_completed() -> None:
    assert complete("call", "acq") == ["acquireLease"]
    assert complete("call", "acquire-l") == ["acquire-lease"]
    assert complete("call", "castVote", "--vote", "") == ["approve", "reject"]
    assert complete("call", "renewLease", "--dur") == ["--duration-minutes"]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("aquireLease", "acquireLease"),
        ("aquire-lease", "acquire-lease"),
        ("heartbeta", "heartbeat"),
    ],
)
def test_misspelled_operation_is_answered_with_a_suggestion(
    run: Run, typed: str, expected: str
) -> None:
    result = run("call", typed)

    assert result.exit_code == 2
    assert f"No such command '{typed}'. Did you mean '{expected}'?" in result.stderr


def test_misspelled_command_is_answered_with_a_suggestion(run: Run) -> None:
    assert "Did you mean 'agents'?" in run("agnets", "list").stderr
    assert "Did you mean 'register'?" in run("agents", "registre").stderr
    assert "Did you mean" not in run("nonsense").stderr


def field(schema: dict[str, Any], name: str = "value") -> Field:
    return Field(name=name, place="body", schema=schema, is_required=False, json_name=name)


def test_field_named_like_a_common_option_has_a_prefix() -> None:
    assert {field({}, one.replace("-", "_")).option for one in RESERVED} == {
        f"--field-{one}" for one in RESERVED
    }


@pytest.mark.parametrize(
    ("schema", "words", "value"),
    [
        ({"type": "boolean"}, ["--no-value"], False),
        ({"type": "integer"}, ["--value", "3"], 3),
        ({"type": "number"}, ["--value", "0.5"], 0.5),
        ({"enum": ["a", "b"]}, ["--value", "b"], "b"),
        ({"const": "a"}, ["--value", "a"], "a"),
        ({"type": "object"}, ["--value", '{"a": 1}'], {"a": 1}),
        ({"type": ["string", "object"]}, ["--value", "12"], "12"),
        ({"anyOf": [{"type": "object"}, {"type": "string"}]}, ["--value", "[1]"], [1]),
        (
            {"type": "array", "items": {"type": "integer"}},
            ["--value", "1", "--value", "2"],
            (1, 2),
        ),
        ({"type": "string"}, [], None),
    ],
    ids=str,
)
def test_option_has_the_type_of_its_field(
    schema: dict[str, Any], words: list[str], value: object
) -> None:
    command = click.Command("trial", params=[option_for(field(schema))])

    assert command.make_context("trial", words).params == {"field_value": value}


def test_option_describes_the_rules_of_its_field() -> None:
    options = {one.opts[0]: one for one in command_of(ACQUIRE_LEASE).params}
    duration = options["--duration-minutes"]

    assert isinstance(duration, click.Option)
    assert duration.help == "Duration minutes. [default: 30; 0.01667 to 1440]"


# -- Exit codes ----------------------------------------------------------------------


EXIT_CODES_BY_BASE: Mapping[type[Any], int] = {
    Forbidden: UNAUTHORIZED,
    NotFound: NOT_FOUND,
    Conflict: CONFLICT,
    LimitReached: QUOTA,
    Invalid: USAGE,
}
EXIT_CODES_BY_STATUS = {
    **dict.fromkeys((400, 405, 413, 415, 422, 431, 500), ERROR),
    **dict.fromkeys((401, 403), UNAUTHORIZED),
    **dict.fromkeys((404, 410), NOT_FOUND),
    409: CONFLICT,
    **dict.fromkeys((408, 429, 503), UNAVAILABLE),
}


@pytest.mark.parametrize("code", KINDS)
def test_every_problem_has_the_exit_code_of_its_kind(code: str) -> None:
    kind = KINDS[code]
    by_base = [
        number for base, number in EXIT_CODES_BY_BASE.items() if issubclass(kind.error, base)
    ]
    expected = by_base or [EXIT_CODES_BY_STATUS[kind.status]]
    if code == InvalidRequest.code:  # The other requests with its status are not the caller's text.
        expected = [USAGE]

    assert [exit_code_of(code)] == expected


def test_advice_is_for_existing_problems() -> None:
    assert ADVICE.keys() | OPERATOR_ADVICE.keys() <= KINDS.keys()


# -- Calls ---------------------------------------------------------------------------


def test_lease_is_acquired_listed_and_released(caller: Caller) -> None:
    fields = ("--agent-name", "ann", "--contact-email", CONTACT, "--intent", "sales")
    acquired = caller("acquireLease", *fields, "--duration-minutes", "30")
    renewed = caller("renew-lease", "--lease-id", acquired["id"], "--duration-minutes", "60")
    listed = caller("listLeases", "--contact-email", CONTACT, "--limit", "5")
    released = caller("releaseLease", "--lease-id", acquired["id"])

    assert (acquired["contactEmail"], acquired["intent"]) == (CONTACT, "sales")
    assert renewed["expiresAt"] > acquired["expiresAt"]
    assert listed == [renewed]
    assert released == {"released": True}
    assert caller("getLease", "--lease-id", acquired["id"])["status"] == "released"


def test_output_is_one_line_and_include_adds_metadata_on_stderr(caller: Caller) -> None:
    words = ("register", "--agent-name", "ann", "--idempotency-key", "one", "--include")
    first, second = caller.fail(*words), caller.fail(*words)

    assert first[1] == second[1]
    assert first[1].count("\n") == 1
    assert re.fullmatch(r"sequence: \d+, replayed: no\n", first[2])
    assert re.fullmatch(r"sequence: \d+, replayed: yes\n", second[2])


def test_body_is_read_from_text_file_and_standard_input(
    caller: Caller, run: Run, tmp_path: Path
) -> None:
    body = {"agentName": "ann", "contactEmail": CONTACT, "durationMinutes": 5}
    (tmp_path / "body.json").write_bytes(orjson.dumps(body))
    text = orjson.dumps(body).decode()

    as_text = caller("acquireLease", "--json", text)
    as_file = caller("acquireLease", "--json", f"@{tmp_path / 'body.json'}")
    as_input = run("call", "acquireLease", "--json", "-", input=text.encode())
    replaced = caller("acquireLease", "--json", text, "--contact-email", "other@example.com")

    assert as_text["id"] == as_file["id"] == orjson.loads(as_input.stdout)["id"]
    assert replaced["contactEmail"] == "other@example.com"


def test_rejection_has_its_exit_code_and_prints_the_problem(caller: Caller) -> None:
    caller("acquireLease", "--agent-name", "ann", "--contact-email", CONTACT)
    words = ("acquireLease", "--agent-name", "bob", "--contact-email", CONTACT)
    code, stdout, stderr = caller.fail(*words)

    assert code == CONFLICT
    assert orjson.loads(stdout)["code"] == "lease_conflict"
    assert stderr.startswith("Error: ann holds the contact until ")
    assert caller.fail("getLease", "--lease-id", "none")[0] == NOT_FOUND
    assert caller.fail("createTenant", "--tenant-id", "x", "--api-key", "bad")[0] == UNAUTHORIZED


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("acquireLease", "--agent-name", "ann"), "Missing option '--contact-email'."),
        (("renewLease",), "Missing option '--lease-id'."),
        (("renewLease", "--lease-id", "a" * 65), "Invalid value for '--lease-id': Not a valid id."),
        (
            ("renewLease", "--lease-id", "x", "--duration-minutes", "1441"),
            "Invalid value for '--duration-minutes': Input should be less than or equal to 1440.",
        ),
        (
            ("renewLease", "--lease-id", "x", "--duration-minutes", "soon"),
            "Invalid value for '--duration-minutes': 'soon' is not a number.",
        ),
        (
            ("listLeases", "--limit", "0"),
            "Invalid value for '--limit': Input should be greater than or equal to 1.",
        ),
        (
            ("register", "--agent-name", "bad name!"),
            "Invalid value for '--agent-name': String should match pattern ",
        ),
        (
            ("castVote", "--consensus-id", "x", "--vote", "maybe"),
            "Invalid value for '--vote': 'maybe' is not one of 'approve', 'reject'.",
        ),
        (("heartbeat", "--json", "[]"), "Invalid value for '--json': Not a JSON object."),
        (("heartbeat", "--json", "{"), "Invalid value for '--json': Not valid JSON: "),
        (("heartbeat", "--json", "@none"), "Invalid value for '--json': Cannot read none: "),
        (
            ("heartbeat", "--json", '{"agentNme": "ann"}'),
            "Invalid value for '--json': agentNme: Extra inputs are not permitted.",
        ),
        (
            ("heartbeat", "--json", '{"agentName": 3}'),
            "Invalid value for '--json': agentName: Input should be a valid string.",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_invalid_field_names_the_option_and_the_rule(
    run: Run, words: tuple[str, ...], message: str
) -> None:
    result = run("call", *words, "--url", "http://127.0.0.1:9", "--api-key", "unused")

    assert result.exit_code == 2
    assert message in result.stderr


def test_public_operations_need_no_key(run: Run, real: ServiceProcess) -> None:
    assert run("call", "ready", "--url", real.url).stdout.startswith('{"status":"ready"')
    assert "# TYPE quorate_info gauge" in run("call", "metrics", "--url", real.url).stdout


def test_service_that_does_not_respond_is_unavailable(run: Run) -> None:
    target = ("--url", "http://127.0.0.1:9", "--api-key", "unused", "--timeout", "0.1")

    assert run("call", "listAgents", *target).exit_code == UNAVAILABLE
    assert run("call", "live", *target).exit_code == UNAVAILABLE
    assert run("call", "streamEvents", *target[:4]).exit_code == UNAVAILABLE


def test_response_is_indented_at_a_terminal(real: ServiceProcess) -> None:
    code, shown = run_in_terminal(["call", "live", "--url", real.url], environment())

    assert (code, shown) == (0, '{\n  "status": "ok"\n}\n')


# -- Streams ---------------------------------------------------------------------------


def test_stream_prints_a_line_for_each_event_until_interrupted(
    tenant: Terminal, real: ServiceProcess
) -> None:
    del tenant  # The service has events.
    target = {"QUORATE_URL": real.url, "QUORATE_API_KEY": real.api_key}
    with start_cli("call", "streamEvents", "--last-event-id", "1", **target) as stream:
        first = orjson.loads(stream.read_line())
        assert run_cli("call", "register", "--agent-name", "streamed", **target).code == 0
        line = orjson.loads(stream.read_line())
        while line["data"].get("agentName") != "streamed":
            line = orjson.loads(stream.read_line())
        stream.send_signal(signal.SIGINT)
        outcome = stream.wait()

    assert first["sequence"] == 2
    assert line["type"] == "AgentRegistered"
    assert (outcome.code, outcome.stdout) == (130, "")


def test_stream_is_rejected_with_an_exit_code(caller: Caller) -> None:
    code, stdout, _ = caller.fail("streamNotifications", "--agent-name", "unknown-agent")

    assert code == NOT_FOUND
    assert orjson.loads(stdout)["code"] == "agent_not_found"
