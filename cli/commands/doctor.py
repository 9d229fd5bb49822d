"""`quorate doctor`: what stands between this machine and its service, and what to do about it.

It only reads, asks one thing after the other, and says of each what it found. It ends with 0 when
nothing failed, else with the code that fits the first failure: a warning is no failure.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from quorate.cli.connection.resolve import TargetSources, called_service
from quorate.cli.options import json_option, service_options
from quorate.cli.output.errors import Failure

if TYPE_CHECKING:
    from quorate.cli.diagnostics.http_checks import Target
    from quorate.cli.diagnostics.results import CheckResult

EPILOG = """
\b
Examples:
  quorate doctor
  quorate doctor --json
  quorate doctor --nats-url nats://127.0.0.1:4222

It ends with 0 when nothing failed, else with the code of the first failure: 4 the key is missing or
refused, 6 the service, its log or NATS does not answer, 1 anything else.
"""
Check: TypeAlias = "Callable[[Target], CheckResult]"
_COLOURS = {"ok": "green", "warning": "yellow", "failed": "red", "skipped": "bright_black"}
_OUTCOME_WIDTH = max(map(len, _COLOURS)) + 2
_NAME_WIDTH = len("configuration") + 2


@click.command(epilog=EPILOG)
@service_options
@click.option("--nats-url", help="Where NATS is. [default: as the context or credentials say]")
@json_option
def doctor(where: TargetSources, nats_url: str | None, as_json: bool) -> None:
    """Check configuration, service, key, clock, log, notifications, NATS, versions and files.

    Each line says ok, warning, failed or skipped and, where something is not as it should be, what
    to do about it.
    """
    found = []
    for name, finding in _examined(where, nats_url):
        found.append((name, finding))
        if not as_json:
            _tell(name, finding)
    if as_json:
        _print_as_json(found)
    sys.exit(next((one.exit_code for _, one in found if one.outcome == "failed"), 0))


def _examined(where: TargetSources, nats_url: str | None) -> "Iterator[tuple[str, CheckResult]]":
    from quorate.cli.diagnostics.http_checks import Target
    from quorate.cli.diagnostics.results import failed, well

    try:
        service = called_service(where)
    except Failure as failure:
        advice = "`quorate serve` starts a service; `quorate context add` remembers one"
        yield "configuration", failed(failure.message, advice, failure.exit_code)
        return
    sources = f"address from {service.url_from}, key from {service.key_from}"
    if service.url_from == service.key_from:
        sources = f"address and key from {service.url_from}"
    yield "configuration", well(sources)
    nats_url = nats_url or service.nats_url
    with Target(service.url, service.api_key, nats_url, _local_folder(where)) as patient:
        for name, check in _checks():
            yield name, _answer(check, patient)


def _checks() -> Sequence[tuple[str, Check]]:
    from quorate.cli.diagnostics import http_checks
    from quorate.cli.diagnostics.nats_checks import nats

    return (
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


def _answer(check: Check, patient: "Target") -> "CheckResult":
    """A service may go away between two checks: that is a finding too."""
    import httpx2

    from quorate.cli.diagnostics.results import failed
    from quorate.cli.output.errors import UNAVAILABLE

    try:
        return check(patient)
    except httpx2.HTTPError as error:
        why = str(error) or type(error).__name__
        return failed(f"the service stopped answering: {why}", "Try again", UNAVAILABLE)


def _local_folder(where: TargetSources) -> Path:
    """Where a local service would keep its data, as far as this call goes."""
    said = where.command_line.data_dir or where.environment.data_dir
    return (said or where.default_data_dir).expanduser()


def _tell(name: str, finding: "CheckResult") -> None:
    from quorate.cli.output.console import printable

    outcome = click.style(f"{finding.outcome:<{_OUTCOME_WIDTH}}", fg=_COLOURS[finding.outcome])
    click.echo(f"{outcome}{name:<{_NAME_WIDTH}}{printable(finding.says)}")
    if finding.advice:
        indent = " " * (_OUTCOME_WIDTH + _NAME_WIDTH)
        end = "" if finding.advice.endswith("?") else "."
        click.echo(f"{indent}{printable(finding.advice)}{end}")


def _print_as_json(found: "Sequence[tuple[str, CheckResult]]") -> None:
    from quorate.cli.output.console import print_json

    def said(name: str, finding: "CheckResult") -> dict[str, Any]:
        advice = {"advice": finding.advice} if finding.advice else {}
        return {"check": name, "outcome": finding.outcome, "says": finding.says, **advice}

    healthy = all(finding.outcome != "failed" for _, finding in found)
    print_json({"ok": healthy, "checks": [said(name, finding) for name, finding in found]})
