"""`quorate doctor`: check the connection to the service and the local configuration.

The checks run one after the other and change nothing. The exit code is 0 if no check failed, else
that of the first failed check; a warning is not a failure.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from quorate.cli.connection.resolve import TargetSources, expand_user, resolve_target
from quorate.cli.options import json_option, service_options
from quorate.cli.output.errors import Failure
from quorate.runtime.url_redaction import redact_url

if TYPE_CHECKING:
    from quorate.cli.diagnostics.http_checks import Target
    from quorate.cli.diagnostics.results import CheckResult

EPILOG = """
\b
Examples:
  quorate doctor
  quorate doctor --json
  quorate doctor --nats-url nats://127.0.0.1:4222

The exit code is 0 if no check failed, else that of the first failed check: 2 no service
configured, 4 key missing or rejected, 6 service, event log or NATS not available, 1 any other
failure.
"""
Check: TypeAlias = "Callable[[Target], CheckResult]"
_COLOURS = {"ok": "green", "warning": "yellow", "failed": "red", "skipped": "bright_black"}
_OUTCOME_WIDTH = max(map(len, _COLOURS)) + 2
_NAME_WIDTH = len("configuration") + 2


@click.command(epilog=EPILOG)
@service_options
@click.option(
    "--nats-url", help="NATS URL to check. [default: from the context or the credentials]"
)
@json_option
def doctor(sources: TargetSources, nats_url: str | None, as_json: bool) -> None:
    """Check configuration, service, clock, key, log, notifications, NATS, versions and files.

    Each line shows ok, warning, failed or skipped; a warning or a failure includes advice.
    """
    found = []
    for name, result in _run_checks(sources, nats_url):
        found.append((name, result))
        if not as_json:
            _print_result(name, result)
    if as_json:
        _print_as_json(found)
    sys.exit(next((one.exit_code for _, one in found if one.outcome == "failed"), 0))


def _run_checks(
    sources: TargetSources, nats_url: str | None
) -> "Iterator[tuple[str, CheckResult]]":
    from quorate.cli.diagnostics.http_checks import Target
    from quorate.cli.diagnostics.results import failed, ok
    from quorate.cli.output.errors import USAGE
    from quorate.client.errors import ConfigurationError

    try:
        service = resolve_target(sources)
    except Failure as failure:
        advice = "Start a service with `quorate serve`, or add one with `quorate context add`"
        yield "configuration", failed(failure.message, advice, failure.exit_code)
        return
    origin = f"URL from {service.url_from}, key from {service.key_from}"
    if service.url_from == service.key_from:
        origin = f"URL and key from {service.url_from}"
    yield "configuration", ok(origin)
    nats_url = nats_url or service.nats_url
    try:
        target = Target(service.url, service.api_key, nats_url, _local_data_dir(sources))
    except ConfigurationError as error:
        yield "proxy", failed(str(error), "Correct the environment variable", USAGE)
        return
    with target:
        for name, check in _checks():
            yield name, _run_check(check, target)


def _checks() -> Sequence[tuple[str, Check]]:
    from quorate.cli.diagnostics import http_checks
    from quorate.cli.diagnostics.nats_checks import nats

    return (
        ("proxy", http_checks.proxy),
        ("address", http_checks.address),
        ("service", http_checks.readiness),
        ("clock", http_checks.clock),
        ("key", http_checks.key),
        ("log", http_checks.log),
        ("notifications", http_checks.notifications),
        ("nats", nats),
        ("versions", http_checks.versions),
        ("files", http_checks.files),
    )


def _run_check(check: Check, target: "Target") -> "CheckResult":
    """Run one check; a failed connection is a failed result, not an exception."""
    import httpx2

    from quorate.cli.connection.profiles import NoHomeDirectory
    from quorate.cli.diagnostics.results import failed, skipped
    from quorate.cli.output.errors import UNAVAILABLE

    try:
        return check(target)
    except NoHomeDirectory:
        return skipped("the user has no home directory")
    except httpx2.HTTPError as error:
        reason = str(error) or type(error).__name__
        return failed(f"the service stopped responding: {reason}", "Retry", UNAVAILABLE)


def _local_data_dir(sources: TargetSources) -> Path:
    """Return the data directory of a local service for this call."""
    given = sources.command_line.data_dir or sources.environment.data_dir
    data_dir = given or sources.default_data_dir
    return Path(os.devnull) if data_dir is None else expand_user(data_dir)


def _print_result(name: str, result: "CheckResult") -> None:
    from quorate.cli.output.console import printable

    outcome = click.style(f"{result.outcome:<{_OUTCOME_WIDTH}}", fg=_COLOURS[result.outcome])
    message = printable(redact_url(result.message))
    click.echo(f"{outcome}{name:<{_NAME_WIDTH}}{message}")
    if result.advice:
        indent = " " * (_OUTCOME_WIDTH + _NAME_WIDTH)
        end = "" if result.advice.endswith("?") else "."
        click.echo(f"{indent}{printable(result.advice)}{end}")


def _print_as_json(found: "Sequence[tuple[str, CheckResult]]") -> None:
    from quorate.cli.output.console import print_json

    def to_json(name: str, result: "CheckResult") -> dict[str, Any]:
        advice = {"advice": result.advice} if result.advice else {}
        return {
            "check": name,
            "outcome": result.outcome,
            "says": redact_url(result.message),
            **advice,
        }

    healthy = all(result.outcome != "failed" for _, result in found)
    print_json({"ok": healthy, "checks": [to_json(name, result) for name, result in found]})
