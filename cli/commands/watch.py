"""`quorate watch`: print events or notifications as they occur.

Guarantees:

* Every event is printed exactly once, also after a lost connection.
* Watching is read-only: it registers no agent and sends no heartbeat.
* Each line is flushed immediately. The position at the end is printed to stderr, so that the next
  call can continue there.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from quorate.cli.commands.agents import agent_id_of, names_by_id
from quorate.cli.connection.api import ApiClient, open_api
from quorate.cli.connection.resolve import Service, TargetSources, resolve_agent, resolve_target
from quorate.cli.options import agent_options, json_option, service_options
from quorate.cli.output.console import print_hint
from quorate.cli.output.errors import SIGNALLED, UNAUTHORIZED, Failure, report_errors
from quorate.cli.parameter_types import SEQUENCE_MAX, Duration, IntegerRange
from quorate.domain.identity.agents import AgentRef

if TYPE_CHECKING:
    from quorate.cli.output.event_printer import Source

WATCH_SECONDS_MAX = 31_536_000.0
WATCH_EXIT_CODES = """
\b
Exit codes:
  0 --count or --for was reached
  1 --for ended before --count or --once was reached
  128 + n ended by signal n: 130 for Ctrl-C
  2 usage error, 3 --after is of another log, 4 key rejected, 5 not found,
  6 unavailable
"""
EPILOG = """
\b
Examples:
  quorate watch --after 0 --for 1
  quorate watch --after 0 --count 2 --json
  quorate watch --agent-name outreach-agent --for 1s
  quorate watch --after 0 --once --name AgentRegistered
"""
EPILOG += WATCH_EXIT_CODES


after_option = click.option(
    "--after",
    type=IntegerRange(0, SEQUENCE_MAX),
    help="Begin after this sequence number; 0 = from the first event. [default: new events only]",
)
once_option = click.option(
    "--once", is_flag=True, help="Exit after the first event; same as --count 1."
)
count_option = click.option(
    "--count", type=IntegerRange(1), help="Exit after this number of events."
)
seconds_option = click.option(
    "--for",
    "seconds",
    type=Duration("s", 0, WATCH_SECONDS_MAX),
    help="Exit after this time, e.g. 30s or 5m; a plain number means seconds.",
)
nats_option = click.option(
    "--nats-url", help="NATS URL: receive the notifications of an agent over NATS instead of HTTP."
)


@click.command(epilog=EPILOG)
@after_option
@once_option
@count_option
@seconds_option
@click.option(
    "--name",
    "names",
    multiple=True,
    help="Print only notifications (e.g. lease_conflict) or events (e.g. LeaseConflicted) of this "
    "name; repeatable.",
)
@nats_option
@agent_options
@service_options
@json_option
def watch(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    after: int | None,
    once: bool,
    count: int | None,
    seconds: float | None,
    names: tuple[str, ...],
    nats_url: str | None,
    agent_id: str | None,
    agent_name: str | None,
    as_json: bool,
) -> None:
    """Print the notifications of one agent, or all events of the tenant, as they occur.

    With an agent key, or with a named agent: the notifications of that agent. Otherwise, with a
    tenant or auditor key: every event of the tenant. Times are in UTC.
    """
    expected = expected_events(once=once, count=count)
    service = resolve_target(sources)
    with open_api(sources, service) as api:
        agent = _agent(api, resolve_agent(service, agent_id, agent_name))
        known = {} if as_json else names_by_id(api)
    _check_names(names, of_agent=agent is not None)
    source = open_source(service, agent, after, nats_url)
    follow(source, names, known, as_json=as_json, expected=expected, seconds=seconds)


def expected_events(*, once: bool, count: int | None) -> int | None:
    """Return how many events end the command, or None."""
    if once and count not in {None, 1}:
        raise click.UsageError("--once is the same as --count 1: use only one of them.")
    return 1 if once else count


def follow(
    source: "Source",
    names: Iterable[str],
    known: Mapping[str, str],
    *,
    as_json: bool,
    expected: int | None,
    seconds: float | None,
) -> None:
    """Print the events of these names until a limit or a signal; then end as the help says."""
    import asyncio

    from quorate.cli.output.agent_names import Names
    from quorate.cli.output.event_printer import Display, Limits, watch_until

    display = Display(Names(known), as_json=as_json)
    limits = Limits(count=expected, seconds=seconds, names=frozenset(names))
    with report_errors():
        result = asyncio.run(watch_until(source, limits, display))
    if result.by != "count":
        print_hint(f"Read up to event {result.cursor}: continue with --after {result.cursor}.")
    if result.by == "signal":
        sys.exit(SIGNALLED + result.number)
    if expected is not None and result.shown < expected:
        raise Failure(f"Received only {result.shown} of {expected} within {seconds:g} s")


def _agent(api: ApiClient, acting_agent: AgentRef) -> str | None:
    """Return the id of the agent to watch, or None for the log of the tenant."""
    from quorate.client import requests

    if acting_agent.id is not None:
        return acting_agent.id
    if acting_agent.name is not None:
        return agent_id_of(api, acting_agent.name)
    key = api.call(requests.get_own_key())
    if key.role in {"admin", "mail"}:
        raise Failure(
            f"The {key.role} key cannot read the log of a tenant: use a tenant key",
            UNAUTHORIZED,
        )
    return key.agent_id


def _check_names(names: Sequence[str], *, of_agent: bool) -> None:
    """Reject unknown names; a mistyped name would wait forever."""
    from quorate.cli.output.event_text import TEMPLATES

    allowed = [name for name in TEMPLATES if name.islower() == of_agent]
    for name in names:
        if name not in allowed:
            kind = "notification" if of_agent else "event"
            raise click.UsageError(f"Unknown {kind} {name!r}; choose from: {', '.join(allowed)}.")


def open_source(
    service: Service, agent_id: str | None, after: int | None, nats_url: str | None
) -> "Source":
    """Open the notifications of an agent, or without an agent the log of the tenant."""
    from quorate.cli.audit.log_feed import LogFeed
    from quorate.cli.output.event_printer import LogSource, NotificationSource
    from quorate.client.notifications import NotificationFeed

    def on_lost(reason: str) -> None:
        print_hint(f"Connection lost, retrying: {reason}.")

    def on_gap(until: int) -> None:
        print_hint(f"Events up to {until} were archived: the operator has them in files.")

    if agent_id is None:
        return LogSource(LogFeed(service.url, service.api_key, after, on_lost, on_gap))
    # An empty NATS URL selects HTTP; nats_url already includes the environment variable.
    opening = NotificationFeed.open(
        service.url,
        service.api_key,
        agent=AgentRef(id=agent_id),
        nats_url=nats_url or "",
        after=after,
    )
    return NotificationSource(opening)
