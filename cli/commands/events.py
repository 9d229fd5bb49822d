"""`quorate events`: list, show and follow the events of a tenant."""

import sys
from typing import TYPE_CHECKING, NoReturn

import click

from quorate.cli.commands.agents import agent_id_of, names_by_id, print_lines
from quorate.cli.connection.api import ApiClient, open_api
from quorate.cli.connection.resolve import TargetSources
from quorate.cli.options import (
    LIST_LIMIT_MAX,
    as_of_option,
    json_option,
    quiet_option,
    service_options,
)
from quorate.cli.output.console import (
    format_table_time,
    format_time,
    print_details,
    print_hint,
    print_json,
    print_table,
)
from quorate.cli.output.errors import EXIT_CODES, NOT_FOUND, SIGNALLED, Failure, report_errors
from quorate.cli.parameter_types import SEQUENCE_MAX, IntegerRange

if TYPE_CHECKING:
    from quorate.contracts.event_log import EventInfo

LIST_DEFAULT = 100
TAIL_DEFAULT = 10

type_option = click.option(
    "--type", "type_", metavar="TYPE", help="Only events of this type, e.g. LeaseAcquired."
)


@click.command(
    "list",
    epilog="""
\b
Examples:
  quorate events list
  quorate events list --type LeaseAcquired --agent outreach-agent
  quorate events list --after 2 --limit 5 -o yaml
"""
    + EXIT_CODES,
)
@type_option
@click.option("--agent", allow_from_autoenv=False, help="Only events of this agent (name or id).")
@click.option(
    "--after",
    type=IntegerRange(0, SEQUENCE_MAX),
    default=0,
    help="Begin after this sequence number. [default: from the first event]",
)
@click.option(
    "--limit",
    type=IntegerRange(1, LIST_LIMIT_MAX),
    default=LIST_DEFAULT,
    show_default=True,
    help="Maximum number of events to list.",
)
@service_options
@json_option
@quiet_option
@as_of_option
def list_events(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    type_: str | None,
    agent: str | None,
    after: int,
    limit: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """List the events of the tenant, oldest first."""
    with open_api(sources) as api:
        agent_id = None if agent is None else agent_id_of(api, agent)
        found = _read(api, after, limit, type_, agent_id)
        names = {} if as_json or quiet else names_by_id(api)
    if quiet:
        print_lines([str(event.sequence) for event in found])
    elif as_json:
        print_json([event.raw for event in found])
    else:
        _print_events(found, names)


@click.command(
    "get",
    epilog="""
\b
Examples:
  quorate events get 1
  quorate events get 1 -o json
"""
    + EXIT_CODES,
)
@click.argument("sequence", type=IntegerRange(1, SEQUENCE_MAX))
@service_options
@json_option
@as_of_option
def get(sources: TargetSources, sequence: int, as_json: bool) -> None:
    """Show the event SEQUENCE with all its data."""
    with open_api(sources) as api:
        if sequence > (head := _head(api)):
            raise Failure(f"Event {sequence} not found: the log ends with event {head}", NOT_FOUND)
        found = _read(api, sequence - 1, 1, None, None)
        names = {} if as_json else names_by_id(api)
    if not found or found[0].sequence != sequence:
        raise Failure(f"Event {sequence} not found", NOT_FOUND)
    event = found[0]
    if as_json:
        print_json(event.raw)
        return
    from quorate.cli.output.yaml_text import to_yaml

    details = {
        "event": f"{event.type} (version {event.version})",
        "time": format_time(event.at),
        "actor": event.actor,
        "stream": event.stream,
        "id": event.id,
        "command": event.command_id,
        "hash": event.hash,
    }
    print_details(f"#{event.sequence} {_describe(event, names)}", details)
    click.echo("  data")
    for line in to_yaml(event.data).splitlines():
        click.echo(f"    {line}")


@click.command(
    epilog="""
\b
Examples:
  quorate events tail
  quorate events tail -n 3 --type AgentRegistered

`quorate events tail --follow` prints new events until Ctrl-C; so does `quorate watch`.
"""
    + EXIT_CODES
)
@click.option(
    "-n",
    "--lines",
    type=IntegerRange(0, LIST_LIMIT_MAX),
    default=TAIL_DEFAULT,
    show_default=True,
    help="How many of the last events to print; --type then selects from them.",
)
@click.option("-f", "--follow", is_flag=True, help="Print new events until Ctrl-C.")
@type_option
@service_options
@json_option
def tail(
    sources: TargetSources, lines: int, follow: bool, type_: str | None, as_json: bool
) -> None:
    """Print the last events of the tenant, and new ones with --follow."""
    with open_api(sources) as api:
        after = max(0, _head(api) - lines)
        names = {} if as_json else names_by_id(api)
        if not follow:
            found = [
                one for one in _read(api, after, lines, None, None) if type_ in {None, one.type}
            ]
    if follow:
        _follow(api, after, type_, names, as_json=as_json)
    found = [one for one in found if type_ in {None, one.type}]
    if as_json:
        print_json([event.raw for event in found])
    else:
        _print_events(found, names)


def _follow(
    api: ApiClient, after: int, type_: str | None, names: dict[str, str], *, as_json: bool
) -> NoReturn:
    import asyncio

    from quorate.cli.audit.log_feed import LogFeed
    from quorate.cli.output.agent_names import Names
    from quorate.cli.output.event_printer import Display, Limits, LogSource, watch_until

    source = LogSource(LogFeed(api.service.url, api.service.api_key, after))
    limits = Limits(count=None, seconds=None, names=frozenset([] if type_ is None else [type_]))
    with report_errors():
        result = asyncio.run(watch_until(source, limits, Display(Names(names), as_json=as_json)))
    sys.exit(SIGNALLED + result.number)


# -- Reading -------------------------------------------------------------------------


def _head(api: ApiClient) -> int:
    from quorate.client import requests

    return api.call(requests.list_events(limit=1)).head


def _read(
    api: ApiClient, after: int, limit: int, type_: str | None, agent_id: str | None
) -> "list[EventInfo]":
    """Read at most ``limit`` events, page by page."""
    from quorate.client import requests
    from quorate.contracts.wire_models import PAGE_LENGTH_MAX

    found: list[EventInfo] = []
    while len(found) < limit:
        length = min(PAGE_LENGTH_MAX, limit - len(found))
        page = api.call(
            requests.list_events(after=after, limit=length, type=type_, agent_id=agent_id)
        )
        if page.gap is not None:
            print_hint(f"Events up to {page.gap.until} were archived: the operator has them.")
        found += page.events
        if page.next >= page.head or page.next <= after:
            break
        after = page.next
    return found


def _print_events(found: "list[EventInfo]", names: dict[str, str]) -> None:
    columns = ("sequence", "time (UTC)", "event", "description", "id")
    rows = [
        (
            str(event.sequence),
            format_table_time(event.at),
            event.type,
            _describe(event, names),
            event.id,
        )
        for event in found
    ]
    print_table("Events", columns, rows)


def _describe(event: "EventInfo", names: dict[str, str]) -> str:
    from quorate.cli.output.agent_names import Names
    from quorate.cli.output.event_text import describe

    return describe(event.type, event.data, Names(names))
