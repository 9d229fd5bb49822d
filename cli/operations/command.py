"""The command of one operation: its help, its options, and its run."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import click

from quorate.cli.connection.resolve import TargetSources, resolve_target
from quorate.cli.groups import ENVIRONMENT_PREFIX
from quorate.cli.operations.example import example_lines
from quorate.cli.operations.fields import Field, fields_of, option_for
from quorate.cli.operations.requests import make_request, read_body
from quorate.cli.options import service_options
from quorate.cli.output.console import print_hint, print_response
from quorate.cli.output.errors import (
    ADVICE,
    EXIT_CODES,
    INTERRUPTED,
    OPERATOR_ADVICE,
    exit_code_of,
    report_errors,
)
from quorate.cli.parameter_types import SEQUENCE_MAX, Duration, IntegerRange
from quorate.contracts.operations import AnyOperation, known_codes
from quorate.contracts.problems import KINDS
from quorate.domain.identity.principals import ROLES
from quorate.domain.shared.records import record

TIMEOUT_SECONDS_MIN = 0.001
TIMEOUT_SECONDS_MAX = 86_400.0
OTHER_HEADING = "Service"


class RequestOption(click.Option):
    heading = "Request"


@record
class Options:
    """The values of the options that do not belong to a field."""

    json: str | None = None
    idempotency_key: str | None = None
    timeout: float | None = None
    last_event_id: int | None = None
    include: bool = False
    as_operator: bool = False


class OperationCommand(click.Command):
    """A command whose help has its options under headings, and the problems of the operation."""

    operation: AnyOperation

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            shown = param.get_help_record(ctx)
            if shown is not None:
                heading = getattr(param, "heading", OTHER_HEADING)
                sections.setdefault(heading, []).append(shown)
        for heading, rows in sections.items():
            with formatter.section(heading):
                formatter.write_dl(rows)
        with formatter.section("Problems (HTTP status, exit code)"):
            formatter.write_dl(list(_problems(self.operation)))


def _problems(operation: AnyOperation) -> Iterator[tuple[str, str]]:
    """Yield the problems of the operation, by status, with the title of each."""
    known = known_codes(operation)
    for code, kind in KINDS.items():
        if code in known:
            yield f"{code} ({kind.status}, {exit_code_of(code)})", f"{kind.title}."


@cache
def command_for(operation: AnyOperation) -> OperationCommand:
    """Make the command of an operation from its declaration."""
    fields = fields_of(operation)

    @service_options
    def run(sources: TargetSources, **given: Any) -> None:  # noqa: ANN401 - the values from click.
        names = {field.parameter for field in fields}
        values = {name: given.pop(name) for name in list(given) if name in names}
        _run(operation, fields, sources, values, Options(**given))

    params = [*map(option_for, fields), *_request_options(operation)]
    command = OperationCommand(
        operation.name,
        callback=run,
        params=[*params, *reversed(getattr(run, "__click_params__", ()))],
        help=_help(operation),
        short_help=f"{operation.summary}.",
        epilog="\n".join(["", "\b", "Example:", *example_lines(operation, fields), EXIT_CODES]),
        context_settings={"auto_envvar_prefix": ENVIRONMENT_PREFIX},
    )
    command.operation = operation
    return command


def _help(operation: AnyOperation) -> str:
    roles = ", ".join(role for role in ROLES if role in operation.roles)
    roles = roles or "none; the operation is public"
    paragraphs = [
        f"{operation.summary}.",
        operation.description.replace("`", ""),
        f"\b\n{operation.method} {operation.path}\nRoles: {roles}",
    ]
    return "\n\n".join(filter(None, paragraphs))


def _request_options(operation: AnyOperation) -> Iterator[RequestOption]:
    if operation.body is not None:
        yield RequestOption(
            ["--json"],
            metavar="BODY",
            allow_from_autoenv=False,  # QUORATE_JSON selects the output of other commands.
            help="The body as a JSON object, @FILE, or - for standard input. Options replace its "
            "members.",
        )
    if operation.command:
        yield RequestOption(
            ["--idempotency-key"],
            allow_from_autoenv=False,
            help="Key under which the service carries the command out once. [default: random]",
        )
    if operation.streams:
        yield RequestOption(
            ["--last-event-id"],
            type=IntegerRange(0, SEQUENCE_MAX),
            allow_from_autoenv=False,
            help="Sequence of the last event that you received.",
        )
        return
    yield RequestOption(
        ["--timeout"],
        type=Duration("s", TIMEOUT_SECONDS_MIN, TIMEOUT_SECONDS_MAX),
        allow_from_autoenv=False,
        help="Time for all attempts together, e.g. 30s; a plain number means seconds. [default: "
        "5s, plus the time of a long poll]",
    )
    yield RequestOption(
        ["-i", "--include", "--verbose"],
        is_flag=True,
        allow_from_autoenv=False,
        help="Print the log sequence of the response, and whether it was replayed, to stderr.",
    )
    if "admin" in operation.roles and operation.roles != {"admin"}:
        yield RequestOption(
            ["--as-operator"],
            is_flag=True,
            help="Use the admin key: QUORATE_ADMIN_KEY, or the one in credentials.json.",
        )


def _run(
    operation: AnyOperation,
    fields: Sequence[Field],
    sources: TargetSources,
    values: Mapping[str, Any],
    options: Options,
) -> None:
    from quorate.cli.operations import transport  # Completion needs no HTTP client.

    request = make_request(operation, fields, values, read_body(options.json))
    as_operator = options.as_operator or operation.roles == {"admin"}
    service = resolve_target(sources, as_operator=as_operator, needs_key=bool(operation.roles))
    with report_errors(
        as_json=True,
        advice=OPERATOR_ADVICE if as_operator else ADVICE,
        key_from=service.key_from,
    ):
        if operation.streams:
            _print_events(transport.stream(service, request, options.last_event_id))
        elif not operation.roles:
            text = transport.fetch(service, request, timeout_seconds=options.timeout)
            _print_text(text, is_json=operation.response is not None)
        else:
            response = transport.send(
                service,
                request,
                timeout_seconds=options.timeout,
                idempotency_key=options.idempotency_key,
            )
            if operation.is_download:
                sys.stdout.buffer.write(response.result.data)
            else:
                print_response(response.result)
            if options.include:
                replayed = "yes" if response.replayed else "no"
                print_hint(f"sequence: {response.sequence}, replayed: {replayed}")


def _print_events(events: Iterable[Any]) -> None:
    """Print one line for each event until Ctrl-C."""
    try:
        for event in events:
            print_response(event, one_line=True)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _print_text(text: str, *, is_json: bool) -> None:
    import orjson

    if is_json:
        print_response(orjson.loads(text))
    else:
        click.echo(text, nl=False)
