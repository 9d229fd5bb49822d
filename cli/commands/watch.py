"""`quorate watch`: what happens, as it happens, for as long as one looks on.

* Nothing is left out and nothing said twice, also when the connection was lost meanwhile.
* Watching changes nothing: no agent is registered, none is kept alive by it.
* Each line leaves at once. Where it ended is said on stderr, so that the next call can go on there.
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from quorate.cli.commands.agents import agent_id_of, names_by_id
from quorate.cli.connection.api import ApiClient, calling
from quorate.cli.connection.resolve import Service, TargetSources, called_service, who
from quorate.cli.options import agent_options, json_option, service_options
from quorate.cli.output.console import remark
from quorate.cli.output.errors import UNAUTHORIZED, Failure, calls
from quorate.domain.identity.agents import AgentRef

if TYPE_CHECKING:
    from quorate.cli.output.event_printer import Source

SIGNALLED = 128
WATCHED_SECONDS_MAX = 31_536_000.0
EPILOG = """
\b
Examples:
  quorate watch --after 0 --for 1
  quorate watch --after 0 --count 2 --json
  quorate watch --agent-name outreach-agent --for 1
  quorate watch --after 0 --once --name AgentRegistered

\b
Exit codes:
  0 all that was asked for was seen
  1 --for was over before --count or --once was
  128 + n ended by signal n: 130 for Ctrl-C
  2 wrong use, 4 key refused, 5 not found, 6 unavailable
"""


@click.command(epilog=EPILOG)
@click.option(
    "--after",
    type=click.IntRange(min=0),
    help="Begin after this sequence; 0 begins with the first. [default: only what is new]",
)
@click.option("--once", is_flag=True, help="End after the first: the same as --count 1.")
@click.option("--count", type=click.IntRange(min=1), help="End after so many.")
@click.option(
    "--for",
    "seconds",
    type=click.FloatRange(0, WATCHED_SECONDS_MAX),
    help="End after so many seconds.",
)
@click.option(
    "--name",
    "names",
    multiple=True,
    help="Only notifications (lease_conflict), or events (LeaseConflicted), of this name; repeatable.",
)
@click.option(
    "--nats-url", help="Hear an agent's notifications over NATS, there, in place of HTTP."
)
@agent_options
@service_options
@json_option
def watch(  # noqa: PLR0917 - click hands options over like this.
    where: TargetSources,
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
    """Show live what concerns one agent, or all that happens in the tenant.

    With an agent's key, or where an agent is named: the notifications that this agent gets. Else, with a
    tenant's or an auditor's key: the whole log, event by event. Times are in UTC.
    """
    import asyncio

    from quorate.cli.output.event_printer import Display, Limits, watch_until
    from quorate.cli.output.event_text import Names

    if once and count not in {None, 1}:
        raise click.UsageError("--once is --count 1: give one of them.")
    wanted = 1 if once else count
    service = called_service(where)
    with calling(where, service) as line:
        agent = _agent(line, who(service, agent_id, agent_name))
        known = {} if as_json else names_by_id(line)
    _check(names, of_agent=agent is not None)
    source = _source(service, agent, after, nats_url)
    display = Display(Names(known), as_json=as_json)
    limits = Limits(count=wanted, seconds=seconds, names=frozenset(names))
    with calls():
        ending = asyncio.run(watch_until(source, limits, display))
    if ending.by != "count":
        remark(f"Seen up to {ending.cursor}: --after {ending.cursor} goes on from there.")
    if ending.by == "signal":
        sys.exit(SIGNALLED + ending.number)
    if wanted is not None and ending.shown < wanted:
        raise Failure(f"Only {ending.shown} of {wanted} came within {seconds:g} s")


def _agent(line: ApiClient, meant: AgentRef) -> str | None:
    """The id of the agent whose notifications are meant, or None for the log of all."""
    from quorate.client import requests

    if meant.id is not None:
        return meant.id
    if meant.name is not None:
        return agent_id_of(line, meant.name)
    key = line.ask(requests.own_key())
    if key.role == "admin":
        raise Failure("An operator's key reads no tenant's log: give a tenant's", UNAUTHORIZED)
    return key.agent_id


def _check(names: Sequence[str], *, of_agent: bool) -> None:
    """A name that is mistyped would wait for ever."""
    from quorate.cli.output.event_text import SENTENCES

    there = [name for name in SENTENCES if name.islower() == of_agent]
    for name in names:
        if name not in there:
            what = "notification" if of_agent else "event"
            raise click.UsageError(f"There is no {what} {name!r}; there are: {', '.join(there)}.")


def _source(
    service: Service, agent_id: str | None, after: int | None, nats_url: str | None
) -> "Source":
    from quorate.cli.audit.log_feed import LogFeed
    from quorate.cli.output.event_printer import LogSource, NotificationSource
    from quorate.client.notifications import NotificationFeed

    def lost(why: str) -> None:
        remark(f"Nothing comes at present, trying again: {why}.")

    def archived(until: int) -> None:
        remark(f"Events up to {until} were archived: they are in the operator's files.")

    if agent_id is None:
        return LogSource(LogFeed(service.url, service.api_key, after, lost, archived))
    # An empty address means HTTP alone: what the environment says is in nats_url already.
    opening = NotificationFeed.open(
        service.url,
        service.api_key,
        agent=AgentRef(id=agent_id),
        nats_url=nats_url or "",
        after=after,
    )
    return NotificationSource(opening)
